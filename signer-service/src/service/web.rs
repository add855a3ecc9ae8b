//! Logins for web applications: the steps of AuthenticateClinician in two parts. The card proves who somebody is while the
//! browser waits; the token is made when the application asks for it, if the card is still where it was.

use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;

use super::{
    Caller, Chosen, Presence, Refusal, Signer, State, authenticate, blocking,
    clinician::{self, Issued, Wish},
    emergency, find_key, recorded,
};
use crate::{
    audit::Entry,
    authentication::{self, Proof},
    clinician::{
        NotValid,
        scope::{Refused, Scope},
        token::Claims,
    },
    config::Config,
    token::{PinEntry, Purpose, Selector, TokenError, TokenView, best},
};

/// A card and the PIN for it.
pub struct CardLogin {
    /// Identifier of the request.
    pub request_id: String,
    /// The application's client_id.
    pub client: String,
    /// What the card signs as audience.
    pub audience: String,
    /// Which card.
    pub card: Selector,
    /// Its PIN.
    pub pin: PinEntry,
}

/// A clinician who proved who they are.
#[derive(Clone)]
pub struct LoggedIn {
    chosen: Chosen,
    proof: Arc<Proof>,
    insertion: u64,
    /// When.
    pub at: OffsetDateTime,
}

/// What an application gets a token for.
pub struct TokenOrder {
    /// Identifier of the request.
    pub request_id: String,
    /// The application's client_id.
    pub client: String,
    /// Claim "aud".
    pub audience: String,
    /// What was asked for and the application may have.
    pub scopes: Vec<String>,
    /// What it may not have.
    pub beyond: Vec<Refused>,
    /// What the patient consented to.
    pub consent: Vec<Scope>,
}

/// A token for an application.
pub struct WebToken {
    /// The token.
    pub token: String,
    /// What it says.
    pub claims: Claims,
    /// What was asked for and is not in it.
    pub refused: Vec<Refused>,
}

impl Signer {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.state.config
    }

    /// The keys that tokens are verified with (RFC 7517).
    pub fn token_keys(&self) -> serde_json::Value {
        self.state.clinicians.key().public_keys()
    }

    /// Signs further claims with the key of the tokens, as a JWT of this type.
    pub fn sign_claims(&self, kind: &str, claims: &impl Serialize) -> Option<String> {
        self.state.clinicians.key().sign(kind, claims)
    }

    /// The tokens that can authenticate somebody.
    ///
    /// # Errors
    /// The module fails. No card is an empty list.
    pub async fn login_cards(&self) -> Result<Vec<TokenView>, Refusal> {
        let state = Arc::clone(&self.state);
        blocking(move || {
            let tokens = match state.module.tokens() {
                Ok(tokens) => tokens,
                Err(
                    TokenError::NoReader | TokenError::NoCard | TokenError::ForeignCard | TokenError::Removed,
                ) => Arc::default(),
                Err(error) => return Err(error.into()),
            };
            let configured = &state.config.authentication;
            let label = configured.token_label.as_ref();
            let serves = |token: &&TokenView| {
                label.is_none_or(|label| *label == token.label)
                    && best(token, configured, Purpose::Authentication).is_some()
            };
            Ok(tokens.iter().filter(serves).cloned().collect())
        })
        .await?
    }

    /// Has a card prove who its holder is.
    ///
    /// # Errors
    /// Those of AuthenticateClinician with scopes. A try is recorded whatever comes of it.
    pub async fn log_in(&self, order: CardLogin) -> Result<LoggedIn, Refusal> {
        let presence = Presence::new();
        let caller = presence.browser(order.request_id.clone(), order.client.clone());
        let (span, told, state) = (caller.span("WebLogin"), caller.told("WebLogin"), Arc::clone(&self.state));
        self.run(told, span, presence, async move {
            let mut entry = Entry::new(order.request_id.clone(), "WebLogin");
            entry.remark = Some(format!("client {}", order.client));
            let result = prove(&state, caller, order, &mut entry).await;
            recorded(&state, entry, result).await.map(|(login, _)| login)
        })
        .await
    }

    /// Makes the token of a login.
    ///
    /// # Errors
    /// The card left its reader, or the record cannot be written.
    pub async fn web_token(&self, login: LoggedIn, order: TokenOrder) -> Result<WebToken, Refusal> {
        let (presence, state) = (Presence::new(), Arc::clone(&self.state));
        let caller = presence.browser(order.request_id.clone(), order.client.clone());
        let (span, told) = (caller.span("WebToken"), caller.told("WebToken"));
        self.run(told, span, presence, async move {
            let mut entry = Entry::new(order.request_id.clone(), "WebToken");
            login.chosen.name_in(&mut entry, &state);
            let result = issue(&state, &login, order, &mut entry).await;
            recorded(&state, entry, result).await.map(|(token, _)| token)
        })
        .await
    }

    /// The claims of a token that counts here now: not expired, not revoked, and its card where it was, or its emergency
    /// access open.
    pub async fn open_session(&self, token: &str) -> Option<Claims> {
        match clinician::session(&self.state, token).await {
            Ok((claims, _)) => Some(claims),
            Err(_) => emergency::open_token(&self.state, token).await,
        }
    }

    /// Ends the session with this name.
    pub fn end_session(&self, name: &str) {
        self.state.clinicians.end(name);
    }
}

async fn prove(
    state: &Arc<State>,
    caller: Caller,
    order: CardLogin,
    entry: &mut Entry,
) -> Result<LoggedIn, Refusal> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|_| Refusal::Internal("no random numbers"))?;
    let chosen = find_key(state, &caller, order.card, Purpose::Authentication).await?;
    let certificate = chosen.certificate.certificate.clone();
    chosen.name_in(entry, state);
    clinician::check_status(state, &certificate.der).await?;
    let challenge = authentication::challenge(&order.audience, &nonce);
    let (done, _) = authenticate::prove(state, caller, chosen.clone(), order.pin, challenge).await?;
    clinician::check_chain(&done.proof)?;
    let insertion = clinician::insertion(state, &chosen.token).await?;
    let insertion = insertion.ok_or(TokenError::Removed)?;
    Ok(LoggedIn { chosen, proof: Arc::new(done.proof), insertion, at: OffsetDateTime::now_utc() })
}

async fn issue(
    state: &Arc<State>,
    login: &LoggedIn,
    order: TokenOrder,
    entry: &mut Entry,
) -> Result<WebToken, Refusal> {
    if clinician::insertion(state, &login.chosen.token).await? != Some(login.insertion) {
        return Err(NotValid::Ended.into());
    }
    let wish = Wish { audience: order.audience, scopes: order.scopes, consent: order.consent };
    let issued = clinician::issue(state, &order.client, &login.chosen, &login.proof, wish).await?;
    let Issued { token, claims, refused, .. } = issued;
    let version = &state.clinicians.policy().version;
    entry.remark = Some(format!("client {}; granted: {}; professions {version}", order.client, claims.scope));
    let refused = order.beyond.into_iter().chain(refused).collect();
    Ok(WebToken { token, claims, refused })
}
