//! The endpoints for applications: `/token` (RFC 6749 clause 4.1.3), `/revoke` (RFC 7009), `/introspect` (RFC 7662).
//!
//! There are no refresh tokens: a session needs its card, so a new token needs one, too.

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use hyper::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha384};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

use super::{
    Web,
    answers::{self, Answered},
    login::{Code, Granted},
    parameters::Parameters,
    secrets,
};
use crate::{
    clinician::{
        scope::{self, Scope},
        token::Claims,
    },
    config::{OPENID, WebClient},
    service::{Refusal, TokenOrder, WebToken},
};

/// Seconds from a code to its token.
pub(super) const CODE_SECONDS: i64 = 60;

/// An error of RFC 6749 clause 5.2.
struct Denied {
    error: &'static str,
    description: &'static str,
}

/// What an id_token says (OpenID Connect Core clause 2).
#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    azp: &'a str,
    iat: i64,
    exp: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    at_hash: String,
    amr: &'a [String],
    #[serde(rename = "idNummer", skip_serializing_if = "Option::is_none")]
    telematik_id: Option<&'a str>,
    #[serde(rename = "professionOID", skip_serializing_if = "Option::is_none")]
    profession: Option<&'a str>,
}

impl Web {
    pub(super) async fn token(&self, headers: &HeaderMap, form: &[u8]) -> Answered {
        match self.exchange(headers, form).await {
            Ok(answer) => answers::json(StatusCode::OK, &answer),
            Err(denied) => denied.answer(headers),
        }
    }

    /// Ends the session of a token of this application. A token that is none is no error (RFC 7009 clause 2.2).
    pub(super) async fn revoke(&self, headers: &HeaderMap, form: &[u8]) -> Answered {
        let asked = read(form).and_then(|form| Ok((self.client(headers, &form)?, form)));
        let (client, form) = match asked {
            Ok(asked) => asked,
            Err(denied) => return denied.answer(headers),
        };
        let open = self.signer.open_session(form.get("token").unwrap_or_default()).await;
        if let Some(claims) = open.filter(|claims| claims.client_id == client.id) {
            self.signer.end_session(&claims.jti);
        }
        answers::json(StatusCode::OK, &json!({}))
    }

    /// Says whether a session stands: verifying the token alone does not tell that its card left the reader.
    pub(super) async fn introspect(&self, headers: &HeaderMap, form: &[u8]) -> Answered {
        let asked = read(form).and_then(|form| Ok((self.client(headers, &form)?, form)));
        let (client, form) = match asked {
            Ok(asked) => asked,
            Err(denied) => return denied.answer(headers),
        };
        if client.secret_sha256.is_none() {
            return Denied::client("introspection needs a client with a secret").answer(headers);
        }
        let open = self.signer.open_session(form.get("token").unwrap_or_default()).await;
        let audience = client.audience.as_ref().unwrap_or(&client.id);
        let open = open.filter(|claims| claims.client_id == client.id || claims.aud == *audience);
        let answer = open.and_then(|claims| serde_json::to_value(claims).ok()).map_or_else(
            || json!({ "active": false }),
            |mut claims| {
                if let Some(fields) = claims.as_object_mut() {
                    fields.insert("active".into(), true.into());
                    fields.insert("token_type".into(), "Bearer".into());
                }
                claims
            },
        );
        answers::json(StatusCode::OK, &answer)
    }

    async fn exchange(&self, headers: &HeaderMap, form: &[u8]) -> Result<Value, Denied> {
        let form = read(form)?;
        let client = self.client(headers, &form)?;
        match form.get("grant_type") {
            Some("authorization_code") => {}
            None => return Err(Denied::request("grant_type: expected authorization_code")),
            Some(_) => return Err(Denied::new("unsupported_grant_type", "expected authorization_code")),
        }
        let consent = consent(client, &form)?;
        let code = form.get("code").ok_or(Denied::request("code: missing"))?;
        let verifier = form.get("code_verifier").ok_or(Denied::request("code_verifier: missing"))?;
        let granted = self.redeem(client, code)?;
        // A code is used up by a try with the wrong verifier or address, too: whoever tries has stolen it.
        if !granted.request.challenge.fits(verifier) {
            return Err(Denied::grant("code_verifier: not that of the request"));
        }
        if form.get("redirect_uri").is_some_and(|uri| uri != granted.request.redirect_uri) {
            return Err(Denied::grant("redirect_uri: not that of the request"));
        }
        let at = granted.login.at;
        let token = self.issue(&granted, client, consent).await?;
        let used = |granted: &mut Granted| granted.code = Code::Used(Some(token.claims.jti.clone()));
        self.codes.change(code, OffsetDateTime::now_utc(), used);
        Ok(self.answer(&granted, client, &token, at))
    }

