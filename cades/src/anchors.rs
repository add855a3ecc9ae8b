//! The certification authorities a verifier trusts.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;
use time::OffsetDateTime;

use crate::certificate::Certificate;
use crate::multiples::Tables;
use crate::proven::Proven;

/// Issuer certificates trusted as they are: roots or intermediates. Nothing above an anchor is looked at.
#[derive(Debug, Clone, Default)]
pub struct TrustAnchors {
    anchors: Vec<Anchor>,
    responders: Vec<Certificate>,
    proven: Proven,
    tables: Tables,
}

/// An issuer and what a trusted list says of it.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    pub(crate) certificate: Certificate,
    pub(crate) standing: Standing,
}

/// What a trusted list (ETSI TS 119 612) says of an issuer. The default is that of an anchor from a file of
/// its own: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it issues qualified certificates; `None` if nobody said.
    pub qualified: Option<bool>,
    /// From when on it was granted (`true`) or withdrawn (`false`), in any order. Empty: always granted.
    pub history: Vec<(OffsetDateTime, bool)>,
}

impl Standing {
    /// Was the service granted at that time? Before its first entry it was not.
    pub fn is_granted_at(&self, instant: OffsetDateTime) -> bool {
        let begun = self.history.iter().filter(|(since, _)| *since <= instant);
        let latest = begun.max_by_key(|(since, _)| *since);
        self.history.is_empty() || latest.is_some_and(|(_, granted)| *granted)
    }
}

/// Why a set of anchors could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnchorError {
    /// The text holds no `BEGIN CERTIFICATE` block.
    #[error("no certificate in the PEM text")]
    Empty,
    /// One block is damaged.
    #[error("trust anchor {position} cannot be read: {reason}")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl TrustAnchors {
    /// Reads all certificates of a PEM text; anything between the blocks is ignored.
    ///
    /// # Errors
    /// [`AnchorError`] when there is no certificate or one is damaged.
    pub fn from_pem(pem: &[u8]) -> Result<TrustAnchors, AnchorError> {
        let mut anchors = TrustAnchors::default();
        let mut rest = pem;
        while let Some(block) = next_block(&mut rest) {
            let position = anchors.anchors.len() + 1;
            let der = decode(block)
                .map_err(|error| AnchorError::Certificate { position, reason: error.to_string() })?;
            anchors.add(&der)?;
        }
        if anchors.is_empty() { Err(AnchorError::Empty) } else { Ok(anchors) }
    }

    /// Adds one certificate (DER).
    ///
    /// # Errors
    /// [`AnchorError::Certificate`] when it cannot be read.
    pub fn add(&mut self, certificate: &[u8]) -> Result<(), AnchorError> {
        self.add_listed(certificate, Standing::default())
    }

    /// Adds one certificate (DER) of which a trusted list said something.
    ///
    /// # Errors
    /// [`AnchorError::Certificate`] when it cannot be read.
    pub fn add_listed(&mut self, certificate: &[u8], standing: Standing) -> Result<(), AnchorError> {
        let certificate = read(certificate, self.anchors.len() + 1)?;
        self.anchors.push(Anchor { certificate, standing });
        Ok(())
    }

    /// Adds the certificate (DER) of an OCSP responder that may speak for every issuer.
    ///
    /// # Errors
    /// [`AnchorError::Certificate`] when it cannot be read.
    pub fn add_responder(&mut self, certificate: &[u8]) -> Result<(), AnchorError> {
        let certificate = read(certificate, self.responders.len() + 1)?;
        self.responders.push(certificate);
        Ok(())
    }

    /// Adds everything another set holds.
    pub fn extend(&mut self, other: TrustAnchors) {
        self.anchors.extend(other.anchors);
        self.responders.extend(other.responders);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The anchors whose subject is this Name (DER).
    pub(crate) fn named<'a>(&'a self, subject: &'a [u8]) -> impl Iterator<Item = &'a Anchor> {
        self.anchors.iter().filter(move |anchor| anchor.certificate.subject == subject)
    }

    /// Did the key of `issuer` sign this certificate?
    pub(crate) fn signed_by(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        certificate.issuer == issuer.subject && self.proven.certificate(certificate, issuer)
    }

    /// Did the key of `signer` make this signature over `message`? For messages that are met again and again.
    pub(crate) fn signature(
        &self,
        signer: &Certificate,
        algorithm: &[u8],
        message: &[u8],
        value: &[u8],
    ) -> bool {
        self.proven.signature(signer, algorithm, message, value)
    }

    /// What was calculated of keys that are used often.
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn responders(&self) -> impl Iterator<Item = &Certificate> {
        self.responders.iter()
    }
}

fn read(certificate: &[u8], position: usize) -> Result<Certificate, AnchorError> {
    Certificate::from_der(certificate)
        .map_err(|error| AnchorError::Certificate { position, reason: error.to_string() })
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// The text of the next block, without its two lines; one without an end reaches to the end of the text.
fn next_block<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let begin = find(rest, BEGIN)? + BEGIN.len();
    let text = rest.get(begin..)?;
    let (block, after) = text.split_at_checked(find(text, END).unwrap_or(text.len()))?;
    *rest = after;
    Some(block)
}

/// Base64 with line breaks anywhere: certificates of trust services are published in every line width.
fn decode(block: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    let digits: Vec<u8> = block.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(digits)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_a_certificate_is_an_error() {
        assert_eq!(TrustAnchors::from_pem(b"nothing here").unwrap_err(), AnchorError::Empty);
    }

    #[test]
    fn a_damaged_certificate_is_named_by_its_position() {
        let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = TrustAnchors::from_pem(pem).unwrap_err();
        assert!(matches!(error, AnchorError::Certificate { position: 1, .. }));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(
            TrustAnchors::from_pem(cut).unwrap_err(),
            AnchorError::Certificate { position: 1, .. }
        ));
    }
}
