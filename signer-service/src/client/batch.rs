//! `sign-batch`: a folder or a list of prescriptions, signed in the order of their names.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use ::client::batch::{Batch as Conversation, Event};
use clap::Args;
use proto::v1::{self, batch_document::InsuranceCheck, batch_item::Outcome as What};
use serde_json::{Value, json};

use super::{
    CardArgs, Client, ClientError, Exit, Outcome, calls::selector, comfort::read_user, pin::PinSource,
    read_file, write_file,
};

/// `sign-batch`
#[derive(Debug, Clone, Args)]
pub struct SignBatchArgs {
    /// Prescriptions, or folders whose *.xml files are taken in the order of their names
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Folder for the signatures: NAME.p7s for NAME.xml
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// There are no insurance cards to compare with, because ... (goes into the audit records; no digits)
    #[arg(long, value_name = "REASON")]
    no_card: String,
    /// Name of the batch: named again with the same files, it is taken up where it broke off
    #[arg(long, value_name = "ID", default_value = "")]
    batch_id: String,
    /// Instead of a PIN: the file with the user id of a comfort session
    #[arg(long, value_name = "FILE")]
    comfort: Option<PathBuf>,
    /// Say on standard error how far it is
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    card: CardArgs,
    #[command(flatten)]
    pin: PinSource,
}

/// Signs prescriptions one after the other.
///
/// # Errors
/// Files, PIN, or a refusal of the whole batch. Refusals of single documents are in the outcome.
pub async fn sign_batch(client: &mut Client, args: &SignBatchArgs) -> Result<Outcome, ClientError> {
    let files = files(&args.paths)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|source| ClientError::File { path: args.out.clone(), source })?;
    let comfort_user_id = args.comfort.as_deref().map(read_user).transpose()?.unwrap_or_default();
    let begin =
        v1::BatchBegin { batch_id: args.batch_id.clone(), card: Some(selector(&args.card)), comfort_user_id };
    let mut conversation = Conversation::begin(client, begin).await?;
    let v1::BatchStarted { batch_id: id, job_code, .. } = conversation.started().clone();
    let mut batch = Batch { args, files, sent: 0, id, job_code, items: Vec::new() };
    let end = batch.converse(&mut conversation).await?;
    Ok(batch.outcome(&end))
}

struct Batch<'a> {
    args: &'a SignBatchArgs,
    files: Vec<PathBuf>,
    sent: usize,
    id: String,
    job_code: String,
    items: Vec<Value>,
}

impl Batch<'_> {
    async fn converse(&mut self, conversation: &mut Conversation) -> Result<v1::BatchEnd, ClientError> {
        loop {
            match conversation.next().await? {
                Event::Room => match self.next_document()? {
                    Some(document) => conversation.document(document).await,
                    None => conversation.complete().await,
                },
                Event::PinWanted(wanted) => {
                    let prompt = format!("Signature PIN (PIN.QES) for job {}", wanted.job_code);
                    let pin = self.args.pin.read(&prompt)?;
                    conversation.pin(&wanted, pin).await;
                }
                Event::Item(item) => self.take(*item)?,
                Event::End(end) => return Ok(end),
            }
        }
    }

    fn next_document(&mut self) -> Result<Option<v1::BatchDocument>, ClientError> {
        let Some(path) = self.files.get(self.sent) else { return Ok(None) };
        let no_card = v1::NoInsuranceCard { reason: self.args.no_card.clone() };
        let prescription = read_file(path)?;
        self.sent += 1;
        Ok(Some(v1::BatchDocument {
            number: u32::try_from(self.sent).unwrap_or(u32::MAX),
            prescription,
            insurance_check: Some(InsuranceCheck::NoCard(no_card)),
        }))
    }

    fn take(&mut self, item: v1::BatchItem) -> Result<(), ClientError> {
        let index = usize::try_from(item.number).unwrap_or(0);
        let Some(path) = index.checked_sub(1).and_then(|index| self.files.get(index)) else { return Ok(()) };
        let name = path.display().to_string();
        let said = match item.outcome {
            Some(What::Signed(answer)) => {
                let out = self.args.out.join(path.file_stem().unwrap_or_default()).with_extension("p7s");
                write_file(&out, &answer.cms)?;
                json!({ "file": name, "out": out.display().to_string(), "replayed": answer.replayed,
                        "audit_sequence": answer.audit_sequence })
            }
            Some(What::Refused(refusal)) => json!({ "file": name, "refused": refusal_json(&refusal) }),
            None => json!({ "file": name }),
        };
        self.items.push(said);
        if self.args.progress {
            self.show_progress();
        }
        Ok(())
    }

    fn show_progress(&self) {
        let (done, all) = (self.items.len(), self.files.len());
        let end = if done == all { "\n" } else { "" };
        let _ = write!(std::io::stderr(), "\rjob {}: {done} of {all}{end}", self.job_code);
    }

    fn outcome(self, end: &v1::BatchEnd) -> Outcome {
        let unread = self.files.len() - self.sent;
        let left = usize::try_from(end.outstanding).unwrap_or(0) + unread;
        let mut text = format!(
            "batch {} (job {}): {} signed, {} signed before, {} refused, {left} left",
            self.id, self.job_code, end.signed, end.replayed, end.refused
        );
        for item in &self.items {
            let text_at = |place| item.pointer(place).and_then(Value::as_str);
            if let (Some(file), Some(reason)) = (text_at("/file"), text_at("/refused/reason")) {
                text.push_str(&format!("\n{file}: {reason}"));
            }
        }
        let exit = match &end.stopped {
            Some(stopped) => {
                text.push_str(&format!("\nstopped: {}: {}", stopped.reason, stopped.message));
                super::exit_of_reason(&stopped.reason)
            }
            None if end.refused > 0 => Exit::Refused,
            None => Exit::Success,
        };
        let json = json!({
            "batch_id": self.id, "job_code": self.job_code, "signed": end.signed, "replayed": end.replayed,
            "refused": end.refused, "left": left, "stopped": end.stopped.as_ref().map(refusal_json),
            "items": self.items,
        });
        Outcome { text, json, exit }
    }
}

fn refusal_json(refusal: &v1::BatchRefusal) -> Value {
    json!({ "reason": refusal.reason, "message": refusal.message, "metadata": refusal.metadata })
}

/// All files in their order.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ClientError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(
                prescriptions(path).map_err(|source| ClientError::File { path: path.clone(), source })?,
            );
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn prescriptions(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
