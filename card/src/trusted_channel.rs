//! A trusted channel between two cards: a security module secures the commands to another card and opens its answers
//! (gemSpec_COS clauses 13 and 14.7.2.2). So a professional's card accepts a PIN that was entered at another terminal, and
//! signs in its second security environment.
//!
//! The keys stay in the cards. This program carries certificates, points and cryptograms between them, so it needs both
//! at once: the module seals what the program would have sent plainly.
//!
//! ```no_run
//! # fn sign(hba: &mut dyn card::transport::Transport, terminal: Box<dyn card::transport::Transport>,
//! #         connector: Box<dyn card::transport::Transport>) -> Result<(), Box<dyn std::error::Error>> {
//! use card::trusted_channel::{Ends, SecurityModule, TrustedChannel};
//!
//! let terminal = SecurityModule::read(terminal, SecurityModule::TERMINAL)?;
//! let connector = SecurityModule::read(connector, SecurityModule::CONNECTOR)?;
//! let ends = Ends::read(hba)?; // before DF.QES is selected: the certificates are in the master file
//! // ... SELECT DF.QES, MSE RESTORE 2 ...
//! let mut channel = TrustedChannel::open(hba, terminal, &ends)?;
//! // ... VERIFY PIN.QES through `channel` ...
//! let (mut channel, terminal) = channel.hand_over(connector)?;
//! // ... PSO COMPUTE DIGITAL SIGNATURE through `channel` ...
//! # Ok(())
//! # }
//! ```

use crate::apdu::{Command, Le, Response};
use crate::card_to_card::{self, RoleError};
use crate::cv_certificate::CvCertificate;
use crate::secure_messaging::{self, ChannelError, Protection, SecureError};
use crate::status::StatusWord;
use crate::tlv::{self, Tlv};
use crate::transport::{HangUp, Traffic, Transport, TransportError};

/// Certificate of the device key of a professional's or an institution's card, and that key.
const DEVICE_SFID: u8 = 0x09;
const DEVICE_KEY: u8 = 0x09;
/// elcSessionkey4SM: commands come secured.
const RECEIVER: u8 = 0x54;
/// elcSessionkey4TC: commands are secured here.
const SENDER: u8 = 0xD4;
const AUTHENTICATION: u8 = 0xA4;
/// The point of an uncompressed key on a curve of 256 bits.
const POINT: usize = 65;

