//! `emergency`: access without consent, by two persons, with a third who looks at it afterwards.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use proto::v1::{self, request_emergency_access_request::Patient};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    CardArgs, Client, ClientError, Exit, Outcome, calls::selector, pin::PinSource, read_file, show,
    write_file, write_private,
};
use crate::emergency::command::VerifyArgs;

/// What to do about an emergency access.
#[derive(Debug, Clone, Subcommand)]
pub enum EmergencyCommand {
    /// Ask for it, with the card of the first clinician; writes the claim to a file
    Request(Box<RequestArgs>),
    /// Approve it, with the card of a second clinician
    Approve {
        /// Which, and whose card.
        #[command(flatten)]
        step: StepArgs,
        /// Sign that it is not approved
        #[arg(long)]
        deny: bool,
    },
    /// End it before its time
    Revoke {
        /// Which, and whose card.
        #[command(flatten)]
        step: StepArgs,
    },
    /// List emergency accesses, the newest first
    List {
        /// Only those that wait for a review
        #[arg(long)]
        unreviewed: bool,
    },
    /// Close its review, with the card of a third clinician
    #[command(group(clap::ArgGroup::new("finding").required(true).args(["justified", "not_justified"])))]
    Review {
        /// Which, and whose card.
        #[command(flatten)]
        step: StepArgs,
        /// The emergency was one
        #[arg(long)]
        justified: bool,
        /// It was not
        #[arg(long)]
        not_justified: bool,
        /// What was found (no digits)
        #[arg(long, value_name = "TEXT")]
        text: String,
    },
    /// Get the token of an approved access
    Open {
        /// Its request id
        id: String,
        /// File with the claim (`emergency request --claim-file`)
        #[arg(long, value_name = "FILE")]
        claim_file: PathBuf,
        /// For whom the token is
        #[arg(long, value_name = "TEXT", default_value = "")]
        audience: String,
        /// Where the token goes; created with mode 0600
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// Read the emergency data of the patient's insurance card; wants --token with the token of `emergency open`
    Read {
        /// Name of the reader with the insurance card, or a part of it
        #[arg(long, value_name = "READER", default_value = "")]
        reader: String,
        /// Name of the reader with the professional's card, or a part of it
        #[arg(long, value_name = "READER", default_value = "")]
        role_reader: String,
        /// Where the document goes, as it is on the card; created with mode 0600
        #[arg(long, value_name = "FILE")]
        xml: Option<PathBuf>,
        /// PIN of the professional's card.
        #[command(flatten)]
        pin: PinSource,
    },
    /// Write everything that proves an emergency access to a file
    Export {
        /// Its request id
        id: String,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Judge such a file, without the service: exit code 0 if all of it holds, 7 if not
    Verify(VerifyArgs),
}

/// `emergency request`
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("whom").required(true).args(["egk", "patient_file"])))]
pub struct RequestArgs {
    /// The patient's insurance card is in this reader; without a name, in the only one that holds one
    #[arg(long, value_name = "READER", num_args = 0..=1, default_missing_value = "")]
    egk: Option<String>,
    /// The first line of this file is the patient's insurance number: arguments are visible to every process
    #[arg(long, value_name = "FILE")]
    patient_file: Option<PathBuf>,
    /// Why
    #[arg(long, value_enum)]
    reason: ReasonArg,
    /// Why, in words (no digits); signed and recorded
    #[arg(long, value_name = "TEXT")]
    text: String,
    /// What is needed, e.g. patient/Condition.rs; can be repeated
    #[arg(long = "scope", value_name = "SCOPE", default_values = ["patient/*.rs"])]
    scopes: Vec<String>,
    /// How long; 0: as long as the service allows
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    minutes: u32,
    /// Emergency treatment, instead of breaking the glass
    #[arg(long)]
    treatment: bool,
    /// Where the claim goes; created with mode 0600
    #[arg(long, value_name = "FILE")]
    claim_file: PathBuf,
    #[command(flatten)]
    card: CardArgs,
    #[command(flatten)]
    pin: PinSource,
}

/// Which case, and whose card signs.
#[derive(Debug, Clone, Args)]
pub struct StepArgs {
    /// Its request id
    id: String,
    #[command(flatten)]
    card: CardArgs,
    #[command(flatten)]
    pin: PinSource,
}

