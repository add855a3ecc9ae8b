//! What was found once is found at once: every input of the corpus, and changed copies of it, without libFuzzer.

use std::fs;
use std::path::{Path, PathBuf};

/// Changed copies of each target's inputs. Deterministic, so that a failure can be repeated.
const CHANGED: usize = 1500;

#[test]
fn card_answers() {
    replay("card_answers");
}

#[test]
fn egk_answers() {
    replay("egk_answers");
}

#[test]
fn identity_answers() {
    replay("identity_answers");
}

#[test]
fn medical_answers() {
    replay("medical_answers");
}

#[test]
fn tlv() {
    replay("tlv");
}

#[test]
fn insurance_files() {
    replay("insurance_files");
}

#[test]
fn insurance_xml() {
    replay("insurance_xml");
}

#[test]
fn cms() {
    replay("cms");
}

#[test]
fn simulator_apdu() {
    replay("simulator_apdu");
}

#[test]
fn every_target_has_a_corpus_and_a_test() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus.rs")).unwrap();
    for (name, _) in fuzz_targets::TARGETS {
        assert!(!corpus(name).is_empty(), "{name} has no corpus");
        assert!(source.contains(&format!("replay(\"{name}\")")), "{name} is not replayed");
    }
}

/// Runs the corpus as it is, then changed.
fn replay(name: &str) {
    let target = fuzz_targets::target(name);
    let inputs = corpus(name);
    inputs.iter().for_each(|input| target(input));
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for _ in 0..CHANGED {
        let mut input = inputs[chance.below(inputs.len())].clone();
        for _ in 0..=chance.below(4) {
            chance.change(&mut input, &inputs);
        }
        target(&input);
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Xorshift (Marsaglia 2003): good enough to break things.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// Flips a bit, sets a byte to an extreme, cuts, repeats, or crosses with another input.
    fn change(&mut self, input: &mut Vec<u8>, others: &[Vec<u8>]) {
        if input.is_empty() {
            input.push(self.next().to_le_bytes()[0]);
        }
        let place = self.below(input.len());
        match self.below(6) {
            0 => input[place] ^= 1 << self.below(8),
            1 => input[place] = [0x00, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xFF][self.below(7)],
            2 => input.truncate(place),
            3 => {
                input.remove(place);
            }
            4 => {
                let end = (place + 1 + self.below(64)).min(input.len());
                let copy = input[place..end].to_vec();
                input.splice(place..place, copy);
            }
            _ => {
                let other = &others[self.below(others.len())];
                let from = self.below(other.len());
                input.truncate(place);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}
