//! Command and response APDUs (ISO/IEC 7816-4 clause 5.1-5.4): short and extended length, logical channels.

use std::fmt;

use zeroize::Zeroizing;

use crate::status::StatusWord;

/// The length of data a command asks for (Ne), and the form in which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Le {
    /// No response data is asked for.
    None,
    /// 1 to 256 bytes; 256 is written as the wildcard `00`.
    Short(u16),
    /// 1 to 65 536 bytes; 65 536 is written as the wildcard `00 00`.
    Extended(u32),
}

impl Le {
    /// Everything the card has, up to 256 bytes: `00`.
    pub const SHORT_WILDCARD: Le = Le::Short(256);
    /// Everything the card has, up to 65 536 bytes: `00 00`.
    pub const EXTENDED_WILDCARD: Le = Le::Extended(65_536);
}

/// A logical channel (ISO/IEC 7816-4 clause 5.4.1), 0 to 19. Channel 0 is the basic channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Channel(u8);

impl Channel {
    /// The channel that is always open and that every program shares.
    pub const BASIC: Channel = Channel(0);

    /// The channel with this number, or `None` above 19.
    pub fn new(number: u8) -> Option<Channel> {
        (number <= 19).then_some(Channel(number))
    }

    /// 0 to 19.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Puts the channel number into a class byte that names channel 0.
    fn apply(self, class: u8) -> u8 {
        match self.0 {
            number @ 0..=3 => class | number,
            number => (class & 0x90) | 0x40 | number.saturating_sub(4),
        }
    }
}

/// Why a command cannot be written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApduError {
    /// More command data than Lc can say.
    #[error("command data of {got} bytes, at most 65535 fit into an APDU")]
    DataTooLong {
        /// Bytes of command data.
        got: usize,
    },
    /// A short Le must be 1 to 256, an extended one 1 to 65 536.
    #[error("Le of {got} cannot be encoded")]
    LeOutOfRange {
        /// The length asked for.
        got: u32,
    },
    /// An answer without the two bytes of the status word.
    #[error("answer of {got} bytes, expected at least the 2 bytes of the status word")]
    NoStatusWord {
        /// Bytes received.
        got: usize,
    },
}

/// One command for the card. The data is wiped from memory when the command is dropped.
#[derive(Clone)]
pub struct Command {
    cla: u8,
    ins: u8,
    p1: u8,
    p2: u8,
    data: Zeroizing<Vec<u8>>,
    le: Le,
    sensitive: bool,
}

impl Command {
    /// A command without data and without Le (case 1).
    pub fn new(cla: u8, ins: u8, p1: u8, p2: u8) -> Self {
        Command { cla, ins, p1, p2, data: Zeroizing::default(), le: Le::None, sensitive: false }
    }