/// Why there is no channel, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Certificates could not be read, or a card does not accept the other's.
    #[error(transparent)]
    Certificates(#[from] RoleError),
    /// A card refused a step of the agreement, or the module a computation.
    #[error("trusted channel, {step}: {status}")]
    Refused {
        /// Which one.
        step: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// A card answered something else than a point.
    #[error("trusted channel: malformed answer of {length} bytes")]
    Malformed {
        /// Bytes received.
        length: usize,
    },
    /// A connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// The certificates of the card that receives secured commands.
#[derive(Debug, Clone)]
pub struct Ends {
    device: CvCertificate,
    authority: CvCertificate,
}

impl Ends {
    /// Reads them from the master file, which is selected; its applications are left.
    ///
    /// # Errors
    /// The card has no such certificates, or the transport.
    pub fn read(card: &mut dyn Transport) -> Result<Ends, TrustError> {
        let (authority, device) = card_to_card::device_certificates(card, DEVICE_SFID)?;
        Ok(Ends { device, authority })
    }
}

/// A card that secures commands to others.
pub struct SecurityModule {
    card: Box<dyn Transport>,
    key: u8,
    device: CvCertificate,
    authority: CvCertificate,
    /// Whether the data of the command in progress were enciphered: its code must not count again.
    counted: bool,
}

/// Which key of a security module is used: its short file identifier and its number are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleKey(u8);

impl SecurityModule {
    /// The key of a card terminal's module (gSMC-KT) that sends PINs: flag 54.
    pub const TERMINAL: ModuleKey = ModuleKey(0x0A);
    /// The key of a connector's module (gSMC-K) that has documents signed: flag 55.
    pub const CONNECTOR: ModuleKey = ModuleKey(0x0A);

    /// Reads the module's certificates.
    ///
    /// # Errors
    /// The card has no such certificates, or the transport.
    pub fn read(
        mut card: Box<dyn Transport>,
        ModuleKey(key): ModuleKey,
    ) -> Result<SecurityModule, TrustError> {
        let (authority, device) = card_to_card::device_certificates(&mut *card, key)?;
        Ok(SecurityModule { card, key, device, authority, counted: false })
    }

    /// One computation.
    fn compute(&mut self, step: &'static str, command: &Command) -> Result<Vec<u8>, TrustError> {
        let answer = self.card.transmit(command)?;
        if answer.status.is_ok() {
            Ok(answer.data)
        } else {
            Err(TrustError::Refused { step, status: answer.status })
        }
    }
}

/// PSO ENCIPHER, DECIPHER, COMPUTE and VERIFY CRYPTOGRAPHIC CHECKSUM (gemSpec_COS clause 14.8): one command each.
impl Protection for SecurityModule {
    type Error = TrustError;

    fn encipher(&mut self, data: &[u8], sensitive: bool) -> Result<Vec<u8>, TrustError> {
        let command = Command::new(0x00, 0x2A, 0x86, 0x80).data(data).le(Le::EXTENDED_WILDCARD);
        self.counted = true;
        self.compute("PSO ENCIPHER", &if sensitive { command.sensitive() } else { command })
    }

    fn authenticate(&mut self, covered: &[u8]) -> Result<Vec<u8>, TrustError> {
        let counts = u8::from(!std::mem::take(&mut self.counted));
        let data = [&[counts], covered].concat();
        let command = Command::new(0x00, 0x2A, 0x8E, 0x80).data(data).le(Le::EXTENDED_WILDCARD);
        self.compute("PSO COMPUTE CRYPTOGRAPHIC CHECKSUM", &command)
    }

    fn is_authentic(&mut self, covered: &[u8], code: &[u8]) -> Result<bool, TrustError> {
        let data = [tlv::encode(0x80, covered), tlv::encode(0x8E, code)].concat();
        match self.card.transmit(&Command::new(0x00, 0x2A, 0x00, 0xA2).data(data))?.status {
            StatusWord::OK => Ok(true),
            StatusWord::WRONG_DATA => Ok(false),
            status => Err(TrustError::Refused { step: "PSO VERIFY CRYPTOGRAPHIC CHECKSUM", status }),
        }
    }

    fn decipher(&mut self, value: &[u8]) -> Result<Option<Vec<u8>>, TrustError> {
        let command = Command::new(0x00, 0x2A, 0x80, 0x86).data(value).le(Le::EXTENDED_WILDCARD);
        let answer = self.card.transmit(&command)?;
        Ok(answer.status.is_ok().then_some(answer.data))
    }
}

/// A transport whose commands a security module secures. It ends where the other card ends it, with
/// [`TransportError::Reset`].
pub struct TrustedChannel<'c> {
    card: &'c mut dyn Transport,
    module: SecurityModule,
    ends: Ends,
}

impl<'c> TrustedChannel<'c> {
    /// Opens a channel to a card, in whatever application and security environment it is: neither is left. Nine commands
    /// to the card at the first time, six when it has kept the authority's key.
    ///
    /// Call it inside an exclusive section of the card; the module's begins and ends with the channel.
    ///
    /// # Errors
    /// [`TrustError::Certificates`] if the cards belong to different authorities; otherwise which card refused what.
    pub fn open(
        card: &'c mut dyn Transport,
        mut module: SecurityModule,
        ends: &Ends,
    ) -> Result<TrustedChannel<'c>, TrustError> {
        module.card.begin()?;
        agree(card, &mut module, ends)?;
        Ok(TrustedChannel { card, module, ends: ends.clone() })
    }

    /// Lets another module go on. What was verified on the card stays verified. Gives the first one back.
    ///
    /// # Errors
    /// As [`TrustedChannel::open`].
    pub fn hand_over(
        mut self,
        mut module: SecurityModule,
    ) -> Result<(TrustedChannel<'c>, SecurityModule), TrustError> {
        module.card.begin()?;
        // These commands still come from the first one: a plain one would end everything.
        let ends = self.ends.clone();
        agree(&mut self, &mut module, &ends)?;
        let TrustedChannel { card, module: mut first, ends } = self;
        first.card.end()?;
        Ok((TrustedChannel { card, module, ends }, first))
    }
}