/// Reasons.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[allow(missing_docs)] // the names say it
pub enum ReasonArg {
    Unconscious,
    LifeThreatening,
    ConsentNotObtainable,
    Other,
}

const PROMPT: &str = "PIN of the card (PIN.CH)";

/// Runs one of the commands that need the service.
///
/// # Errors
/// Files, PIN, or a refusal of the service.
pub async fn emergency(client: &mut Client, command: &EmergencyCommand) -> Result<Outcome, ClientError> {
    match command {
        EmergencyCommand::Request(args) => request(client, args).await,
        EmergencyCommand::Approve { step, deny } => {
            let (card, pin) = (Some(selector(&step.card)), step.pin.read(PROMPT)?);
            let request =
                v1::ApproveEmergencyAccessRequest { request_id: step.id.clone(), card, pin, deny: *deny };
            Ok(stepped(client.approve_emergency_access(request).await?.into_inner()))
        }
        EmergencyCommand::Revoke { step } => {
            let (card, pin) = (Some(selector(&step.card)), step.pin.read(PROMPT)?);
            let request = v1::RevokeEmergencyAccessRequest { request_id: step.id.clone(), card, pin };
            Ok(stepped(client.revoke_emergency_access(request).await?.into_inner()))
        }
        EmergencyCommand::Review { step, justified, text, .. } => {
            let (card, pin) = (Some(selector(&step.card)), step.pin.read(PROMPT)?);
            let (request_id, text) = (step.id.clone(), text.clone());
            let request =
                v1::CloseEmergencyReviewRequest { request_id, card, pin, justified: *justified, text };
            Ok(stepped(client.close_emergency_review(request).await?.into_inner()))
        }
        EmergencyCommand::List { unreviewed } => {
            let request = v1::ListEmergencyAccessRequest { unreviewed_only: *unreviewed };
            let accesses = client.list_emergency_access(request).await?.into_inner().accesses;
            let text: Vec<String> = accesses.iter().map(line).collect();
            let text = if text.is_empty() { "none".to_owned() } else { text.join("\n") };
            let all: Vec<Value> = accesses.iter().map(as_json).collect();
            Ok(Outcome { text, json: json!({ "accesses": all }), exit: Exit::Success })
        }
        EmergencyCommand::Open { id, claim_file, audience, token_file } => {
            let (request_id, claim) = (id.clone(), first_line(claim_file)?.to_string());
            let request = v1::OpenEmergencyAccessRequest { request_id, claim, audience: audience.clone() };
            let answer = client.open_emergency_access(request).await?.into_inner();
            write_private(token_file, answer.access_token.as_bytes())?;
            let (scopes, until) = (answer.granted_scopes.join(" "), show::time(answer.expires_at));
            let json = json!({ "granted_scopes": answer.granted_scopes, "expires_at": until });
            Ok(Outcome { text: format!("open until {until}: {scopes}"), json, exit: Exit::Success })
        }
        EmergencyCommand::Read { reader, role_reader, xml, pin } => {
            let (reader, role_reader) = (reader.clone(), role_reader.clone());
            let request = v1::ReadEmergencyDataRequest { reader, role_reader, pin: pin.read(PROMPT)? };
            let answer = client.read_emergency_data(request).await?.into_inner();
            if let Some(path) = xml {
                write_private(path, &answer.xml)?;
            }
            Ok(data(&answer))
        }
        EmergencyCommand::Export { id, out } => {
            let request = v1::ExportEmergencyAccessRequest { request_id: id.clone() };
            let answer = client.export_emergency_access(request).await?.into_inner();
            write_file(out, &answer.export_json)?;
            let json = json!({ "bytes": answer.export_json.len() });
            Ok(Outcome { text: format!("written: {}", out.display()), json, exit: Exit::Success })
        }
        EmergencyCommand::Verify(_) => Err(ClientError::Pin("verify needs no service".into())),
    }
}

