//! The login page: an authorization request comes in, a card proves who sits there, a code goes out.
//!
//! A form counts only if it holds the secret of its login *and* comes from the browser that the login began in: a cookie
//! that no other site can send (SameSite=Strict) names the browser. So no other page can submit a PIN here, and a stolen
//! address of a login page is worth nothing.

use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName},
};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use url::Url;

use super::{
    Web,
    answers::{self, Answered},
    page,
    parameters::Parameters,
    request::{Answer, AuthorizationRequest, Refused},
    secrets,
    texts::{Language, Problem},
};
use crate::{
    service::{CardLogin, LoggedIn, Refusal},
    token::{PinEntry, Selector, TokenError, TokenView},
};

/// Seconds for choosing a card and entering its PIN.
pub(super) const LOGIN_SECONDS: i64 = 300;
/// Wrong PINs until the application has to begin a new login.
const WRONG_PINS: u32 = 3;

/// A login under way.
#[derive(Clone)]
pub(super) struct Login {
    request: AuthorizationRequest,
    language: Language,
    /// Hash of the browser's cookie.
    browser: [u8; 32],
    wrong_pins: u32,
    /// A PIN of this login is being used.
    at_work: bool,
}

/// What a code stands for.
#[derive(Clone)]
pub(super) struct Granted {
    pub(super) request: AuthorizationRequest,
    pub(super) login: LoggedIn,
    pub(super) code: Code,
}

/// Whether a code was used.
#[derive(Clone)]
pub(super) enum Code {
    Fresh,
    /// With the name of the session that came of it.
    Used(Option<String>),
}

impl Web {
    /// `/authorize`
    pub(super) async fn authorize(&self, headers: &HeaderMap, encoded: &[u8]) -> Answered {
        let accepted = accepted(headers);
        let Ok(parameters) = Parameters::parse(encoded) else { return told(accepted, Problem::Form) };
        let request = match AuthorizationRequest::read(&parameters, &self.settings.clients) {
            Ok(request) => request,
            Err(Refused::Here(problem)) => return told(accepted, problem),
            Err(Refused::Back(answer)) => return answers::see_other(&answer.location(&self.issuer)),
        };
        let language = request.language.unwrap_or(accepted);
        let kept = self.cookie(headers).map(str::to_owned).filter(|cookie| cookie.len() == 43);
        let Some(browser) = kept.or_else(secrets::secret) else { return told(language, Problem::Busy) };
        let hash = secrets::hash(&browser);
        let login = Login { request, language, browser: hash, wrong_pins: 0, at_work: false };
        let Ok(secret) = self.logins.put(login.clone(), OffsetDateTime::now_utc()) else {
            return told(language, Problem::Busy);
        };
        let mut answer = self.show(&login, &secret, None, None).await;
        answers::set(&mut answer, header::SET_COOKIE, &self.set_cookie(&browser));
        answer
    }

    /// `/login`, the form of the page.
    pub(super) async fn submit(&self, headers: &HeaderMap, form: &[u8]) -> Answered {
        let accepted = accepted(headers);
        let now = OffsetDateTime::now_utc();
        let Ok(form) = Parameters::parse(form) else { return told(accepted, Problem::Form) };
        if !self.is_own(headers) {
            return told(accepted, Problem::Form);
        }
        let secret = form.get("login").unwrap_or_default();
        let Some(login) = self.logins.get(secret, now) else { return told(accepted, Problem::Over) };
        if self.cookie(headers).map(secrets::hash) != Some(login.browser) {
            return told(accepted, Problem::Form);
        }
        match form.get("do") {
            Some("cancel") => {
                self.logins.forget(secret);
                self.back(&login, "access_denied", "the login was cancelled")
            }
            Some("log-in") => self.use_card(login, secret, &form).await,
            _ => self.show(&login, secret, None, None).await,
        }
    }

    async fn use_card(&self, login: Login, secret: &str, form: &Parameters) -> Answered {
        let key = form.get("card").unwrap_or_default();
        let cards = self.signer.login_cards().await.unwrap_or_default();
        let Some(token) = cards.iter().find(|token| card_key(secret, token) == key) else {
            let gone = login.language.refusal(&TokenError::NotFound.into());
            return self.show(&login, secret, None, Some(gone)).await;
        };
        // One PIN of a login at a time: a button that is pressed twice sends one PIN to the card.
        let Some(turn) = Turn::begin(self, secret) else {
            return self.show(&login, secret, Some(key), None).await;
        };
        let result = self.signer.log_in(self.order(&login, token, form)).await;
        drop(turn);
        let now = OffsetDateTime::now_utc();
        match result {
            Ok(proven) => {
                self.logins.forget(secret);
                let request = login.request.clone();
                let granted = Granted { request, login: proven, code: Code::Fresh };
                match self.codes.put(granted, now) {
                    Ok(code) => {
                        answers::see_other(&Answer::code(&login.request, code).location(&self.issuer))
                    }
                    Err(_) => self.back(&login, "temporarily_unavailable", "too many logins"),
                }
            }
            Err(refusal) => {
                let wrong = matches!(refusal, Refusal::Token(TokenError::PinIncorrect(_)));
                let count = |login: &mut Login| {
                    login.wrong_pins += u32::from(wrong);
                    login.wrong_pins
                };
                if self.logins.change(secret, now, count).is_none_or(|count| count >= WRONG_PINS) {
                    self.logins.forget(secret);
                    return self.back(&login, "access_denied", "too many wrong PINs");
                }
                self.show(&login, secret, Some(key), Some(login.language.refusal(&refusal))).await
            }
        }
    }