    /// Takes a code, once. The second time its session ends (RFC 6749 clause 4.1.2): one of the two is a thief.
    fn redeem(&self, client: &WebClient, code: &str) -> Result<Granted, Denied> {
        let take = |granted: &mut Granted| {
            let own = granted.request.client.id == client.id;
            let before =
                if own { std::mem::replace(&mut granted.code, Code::Used(None)) } else { Code::Used(None) };
            (own, Granted { code: before, ..granted.clone() })
        };
        let found = self.codes.change(code, OffsetDateTime::now_utc(), take);
        match found {
            Some((true, granted)) => match &granted.code {
                Code::Fresh => Ok(granted),
                Code::Used(session) => {
                    if let Some(session) = session {
                        self.signer.end_session(session);
                    }
                    Err(Denied::grant("code: used before"))
                }
            },
            _ => Err(Denied::grant("code: unknown, too old, or another client's")),
        }
    }

    async fn issue(
        &self,
        granted: &Granted,
        client: &WebClient,
        consent: Vec<Scope>,
    ) -> Result<WebToken, Denied> {
        let registered: Vec<Scope> = client.scopes.iter().filter_map(|text| text.parse().ok()).collect();
        let asked: Vec<String> =
            granted.request.scopes.iter().filter(|scope| *scope != OPENID).cloned().collect();
        let (scopes, beyond) = scope::within_client(&asked, &registered);
        let order = TokenOrder {
            request_id: uuid::Uuid::new_v4().to_string(),
            client: client.id.clone(),
            audience: client.audience.clone().unwrap_or_else(|| client.id.clone()),
            scopes,
            beyond,
            consent,
        };
        let token = self.signer.web_token(granted.login.clone(), order).await;
        token.map_err(|refusal| match refusal {
            Refusal::Audit(_) | Refusal::Internal(_) => {
                Denied::new("server_error", "the token could not be made")
            }
            _ => Denied::grant("code: the card left its reader"),
        })
    }

    fn answer(&self, granted: &Granted, client: &WebClient, token: &WebToken, at: OffsetDateTime) -> Value {
        let claims = &token.claims;
        let is_openid = granted.request.is_openid() && client.scopes.iter().any(|scope| scope == OPENID);
        let scopes =
            [is_openid.then_some(OPENID), Some(claims.scope.as_str()).filter(|scope| !scope.is_empty())];
        let refused = token
            .refused
            .iter()
            .map(|refused| json!({ "scope": refused.scope, "refused_by": refused.by.code() }));
        let mut answer = json!({
            "access_token": token.token,
            "token_type": "Bearer",
            "expires_in": claims.exp - claims.iat,
            "scope": scopes.into_iter().flatten().collect::<Vec<_>>().join(" "),
            "refused_scopes": refused.collect::<Vec<_>>(),
        });
        if is_openid
            && let Some(id_token) = self.id_token(granted, client, token, at)
            && let Some(fields) = answer.as_object_mut()
        {
            fields.insert("id_token".into(), id_token.into());
        }
        answer
    }

    fn id_token(
        &self,
        granted: &Granted,
        client: &WebClient,
        token: &WebToken,
        at: OffsetDateTime,
    ) -> Option<String> {
        let claims: &Claims = &token.claims;
        self.signer.sign_claims(
            "JWT",
            &IdClaims {
                iss: &claims.iss,
                sub: &claims.sub,
                aud: &client.id,
                azp: &client.id,
                iat: claims.iat,
                exp: claims.exp,
                auth_time: at.unix_timestamp(),
                nonce: granted.request.nonce.as_deref(),
                at_hash: at_hash(&token.token),
                amr: &claims.amr,
                telematik_id: claims.telematik_id.as_deref(),
                profession: claims.profession.as_deref(),
            },
        )
    }

