//! EF.SSEC: how many signatures one PIN entry allows (gemSpec_HBA_ObjSys_G2_1, EF.SSEC).

use super::session::Place;
use super::{CardError, Hpc};
use crate::apdu::{Channel, Command, Le};
use crate::profile::Application;
use crate::tlv::Tlv;

impl Hpc {
    pub(super) fn read_budget(&mut self, application: Application) -> Result<Option<u32>, CardError> {
        if let Some(known) = self.session(application)?.signatures_per_pin {
            return Ok(known);
        }
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        let Some(sfid) = profile.ssec_sfid else {
            return Ok(None);
        };
        let read = Command::new(0x00, 0xB0, 0x80 | sfid, 0x00).le(Le::SHORT_WILDCARD);
        let response = self.section(|hpc| {
            let session = hpc.session(application)?;
            let channel = match session.place {
                Place::Own(channel) => channel,
                Place::Shared if session.logged_in => Channel::BASIC,
                Place::Shared | Place::Nowhere => {
                    hpc.select_shared(profile)?;
                    Channel::BASIC
                }
            };
            hpc.send(&read.on_channel(channel))
        })?;
        let budget = parse(&response.data);
        self.session(application)?.signatures_per_pin = Some(budget);
        Ok(budget)
    }
}

/// `7B { 80 number · A4 { 82 AID · 83 PIN · 95 usage · C0 count } · .. }`: the count of the first security
/// environment, the one in use. By its lengths the German card has the count inside A4; descriptions put it behind.
fn parse(file: &[u8]) -> Option<u32> {
    let environments = Tlv::find(file, 0x7B).ok()?;
    let first = Tlv::find(environments, 0xA4).ok()?;
    let count = Tlv::find(first, 0xC0).or_else(|_| Tlv::find(environments, 0xC0)).ok()?;
    let fits = (1..=4).contains(&count.len());
    fits.then(|| count.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn the_budget_of_the_first_security_environment_is_read() {
        let file = hex!(
            "7B2C 800101 A411 8206D27600006601 830181 950108 C001FA
                  800102 A411 8206D27600006601 830181 950108 C00101"
        );
        assert_eq!(parse(&file), Some(250));
    }

    #[test]
    fn a_budget_behind_the_template_counts_too() {
        assert_eq!(parse(&hex!("7B0E 800101 A406 830181 950108 C001FA")), Some(250));
    }

    #[test]
    fn a_damaged_file_sets_no_budget() {
        for file in
            [&hex!("7B2C80") as &[u8], &hex!("7B03C0 01"), &hex!("7B02C000"), &hex!("7B06C0040102"), &[]]
        {
            assert_eq!(parse(file), None, "{}", hex::encode(file));
        }
        assert_eq!(parse(&hex!("7B09A407C0050102030405")), None);
    }
}
