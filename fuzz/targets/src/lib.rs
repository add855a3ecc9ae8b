//! What is fuzzed: one function per kind of foreign input. None of them may panic, hang or take memory without bound.
//!
//! libFuzzer calls them (`fuzz/`), and so does an ordinary test with the committed corpus (`tests/corpus.rs`).

mod answers;
mod conversation;
mod identity;
mod insurance;
mod medical;
pub mod seed;
mod signatures;
mod simulator;

/// A name and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets; each has a corpus directory of that name in `fuzz/corpus`.
pub const TARGETS: [Target; 9] = [
    ("card_answers", answers::physician),
    ("egk_answers", answers::patient),
    ("identity_answers", identity::answers),
    ("medical_answers", medical::answers),
    ("tlv", answers::objects),
    ("insurance_files", insurance::files),
    ("insurance_xml", insurance::document),
    ("cms", signatures::cms),
    ("simulator_apdu", simulator::commands),
];

/// The target of this name.
///
/// # Panics
/// There is none.
pub fn target(name: &str) -> fn(&[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name");
    *target
}

/// Cuts input into parts: a length of two bytes, big-endian, then that many bytes. The last part may be shorter.
fn parts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (length, more) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (part, after) = more.split_at(length);
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_cut_into_parts() {
        let cut: Vec<&[u8]> = parts(&[0, 2, 7, 8, 0, 0, 0, 9, 1]).collect();
        assert_eq!(cut, [&[7, 8][..], &[], &[1]]);
        assert_eq!(parts(&[0]).count(), 0);
    }
}