/// Both cards learn each other's certificates and agree on keys.
fn agree(card: &mut dyn Transport, module: &mut SecurityModule, ends: &Ends) -> Result<(), TrustError> {
    let (device, authority) = (module.device.clone(), module.authority.clone());
    choose_key(card, DEVICE_KEY, RECEIVER, "choosing the card's key")?;
    choose_key(&mut *module.card, module.key, SENDER, "choosing the module's key")?;
    let receiver = ephemeral(card, &device, &authority, "GENERAL AUTHENTICATE, card")?;
    let sender = ephemeral(&mut *module.card, &ends.device, &ends.authority, "GENERAL AUTHENTICATE, module")?;
    finish(&mut *module.card, &receiver, "GENERAL AUTHENTICATE, module")?;
    finish(card, &sender, "GENERAL AUTHENTICATE, card")
}

fn choose_key(
    card: &mut dyn Transport,
    key: u8,
    algorithm: u8,
    step: &'static str,
) -> Result<(), TrustError> {
    let template = [0x84, 0x01, key, 0x80, 0x01, algorithm];
    let status = card.transmit(&Command::new(0x00, 0x22, 0x41, AUTHENTICATION).data(template))?.status;
    if status.is_ok() { Ok(()) } else { Err(TrustError::Refused { step, status }) }
}

/// Names the other card's key, whose certificate is shown first if it is not known; the card's fresh point.
fn ephemeral(
    card: &mut dyn Transport,
    device: &CvCertificate,
    authority: &CvCertificate,
    step: &'static str,
) -> Result<Vec<u8>, TrustError> {
    let name = tlv::encode(0x7C, &tlv::encode(0xC3, device.holder()));
    let name = Command::new(0x10, 0x86, 0x00, 0x00).data(name).le(Le::EXTENDED_WILDCARD);
    let mut answer = card.transmit(&name)?;
    if answer.status == StatusWord::REFERENCE_NOT_FOUND {
        card_to_card::import(card, device, authority, &[])?;
        answer = card.transmit(&name)?;
    }
    if !answer.status.is_ok() {
        return Err(TrustError::Refused { step, status: answer.status });
    }
    let point = Tlv::find(&answer.data, 0x7C).and_then(|data| Tlv::find(data, 0x85));
    let point = point.ok().filter(|point| point.len() == POINT);
    point.map(<[u8]>::to_vec).ok_or(TrustError::Malformed { length: answer.data.len() })
}

fn finish(card: &mut dyn Transport, point: &[u8], step: &'static str) -> Result<(), TrustError> {
    let data = tlv::encode(0x7C, &tlv::encode(0x85, point));
    let status = card.transmit(&Command::new(0x00, 0x86, 0x00, 0x00).data(data))?.status;
    if status.is_ok() { Ok(()) } else { Err(TrustError::Refused { step, status }) }
}

impl Transport for TrustedChannel<'_> {
    fn atr(&self) -> &[u8] {
        self.card.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let secured = secure_messaging::protect(&mut self.module, command).map_err(failed)?;
        let answer = self.card.transmit(&secured)?;
        match secure_messaging::open(&mut self.module, &answer).map_err(failed)? {
            Ok(answer) => Ok(answer),
            Err(ChannelError::Ended { .. }) => Err(TransportError::Reset),
            Err(error) => Err(TransportError::Secure(Box::new(SecureError::from(error)))),
        }
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.card.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.card.end()
    }

    /// There is no way back to the channel: it has to be opened again.
    fn reconnect(&mut self) -> Result<(), TransportError> {
        Err(TransportError::Reset)
    }

    fn answer_limit(&self) -> Option<u16> {
        Some(secure_messaging::MOST_DATA)
    }

    fn hang_up(&self) -> Option<HangUp> {
        self.card.hang_up()
    }

    fn traffic(&self) -> Traffic {
        self.card.traffic()
    }
}

fn failed(error: TrustError) -> TransportError {
    match error {
        TrustError::Transport(error) => error,
        error => TransportError::Secure(Box::new(SecureError::Module(error.to_string()))),
    }
}