async fn request(client: &mut Client, args: &RequestArgs) -> Result<Outcome, ClientError> {
    let patient = match (&args.egk, &args.patient_file) {
        (Some(reader), _) => Some(Patient::InsuranceCard(v1::InsuranceCard { reader: reader.clone() })),
        (None, Some(path)) => Some(Patient::InsuredId(first_line(path)?.to_string())),
        (None, None) => None,
    };
    let reason = match args.reason {
        ReasonArg::Unconscious => v1::EmergencyReason::Unconscious,
        ReasonArg::LifeThreatening => v1::EmergencyReason::LifeThreatening,
        ReasonArg::ConsentNotObtainable => v1::EmergencyReason::ConsentNotObtainable,
        ReasonArg::Other => v1::EmergencyReason::Other,
    };
    let purpose = if args.treatment { v1::PurposeOfUse::Etreat } else { v1::PurposeOfUse::Btg };
    let request = v1::RequestEmergencyAccessRequest {
        card: Some(selector(&args.card)),
        pin: args.pin.read(PROMPT)?,
        patient,
        reason: reason.into(),
        reason_text: args.text.clone(),
        scopes: args.scopes.clone(),
        purpose: purpose.into(),
        minutes: args.minutes,
    };
    let answer = client.request_emergency_access(request).await?.into_inner();
    write_private(&args.claim_file, format!("{}\n", answer.claim).as_bytes())?;
    let access = answer.access.unwrap_or_default();
    let refused: Vec<Value> = answer
        .refused_scopes
        .iter()
        .map(|refused| json!({ "scope": refused.scope, "refused_by": refused.refused_by }))
        .collect();
    let mut json = as_json(&access);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("refused_scopes".into(), refused.into());
        fields.insert("audit_sequence".into(), answer.audit_sequence.into());
    }
    Ok(Outcome { text: line(&access), json, exit: Exit::Success })
}

fn stepped(answer: v1::EmergencyAccessResponse) -> Outcome {
    let access = answer.access.unwrap_or_default();
    let mut json = as_json(&access);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("audit_sequence".into(), answer.audit_sequence.into());
    }
    Outcome { text: line(&access), json, exit: Exit::Success }
}

fn line(access: &v1::EmergencyAccess) -> String {
    let party = |party: &Option<v1::EmergencyParty>| {
        party.as_ref().map_or("-", |party| party.telematik_id.as_str()).to_owned()
    };
    format!(
        "{}  {}  until {}  requested by {}  decided by {}  reviewed by {}{}",
        access.request_id,
        access.standing,
        show::time(access.expires_at),
        party(&access.requester),
        party(&access.decided_by),
        party(&access.reviewed_by),
        match (access.wants_review, access.review_overdue) {
            (false, _) => "",
            (true, false) => "  REVIEW WANTED",
            (true, true) => "  REVIEW OVERDUE",
        },
    )
}

fn as_json(access: &v1::EmergencyAccess) -> Value {
    let party = |party: &Option<v1::EmergencyParty>| {
        party.as_ref().map(|party| {
            json!({
                "telematik_id": party.telematik_id,
                "profession_oids": party.profession_oids,
                "certificate_issuer": party.certificate_issuer,
                "certificate_serial": party.certificate_serial,
                "at": show::time(party.at),
            })
        })
    };
    json!({
        "request_id": access.request_id,
        "standing": access.standing,
        "patient": access.patient,
        "reason": access.reason().as_str_name().trim_start_matches("EMERGENCY_REASON_"),
        "reason_text": access.reason_text,
        "purpose": access.purpose().as_str_name().trim_start_matches("PURPOSE_OF_USE_"),
        "scopes": access.scopes,
        "requested_at": show::time(access.requested_at),
        "expires_at": show::time(access.expires_at),
        "requester": party(&access.requester),
        "decided_by": party(&access.decided_by),
        "revoked_by": party(&access.revoked_by),
        "reviewed_by": party(&access.reviewed_by),
        "wants_review": access.wants_review,
        "review_overdue": access.review_overdue,
        "justified": access.justified,
        "review_text": access.review_text,
        "offline": access.offline,
        "uses": access.uses,
    })
}

fn data(answer: &v1::ReadEmergencyDataResponse) -> Outcome {
    let data: Value = serde_json::from_str(&answer.json).unwrap_or_default();
    let text = format!("{data:#}");
    let json = json!({ "data": data, "rights": answer.rights, "audit_sequence": answer.audit_sequence });
    Outcome { text, json, exit: Exit::Success }
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, ClientError> {
    let bytes = Zeroizing::new(read_file(path)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}
