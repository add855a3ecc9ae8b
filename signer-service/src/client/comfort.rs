//! `comfort`: one PIN for many signatures of one user. The user id is a secret and lives in a file of its user.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use proto::v1;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    CardArgs, Client, ClientError, Exit, Outcome, calls::selector, pin::PinSource, read_file, show,
    write_private,
};

/// What to do with a comfort session.
#[derive(Debug, Clone, Subcommand)]
pub enum ComfortCommand {
    /// Unlock the card with the PIN; writes a new user id to a file
    Activate {
        /// Fewer signatures than the service is configured for
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        max_signatures: u32,
        /// A shorter time than the service is configured for
        #[arg(long, value_name = "NUMBER")]
        max_minutes: Option<u32>,
        /// Whose session.
        #[command(flatten)]
        user: UserArgs,
        /// The signature PIN.
        #[command(flatten)]
        pin: PinSource,
    },
    /// Say what is left
    Show {
        /// Whose session.
        #[command(flatten)]
        user: UserArgs,
    },
    /// End the session; the card is locked with its last one
    End {
        /// Whose session.
        #[command(flatten)]
        user: UserArgs,
    },
}

/// Which session.
#[derive(Debug, Clone, Args)]
pub struct UserArgs {
    /// File with the user id, mode 0600
    #[arg(long, value_name = "FILE")]
    user_file: PathBuf,
    #[command(flatten)]
    card: CardArgs,
}

/// Runs one of the commands.
///
/// # Errors
/// Files, PIN, or a refusal of the service.
pub async fn comfort(client: &mut Client, command: &ComfortCommand) -> Result<Outcome, ClientError> {
    match command {
        ComfortCommand::Activate { max_signatures, max_minutes, user, pin } => {
            activate(client, user, *max_signatures, *max_minutes, pin).await
        }
        ComfortCommand::Show { user } => {
            let (card, user_id) = (Some(selector(&user.card)), read_user(&user.user_file)?);
            let request = v1::GetComfortSessionRequest { card, user_id };
            let answer = client.get_comfort_session(request).await?.into_inner();
            Ok(shown(&answer.session.unwrap_or_default()))
        }
        ComfortCommand::End { user } => {
            let (card, user_id) = (Some(selector(&user.card)), read_user(&user.user_file)?);
            let request = v1::DeactivateComfortSignatureRequest { card, user_id };
            let answer = client.deactivate_comfort_signature(request).await?.into_inner();
            let text = format!("ended after {} signatures", answer.signed);
            Ok(Outcome { text, json: json!({ "signed": answer.signed }), exit: Exit::Success })
        }
    }
}

/// The user id in a file.
pub(super) fn read_user(path: &std::path::Path) -> Result<String, ClientError> {
    let bytes = Zeroizing::new(read_file(path)?);
    let text =
        std::str::from_utf8(&bytes).map_err(|_| ClientError::Pin("the user file is not text".into()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

async fn activate(
    client: &mut Client,
    user: &UserArgs,
    max_signatures: u32,
    max_minutes: Option<u32>,
    pin: &PinSource,
) -> Result<Outcome, ClientError> {
    let user_id = uuid::Uuid::new_v4().to_string();
    let request = v1::ActivateComfortSignatureRequest {
        card: Some(selector(&user.card)),
        pin: pin.read("Signature PIN (PIN.QES)")?,
        user_id: user_id.clone(),
        max_signatures,
        max_time: max_minutes
            .map(|minutes| prost_types::Duration { seconds: i64::from(minutes) * 60, nanos: 0 }),
    };
    let answer = client.activate_comfort_signature(request).await?.into_inner();
    write_private(&user.user_file, format!("{user_id}\n").as_bytes())?;
    Ok(shown(&answer.session.unwrap_or_default()))
}

fn shown(session: &v1::ComfortSession) -> Outcome {
    Outcome { text: show::comfort(session), json: show::comfort_json(session), exit: Exit::Success }
}
