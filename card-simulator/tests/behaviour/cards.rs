//! Cards for tests: issued into a temporary directory, spoken to in hexadecimal.

use std::path::Path;

use card_simulator::{Card, CardImage, NewCard, ProfileName, RsaKeyPool};
use tempfile::TempDir;

pub(crate) const OK: u16 = 0x9000;

/// SELECT of the applications.
pub(crate) const HBA_QES: &str = "00A4040C06 D27600006601";
pub(crate) const HBA_ESIGN: &str = "00A4040C0A A000000167455349474E";
pub(crate) const P384_QES: &str = "00A4040C0B F04850433338342E514553";
pub(crate) const P384_ESIGN: &str = "00A4040C0D F04850433338342E455349474E";
pub(crate) const MASTER: &str = "00A4040C";

/// VERIFY with the default PINs.
pub(crate) const VERIFY_CH: &str = "0020000108 26123456FFFFFFFF";
pub(crate) const VERIFY_QES: &str = "0020008108 26234567FFFFFFFF";
pub(crate) const WRONG_CH: &str = "0020000108 26999999FFFFFFFF";
pub(crate) const WRONG_QES: &str = "0020008108 26999999FFFFFFFF";

pub(crate) struct TestCard {
    pub(crate) directory: TempDir,
    card: Option<Card>,
}

pub(crate) fn new_card(profile: ProfileName) -> NewCard {
    NewCard::new(profile).rsa_keys(RsaKeyPool::Shared)
}

pub(crate) fn hpc_p384() -> TestCard {
    TestCard::issue(&new_card(ProfileName::HpcP384))
}

pub(crate) fn hba() -> TestCard {
    TestCard::issue(&new_card(ProfileName::HbaG21))
}

pub(crate) fn egk() -> TestCard {
    TestCard::issue(&new_card(ProfileName::EgkG21))
}

impl TestCard {
    pub(crate) fn issue(new: &NewCard) -> TestCard {
        let directory = tempfile::tempdir().unwrap();
        new.create(directory.path()).unwrap();
        let mut card = TestCard { directory, card: None };
        card.reopen();
        card
    }

    /// A card on an image somebody else made.
    pub(crate) fn open(image: &Path) -> TestCard {
        let card = Card::new(CardImage::open(image).unwrap());
        TestCard { directory: tempfile::tempdir().unwrap(), card: Some(card) }
    }

    /// Drops the card as a killed process would and opens the image again.
    pub(crate) fn reopen(&mut self) {
        self.card = None;
        self.card = Some(Card::new(CardImage::open(self.directory.path()).unwrap()));
    }

    pub(crate) fn card(&mut self) -> &mut Card {
        self.card.as_mut().unwrap()
    }

    pub(crate) fn configure(&mut self, with: impl FnOnce(Card) -> Card) {
        self.card = self.card.take().map(with);
    }

    pub(crate) fn into_card(mut self) -> (TempDir, Card) {
        (self.directory, self.card.take().unwrap())
    }

    /// Sends a command, blanks ignored; data and status word.
    pub(crate) fn send(&mut self, hex: &str) -> (Vec<u8>, u16) {
        self.send_bytes(&bytes(hex))
    }

    pub(crate) fn send_bytes(&mut self, command: &[u8]) -> (Vec<u8>, u16) {
        let mut data = self.card().transmit(command);
        let status = data.split_off(data.len() - 2);
        (data, u16::from_be_bytes([status[0], status[1]]))
    }

    /// Sends commands that must all succeed; the data of the last.
    #[track_caller]
    pub(crate) fn all_ok(&mut self, commands: &[&str]) -> Vec<u8> {
        let mut last = Vec::new();
        for command in commands {
            let (data, status) = self.send(command);
            assert_eq!(status, OK, "{command}: {status:04X}");
            last = data;
        }
        last
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, command: &str, expected: u16) {
        let (_, status) = self.send(command);
        assert_eq!(format!("{status:04X}"), format!("{expected:04X}"), "{command}");
    }
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

/// PSO COMPUTE DIGITAL SIGNATURE with a short or, where needed, extended Le.
pub(crate) fn sign(input: &[u8]) -> String {
    format!("002A9E9A{:02X} {} 00", input.len(), hex::encode_upper(input))
}

/// DER of a certificate of an issued card.
pub(crate) fn certificate(directory: &Path, name: &str) -> x509_cert::Certificate {
    use der::DecodePem;
    let pem = std::fs::read(directory.join(format!("certificates/{name}.pem"))).unwrap();
    x509_cert::Certificate::from_pem(pem).unwrap()
}

/// SubjectPublicKeyInfo DER of a certificate.
pub(crate) fn public_key(directory: &Path, name: &str) -> Vec<u8> {
    use der::Encode;
    certificate(directory, name).tbs_certificate().subject_public_key_info().to_der().unwrap()
}
