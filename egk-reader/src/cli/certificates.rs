//! `certificates`: the certificates of a card.

use std::io::{self, Write};

use card::transport::Readers;
use egk_reader::access;
use egk_reader::certificates::{
    CardCertificate, CertificateFacts, CertificatesError, read_certificates, to_pem,
};
use serde_json::{Value, json};

use super::failure::Failure;
use super::keys::{self, Present};
use super::select;
use crate::arguments::Certificates;

/// Prints those of the first card whose certificates are known.
pub(crate) fn run(options: &Certificates) -> Result<(), Failure> {
    let (reader, certificates) = read(options)?;
    let out = &mut io::stdout().lock();
    if options.json {
        let list: Vec<_> = certificates.iter().map(entry).collect::<Result<_, _>>()?;
        let answer = json!({ "reader": reader, "certificates": list });
        serde_json::to_writer_pretty(&mut *out, &answer).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    match options.pem.as_deref() {
        None => table(out, &certificates)?,
        Some("") => {
            for content in certificates.iter().filter_map(|certificate| certificate.content.as_ref().ok()) {
                out.write_all(to_pem(content)?.as_bytes())?;
            }
        }
        Some(name) => {
            let found = certificates.iter().find(|certificate| certificate.label == name);
            let content = found.and_then(|certificate| certificate.content.as_ref().ok());
            let content = content.ok_or_else(|| Failure::NoSuchCertificate { name: name.to_owned() })?;
            out.write_all(to_pem(content)?.as_bytes())?;
        }
    }
    Ok(())
}

/// With the patient or a professional from an insurance card, else from the first card that is known.
fn read(options: &Certificates) -> Result<(Option<String>, Vec<CardCertificate>), Failure> {
    if options.patient || options.hpc.is_some() {
        let present = Present { patient: options.patient, representative: false, hpc: options.hpc.as_ref() };
        let opened = keys::with(&options.source, &options.unlock, &present, access::read_certificates)?;
        return Ok((None, opened.data));
    }
    let mut readers = Readers::open(std::slice::from_ref(&options.source.reader));
    let (reader, certificates) = first(&mut readers, options)?;
    Ok((Some(reader), certificates))
}

fn first(readers: &mut Readers, options: &Certificates) -> Result<(String, Vec<CardCertificate>), Failure> {
    let (names, mut failure) = select::with_cards(readers)?;
    for reader in names {
        let read = select::connect(readers, &reader, &options.source).map_err(CertificatesError::from);
        match read.and_then(read_certificates) {
            Ok(certificates) => return Ok((reader, certificates)),
            Err(error) => {
                tracing::info!(reader, %error, "no certificates");
                failure = error.into();
            }
        }
    }
    Err(failure)
}

fn entry(certificate: &CardCertificate) -> Result<Value, Failure> {
    let content = certificate.content.as_ref().ok();
    Ok(json!({
        "name": certificate.label,
        "application": certificate.application,
        "certificate": content.and_then(|content| CertificateFacts::of(content)),
        "pem": content.map(|content| to_pem(content)).transpose()?,
        "refused": certificate.content.as_ref().err().map(|status| status.to_string()),
    }))
}

fn table(out: &mut dyn Write, certificates: &[CardCertificate]) -> io::Result<()> {
    for certificate in certificates {
        writeln!(out, "{} ({})", certificate.label, certificate.application)?;
        let mut row = |label: &str, value: &str| writeln!(out, "  {label:<8} {value}");
        match certificate.content.as_ref().map(|content| CertificateFacts::of(content)) {
            Err(status) => row("refused", &status.to_string())?,
            Ok(None) => row("content", "no certificate")?,
            Ok(Some(facts)) => {
                row("subject", &facts.subject)?;
                row("issuer", &facts.issuer)?;
                row("number", &facts.serial_number)?;
                row("valid", &format!("{} to {}", facts.valid_from, facts.valid_until))?;
                row("key", &facts.key)?;
            }
        }
    }
    Ok(())
}
