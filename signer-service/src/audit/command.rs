//! `signer-service audit`: works on files, without the running service.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use time::OffsetDateTime;

use super::{AuditTrail, CheckpointVerifier, Line, Record, export};
use crate::config::Config;

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Print all records and checkpoints as JSON Lines, with a fresh checkpoint at the end
    Export(ExportArgs),
    /// Print the records that fit as JSON Lines
    Query(QueryArgs),
    /// Check an export: every change, gap and cut is found
    Verify(VerifyArgs),
}

/// `audit export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The configuration file of the service
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// `audit query`; every filter that is given must fit
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The configuration file of the service
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// First time, as it stands in records, or its beginning, e.g. 2026-11-20
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// First time that is too late
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Name of the call, e.g. SignPrescription
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// OK, or the reason of a refusal
    #[arg(long, value_name = "NAME")]
    outcome: Option<String>,
    /// Serial number of the card's certificate, hexadecimal
    #[arg(long, value_name = "NUMBER")]
    certificate: Option<String>,
    /// SHA-256 of the document, hexadecimal
    #[arg(long, value_name = "HASH")]
    document: Option<String>,
    /// Pseudonym of the patient
    #[arg(long, value_name = "NAME")]
    patient: Option<String>,
    /// Pseudonym of the card
    #[arg(long, value_name = "NAME")]
    card: Option<String>,
}

/// `audit verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The export
    file: PathBuf,
    /// The service's public key for checkpoints (audit.pub)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// An earlier export, kept elsewhere: shows an end that was cut off with its checkpoints
    #[arg(long, value_name = "FILE")]
    earlier: Option<PathBuf>,
}

/// Runs a command and answers what it prints.
///
/// # Errors
/// Files, the database, or what is wrong with an export.
pub async fn run(command: &AuditCommand) -> anyhow::Result<String> {
    match command {
        AuditCommand::Export(args) => Ok(text(&lines(&args.config).await?)?),
        AuditCommand::Query(args) => {
            let fits = |line: &Line| matches!(line, Line::Record(record) if args.fits(record));
            let lines: Vec<Line> = lines(&args.config).await?.into_iter().filter(fits).collect();
            Ok(text(&lines)?)
        }
        AuditCommand::Verify(args) => verify(args),
    }
}

fn verify(args: &VerifyArgs) -> anyhow::Result<String> {
    let open = |path: &Path| {
        File::open(path).map(BufReader::new).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
    };
    let key = CheckpointVerifier::open(&args.key)?;
    let earlier = args.earlier.as_deref().map(|path| anyhow::Ok(export::last_checkpoint(open(path)?)?));
    let earlier = earlier.transpose()?;
    let verified = export::verify(open(&args.file)?, &key, earlier.as_ref())?;
    Ok(format!(
        "in order: {} records, {} checkpoints\nlast checkpoint: record {}, {}, {}",
        verified.records,
        verified.checkpoints,
        verified.last.sequence,
        verified.last.made_at,
        verified.last.hash
    ))
}

async fn lines(config: &Path) -> anyhow::Result<Vec<Line>> {
    let audit = Config::load(config)?.audit;
    let trail = AuditTrail::open_to_read(&audit.database, &audit.checkpoint_key).await?;
    let lines = trail.lines(OffsetDateTime::now_utc()).await?;
    trail.close().await;
    Ok(lines)
}

fn text(lines: &[Line]) -> Result<String, serde_json::Error> {
    let lines = lines.iter().map(serde_json::to_string).collect::<Result<Vec<String>, _>>()?;
    Ok(lines.join("\n"))
}

impl QueryArgs {
    fn fits(&self, record: &Record) -> bool {
        let same = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        self.from.as_ref().is_none_or(|from| record.recorded_at >= *from)
            && self.until.as_ref().is_none_or(|until| record.recorded_at < *until)
            && same(&self.operation, Some(&record.operation))
            && same(&self.outcome, Some(&record.outcome))
            && same(&self.certificate, record.certificate_serial.as_ref())
            && same(&self.document, record.document_sha256.as_ref())
            && same(&self.patient, record.patient.as_ref())
            && same(&self.card, record.card.as_ref())
    }
}
