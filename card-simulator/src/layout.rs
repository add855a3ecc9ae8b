//! The object system of a card as data: folders, files, passwords, keys and their access rules.
//!
//! Each profile is one file in `profiles/`, compiled in. `docs/simulator.md` describes the format. The tables
//! of the German cards were taken over object by object from their published object systems, so that the
//! operating system in [`crate::os`] holds no card's particulars.

mod access;
mod condition;
mod objects;
mod parse;

use std::sync::OnceLock;

pub(crate) use access::{AccessRules, Operation};
pub(crate) use condition::{Condition, Origin};
pub(crate) use objects::{
    Algorithm, Anchor, BelgianFile, CardKind, Content, Curve, Dialect, File, Folder, Key, KeyKind, Layout,
    Password, Secret, Structure, Transport,
};
pub(crate) use parse::LayoutError;

use crate::ProfileName;

/// The object system of a profile; parsed once per process.
pub(crate) fn layout(profile: ProfileName) -> Result<&'static Layout, LayoutError> {
    static LAYOUTS: [OnceLock<Result<Layout, LayoutError>>; ProfileName::ALL.len()] =
        [const { OnceLock::new() }; ProfileName::ALL.len()];
    let mut changes = None;
    let text = match profile {
        ProfileName::HpcP384 => include_str!("../profiles/hpc-p384.toml"),
        ProfileName::HbaG21 => include_str!("../profiles/hba-g21.toml"),
        ProfileName::EgkG21 => include_str!("../profiles/egk-g21.toml"),
        ProfileName::EgkG2 => {
            changes = Some(include_str!("../profiles/egk-g2.toml"));
            include_str!("../profiles/egk-g21.toml")
        }
        ProfileName::SmcB => include_str!("../profiles/smc-b.toml"),
        ProfileName::GsmcKt => include_str!("../profiles/gsmc-kt.toml"),
        ProfileName::GsmcK => include_str!("../profiles/gsmc-k.toml"),
        ProfileName::Piv => include_str!("../profiles/piv.toml"),
        ProfileName::PivRsa => include_str!("../profiles/piv-rsa.toml"),
        ProfileName::PivP384 => include_str!("../profiles/piv-p384.toml"),
        ProfileName::Esteid => include_str!("../profiles/esteid.toml"),
        ProfileName::Beid17 => include_str!("../profiles/beid17.toml"),
        ProfileName::Beid18 => include_str!("../profiles/beid18.toml"),
        ProfileName::Jpki => include_str!("../profiles/jpki.toml"),
        ProfileName::Vitale2 => include_str!("../profiles/vitale2.toml"),
        ProfileName::Kvk => include_str!("../profiles/kvk.toml"),
    };
    let slot = ProfileName::ALL.iter().zip(&LAYOUTS).find(|(name, _)| **name == profile);
    let (_, slot) = slot.ok_or(LayoutError::NoMasterFile)?;
    slot.get_or_init(|| parse::parse(text, changes)).as_ref().map_err(Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_parses_with_its_number_of_objects() {
        let counts = [22, 59, 70, 62, 32, 7, 7, 14, 14, 14, 20, 22, 22, 16, 8, 3];
        for (profile, objects) in ProfileName::ALL.into_iter().zip(counts) {
            let layout = layout(profile).unwrap();
            let count =
                layout.folders.len() + layout.files.len() + layout.passwords.len() + layout.keys.len();
            assert_eq!(count, objects, "{profile}");
        }
    }

    #[test]
    fn the_card_of_each_profile_is_told_apart_by_its_master_file() {
        let aid = |p| hex::encode_upper(&layout(p).unwrap().master().aid);
        assert_eq!(aid(ProfileName::HbaG21), "D27600014601");
        assert_eq!(aid(ProfileName::EgkG21), "D2760001448000");
        assert_eq!(aid(ProfileName::SmcB), "D27600014606");
        assert_eq!(aid(ProfileName::HpcP384), "F04850433338342E4D46");
    }
}
