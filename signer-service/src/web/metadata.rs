//! What applications can find out by themselves (RFC 8414; OpenID Connect Discovery 1.0).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::{OPENID, WebClient};

/// The metadata of this server. One answer for both places: what OpenID Connect wants beyond RFC 8414 is in it, except
/// that RS256 is not offered for id_tokens and there is no userinfo endpoint.
pub(super) fn metadata(issuer: &str, clients: &[WebClient]) -> Value {
    let scopes: BTreeSet<&str> =
        clients.iter().flat_map(|client| &client.scopes).map(String::as_str).collect();
    let scopes: BTreeSet<&str> = scopes.into_iter().chain([OPENID]).collect();
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "jwks_uri": format!("{issuer}/jwks"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES384"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "amr", "azp", "idNummer", "professionOID"
        ],
        "ui_locales_supported": ["de", "en"],
    })
}
