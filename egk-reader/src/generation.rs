//! Which generation an eGK is of, from EF.Version2 (gemSpec_eGK_ObjSys_G2_1, EF.Version2): EF.Version says
//! 4.0.0 on a G2 and on a G2.1 card, only EF.Version2 can tell them apart. Cards of the first generation have EF.Version
//! only.

use std::fmt;

use serde::Serialize;

/// Generation of the card's object system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Generation {
    /// First generation, withdrawn.
    G1,
    /// Revised first generation, withdrawn.
    #[serde(rename = "G1+")]
    G1Plus,
    /// Second generation: RSA keys only.
    G2,
    /// Second generation with elliptic curve keys.
    #[serde(rename = "G2.1")]
    G2_1,
}

impl Generation {
    /// Reads the body of EF.Version2: `EF L { .. C1 03 <object system: three binary bytes> .. }`. `None` if the file
    /// has no such object.
    pub fn from_version2(file: &[u8]) -> Option<Generation> {
        let mut objects = match file {
            [0xEF, length, rest @ ..] => rest.get(..usize::from(*length))?,
            _ => return None,
        };
        while let [tag, length, rest @ ..] = objects {
            let (value, following) = rest.split_at_checked(usize::from(*length))?;
            if *tag == 0xC1 {
                return Some(Generation::from_object_system(value.try_into().ok()?));
            }
            objects = following;
        }
        None
    }

    /// Reads the records of EF.Version: the second is the version of the object system, 3 + 3 + 4 digits BCD. `None` if it
    /// is none.
    pub fn from_version(records: &[Vec<u8>]) -> Option<Generation> {
        let digits: String = records.get(1)?.iter().map(|byte| format!("{byte:02x}")).collect();
        let part = |range| digits.get::<std::ops::Range<usize>>(range)?.parse::<u16>().ok();
        let version = [part(0..3)?, part(3..6)?, part(6..10)?];
        Some(match version {
            version if version < [3, 0, 1] => Generation::G1,
            version if version < [4, 0, 0] => Generation::G1Plus,
            _ => Generation::G2,
        })
    }

    /// Compares the version of the object system byte by byte.
    pub fn from_object_system(version: [u8; 3]) -> Generation {
        if version < [3, 0, 3] {
            Generation::G1
        } else if version < [4, 0, 0] {
            Generation::G1Plus
        } else if version < [4, 4, 0] {
            Generation::G2
        } else {
            Generation::G2_1
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Generation::G1 => "G1",
            Generation::G1Plus => "G1+",
            Generation::G2 => "G2",
            Generation::G2_1 => "G2.1",
        })
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn version2_of_a_current_card_is_g2_1() {
        let file = hex!(
            "EF2B C003020000 C103040502 C21045474B5F47322E312020202020040502 C403010000 C503020000 C703010000"
        );
        assert_eq!(Generation::from_version2(&file), Some(Generation::G2_1));
    }

    #[test]
    fn object_system_bytes_are_binary_not_decimal() {
        assert_eq!(Generation::from_object_system([3, 0, 2]), Generation::G1);
        assert_eq!(Generation::from_object_system([3, 0, 3]), Generation::G1Plus);
        assert_eq!(Generation::from_object_system([4, 3, 0x0A]), Generation::G2);
        assert_eq!(Generation::from_object_system([4, 0x0A, 0]), Generation::G2_1);
    }

    #[test]
    fn older_cards_tell_it_in_the_records_of_another_file() {
        let of = |record: &[u8]| Generation::from_version(&[vec![0; 5], record.to_vec(), vec![0; 5]]);
        assert_eq!(of(&hex!("0030000000")), Some(Generation::G1));
        assert_eq!(of(&hex!("0030000001")), Some(Generation::G1Plus));
        assert_eq!(of(&hex!("0040000000")), Some(Generation::G2));
        for damaged in [&hex!("")[..], &hex!("0030"), &hex!("00A0000000")] {
            assert_eq!(of(damaged), None);
        }
    }

    #[test]
    fn damaged_version_files_have_no_generation() {
        for file in [
            &hex!("")[..],
            &hex!("EF"),
            &hex!("EF05C103"),
            &hex!("EF05C104040502"),
            &hex!("EF00"),
            &hex!("30020102"),
        ] {
            assert_eq!(Generation::from_version2(file), None);
        }
    }
}
