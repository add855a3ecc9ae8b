//! GENERAL AUTHENTICATE: agreeing on keys for secure messaging, with a terminal by PACE or with another card
//! (gemSpec_COS 14.7.2).

use super::apdu::Command;
use super::channel::{Agreement, Protocol, Secure};
use super::{Card, Outcome, Reply, Sw};
use crate::crypto::{
    CryptoError, End, Progress, Refusal, Rights, SecureChannel, SenderKeys, SessionKeys, TrustedChannel,
};
use crate::layout::{Key, Operation, Origin};
use crate::tlv::{self, DataObject};

const DYNAMIC_AUTHENTICATION: u16 = 0x7C;
const CARD_REFERENCE: u16 = 0xC3;
const EPHEMERAL_KEY: u16 = 0x85;

impl Card {
    /// One step. Whatever goes wrong ends the protocol; MANAGE SECURITY ENVIRONMENT begins it anew.
    pub(super) fn general_authenticate(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let Agreement { key, protocol } =
            self.channel_mut(command.channel())?.agreement.take().ok_or(Sw::CONDITIONS_OF_USE)?;
        let channel = self.channel(command.channel())?;
        self.allowed(channel, key.folder, &key.access, Operation::GeneralAuthenticate)?;
        if protocol.is_at_last_step() == command.chained {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        let outer = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let inner = tlv::find(&outer, DYNAMIC_AUTHENTICATION).and_then(tlv::parse).ok_or(Sw::WRONG_DATA)?;
        match protocol {
            Protocol::Pace(pace) => {
                self.expects_data(command)?;
                let (answer, progress) = pace.step(&inner, &mut random)?;
                match progress {
                    Progress::Next(pace) => self.go_on(command, key, Protocol::Pace(pace))?,
                    Progress::Done(keys) => {
                        self.secure(command, keys, Origin::Key(key.reference.unwrap_or(0)))?;
                    }
                }
                self.whole(command, tlv::encode(DYNAMIC_AUTHENTICATION, &answer))
            }
            Protocol::Card(end) => self.begin_with_card(command, key, end, &inner),
            Protocol::WithCard(end, protocol, rights) => {
                self.finish_with_card(command, key, &inner, (end, protocol, rights))
            }
        }
    }

    /// The other card's key is named; this card gives an ephemeral point.
    fn begin_with_card(
        &mut self,
        command: &Command<'_>,
        key: &'static Key,
        end: End,
        inner: &[DataObject<'_>],
    ) -> Outcome {
        self.expects_data(command)?;
        let [DataObject { tag: CARD_REFERENCE, value: reference }] = inner else {
            return Err(Sw::WRONG_DATA);
        };
        let other = self.channel(command.channel())?.trust.card(reference);
        let Some(other) = other.cloned() else {
            // The certificate can still be imported: the protocol stays where it is.
            self.go_on(command, key, Protocol::Card(end))?;
            return Err(Sw::REFERENCE_NOT_FOUND);
        };
        if other.expires < self.image.today() {
            return Err(Sw::BLOCKED);
        }
        let (point, protocol) = TrustedChannel::begin(&other.point, &mut random)?;
        self.go_on(command, key, Protocol::WithCard(end, protocol, other.rights))?;
        let answer = tlv::encode(EPHEMERAL_KEY, &point);
        self.whole(command, tlv::encode(DYNAMIC_AUTHENTICATION, &answer))
    }

    /// The other card's ephemeral point: both cards have the keys now.
    fn finish_with_card(
        &mut self,
        command: &Command<'_>,
        key: &'static Key,
        inner: &[DataObject<'_>],
        (end, protocol, rights): (End, TrustedChannel, Rights),
    ) -> Outcome {
        let [DataObject { tag: EPHEMERAL_KEY, value: point }] = inner else { return Err(Sw::WRONG_DATA) };
        let own = self.image.key(key).ok_or(Sw::KEY_INVALID)?;
        let keys = protocol.finish(end, own, point)?;
        match end {
            End::Receiver => self.secure(command, keys, Origin::Card(rights))?,
            End::Sender => self.channel_mut(command.channel())?.sender = Some(SenderKeys::new(keys)),
        }
        Ok(Reply::from(Sw::OK))
    }

    fn go_on(&mut self, command: &Command<'_>, key: &'static Key, protocol: Protocol) -> Result<(), Sw> {
        self.channel_mut(command.channel())?.agreement = Some(Agreement { key, protocol });
        Ok(())
    }

    fn secure(&mut self, command: &Command<'_>, keys: SessionKeys, origin: Origin) -> Result<(), Sw> {
        let secure = Secure { channel: SecureChannel::new(keys), origin };
        self.channel_mut(command.channel())?.secure = Some(secure);
        Ok(())
    }
}

impl Protocol {
    fn is_at_last_step(&self) -> bool {
        match self {
            Protocol::Pace(pace) => pace.is_at_last_step(),
            Protocol::Card(_) => false,
            Protocol::WithCard(..) => true,
        }
    }
}

fn random(bytes: &mut [u8]) -> Result<(), CryptoError> {
    getrandom::fill(bytes).map_err(|_| CryptoError::Failed)
}

impl From<Refusal> for Sw {
    fn from(refusal: Refusal) -> Sw {
        match refusal {
            Refusal::Order => Sw::CONDITIONS_OF_USE,
            Refusal::Data => Sw::WRONG_DATA,
            Refusal::Token => Sw::AUTHENTICATION_FAILED,
            Refusal::Failed => Sw::MEMORY_FAILURE,
        }
    }
}
