//! Which trace a call belongs to (W3C Trace Context), and spans of calls for an OpenTelemetry collector, if one is configured.
//!
//! A span says what a log line says: call, client, request id, outcome, time. Nothing of a patient, a person or a card.

pub mod export;

use std::fmt;

/// Identifiers of one call within its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    sampled: bool,
}

impl Trace {
    /// Continues the trace that a caller's `traceparent` names (Trace Context clause 3.2), or begins one.
    pub fn of(traceparent: Option<&str>) -> Trace {
        let (mut id, mut span) = ([0; 16], [0; 8]);
        // Without random numbers the identifiers are zero, which means: no trace.
        let random = getrandom::fill(&mut id).and_then(|()| getrandom::fill(&mut span)).is_ok();
        match traceparent.and_then(parse) {
            Some((id, parent, sampled)) => {
                Trace { id, span, parent: Some(parent), sampled: sampled && random }
            }
            None => Trace { id, span, parent: None, sampled: random },
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.id))
    }
}

/// Trace, parent, and whether the caller records it. Versions to come may say more behind it.
fn parse(text: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let mut parts = text.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| -> Option<u8> {
        let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 2 && lower).then(|| u8::from_str_radix(text, 16).ok()).flatten()
    };
    let version = number(version).filter(|version| *version != 0xff)?;
    if version == 0 && parts.next().is_some() {
        return None;
    }
    let lower = |text: &str| text.bytes().all(|byte| !byte.is_ascii_uppercase());
    let id: [u8; 16] = hex::decode(id).ok().filter(|_| lower(id))?.try_into().ok()?;
    let parent: [u8; 8] = hex::decode(parent).ok().filter(|_| lower(parent))?.try_into().ok()?;
    let sampled = number(flags)? & 1 == 1;
    (id != [0; 16] && parent != [0; 8]).then_some((id, parent, sampled))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_callers_trace_is_continued_under_a_span_of_its_own() {
        let (first, second) = (Trace::of(Some(PARENT)), Trace::of(Some(PARENT)));
        assert_eq!(first.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(first.parent.map(hex::encode).as_deref(), Some("00f067aa0ba902b7"));
        assert!(first.sampled && first.span != second.span);
        assert!(!Trace::of(Some(&PARENT.replace("-01", "-00"))).sampled);
        let later = Trace::of(Some(&format!("{}-more", PARENT.replacen("00", "01", 1))));
        assert_eq!(later.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn what_is_no_traceparent_begins_a_trace() {
        let upper = PARENT.replace("4bf9", "4BF9");
        let forbidden = PARENT.replacen("00", "ff", 1);
        let zero = PARENT.replace("00f067aa0ba902b7", "0000000000000000");
        for text in
            ["", "00", &upper, &forbidden, &zero, &format!("{PARENT}-more"), "\u{e4}-\u{e4}-\u{e4}-\u{e4}"]
        {
            let trace = Trace::of(Some(text));
            assert!(
                trace.parent.is_none() && trace.to_string() != "4bf92f3577b34da6a3ce929d0e0e4736",
                "{text}"
            );
        }
    }
}