    /// The application that asks (RFC 6749 clause 2.3). One with a secret has to show it.
    fn client(&self, headers: &HeaderMap, form: &Parameters) -> Result<&WebClient, Denied> {
        let basic = match headers.get(header::AUTHORIZATION) {
            None => None,
            Some(value) => Some(basic(value.as_bytes()).ok_or(Denied::client("expected Basic"))?),
        };
        let (id, secret) = match (&basic, form.get("client_id"), form.get("client_secret")) {
            (Some(_), _, Some(_)) => return Err(Denied::request("client_secret: two ways at once")),
            (Some((id, _)), Some(named), None) if id != named => {
                return Err(Denied::request("client_id: two clients at once"));
            }
            (Some((id, secret)), _, None) => (id.as_str(), Some(secret.as_str())),
            (None, Some(id), secret) => (id, secret),
            (None, None, _) => return Err(Denied::client("client_id: missing")),
        };
        let unknown = Denied::client("unknown client or wrong secret");
        let Some(client) = self.settings.clients.iter().find(|client| client.id == id) else {
            return Err(unknown);
        };
        let expected = client.secret_sha256.as_ref().map(|hash| hex::decode(hash).unwrap_or_default());
        match (expected, secret) {
            (None, None) => Ok(client),
            (Some(expected), Some(secret)) if secrets::hash(secret).ct_eq(expected.as_slice()).into() => {
                Ok(client)
            }
            _ => Err(unknown),
        }
    }
}

/// What the patient consented to. It comes from the application's own records, over a channel that no browser is part of:
/// so only applications with a secret can say it.
fn consent(client: &WebClient, form: &Parameters) -> Result<Vec<Scope>, Denied> {
    let Some(text) = form.get("consent") else { return Ok(Vec::new()) };
    if client.secret_sha256.is_none() {
        return Err(Denied::request("consent: taken from clients with a secret only"));
    }
    let scopes: Result<Vec<Scope>, _> = text.split_ascii_whitespace().take(100).map(str::parse).collect();
    scopes.map_err(|_| Denied::request("consent: expected scopes, e.g. patient/Observation.rs"))
}

/// Left half of the hash of the token, with the hash of its signature algorithm (OpenID Connect Core clause 3.1.3.6).
fn at_hash(token: &str) -> String {
    let hash = Sha384::digest(token);
    BASE64_URL_SAFE_NO_PAD.encode(hash.get(..24).unwrap_or_default())
}

/// Name and secret of `Basic`, each form-encoded (RFC 6749 clause 2.3.1).
fn basic(value: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim_ascii()).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let plain =
        |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some((plain(id)?, plain(secret).unwrap_or_default()))
}

fn read(form: &[u8]) -> Result<Parameters, Denied> {
    Parameters::parse(form).map_err(|_| Denied::request("a parameter came twice"))
}

impl Denied {
    fn new(error: &'static str, description: &'static str) -> Denied {
        Denied { error, description }
    }

    fn request(description: &'static str) -> Denied {
        Denied::new("invalid_request", description)
    }

    fn grant(description: &'static str) -> Denied {
        Denied::new("invalid_grant", description)
    }

    fn client(description: &'static str) -> Denied {
        Denied::new("invalid_client", description)
    }

    fn answer(&self, headers: &HeaderMap) -> Answered {
        let status = match self.error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut answer = answers::json(status, &body);
        if status == StatusCode::UNAUTHORIZED && headers.contains_key(header::AUTHORIZATION) {
            answers::set(&mut answer, header::WWW_AUTHENTICATE, "Basic realm=\"token\"");
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_decoded_twice() {
        let value = format!("basic {}", BASE64_STANDARD.encode("ward:a%2Bb+c"));
        assert_eq!(basic(value.as_bytes()), Some(("ward".into(), "a+b c".into())));
        for bad in ["Bearer abc", "Basic", "Basic !!", "Basic d2FyZA=="] {
            assert_eq!(basic(bad.as_bytes()), None, "{bad}");
        }
    }

    /// Computed with Python's hashlib.
    #[test]
    fn at_hash_is_half_a_sha_384() {
        assert_eq!(at_hash("abc"), "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFj");
    }
}
