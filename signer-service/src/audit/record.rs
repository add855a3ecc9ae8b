//! One record of the audit trail and its hash.
//!
//! The hash is SHA-256 over a fixed text, the hash of the record before, and every field with its length in front, so
//! that no two different records hash alike. Exports carry the fields as JSON; the hash does not depend on how JSON
//! is written.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the first record takes for the hash of the record before: nothing.
pub const BEGINNING: &str = "";
/// What the hash begins with: of records that name no card, as all did before they could, and of those that do.
const DOMAIN: &[u8] = b"HPC Signer audit record v1";
const DOMAIN_WITH_CARD: &[u8] = b"HPC Signer audit record v2";

/// A record as it is stored and exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// 1, 2, 3 ... without gaps.
    pub sequence: u64,
    /// RFC 3339, UTC.
    pub recorded_at: String,
    /// As in the answer's metadata and in the log.
    pub request_id: String,
    /// Name of the call.
    pub operation: String,
    /// `OK`, or the reason of the refusal.
    pub outcome: String,
    /// RFC 4514 text.
    pub certificate_issuer: Option<String>,
    /// Lower-case hexadecimal.
    pub certificate_serial: Option<String>,
    /// Lower-case hexadecimal.
    pub document_sha256: Option<String>,
    /// Circumstances, without personal data.
    pub remark: Option<String>,
    /// Keyed pseudonym of the patient.
    pub patient: Option<String>,
    /// Keyed pseudonym of the card; exports of versions without it have no such field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// Lower-case hexadecimal.
    pub hash: String,
}

impl Record {
    /// The hash this record must have after one with the hash `previous`. One with a card has a beginning and a field of its
    /// own, so that the hashes of earlier versions stand and taking the card out of a record shows.
    pub fn hash_after(&self, previous: &str) -> String {
        let mut digest = Sha256::new();
        let sequence = self.sequence.to_string();
        let fields = [
            Some(&sequence),
            Some(&self.recorded_at),
            Some(&self.request_id),
            Some(&self.operation),
            Some(&self.outcome),
            self.certificate_issuer.as_ref(),
            self.certificate_serial.as_ref(),
            self.document_sha256.as_ref(),
            self.remark.as_ref(),
            self.patient.as_ref(),
        ];
        digest.update(if self.card.is_some() { DOMAIN_WITH_CARD } else { DOMAIN });
        let previous = previous.to_owned();
        let card = self.card.as_ref().map(Some);
        for field in std::iter::once(Some(&previous)).chain(fields).chain(card) {
            let length = field.map_or(u64::MAX, |text| text.len() as u64);
            digest.update(length.to_be_bytes());
            digest.update(field.map_or(&[][..], |text| text.as_bytes()));
        }
        hex::encode(digest.finalize())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::audit) fn record(sequence: u64) -> Record {
        Record {
            sequence,
            recorded_at: "2026-11-20T09:15:00Z".into(),
            request_id: "r-1".into(),
            operation: "SignPrescription".into(),
            outcome: "OK".into(),
            certificate_issuer: Some("CN=CA".into()),
            certificate_serial: Some("01ab".into()),
            document_sha256: None,
            remark: None,
            patient: None,
            card: None,
            hash: String::new(),
        }
    }

    #[test]
    fn every_field_and_the_record_before_count() {
        let plain = record(1);
        let mut hashes = vec![plain.hash_after(BEGINNING), plain.hash_after("00")];
        let changes: [fn(&mut Record); 13] = [
            |r| r.sequence = 2,
            |r| r.recorded_at.push('0'),
            |r| r.request_id.push('0'),
            |r| r.operation.push('0'),
            |r| r.outcome.push('0'),
            |r| r.certificate_issuer = None,
            |r| r.certificate_serial = Some(String::new()),
            |r| r.document_sha256 = Some(String::new()),
            |r| r.remark = Some(String::new()),
            |r| r.patient = Some(String::new()),
            |r| r.card = Some(String::new()),
            |r| r.card = Some("0".into()),
            // The same letters in other fields.
            |r| (r.request_id, r.operation) = ("r-1Sign".into(), "Prescription".into()),
        ];
        for change in changes {
            let mut changed = plain.clone();
            change(&mut changed);
            hashes.push(changed.hash_after(BEGINNING));
        }
        let count = hashes.len();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn records_of_versions_without_cards_keep_their_hashes() {
        let text = r#"{"sequence":1,"recorded_at":"2026-11-20T09:15:00Z","request_id":"r-1","operation":"SignPrescription",
            "outcome":"OK","certificate_issuer":"CN=CA","certificate_serial":"01ab","document_sha256":null,"remark":null,
            "patient":null,"hash":""}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        // Calculated apart from this program, from the form that the module's text describes.
        assert_eq!(
            record.hash_after(BEGINNING),
            "6cc54f6bf114f34c6da1c9bf25d2aa0f22cad3e3d74d9359591ead99180c4193"
        );
        let with_card = Record { card: Some("k:c".into()), ..record };
        assert_eq!(
            with_card.hash_after(BEGINNING),
            "e5656e1305ff9ddf5229bafa06257ad3f679d52336fcab8d8536c8bc6e2d5849"
        );
        assert_eq!(
            serde_json::from_str::<Record>(&serde_json::to_string(&with_card).unwrap()).unwrap(),
            with_card
        );
    }
}
