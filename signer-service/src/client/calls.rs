//! One function for each client command.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use proto::v1::{self, Verdict, sign_prescription_request::InsuranceCheck};

use super::{
    Client, ClientError, Exit, Outcome, comfort::read_user, pin::PinSource, read_file, show, write_file,
    write_private,
};

/// Which card.
#[derive(Debug, Clone, Args)]
pub struct CardArgs {
    /// Use the token with this label (needed if several cards are plugged in)
    #[arg(long, value_name = "LABEL")]
    card: Option<String>,
    /// Use the token whose serial number ends like this (at least four characters)
    #[arg(long, value_name = "SUFFIX")]
    serial: Option<String>,
}

/// `sign`
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("insurance").required(true).args(["egk", "no_card"])))]
pub struct SignArgs {
    /// The prescription: a FHIR bundle as XML
    file: PathBuf,
    /// Where the signature (CMS, DER) goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Compare with the insurance card in this reader; without a name, in the only one that holds one
    #[arg(long, value_name = "READER", num_args = 0..=1, default_missing_value = "")]
    egk: Option<String>,
    /// There is no insurance card to compare with, because ... (goes into the audit record; no digits)
    #[arg(long, value_name = "REASON")]
    no_card: Option<String>,
    /// Name for this document: asked again with it, the service answers the same signature and makes no second one
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
    /// Instead of a PIN: the file with the user id of a comfort session
    #[arg(long, value_name = "FILE", conflicts_with = "pin")]
    comfort: Option<PathBuf>,
    #[command(flatten)]
    card: CardArgs,
    #[command(flatten)]
    pin: PinSource,
}

/// `prepare`
#[derive(Debug, Clone, Args)]
pub struct PrepareArgs {
    /// The draft: a FHIR bundle as XML, with a Patient and a Coverage that may hold nothing but their id
    file: PathBuf,
    /// Where the prescription goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Name of the reader, or a part of it; without, the only one that holds an insurance card
    #[arg(long, value_name = "READER", default_value = "")]
    reader: String,
}

/// `verify`
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The signature: CMS with its content, DER or BER
    file: PathBuf,
    /// Where the signed content goes
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
    /// Have the service ask the OCSP responder for the certificate's state now
    #[arg(long)]
    check_revocation: bool,
    /// Which knowledge about revocation makes the signature VALID; without, as the service is configured
    #[arg(long, value_enum, value_name = "POLICY")]
    revocation_policy: Option<RevocationArg>,
}

/// Which knowledge about revocation makes a signature VALID.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RevocationArg {
    /// What the OCSP responder says now
    Required,
    /// The OCSP response inside the signature; without it, what the responder says now
    EmbeddedSuffices,
    /// None: what is known counts, and unchecked is accepted
    NotRequired,
}

/// `read-card`
#[derive(Debug, Clone, Args)]
pub struct ReadCardArgs {
    /// Name of the reader, or a part of it; without, the only one that holds an insurance card
    #[arg(long, value_name = "READER", default_value = "")]
    reader: String,
}

/// `authenticate`
#[derive(Debug, Clone, Args)]
pub struct AuthenticateArgs {
    /// For whom the clinician is authenticated
    #[arg(long, value_name = "TEXT", default_value = "signer-service authenticate")]
    audience: String,
    /// Ask for an access token with this scope, e.g. prescription.sign; can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// What the patient consented to, e.g. patient/Observation.rs; can be repeated
    #[arg(long, value_name = "SCOPE")]
    consent: Vec<String>,
    /// Where the access token goes; created with mode 0600
    #[arg(long, value_name = "FILE", requires = "scopes")]
    token_file: Option<PathBuf>,
    /// Where the signature over the challenge (CMS, DER) goes
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    card: CardArgs,
    #[command(flatten)]
    pin: PinSource,
}

/// `answer-idp`
#[derive(Debug, Clone, Args)]
pub struct AnswerIdpArgs {
    /// The challenge of the national identity provider, as it came
    challenge: PathBuf,
    /// The provider's key for signatures (puk_idp_sig), a JWK
    #[arg(long, value_name = "FILE")]
    signature_key: PathBuf,
    /// The provider's key for encryption (puk_idp_enc), a JWK
    #[arg(long, value_name = "FILE")]
    encryption_key: PathBuf,
    /// Where the answer (JWE) goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    card: CardArgs,
    #[command(flatten)]
    pin: PinSource,
}

/// Signs a prescription.
///
/// # Errors
/// Files, PIN, or a refusal of the service.
pub async fn sign(client: &mut Client, args: &SignArgs) -> Result<Outcome, ClientError> {
    let prescription = read_file(&args.file)?;
    let insurance_check = match (&args.egk, &args.no_card) {
        (Some(reader), _) => InsuranceCheck::InsuranceCard(v1::InsuranceCard { reader: reader.clone() }),
        (None, reason) => {
            InsuranceCheck::NoCard(v1::NoInsuranceCard { reason: reason.clone().unwrap_or_default() })
        }
    };
    let (pin, comfort_user_id) = match &args.comfort {
        Some(file) => (None, read_user(file)?),
        None => (args.pin.read("Signature PIN (PIN.QES)")?, String::new()),
    };
    let request = v1::SignPrescriptionRequest {
        prescription,
        card: Some(selector(&args.card)),
        pin,
        insurance_check: Some(insurance_check),
        idempotency_key: args.idempotency_key.clone(),
        comfort_user_id,
    };
    let answer = client.sign_prescription(request).await?.into_inner();
    write_file(&args.out, &answer.cms)?;
    let text = format!("{}\nwritten to {}", show::signed(&answer), args.out.display());
    Ok(Outcome { text, json: show::signed_json(&answer), exit: Exit::Success })
}