    /// Sets the command data.
    pub fn data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = Zeroizing::new(data.into());
        self
    }

    /// Sets the length of the answer.
    pub fn le(mut self, le: Le) -> Self {
        self.le = le;
        self
    }

    /// Marks the data as secret: no trace and no `Debug` output tells more than the header.
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Sends the command on a logical channel instead of the basic one.
    pub fn on_channel(mut self, channel: Channel) -> Self {
        self.cla = channel.apply(self.cla);
        self
    }

    /// CLA INS P1 P2.
    pub fn header(&self) -> [u8; 4] {
        [self.cla, self.ins, self.p1, self.p2]
    }

    /// The command data.
    pub(crate) fn data_bytes(&self) -> &[u8] {
        &self.data
    }

    /// The length of the answer.
    pub(crate) fn expected(&self) -> Le {
        self.le
    }

    /// Number of bytes of command data (Nc).
    pub fn data_len(&self) -> usize {
        self.data.len()
    }

    /// Whether the data is secret.
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// The bytes on the wire. Lc and Le are extended together: if either needs it, both are.
    ///
    /// # Errors
    /// More than 65 535 bytes of data, or an Le outside the range of its form.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, ApduError> {
        let ne = self.ne()?;
        let nc =
            u16::try_from(self.data.len()).map_err(|_| ApduError::DataTooLong { got: self.data.len() })?;
        let extended = nc > 255 || matches!(self.le, Le::Extended(_));
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.data.len().saturating_add(9)));
        bytes.extend_from_slice(&self.header());
        if nc > 0 {
            if extended {
                bytes.push(0);
            }
            push_length(&mut bytes, nc, extended);
            bytes.extend_from_slice(&self.data);
        }
        if let Some(le) = ne {
            if extended && nc == 0 {
                bytes.push(0);
            }
            push_length(&mut bytes, le, extended);
        }
        Ok(bytes)
    }

    /// Le as its two-byte field (the wildcard is 0), `None` if absent.
    fn ne(&self) -> Result<Option<u16>, ApduError> {
        match self.le {
            Le::None => Ok(None),
            Le::Short(ne @ 1..=256) => Ok(Some(self.short_field(ne))),
            Le::Short(ne) => Err(ApduError::LeOutOfRange { got: ne.into() }),
            Le::Extended(65_536) => Ok(Some(0)),
            Le::Extended(0) => Err(ApduError::LeOutOfRange { got: 0 }),
            Le::Extended(ne) => u16::try_from(ne).map(Some).map_err(|_| ApduError::LeOutOfRange { got: ne }),
        }
    }

    /// A short Ne: 256 is the wildcard only while the field has one byte.
    fn short_field(&self, ne: u16) -> u16 {
        if ne == 256 && self.data.len() <= 255 { 0 } else { ne }
    }
}

/// Shows the header and the lengths; data only of commands that are not [`Command::sensitive`].
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Lc={}", hex::encode_upper(self.header()), self.data.len())?;
        if !self.sensitive && !self.data.is_empty() {
            write!(f, " {}", hex::encode_upper(self.data.as_slice()))?;
        }
        match self.le {
            Le::None => Ok(()),
            Le::Short(ne) => write!(f, " Le={ne}"),
            Le::Extended(ne) => write!(f, " Le={ne} (extended)"),
        }
    }
}

/// What the card answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// Response data, possibly empty.
    pub data: Vec<u8>,
    /// The status word SW1 SW2.
    pub status: StatusWord,
}

impl Response {
    /// Splits an answer into data and status word.
    ///
    /// # Errors
    /// Fewer than two bytes.
    pub fn parse(bytes: &[u8]) -> Result<Response, ApduError> {
        let (data, status) =
            bytes.split_last_chunk::<2>().ok_or(ApduError::NoStatusWord { got: bytes.len() })?;
        Ok(Response { data: data.to_vec(), status: StatusWord(u16::from_be_bytes(*status)) })
    }
}

/// Shows the number of bytes and the status word: the data may be personal.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {}", self.data.len(), self.status)
    }
}

