//! An authorization request (RFC 6749 clause 4.1.1, with RFC 7636 and OpenID Connect Core clause 3.1.2.1), checked.

use super::{
    parameters::Parameters,
    pkce::Challenge,
    texts::{Language, Problem},
};
use crate::config::{OPENID, WebClient};

/// Scopes of one request.
const SCOPES: usize = 100;
/// Length of values that only the application understands: they go around through an address.
const OPAQUE: usize = 2048;

/// What an application asks for.
#[derive(Clone)]
pub(super) struct AuthorizationRequest {
    pub(super) client: WebClient,
    /// One of the client's, letter by letter.
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) challenge: Challenge,
    pub(super) nonce: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) language: Option<Language>,
}

/// Why there is no login.
pub(super) enum Refused {
    /// Told to the person in front of the browser: the application is not who it says, so the browser is sent nowhere
    /// (RFC 6749 clause 4.1.2.1).
    Here(Problem),
    /// Told to the application.
    Back(Answer),
}

/// Where a browser is sent at the end of a login.
pub(super) struct Answer {
    redirect_uri: String,
    state: Option<String>,
    fields: Vec<(&'static str, String)>,
}

impl Answer {
    /// Nothing, with a code of RFC 6749 clause 4.1.2.1 or OpenID Connect Core clause 3.1.2.6.
    pub(super) fn error(redirect_uri: &str, state: Option<&str>, error: &str, description: &str) -> Answer {
        let fields = vec![("error", error.to_owned()), ("error_description", description.to_owned())];
        Answer { redirect_uri: redirect_uri.to_owned(), state: state.map(str::to_owned), fields }
    }

    /// A code.
    pub(super) fn code(request: &AuthorizationRequest, code: String) -> Answer {
        let fields = vec![("code", code)];
        Answer { redirect_uri: request.redirect_uri.clone(), state: request.state.clone(), fields }
    }

    /// The address; it names the issuer, so that an application with several is not mixed up (RFC 9207).
    pub(super) fn location(&self, issuer: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.fields {
            query.append_pair(name, value);
        }
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", issuer);
        let joint = if self.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{joint}{}", self.redirect_uri, query.finish())
    }
}

impl AuthorizationRequest {
    /// Reads a request. The application first: nothing is told to an address that is not registered.
    pub(super) fn read(
        parameters: &Parameters,
        clients: &[WebClient],
    ) -> Result<AuthorizationRequest, Refused> {
        let id = parameters.get("client_id").unwrap_or_default();
        let client = clients.iter().find(|client| client.id == id).ok_or(Refused::Here(Problem::Client))?;
        let uri = parameters.get("redirect_uri").unwrap_or_default();
        if !client.redirect_uris.iter().any(|known| known == uri) {
            return Err(Refused::Here(Problem::Redirect));
        }
        let state = parameters.get("state");
        match check(parameters) {
            Ok((challenge, scopes)) => Ok(AuthorizationRequest {
                client: client.clone(),
                redirect_uri: uri.to_owned(),
                state: state.map(str::to_owned),
                challenge,
                nonce: parameters.get("nonce").map(str::to_owned),
                scopes,
                language: parameters.get("ui_locales").and_then(Language::of),
            }),
            Err((error, why)) => {
                let state = state.filter(|state| state.len() <= OPAQUE);
                Err(Refused::Back(Answer::error(uri, state, error, why)))
            }
        }
    }

