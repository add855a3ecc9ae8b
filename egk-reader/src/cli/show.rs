//! `show` and `emergency`: the protected files, and the receipt that anyone may read.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use card::egk::{ProtectedFile, ProtectedRecords};
use card::transport::Transport;
use egk_reader::access::{self, Access, AccessError, Keys, Opened};
use egk_reader::receipt::Receipt;
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::failure::Failure;
use super::keys::{self, Present};
use super::outline;
use crate::arguments::{Emergency, Shape, Show, ShownFile, Unlock};

/// Emergency data by a professional's card alone.
pub(crate) fn emergency(options: &Emergency) -> Result<(), Failure> {
    let present = Present { patient: false, representative: false, hpc: Some(&options.hpc) };
    let file = ShownFile::Nfd;
    if options.unlock.reason.is_none() {
        return Err(Failure::Access(AccessError::ReasonNeeded { file: ProtectedFile::Nfd.name() }));
    }
    let shown = keys::with(&options.source, &options.unlock, &present, |egk, keys| read(egk, keys, file))?;
    print(&shown, &options.unlock, &options.shape)
}

/// The file that was asked for.
pub(crate) fn run(options: &Show) -> Result<(), Failure> {
    if options.file == ShownFile::Receipt {
        let mut egk = keys::insurance_card(&options.source)?;
        let receipt = egk_reader::read_receipt(egk.as_mut())?;
        return print_receipt(&receipt, &options.shape);
    }
    // Nobody is asked for a PIN for nothing.
    if options.shape.xml && is_records(options.file) {
        return Err(Failure::NoDocument);
    }
    let present = Present {
        patient: wants_patient(options),
        representative: options.representative,
        hpc: options.hpc.as_ref(),
    };
    let file = options.file;
    let shown = keys::with(&options.source, &options.unlock, &present, |egk, keys| read(egk, keys, file))?;
    print(&shown, &options.unlock, &options.shape)
}

fn is_records(file: ShownFile) -> bool {
    matches!(
        file,
        ShownFile::Log
            | ShownFile::Consents
            | ShownFile::References
            | ShownFile::DataConsents
            | ShownFile::DataReferences
            | ShownFile::MedicationReferences
    )
}

/// Without a professional's card it can only be the patient. With one, the patient is asked where the rule wants both, unless
/// a reason says why not.
fn wants_patient(options: &Show) -> bool {
    let wants_both = matches!(options.file, ShownFile::Nfd | ShownFile::Amts);
    options.hpc.is_none() || (wants_both && options.unlock.reason.is_none())
}

/// A file in every form it can be shown in.
struct Shown {
    access: Access,
    interrupted: bool,
    data: Value,
    document: Option<Vec<u8>>,
}

fn read(egk: &mut dyn Transport, keys: Keys<'_>, file: ShownFile) -> Result<Shown, AccessError> {
    let records = |egk: &mut dyn Transport, keys: Keys<'_>, file| {
        access::read_plain_records(egk, file, keys).map(|opened| shown(opened, |_| None))
    };
    Ok(match file {
        ShownFile::Nfd => shown(access::read_emergency_data(egk, keys)?, |data| Some(data.xml.clone())),
        ShownFile::Dpe => shown(access::read_declarations(egk, keys)?, |data| Some(data.xml.clone())),
        ShownFile::Amts => shown(access::read_medication_plan(egk, keys)?, |data| Some(data.xml.clone())),
        ShownFile::Gvd => {
            shown(access::read_protected_data(egk, keys)?, |record| Some(record.document.xml.clone()))
        }
        ShownFile::Ose => {
            let opened = access::read_plain(egk, ProtectedFile::Ose, keys)?;
            let data = json!({ "length": opened.data.len() });
            let Opened { data: bytes, access, interrupted } = opened;
            Shown { access, interrupted, data, document: Some(bytes) }
        }
        ShownFile::Log => shown(access::read_log(egk, keys)?, |_| None),
        ShownFile::Consents => records(egk, keys, ProtectedRecords::Consents)?,
        ShownFile::References => records(egk, keys, ProtectedRecords::References)?,
        ShownFile::DataConsents => records(egk, keys, ProtectedRecords::DataConsents)?,
        ShownFile::DataReferences => records(egk, keys, ProtectedRecords::DataReferences)?,
        ShownFile::MedicationReferences => records(egk, keys, ProtectedRecords::MedicationReferences)?,
        ShownFile::Receipt => return Err(AccessError::NoData { file: "EF.Pruefungsnachweis" }),
    })
}

fn shown<T: Serialize>(opened: Opened<T>, document: impl Fn(&T) -> Option<Vec<u8>>) -> Shown {
    let document = document(&opened.data);
    // A value of these types is always an object or a list.
    let data = serde_json::to_value(&opened.data).unwrap_or_default();
    Shown { access: opened.access, interrupted: opened.interrupted, data, document }
}

/// Records the access, and only then prints.
fn print(shown: &Shown, unlock: &Unlock, shape: &Shape) -> Result<(), Failure> {
    let record = record(&shown.access);
    if let Some(file) = &unlock.record {
        append(file, &record)?;
    }
    if shown.interrupted {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(io::stderr(), "finding: an update of {} was interrupted", shown.access.file);
    }
    let out = &mut io::stdout().lock();
    if shape.xml {
        out.write_all(shown.document.as_ref().ok_or(Failure::NoDocument)?)?;
    } else if shape.json {
        let answer = json!({ "access": record, "interrupted": shown.interrupted, "data": shown.data });
        serde_json::to_writer_pretty(&mut *out, &answer).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        outline::print(out, &json!({ "access": record }))?;
        outline::print(out, &shown.data)?;
    }
    out.flush()?;
    Ok(())
}

fn print_receipt(receipt: &Receipt, shape: &Shape) -> Result<(), Failure> {
    let out = &mut io::stdout().lock();
    match receipt {
        Receipt::Clear(data) if shape.xml => out.write_all(&data.xml)?,
        _ if shape.xml => return Err(Failure::NoDocument),
        _ if shape.json => {
            serde_json::to_writer_pretty(&mut *out, receipt).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        _ => outline::print(out, &json!({ "receipt": receipt }))?,
    }
    out.flush()?;
    Ok(())
}

fn record(access: &Access) -> Value {
    let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    json!({
        "time": time,
        "file": access.file,
        "reason": access.reason,
        "pin": access.pin,
        "rights": access.rights,
    })
}

/// One line more in the record of accesses, on disk before anything is shown.
fn append(file: &Path, record: &Value) -> Result<(), Failure> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    writeln!(file, "{record}")?;
    file.sync_all()?;
    Ok(())
}
