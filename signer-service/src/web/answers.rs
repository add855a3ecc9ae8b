//! Answers: pages, JSON, redirections, and the headers that go with them.

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::Value;

/// An answer with its whole body.
pub(super) type Answered = Response<Full<Bytes>>;

/// A page. `elsewhere` is the one origin beside this one that its form may lead to: where the application waits.
pub(super) fn page(status: StatusCode, html: String, elsewhere: Option<&str>) -> Answered {
    let forms = elsewhere.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self'{forms}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut answer = plain(status, "text/html; charset=utf-8", html);
    set(&mut answer, header::CONTENT_SECURITY_POLICY, &policy);
    // With "no-referrer" browsers say "null" for the origin of the form (Fetch, "append a request Origin header").
    set(&mut answer, header::REFERRER_POLICY, "same-origin");
    answer
}

/// JSON that nobody keeps.
pub(super) fn json(status: StatusCode, value: &Value) -> Answered {
    plain(status, "application/json", value.to_string())
}

/// Text of a type.
pub(super) fn plain(status: StatusCode, kind: &str, text: String) -> Answered {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE, kind);
    guarded(answer)
}

/// Sends the browser on with a GET, whatever it sent (RFC 9700 clause 4.12: never 307, which would repeat the PIN).
pub(super) fn see_other(location: &str) -> Answered {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    set(&mut answer, header::LOCATION, location);
    guarded(answer)
}

/// Sets a header; a value that cannot be one is left out.
pub(super) fn set(answer: &mut Answered, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn guarded(mut answer: Answered) -> Answered {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Addresses hold codes and states.
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
