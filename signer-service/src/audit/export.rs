//! The audit trail as JSON Lines, and its check without the service: one line for each record, checkpoints between
//! them, a fresh checkpoint at the end.

use std::io::BufRead;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    checkpoint::{Checkpoint, CheckpointVerifier},
    record::{BEGINNING, Record},
};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// A record.
    Record(Record),
    /// A checkpoint over the record before it, or an earlier one.
    Checkpoint(Checkpoint),
}

/// What was found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of records, from 1 on without gap.
    pub records: u64,
    /// Number of checkpoints.
    pub checkpoints: u64,
    /// The last checkpoint; to be kept elsewhere.
    pub last: Checkpoint,
}

/// What is not in order. The first fault is told.
#[derive(Debug, Error)]
pub enum Fault {
    /// The file.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Not a line of an export.
    #[error("line {line} is no record and no checkpoint")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A record is missing, repeated or out of order.
    #[error("expected record {expected}, got record {got}: records are missing or out of order")]
    Gap {
        /// The next number.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A record, or one before it, was changed.
    #[error("record {sequence} was changed, or one before it was")]
    Changed {
        /// Which.
        sequence: u64,
    },
    /// Not signed with this key.
    #[error("the checkpoint over record {sequence} is not signed with this key")]
    Signature {
        /// Which.
        sequence: u64,
    },
    /// A checkpoint does not fit the records.
    #[error("the checkpoint over record {sequence} is over other records")]
    Mismatch {
        /// Which.
        sequence: u64,
    },
    /// No checkpoint over the last record.
    #[error("the end is missing: no checkpoint over the last record, {sequence}")]
    Cut {
        /// The last record there is.
        sequence: u64,
    },
}

/// Checks a whole export. `kept` is a checkpoint from elsewhere that it must agree with: only that shows an end that
/// was cut off together with its checkpoints.
///
/// # Errors
/// The first [`Fault`].
pub fn verify(
    export: impl BufRead,
    key: &CheckpointVerifier,
    kept: Option<&Checkpoint>,
) -> Result<Verified, Fault> {
    let mut hashes: Vec<String> = Vec::new();
    let mut checkpoints = 0;
    let mut last = None;
    for (index, line) in export.lines().enumerate() {
        match serde_json::from_str(&line?).map_err(|_| Fault::Line { line: index + 1 })? {
            Line::Record(record) => {
                let expected = hashes.len() as u64 + 1;
                if record.sequence != expected {
                    return Err(Fault::Gap { expected, got: record.sequence });
                }
                if record.hash != record.hash_after(hashes.last().map_or(BEGINNING, String::as_str)) {
                    return Err(Fault::Changed { sequence: record.sequence });
                }
                hashes.push(record.hash);
            }
            Line::Checkpoint(checkpoint) => {
                agrees(&checkpoint, &hashes, key)?;
                checkpoints += 1;
                last = Some(checkpoint);
            }
        }
    }
    let records = hashes.len() as u64;
    if let Some(kept) = kept {
        agrees(kept, &hashes, key)?;
    }
    match last {
        Some(last) if last.sequence == records => Ok(Verified { records, checkpoints, last }),
        _ => Err(Fault::Cut { sequence: records }),
    }
}

/// Checkpoints of an export, last first: the one to keep is the first.
///
/// # Errors
/// A file without one, or something else than an export.
pub fn last_checkpoint(export: impl BufRead) -> Result<Checkpoint, Fault> {
    let mut last = None;
    for (index, line) in export.lines().enumerate() {
        if let Line::Checkpoint(checkpoint) =
            serde_json::from_str(&line?).map_err(|_| Fault::Line { line: index + 1 })?
        {
            last = Some(checkpoint);
        }
    }
    last.ok_or(Fault::Cut { sequence: 0 })
}

fn agrees(checkpoint: &Checkpoint, hashes: &[String], key: &CheckpointVerifier) -> Result<(), Fault> {
    let sequence = checkpoint.sequence;
    if !key.verifies(checkpoint) {
        return Err(Fault::Signature { sequence });
    }
    let index = usize::try_from(sequence).ok().and_then(|sequence| sequence.checked_sub(1));
    if index.and_then(|index| hashes.get(index)) == Some(&checkpoint.hash) {
        Ok(())
    } else {
        Err(Fault::Mismatch { sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{CheckpointKey, record::tests::record};

    struct Export {
        lines: Vec<String>,
        key: CheckpointKey,
        verifier: CheckpointVerifier,
    }

    /// Five records, checkpoints over the third and the last.
    fn export() -> Export {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.key");
        let key = CheckpointKey::open(&path).unwrap();
        let verifier = CheckpointVerifier::open(&path.with_extension("pub")).unwrap();
        let mut lines = Vec::new();
        let mut previous = BEGINNING.to_owned();
        for sequence in 1..=5 {
            let mut record = record(sequence);
            record.hash = record.hash_after(&previous);
            previous = record.hash.clone();
            lines.push(serde_json::to_string(&Line::Record(record)).unwrap());
            if sequence == 3 || sequence == 5 {
                let checkpoint = key.sign(sequence, &previous, "2026-11-20T09:15:00Z".into());
                lines.push(serde_json::to_string(&Line::Checkpoint(checkpoint)).unwrap());
            }
        }
        Export { lines, key, verifier }
    }

    fn check(export: &Export, lines: &[String], kept: Option<&Checkpoint>) -> Result<Verified, Fault> {
        verify(lines.join("\n").as_bytes(), &export.verifier, kept)
    }

    #[test]
    fn an_untouched_export_is_in_order() {
        let export = export();
        let verified = check(&export, &export.lines, None).unwrap();
        assert_eq!((verified.records, verified.checkpoints, verified.last.sequence), (5, 2, 5));
        assert_eq!(last_checkpoint(export.lines.join("\n").as_bytes()).unwrap(), verified.last);
    }

    #[test]
    fn changes_of_letters_all_over_are_found() {
        let export = export();
        for line in 0..export.lines.len() {
            for at in (line..export.lines[line].len()).step_by(11) {
                let mut lines = export.lines.clone();
                let mut bytes = lines[line].clone().into_bytes();
                bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
                lines[line] = String::from_utf8(bytes).unwrap();
                assert!(check(&export, &lines, None).is_err(), "line {line} at {at}: {}", lines[line]);
            }
        }
    }

    #[test]
    fn gaps_repetitions_and_another_order_are_found() {
        let export = export();
        for line in 0..5 {
            let mut lines = export.lines.clone();
            lines.remove(line);
            assert!(check(&export, &lines, None).is_err() != (line == 3), "without line {line}");
        }
        let mut twice = export.lines.clone();
        twice.insert(1, twice[0].clone());
        assert!(matches!(check(&export, &twice, None), Err(Fault::Gap { expected: 2, got: 1 })));
        let mut swapped = export.lines.clone();
        swapped.swap(0, 1);
        assert!(matches!(check(&export, &swapped, None), Err(Fault::Gap { expected: 1, got: 2 })));
    }

    #[test]
    fn a_cut_is_found_and_one_down_to_a_checkpoint_only_with_a_kept_one() {
        let export = export();
        let kept = last_checkpoint(export.lines.join("\n").as_bytes()).unwrap();
        for length in 0..export.lines.len() {
            let cut = &export.lines[..length];
            let alone = check(&export, cut, None);
            assert_eq!(alone.is_ok(), length == 4, "{length} lines");
            assert!(check(&export, cut, Some(&kept)).is_err(), "{length} lines");
        }
    }

    #[test]
    fn a_chain_that_was_written_anew_has_no_checkpoint_of_this_key() {
        let (mine, other) = (export(), export());
        let fault = check(&mine, &other.lines, None);
        assert!(matches!(fault, Err(Fault::Signature { sequence: 3 })));
        let forged = mine.key.sign(3, "00", "2026-11-20T09:15:00Z".into());
        let mut lines = mine.lines.clone();
        lines[3] = serde_json::to_string(&Line::Checkpoint(forged)).unwrap();
        assert!(matches!(check(&mine, &lines, None), Err(Fault::Mismatch { sequence: 3 })));
    }
}