/// Fills a draft from an insurance card.
///
/// # Errors
/// Files, or a refusal of the service.
pub async fn prepare(client: &mut Client, args: &PrepareArgs) -> Result<Outcome, ClientError> {
    let request =
        v1::PreparePrescriptionRequest { draft: read_file(&args.file)?, reader: args.reader.clone() };
    let answer = client.prepare_prescription(request).await?.into_inner();
    write_file(&args.out, &answer.prescription)?;
    let text = format!("{}\nwritten to {}", show::prepared(&answer), args.out.display());
    Ok(Outcome { text, json: show::prepared_json(&answer), exit: Exit::Success })
}

/// Verifies a signature.
///
/// # Errors
/// Files, or a refusal of the service.
pub async fn verify(client: &mut Client, args: &VerifyArgs) -> Result<Outcome, ClientError> {
    let revocation_policy = match args.revocation_policy {
        None => v1::RevocationPolicy::Unspecified,
        Some(RevocationArg::Required) => v1::RevocationPolicy::Required,
        Some(RevocationArg::EmbeddedSuffices) => v1::RevocationPolicy::EmbeddedSuffices,
        Some(RevocationArg::NotRequired) => v1::RevocationPolicy::NotRequired,
    };
    let request = v1::VerifySignatureRequest {
        cms: read_file(&args.file)?,
        check_revocation_now: args.check_revocation,
        revocation_policy: revocation_policy.into(),
    };
    let answer = client.verify_signature(request).await?.into_inner();
    if let Some(path) = &args.content {
        write_file(path, &answer.content)?;
    }
    let exit = match answer.verdict() {
        Verdict::Valid => Exit::Success,
        Verdict::Inconclusive => Exit::Inconclusive,
        Verdict::Invalid | Verdict::Unspecified => Exit::Invalid,
    };
    Ok(Outcome { text: show::verified(&answer), json: show::verified_json(&answer), exit })
}

/// Reads an insurance card.
///
/// # Errors
/// A refusal of the service.
pub async fn read_card(client: &mut Client, args: &ReadCardArgs) -> Result<Outcome, ClientError> {
    let request = v1::ReadInsuranceRequest { reader: args.reader.clone() };
    let answer = client.read_insurance(request).await?.into_inner();
    Ok(Outcome { text: show::insurance(&answer), json: show::insurance_json(&answer), exit: Exit::Success })
}

/// Authenticates the clinician whose card is plugged in.
///
/// # Errors
/// PIN, files, or a refusal of the service.
pub async fn authenticate(client: &mut Client, args: &AuthenticateArgs) -> Result<Outcome, ClientError> {
    let request = v1::AuthenticateClinicianRequest {
        card: Some(selector(&args.card)),
        pin: args.pin.read("Card PIN (PIN.CH)")?,
        nonce: Vec::new(),
        audience: args.audience.clone(),
        scopes: args.scopes.clone(),
        consent: args.consent.clone(),
    };
    let answer = client.authenticate_clinician(request).await?.into_inner();
    if let Some(path) = &args.out {
        write_file(path, &answer.cms)?;
    }
    if let Some(path) = &args.token_file {
        write_private(path, answer.access_token.as_bytes())?;
    }
    Ok(Outcome {
        text: show::authenticated(&answer),
        json: show::authenticated_json(&answer),
        exit: Exit::Success,
    })
}

/// Answers a challenge of the national identity provider.
///
/// # Errors
/// PIN, files, or a refusal of the service.
pub async fn answer_idp(client: &mut Client, args: &AnswerIdpArgs) -> Result<Outcome, ClientError> {
    let text = |path| read_file(path).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let request = v1::AnswerIdpChallengeRequest {
        challenge: text(&args.challenge)?,
        signature_key: text(&args.signature_key)?,
        encryption_key: text(&args.encryption_key)?,
        card: Some(selector(&args.card)),
        pin: args.pin.read("Card PIN (PIN.CH)")?,
    };
    let answer = client.answer_idp_challenge(request).await?.into_inner();
    write_file(&args.out, answer.encrypted.as_bytes())?;
    let text = format!("{}\nwritten to {}", show::answered_idp(&answer), args.out.display());
    Ok(Outcome { text, json: show::answered_idp_json(&answer), exit: Exit::Success })
}

/// Lists cards and readers.
///
/// # Errors
/// A refusal of the service.
pub async fn list_cards(client: &mut Client) -> Result<Outcome, ClientError> {
    let answer = client.list_cards(v1::ListCardsRequest {}).await?.into_inner();
    Ok(Outcome { text: show::cards(&answer), json: show::cards_json(&answer), exit: Exit::Success })
}

pub(super) fn selector(card: &CardArgs) -> v1::CardSelector {
    v1::CardSelector {
        token_label: card.card.clone().unwrap_or_default(),
        serial_suffix: card.serial.clone().unwrap_or_default(),
    }
}