fn push_length(bytes: &mut Vec<u8>, length: u16, extended: bool) {
    let [high, low] = length.to_be_bytes();
    if extended {
        bytes.push(high);
    }
    bytes.push(low);
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use iso7816::command::CommandView;
    use proptest::prelude::*;

    use super::*;

    fn encoded(command: Command) -> Vec<u8> {
        command.encode().unwrap().to_vec()
    }

    #[test]
    fn the_four_cases_are_written_short() {
        let command = Command::new(0x00, 0xA4, 0x04, 0x0C);
        assert_eq!(encoded(command.clone()), hex!("00A4040C"));
        assert_eq!(encoded(command.clone().le(Le::Short(1))), hex!("00A4040C 01"));
        assert_eq!(encoded(command.clone().data([1, 2])), hex!("00A4040C 02 0102"));
        assert_eq!(encoded(command.data([1, 2]).le(Le::SHORT_WILDCARD)), hex!("00A4040C 02 0102 00"));
    }

    #[test]
    fn le_and_lc_are_extended_together() {
        let command = Command::new(0x00, 0xB0, 0x86, 0x00);
        assert_eq!(encoded(command.clone().le(Le::EXTENDED_WILDCARD)), hex!("00B08600 000000"));
        assert_eq!(encoded(command.clone().le(Le::Extended(300))), hex!("00B08600 00012C"));
        let with_data = command.clone().data([7]).le(Le::EXTENDED_WILDCARD);
        assert_eq!(encoded(with_data), hex!("00B08600 000001 07 0000"));
        let long = encoded(command.data(vec![9; 256]).le(Le::SHORT_WILDCARD));
        assert_eq!(long[..7], hex!("00B08600 000100"));
        assert_eq!(long[263..], hex!("0100"), "256 bytes are asked for, not everything");
    }

    #[test]
    fn what_cannot_be_encoded_is_refused() {
        let command = Command::new(0, 0, 0, 0);
        for (le, got) in
            [(Le::Short(0), 0), (Le::Short(257), 257), (Le::Extended(0), 0), (Le::Extended(65_537), 65_537)]
        {
            assert_eq!(command.clone().le(le).encode().unwrap_err(), ApduError::LeOutOfRange { got });
        }
        let long = command.data(vec![0; 65_536]).encode().unwrap_err();
        assert_eq!(long, ApduError::DataTooLong { got: 65_536 });
    }

    #[test]
    fn channels_stand_in_the_class_byte() {
        let class = |channel, class| {
            encoded(Command::new(class, 0x70, 0x80, 0x00).on_channel(Channel::new(channel).unwrap()))[0]
        };
        assert_eq!(
            [class(0, 0x00), class(3, 0x00), class(4, 0x00), class(19, 0x00)],
            [0x00, 0x03, 0x40, 0x4F]
        );
        assert_eq!([class(1, 0x80), class(5, 0x80)], [0x81, 0xC1]);
        assert_eq!(Channel::new(20), None);
    }

    #[test]
    fn a_sensitive_command_shows_its_header_only() {
        let command = Command::new(0x00, 0x20, 0x00, 0x81).data([0x26, 0x12, 0x34, 0x56]);
        assert_eq!(format!("{:?}", command.clone().sensitive()), "00200081 Lc=4");
        assert_eq!(format!("{command:?}"), "00200081 Lc=4 26123456");
    }

    #[test]
    fn an_answer_needs_a_status_word() {
        let answer = Response::parse(&hex!("0102 9000")).unwrap();
        assert_eq!((answer.data.as_slice(), answer.status), (&[1, 2][..], StatusWord::OK));
        assert_eq!(Response::parse(&[0x90]), Err(ApduError::NoStatusWord { got: 1 }));
        assert_eq!(Response::parse(&[]), Err(ApduError::NoStatusWord { got: 0 }));
    }

    proptest! {
        /// The decoder of another library reads back what was written.
        #[test]
        fn every_command_is_read_back(
            header in prop::array::uniform3(any::<u8>()),
            ins in prop::sample::select(vec![0x20u8, 0x22, 0x2A, 0xA4, 0xB0]),
            data in prop::collection::vec(any::<u8>(), 0..600),
            le in prop_oneof![
                Just(Le::None), (1u16..=256).prop_map(Le::Short), (1u32..=65_536).prop_map(Le::Extended)
            ],
        ) {
            let [channel, p1, p2] = header;
            let command = Command::new(channel & 0x03, ins, p1, p2).data(data.clone()).le(le);
            let bytes = encoded(command);
            let view = CommandView::try_from(bytes.as_slice()).unwrap();
            prop_assert_eq!(view.class().into_inner(), channel & 0x03);
            prop_assert_eq!(u8::from(view.instruction()), ins);
            prop_assert_eq!((view.p1, view.p2), (p1, p2));
            prop_assert_eq!(view.data(), data.as_slice());
            let expected = match le {
                Le::None => 0,
                Le::Short(ne) => usize::from(ne),
                Le::Extended(ne) => ne as usize,
            };
            prop_assert_eq!(view.expected(), expected);
        }
    }
}
