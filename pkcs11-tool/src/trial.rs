//! A trial of the module: random bytes are signed with the keys behind a PIN and verified with their certificates' keys.

use std::io::Write;
use std::time::Instant;

use clap::Args;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use pin_entry::SecretSource;
use serde_json::json;

use crate::failure::Failure;
use crate::module::{Module, Token};
use crate::pins::PinName;
use crate::{Common, show};

/// SHA-256: what every key of these cards can sign.
const DIGEST_LEN: usize = 32;

/// Arguments of `test-sign`.
#[derive(Args)]
pub(crate) struct TestSign {
    /// Whose keys: those behind PIN.CH, or the one for qualified signatures
    #[arg(default_value = "ch")]
    pin: PinName,
    /// Only the key of this label
    #[arg(long, value_name = "LABEL")]
    key: Option<String>,
    #[command(flatten)]
    secrets: SecretSource,
}

struct Outcome {
    key: String,
    mechanism: MechanismType,
    milliseconds: u128,
    verified: bool,
}

/// Signs, verifies and tells.
pub(crate) fn run(test: &TestSign, common: &Common, out: &mut dyn Write) -> Result<(), Failure> {
    let module = Module::load(common)?;
    let token = only(module.tokens()?, test.pin, common)?;
    let session = module.functions.open_ro_session(token.slot)?;
    log_in(&session, &token, test)?;
    let outcomes = try_keys(&session, test)?;
    print(out, &outcomes, common.json)?;
    match outcomes.iter().filter(|outcome| !outcome.verified).count() {
        0 => Ok(()),
        failed => Err(Failure::NotVerified(failed)),
    }
}

/// The one token that the arguments mean.
fn only(tokens: Vec<Token>, pin: PinName, common: &Common) -> Result<Token, Failure> {
    let wanted = |token: &Token| {
        let card = common.card.as_deref().is_none_or(|digits| token.info.serial_number().ends_with(digits));
        card && token.info.label().ends_with(pin.token())
    };
    let mut tokens: Vec<_> = tokens.into_iter().filter(wanted).collect();
    match (tokens.pop(), tokens.len()) {
        (None, _) => Err(Failure::NoCard),
        (Some(token), 0) => Ok(token),
        (Some(_), others) => Err(Failure::Ambiguous(others + 1)),
    }
}

fn log_in(session: &Session, token: &Token, test: &TestSign) -> Result<(), Failure> {
    if !token.info.login_required() {
        return Err(Failure::NoKey(
            "the configuration wants a login for each signature (qes = \"context-only\")".into(),
        ));
    }
    if token.info.protected_authentication_path() {
        return Ok(session.login(UserType::User, None)?);
    }
    let pin = AuthPin::from(test.secrets.open()?.next("PIN")?.as_str());
    Ok(session.login(UserType::User, Some(&pin))?)
}

/// A login for qualified signatures allows one of them, so there only one key is tried.
fn try_keys(session: &Session, test: &TestSign) -> Result<Vec<Outcome>, Failure> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Sign(true)];
    template.extend(test.key.iter().map(|label| Attribute::Label(label.as_bytes().to_vec())));
    let keys = session.find_objects(&template)?;
    let most = if test.pin == PinName::Qes { 1 } else { keys.len() };
    let outcomes: Vec<_> =
        keys.into_iter().take(most).map(|key| try_key(session, key)).collect::<Result<_, _>>()?;
    if outcomes.is_empty() {
        let wanted = test.key.as_deref().unwrap_or("none that signs");
        return Err(Failure::NoKey(format!("{wanted} is not on the token")));
    }
    Ok(outcomes)
}

fn try_key(session: &Session, key: ObjectHandle) -> Result<Outcome, Failure> {
    let asked = [AttributeType::Label, AttributeType::Id, AttributeType::KeyType];
    let (mut label, mut id, mut mechanism) = (String::new(), Vec::new(), Mechanism::Ecdsa);
    for attribute in session.get_attributes(key, &asked)? {
        match attribute {
            Attribute::Label(value) => label = String::from_utf8_lossy(&value).into_owned(),
            Attribute::Id(value) => id = value,
            Attribute::KeyType(KeyType::RSA) => mechanism = Mechanism::RsaPkcsPss(pss()),
            _ => {}
        }
    }
    let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id)];
    let public = session.find_objects(&public)?.into_iter().next();
    let public = public.ok_or_else(|| Failure::NoKey(format!("{label} has no public key on the token")))?;
    let digest = random()?;
    let begin = Instant::now();
    let signature = session.sign(&mechanism, key, &digest)?;
    let milliseconds = begin.elapsed().as_millis();
    let verified = session.verify(&mechanism, public, &digest, &signature).is_ok();
    Ok(Outcome { key: label, mechanism: mechanism.mechanism_type(), milliseconds, verified })
}

fn pss() -> PkcsPssParams {
    let s_len = u64::try_from(DIGEST_LEN).unwrap_or_default().into();
    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len }
}

fn random() -> Result<[u8; DIGEST_LEN], Failure> {
    let mut bytes = [0; DIGEST_LEN];
    getrandom::fill(&mut bytes).map_err(|error| Failure::NoKey(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

fn print(out: &mut dyn Write, outcomes: &[Outcome], as_json: bool) -> Result<(), Failure> {
    if as_json {
        let row = |outcome: &Outcome| {
            json!({
                "key": outcome.key,
                "mechanism": outcome.mechanism.to_string(),
                "milliseconds": outcome.milliseconds,
                "verified": outcome.verified,
            })
        };
        return Ok(show::pretty(out, &outcomes.iter().map(row).collect::<Vec<_>>())?);
    }
    for Outcome { key, mechanism, milliseconds, verified } in outcomes {
        let verdict = if *verified { "verified" } else { "DOES NOT VERIFY" };
        writeln!(out, "{key:<18} {mechanism:<18} signed in {milliseconds} ms, {verdict}")?;
    }
    Ok(())
}
