//! One signature per key of the caller: which keys are taken, and answers that are kept without their document.

use prost::Message;
use proto::v1;

use super::{Refusal, State};
use crate::audit::Claim;

/// A key as a caller may choose it, or none.
pub(super) fn read_key(key: &str) -> Result<Option<&str>, Refusal> {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    match key.len() {
        0 => Ok(None),
        1..=128 if key.bytes().all(harmless) => Ok(Some(key)),
        _ => Err(Refusal::BadRequest {
            field: "idempotency_key",
            problem: "at most 128 letters, digits and characters of - _ . :",
        }),
    }
}

/// Claims a key for a call.
pub(super) async fn claim(state: &State, key: &str) -> Result<Claim, Refusal> {
    state.audit.claim(key).await.map_err(Refusal::Audit)?.ok_or(Refusal::KeyAtWork)
}

/// An answer as it is kept: where the document stands in the CMS, and everything but the document.
pub(super) fn without_document(mut answer: v1::SignPrescriptionResponse, document: &[u8]) -> Option<Vec<u8>> {
    let at = answer.cms.windows(document.len().max(1)).position(|window| window == document)?;
    answer.cms.drain(at..at + document.len());
    let mut kept = u64::try_from(at).ok()?.to_be_bytes().to_vec();
    answer.encode(&mut kept).ok()?;
    Some(kept)
}

/// A kept answer with the number of its record: fields of a message may be appended.
pub(super) fn numbered(mut kept: Vec<u8>, audit_sequence: u64) -> Vec<u8> {
    let number = v1::SignPrescriptionResponse { audit_sequence, ..Default::default() };
    kept.extend(number.encode_to_vec());
    kept
}

/// The answer again, with the document in its place.
pub(super) fn with_document(kept: &[u8], document: &[u8]) -> Option<v1::SignPrescriptionResponse> {
    let (at, message) = kept.split_first_chunk::<8>()?;
    let mut answer = v1::SignPrescriptionResponse::decode(message).ok()?;
    let tail = answer.cms.split_off_checked(usize::try_from(u64::from_be_bytes(*at)).ok()?)?;
    answer.cms.extend_from_slice(document);
    answer.cms.extend(tail);
    answer.replayed = true;
    Some(answer)
}

/// [`Vec::split_off`] that refuses instead of panicking.
trait SplitOff: Sized {
    fn split_off_checked(&mut self, at: usize) -> Option<Self>;
}

impl SplitOff for Vec<u8> {
    fn split_off_checked(&mut self, at: usize) -> Option<Vec<u8>> {
        (at <= self.len()).then(|| self.split_off(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_answer_comes_back_whole_and_does_not_hold_the_document() {
        let document = b"<Bundle>patient</Bundle>";
        let cms = [b"head", &document[..], b"tail"].concat();
        let answer = v1::SignPrescriptionResponse { cms, algorithm: "a".into(), ..Default::default() };
        let kept = numbered(without_document(answer.clone(), document).unwrap(), 7);
        assert!(!kept.windows(7).any(|window| window == b"patient"));
        let again = with_document(&kept, document).unwrap();
        assert_eq!(again, v1::SignPrescriptionResponse { replayed: true, audit_sequence: 7, ..answer });
    }

    #[test]
    fn damaged_answers_are_no_answers() {
        let answer = v1::SignPrescriptionResponse { cms: b"abc".to_vec(), ..Default::default() };
        assert!(without_document(answer.clone(), b"x").is_none());
        let kept = without_document(answer, b"c").unwrap();
        assert!(with_document(&kept[..4], b"c").is_none());
        let far = [&[0xff; 8][..], &kept[8..]].concat();
        assert!(with_document(&far, b"c").is_none());
    }

    #[test]
    fn keys_are_short_and_harmless() {
        assert!(matches!(read_key(""), Ok(None)));
        assert!(matches!(read_key("urn:uuid:0a-1_b.c"), Ok(Some(_))));
        for key in ["a b", "\u{e4}", &"x".repeat(129)] {
            assert!(read_key(key).is_err(), "{key}");
        }
    }
}