    fn order(&self, login: &Login, token: &TokenView, form: &Parameters) -> CardLogin {
        let value = form.get("pin").map(SecretString::from);
        let last_try = self.settings.last_try && form.get("last_try").is_some();
        CardLogin {
            request_id: uuid::Uuid::new_v4().to_string(),
            client: login.request.client.id.clone(),
            audience: format!("{} for {}", self.issuer, login.request.client.id),
            card: Selector {
                token_label: Some(token.label.clone()),
                serial_suffix: Some(token.serial.clone()).filter(|serial| !serial.is_empty()),
            },
            pin: PinEntry { value, last_try },
        }
    }

    async fn show(
        &self,
        login: &Login,
        secret: &str,
        chosen: Option<&str>,
        trouble: Option<&'static str>,
    ) -> Answered {
        let (tokens, trouble) = match self.signer.login_cards().await {
            Ok(tokens) => (tokens, trouble),
            Err(refusal) => (Vec::new(), Some(trouble.unwrap_or(login.language.refusal(&refusal)))),
        };
        let card = |token: &TokenView| page::Card {
            key: card_key(secret, token),
            label: token.label.clone(),
            serial_suffix: token.serial_suffix().to_owned(),
            slot: token.slot_name.trim().to_owned(),
        };
        let cards: Vec<page::Card> = tokens.iter().map(card).collect();
        let html = page::login(&page::Login {
            language: login.language,
            secret,
            application: &login.request.client.name,
            scopes: &login.request.scopes,
            cards: &cards,
            chosen,
            trouble,
            last_try: self.settings.last_try,
        });
        answers::page(StatusCode::OK, html, origin(&login.request.redirect_uri).as_deref())
    }

    fn back(&self, login: &Login, error: &str, description: &str) -> Answered {
        let state = login.request.state.as_deref();
        let answer = Answer::error(&login.request.redirect_uri, state, error, description);
        answers::see_other(&answer.location(&self.issuer))
    }

    /// Whether a form was sent by a page of this server, as far as the browser says.
    fn is_own(&self, headers: &HeaderMap) -> bool {
        let same = |name: HeaderName, expected: &str| {
            headers.get(name).is_none_or(|value| value.as_bytes() == expected.as_bytes())
        };
        same(header::ORIGIN, &self.issuer) && same(HeaderName::from_static("sec-fetch-site"), "same-origin")
    }

    /// The prefix has the browser take care that nobody but this host set it (RFC 6265bis clause 4.1.3); it needs https.
    fn cookie_name(&self) -> &'static str {
        if self.issuer.starts_with("https:") { "__Host-browser" } else { "browser" }
    }

    fn set_cookie(&self, value: &str) -> String {
        let secure = if self.issuer.starts_with("https:") { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600{secure}", self.cookie_name())
    }

    fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie_name()).map(|(_, value)| value)
    }
}

/// Held while a PIN of a login is used.
struct Turn<'a> {
    web: &'a Web,
    secret: &'a str,
}

impl<'a> Turn<'a> {
    fn begin(web: &'a Web, secret: &'a str) -> Option<Turn<'a>> {
        let taken = |login: &mut Login| !std::mem::replace(&mut login.at_work, true);
        let free = web.logins.change(secret, OffsetDateTime::now_utc(), taken)?;
        free.then_some(Turn { web, secret })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.web.logins.change(self.secret, OffsetDateTime::now_utc(), |login| login.at_work = false);
    }
}

/// Names a card in the form of one login: its number is not for pages.
fn card_key(secret: &str, token: &TokenView) -> String {
    hex::encode(Sha256::digest(format!("{secret}/{}", token.card())))
}

fn accepted(headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    accepted.and_then(Language::of).unwrap_or(Language::German)
}

fn told(language: Language, problem: Problem) -> Answered {
    answers::page(StatusCode::BAD_REQUEST, page::problem(language, problem), None)
}

fn origin(uri: &str) -> Option<String> {
    Url::parse(uri).ok().map(|uri| uri.origin().ascii_serialization())
}
