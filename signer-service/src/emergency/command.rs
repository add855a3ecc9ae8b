//! `signer-service emergency verify`: works on files, without the service.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use super::{
    Act, Case,
    verify::{self, Verdict},
};
use crate::{
    client::{Exit, Outcome},
    config::Trust,
    trust,
};

/// `emergency verify`
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// What `emergency export` wrote
    file: PathBuf,
    /// Certificates of the authorities that are trusted: PEM files, or folders of them; can be repeated
    #[arg(long, value_name = "PEM", required = true)]
    anchors: Vec<PathBuf>,
    /// Trusted lists (ETSI TS 119 612); can be repeated
    #[arg(long, value_name = "XML")]
    list: Vec<PathBuf>,
    /// Write each step's CMS and OCSP answer into this folder, for other programs to check
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
}

/// Judges an export.
///
/// # Errors
/// A file that cannot be read or written, or that is no export.
pub fn run(args: &VerifyArgs) -> anyhow::Result<Outcome> {
    let named = |path: &Path, error: std::io::Error| anyhow::anyhow!("{}: {error}", path.display());
    let bytes = fs::read(&args.file).map_err(|error| named(&args.file, error))?;
    let anchors = trust::load(&Trust { anchors: args.anchors.clone(), lists: args.list.clone() })?;
    let verdict = verify::verify(&bytes, &anchors, OffsetDateTime::now_utc())?;
    if let Some(folder) = &args.extract {
        extract(&verdict.case, folder).map_err(|error| named(folder, error))?;
    }
    let exit = if verdict.holds() { Exit::Success } else { Exit::Invalid };
    Ok(Outcome { text: text(&verdict), json: as_json(&verdict), exit })
}

/// `1-request.p7s`, `1-request.ocsp` and so on.
fn extract(case: &Case, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for (index, step) in case.steps.iter().enumerate() {
        let name = format!("{}-{}", index + 1, name(&step.statement.act));
        let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(std::io::Error::other);
        fs::write(folder.join(format!("{name}.p7s")), decode(&step.cms)?)?;
        if let Some(answer) = &step.ocsp {
            fs::write(folder.join(format!("{name}.ocsp")), decode(answer)?)?;
        }
    }
    Ok(())
}

fn name(act: &Act) -> &'static str {
    match act {
        Act::Request(_) => "request",
        Act::Decide { approved: true } => "approval",
        Act::Decide { approved: false } => "denial",
        Act::Revoke => "revocation",
        Act::Review { .. } => "review",
    }
}

fn text(verdict: &Verdict) -> String {
    let mut lines =
        vec![if verdict.holds() { "all of it holds".to_owned() } else { "it does not hold".to_owned() }];
    for (index, step) in verdict.case.steps.iter().enumerate() {
        let (party, offline) = (&step.signed_by, verdict.offline.contains(&(index + 1)));
        let status = if offline { "offline, revocation not known" } else { "certificate good" };
        let (act, number) = (name(&step.statement.act), index + 1);
        lines.push(format!(
            "step {number}  {act} by {} ({status}), {}",
            party.telematik_id, step.statement.at
        ));
    }
    lines.push(format!("used {} times", verdict.case.accesses.len()));
    lines.extend(verdict.faults.iter().map(|fault| format!("FAULT  {fault}")));
    lines.join("\n")
}

fn as_json(verdict: &Verdict) -> serde_json::Value {
    json!({
        "holds": verdict.holds(),
        "faults": verdict.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "offline_steps": verdict.offline,
        "steps": verdict.case.steps.iter().map(|step| json!({
            "statement": step.statement,
            "signed_by": step.signed_by,
        })).collect::<Vec<_>>(),
        "accesses": verdict.case.accesses,
    })
}
