//! The certificates of any card this project knows: insurance cards, and every card the driver has a profile for.

use std::fmt;

use card::egk::{self, EgkCertificate, EgkError};
use card::hpc::{Hpc, OpenError};
use card::identify::{CardKind, identify};
use card::profile::{Application, Dialect};
use card::status::StatusWord;
use card::transport::{Transport, TransportError};
use const_oid::db::DB;
use serde::Serialize;
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::pem::{self, LineEnding};

use crate::identity::{belgian, in_section};

/// One certificate file of a card.
#[derive(Clone, Debug)]
pub struct CardCertificate {
    /// Name of the certificate object on the card, e.g. `C.CH.AUT.E256`.
    pub label: String,
    /// Name of the application it lies in; `issuers` for certificates that are not the holder's.
    pub application: &'static str,
    /// The certificate, DER; else what the card answered to the attempt to read it.
    pub content: Result<Vec<u8>, StatusWord>,
}

/// Why a card's certificates cannot be listed.
#[derive(Debug, Error)]
pub enum CertificatesError {
    /// A card whose certificates this project cannot find.
    #[error("the card is none whose certificates are known")]
    UnknownCard,
    /// The insurance card failed.
    #[error(transparent)]
    Egk(#[from] EgkError),
    /// The card with keys failed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Reads the certificates of the card, without a PIN.
///
/// # Errors
/// A card that is not known, or one that fails.
pub fn read_certificates(mut card: Box<dyn Transport>) -> Result<Vec<CardCertificate>, CertificatesError> {
    card.begin()?;
    let kind = identify(card.as_mut());
    if let Err(error) = card.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
    match kind? {
        CardKind::Foreign => Err(CertificatesError::UnknownCard),
        CardKind::Egk => Ok(of_egk(egk::read_certificates(card.as_mut())?)),
        CardKind::Hpc(profile) => {
            let authorities = match profile.dialect {
                Dialect::Beid => in_section(card.as_mut(), belgian::authorities)?,
                _ => Vec::new(),
            };
            let card = Hpc::open(card)?;
            let read = card.keys().iter().map(|key| CardCertificate {
                label: key.profile.label.clone(),
                application: name_of(key.application),
                content: Ok(key.certificate.clone()),
            });
            // Not tried: the card would say that it wants the PIN.
            let behind_pin = card.profile().applications.iter().flat_map(|application| {
                let keys = application.keys.iter().filter(|key| key.certificate_behind_pin);
                keys.map(|key| CardCertificate {
                    label: key.label.clone(),
                    application: name_of(application.application),
                    content: Err(StatusWord::SECURITY_STATUS),
                })
            });
            Ok(read.chain(behind_pin).chain(authorities).collect())
        }
    }
}

/// The certificate files of an insurance card.
pub(crate) fn of_egk(files: Vec<EgkCertificate>) -> Vec<CardCertificate> {
    let named = |file: EgkCertificate| CardCertificate {
        label: file.label.to_owned(),
        application: "ESIGN",
        content: file.content,
    };
    files.into_iter().map(named).collect()
}

fn name_of(application: Application) -> &'static str {
    match application {
        Application::Esign => "ESIGN",
        Application::Qes => "QES",
    }
}

/// What a certificate says (RFC 5280 clause 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFacts {
    /// Whose it is (RFC 4514).
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial_number: String,
    /// First moment of validity, UTC (RFC 3339).
    pub valid_from: String,
    /// Last moment of validity.
    pub valid_until: String,
    /// Algorithm of the key, for elliptic curves with the curve.
    pub key: String,
}

impl CertificateFacts {
    /// Reads a certificate, DER; `None` if it is none.
    pub fn of(certificate: &[u8]) -> Option<CertificateFacts> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let content = certificate.tbs_certificate();
        let key = &content.subject_public_key_info().algorithm;
        let curve = key.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
        let valid = content.validity();
        Some(CertificateFacts {
            subject: content.subject().to_string(),
            issuer: content.issuer().to_string(),
            serial_number: content.serial_number().to_string(),
            valid_from: valid.not_before.to_date_time().to_string(),
            valid_until: valid.not_after.to_date_time().to_string(),
            key: name(curve.unwrap_or(key.oid)),
        })
    }
}

/// The certificate in PEM (RFC 7468).
///
/// # Errors
/// None for anything a card can hold: only a text of more than the machine's memory cannot be written.
pub fn to_pem(certificate: &[u8]) -> Result<String, fmt::Error> {
    pem::encode_string("CERTIFICATE", LineEnding::LF, certificate).map_err(|_| fmt::Error)
}

fn name(oid: ObjectIdentifier) -> String {
    DB.by_oid(&oid).map_or_else(|| oid.to_string(), str::to_owned)
}
