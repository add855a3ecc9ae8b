//! The driver against the published dialogues of a real insurance card (testdata): what it does for the same purpose is, byte
//! for byte, what the makers' driver sent. `docs/known-answers.md` says where it does something else, and why.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::apdu::{Command, Response};
use crate::pace::{Key, SessionKeys};
use crate::pin::{Pin, PinStatus};
use crate::pins::{self, CardPin};
use crate::script::{Script, bytes, fcp};
use crate::secure_messaging::Channel;
use crate::transport::{Transport, TransportError};

#[derive(Deserialize)]
struct Dialogue {
    enc: String,
    mac: String,
    channel: Vec<(String, String, String, String)>,
}

/// The card after PACE: it answers the secured commands of the dialogue, in their order, and no others.
struct RealCard {
    channel: Channel,
    exchanges: std::vec::IntoIter<(String, String, String, String)>,
}

impl RealCard {
    fn of(text: &str) -> RealCard {
        let dialogue: Dialogue = toml::from_str(text).unwrap();
        let key = |text: &str| Key::Aes128(Zeroizing::new(bytes(text).try_into().unwrap()));
        let keys = SessionKeys { enc: key(&dialogue.enc), mac: key(&dialogue.mac) };
        RealCard { channel: Channel::new(&keys), exchanges: dialogue.channel.into_iter() }
    }

    /// Every dialogue begins so.
    fn select_master_file(&mut self) {
        self.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C)).unwrap();
    }

    fn assert_finished(mut self) {
        assert_eq!(self.exchanges.next().map(|(plain, ..)| plain), None);
    }
}

impl Transport for RealCard {
    fn atr(&self) -> &[u8] {
        &[]
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let (plain, secured, answer, _) = self.exchanges.next().expect("the dialogue goes on");
        let sent = self.channel.protect(command);
        assert_eq!(hex::encode_upper(sent.encode()?.as_slice()), secured, "for {plain}");
        Ok(self.channel.open(&Response::parse(&bytes(&answer))?).unwrap())
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

/// MRPIN.home, reference 02: what the app of the makers asks for.
fn home() -> &'static CardPin {
    let (mut egk, _) = Script::new("").on("00A4040400", &fcp("D2760001448000")).start();
    pins::of_card(&mut *egk).unwrap().iter().find(|pin| pin.name == "MRPIN.home").unwrap()
}

fn pin(digits: &str) -> Pin {
    Pin::parse(digits.as_bytes(), 6, 8).unwrap()
}

#[test]
fn a_pin_is_asked_about_and_entered_as_the_dialogue_has_it() {
    let mut card = RealCard::of(include_str!("../testdata/verify-pin.toml"));
    card.select_master_file();
    assert_eq!(home().status(&mut card).unwrap(), PinStatus::NotVerified { tries: 3 });
    home().verify(&mut card, &pin("123456")).unwrap();
    card.assert_finished();
}

#[test]
fn a_pin_is_unblocked_with_the_puk_as_the_dialogue_has_it() {
    let mut card = RealCard::of(include_str!("../testdata/unlock-egk-with-puk.toml"));
    card.select_master_file();
    home().unblock(&mut card, &pin("12345678"), None).unwrap();
    card.assert_finished();
}

#[test]
fn a_new_pin_is_set_with_the_puk_as_the_dialogue_has_it() {
    let mut card = RealCard::of(include_str!("../testdata/change-pin-with-puk.toml"));
    card.select_master_file();
    home().unblock(&mut card, &pin("12345678"), Some(&pin("123456"))).unwrap();
    card.assert_finished();
}