    /// Does the application want an id_token?
    pub(super) fn is_openid(&self) -> bool {
        self.scopes.iter().any(|scope| scope == OPENID)
    }
}

/// What does not depend on the application.
fn check(parameters: &Parameters) -> Result<(Challenge, Vec<String>), (&'static str, &'static str)> {
    let invalid = |why| Err(("invalid_request", why));
    if parameters.get("request").is_some() {
        return Err(("request_not_supported", "request: not taken"));
    }
    if parameters.get("request_uri").is_some() {
        return Err(("request_uri_not_supported", "request_uri: not taken"));
    }
    match parameters.get("response_type") {
        Some("code") => {}
        None => return invalid("response_type: expected code"),
        Some(_) => return Err(("unsupported_response_type", "response_type: expected code")),
    }
    if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
        return invalid("response_mode: expected query");
    }
    let long = |name| parameters.get(name).is_some_and(|value| value.len() > OPAQUE);
    if long("state") || long("nonce") {
        return invalid("state, nonce: at most 2048 bytes");
    }
    // Left out, it would mean "plain" (RFC 7636 clause 4.3).
    if parameters.get("code_challenge_method") != Some("S256") {
        return invalid("code_challenge_method: expected S256");
    }
    let Some(challenge) = parameters.get("code_challenge").and_then(Challenge::parse) else {
        return invalid("code_challenge: expected base64url of a SHA-256");
    };
    // There is no session in the browser that could answer without a card.
    if parameters.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
        return Err(("login_required", "prompt: every login needs the card"));
    }
    let scopes: Vec<String> =
        parameters.get("scope").unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() || scopes.len() > SCOPES {
        return Err(("invalid_scope", "scope: expected 1 to 100"));
    }
    Ok((challenge, scopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "client_id=ward&redirect_uri=https%3A%2F%2Fward.example%2Fback%3Fa%3D1&response_type=code&scope=openid&state=s\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn read(encoded: &str) -> Result<AuthorizationRequest, Refused> {
        let client = WebClient {
            id: "ward".into(),
            name: "Ward".into(),
            redirect_uris: vec!["https://ward.example/back?a=1".into()],
            scopes: vec![],
            audience: None,
            secret_sha256: None,
        };
        AuthorizationRequest::read(&Parameters::parse(encoded.as_bytes()).unwrap(), &[client])
    }

    fn back(encoded: &str) -> String {
        match read(encoded) {
            Err(Refused::Back(answer)) => answer.location("https://login.example"),
            Err(Refused::Here(_)) => panic!("told to the person: {encoded}"),
            Ok(_) => panic!("taken: {encoded}"),
        }
    }

    #[test]
    fn a_good_request_is_read() {
        let request = read(ASKED).ok().unwrap();
        assert!(request.is_openid());
        assert_eq!(request.state.as_deref(), Some("s"));
        let location = Answer::code(&request, "c".into()).location("https://login.example");
        assert_eq!(location, "https://ward.example/back?a=1&code=c&state=s&iss=https%3A%2F%2Flogin.example");
    }

    #[test]
    fn an_unknown_application_or_address_is_told_to_the_person_only() {
        let near = [
            ("client_id=ward", "client_id=other", Problem::Client),
            ("client_id=ward", "client_id=", Problem::Client),
            ("back%3Fa%3D1", "back%3Fa%3D1%26b", Problem::Redirect),
            ("back%3Fa%3D1", "BACK%3Fa%3D1", Problem::Redirect),
            ("back%3Fa%3D1", "back", Problem::Redirect),
            ("ward.example%2F", "ward.example.evil%2F", Problem::Redirect),
        ];
        for (from, to, problem) in near {
            let Err(Refused::Here(told)) = read(&ASKED.replace(from, to)) else { panic!("{to}") };
            assert_eq!(told, problem, "{to}");
        }
    }

    #[test]
    fn everything_else_is_told_to_the_application() {
        let cases = [
            ("response_type=code", "response_type=token", "unsupported_response_type"),
            ("response_type=code", "x=y", "invalid_request"),
            ("method=S256", "method=plain", "invalid_request"),
            ("&code_challenge_method=S256", "", "invalid_request"),
            ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "short", "invalid_request"),
            ("scope=openid", "scope=", "invalid_scope"),
            ("scope=openid", "scope=openid&prompt=none", "login_required"),
            ("scope=openid", "scope=openid&request=a.b.c", "request_not_supported"),
            ("scope=openid", "scope=openid&response_mode=fragment", "invalid_request"),
        ];
        for (from, to, error) in cases {
            let location = back(&ASKED.replace(from, to));
            assert!(location.contains(&format!("&error={error}&")), "{to}: {location}");
            assert!(location.contains("&state=s&iss="), "{to}: {location}");
        }
    }
}
