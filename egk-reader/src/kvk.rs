//! The German insurance card of the first kind (Krankenversichertenkarte, KVK): a memory card with one template of data
//! objects (KBV, Merkblatt Krankenversichertenkarte). Statutory insurance withdrew it in 2015.
//!
//! Terminals that know such cards offer them as if they were processor cards; most PC/SC readers do not.

use card::apdu::{Command, Le};
use card::status::StatusWord;
use card::tlv::{Tlv, TlvError};
use card::transport::{Transport, TransportError};
use serde::Serialize;
use thiserror::Error;

/// What the card says. Dates are as on the card.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct KvkRecord {
    /// Name of the insurer.
    pub insurer_name: Option<String>,
    /// Number of the insurer, seven digits.
    pub insurer_number: Option<String>,
    /// Contract number (VKNR) and region.
    pub region: Option<String>,
    /// Number of the insured person.
    pub insured_number: Option<String>,
    /// Status of the insured person.
    pub status: Option<String>,
    /// Supplement to the status.
    pub status_supplement: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// First name.
    pub given_name: Option<String>,
    /// Prefix or suffix of the name.
    pub name_addition: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Date of birth, DDMMYYYY.
    pub birth_date: Option<String>,
    /// Street and number.
    pub street: Option<String>,
    /// Country, `D` if the card names none.
    pub country: String,
    /// Postal code.
    pub postal_code: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Last month of validity, MMYY.
    pub valid_until: Option<String>,
}

/// Shows nothing personal.
impl std::fmt::Debug for KvkRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KvkRecord").finish_non_exhaustive()
    }
}

/// Why there is no record.
#[derive(Debug, Error)]
pub enum KvkError {
    /// The reader offers no such card.
    #[error("the card is no KVK, or the reader cannot read one: {0}")]
    NotAKvk(StatusWord),
    /// The card cannot be read.
    #[error("the KVK cannot be read: {0}")]
    Refused(StatusWord),
    /// The data are no template.
    #[error("the data of the KVK: {0}")]
    Template(#[from] TlvError),
    /// All bytes of the template together are not zero.
    #[error("the checksum of the KVK is wrong by {0:02X}")]
    Checksum(u8),
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

const APPLICATION: [u8; 6] = [0xD2, 0x76, 0x00, 0x00, 0x01, 0x01];
/// Applications of older terminals have this name.
const OLD_APPLICATION: [u8; 6] = [0xD2, 0x80, 0x00, 0x00, 0x01, 0x01];

/// Reads a KVK in a terminal that offers it, in two or three commands.
///
/// # Errors
/// No KVK, damaged data, or the transport.
pub fn read(card: &mut dyn Transport) -> Result<KvkRecord, KvkError> {
    card.begin()?;
    let content = read_content(card);
    if let Err(error) = card.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
    parse(&content?)
}

/// Whether a terminal offers a KVK, in one or two commands.
pub(crate) fn is_there(card: &mut dyn Transport) -> Result<bool, TransportError> {
    Ok(select(card)?.is_ok())
}

fn select(card: &mut dyn Transport) -> Result<StatusWord, TransportError> {
    let mut selected = StatusWord::FILE_NOT_FOUND;
    for aid in [APPLICATION, OLD_APPLICATION] {
        selected = card.transmit(&Command::new(0x00, 0xA4, 0x04, 0x00).data(aid))?.status;
        if selected.is_ok() {
            break;
        }
    }
    Ok(selected)
}

fn read_content(card: &mut dyn Transport) -> Result<Vec<u8>, KvkError> {
    let selected = select(card)?;
    if !selected.is_ok() {
        return Err(KvkError::NotAKvk(selected));
    }
    let answer = card.transmit(&Command::new(0x00, 0xB0, 0x00, 0x00).le(Le::SHORT_WILDCARD))?;
    match answer.status {
        // The template is shorter than the memory: that is the ordinary end.
        StatusWord::OK | StatusWord::END_OF_FILE => Ok(answer.data),
        status => Err(KvkError::Refused(status)),
    }
}

/// Parses the template with tag 60; bytes behind it are ignored.
///
/// # Errors
/// Not a template, or a wrong checksum.
pub fn parse(content: &[u8]) -> Result<KvkRecord, KvkError> {
    const TEMPLATE: u32 = 0x60;
    let (template, rest) = Tlv::split_first(content)?;
    if template.tag != TEMPLATE {
        return Err(TlvError::Missing { tag: TEMPLATE }.into());
    }
    let covered = content.get(..content.len() - rest.len()).unwrap_or(content);
    match covered.iter().fold(0, |sum, byte| sum ^ byte) {
        0 => {}
        wrong => return Err(KvkError::Checksum(wrong)),
    }
    let mut record = KvkRecord { country: "D".to_owned(), ..KvkRecord::default() };
    let mut rest = template.value;
    while !rest.is_empty() {
        let (object, behind) = Tlv::split_first(rest)?;
        record.take(object);
        rest = behind;
    }
    Ok(record)
}

impl KvkRecord {
    fn take(&mut self, object: Tlv<'_>) {
        let field = match object.tag {
            0x80 => &mut self.insurer_name,
            0x81 => &mut self.insurer_number,
            0x82 => &mut self.insured_number,
            0x83 => &mut self.status,
            0x84 => &mut self.title,
            0x85 => &mut self.given_name,
            0x86 => &mut self.name_addition,
            0x87 => &mut self.family_name,
            0x88 => &mut self.birth_date,
            0x89 => &mut self.street,
            0x8A => {
                self.country = text(object.value);
                return;
            }
            0x8B => &mut self.postal_code,
            0x8C => &mut self.city,
            0x8D => &mut self.valid_until,
            0x8F => &mut self.region,
            0x90 => &mut self.status_supplement,
            // 8E is the checksum, which was looked at; everything else is unknown.
            _ => return,
        };
        *field = Some(text(object.value)).filter(|text| !text.is_empty());
    }
}

/// DIN 66003, the German set of seven bits. Bytes above are no characters.
fn text(value: &[u8]) -> String {
    let character = |byte: &u8| match byte {
        0x5B => 'Ä',
        0x5C => 'Ö',
        0x5D => 'Ü',
        0x7B => 'ä',
        0x7C => 'ö',
        0x7D => 'ü',
        0x7E => 'ß',
        0x20..=0x7E => char::from(*byte),
        _ => char::REPLACEMENT_CHARACTER,
    };
    value.iter().map(character).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use card::apdu::Response;
    use hex_literal::hex;

    use super::*;

    /// The test vector of a public parser: an invented person.
    const VECTOR: [u8; 154] = hex!(
        "608197801A42756E646573706F6C697A65692D4B72616E6B656E6B617373658107333630303334328F053030303230820C"
        "313233343536373839303133830431303030900131851244616E69656C20477573746176204C75747A8706487C6E736368"
        "8808313730353139363189124361726C2D576F6C66662D5374722E2031328A01448B0534353237398C05457373656E8D04"
        "313032318E0188"
    );

    #[test]
    fn the_published_vector_is_read() {
        let record = parse(&VECTOR).unwrap();
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        assert_eq!(text(&record.family_name), "Hönsch");
        assert_eq!(text(&record.given_name), "Daniel Gustav Lutz");
        assert_eq!(text(&record.insurer_name), "Bundespolizei-Krankenkasse");
        assert_eq!(text(&record.insurer_number), "3600342");
        assert_eq!((text(&record.birth_date), text(&record.valid_until)), ("17051961".into(), "1021".into()));
        assert_eq!((record.country.as_str(), record.title), ("D", None));
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        for byte in 0..VECTOR.len() {
            for bit in 0..8 {
                let mut damaged = VECTOR;
                damaged[byte] ^= 1 << bit;
                assert!(parse(&damaged).is_err(), "byte {byte}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_cut_template_and_other_data_are_refused_and_padding_is_not() {
        for length in 0..VECTOR.len() {
            assert!(parse(&VECTOR[..length]).is_err(), "{length} bytes");
        }
        assert!(matches!(parse(&hex!("6100")), Err(KvkError::Template(_))));
        assert!(parse(&[&VECTOR[..], &[0xFF; 100]].concat()).is_ok());
    }

    /// A terminal that offers a memory card under the old name of the application.
    struct Terminal(Vec<Vec<u8>>);

    impl Transport for Terminal {
        fn atr(&self) -> &[u8] {
            &[]
        }

        fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
            let bytes = command.encode()?.to_vec();
            self.0.push(bytes.clone());
            let answer = match bytes.get(1) {
                Some(0xA4) if bytes.ends_with(&OLD_APPLICATION) => vec![0x90, 0x00],
                Some(0xB0) => [&VECTOR[..], &[0x62, 0x82]].concat(),
                _ => vec![0x6A, 0x82],
            };
            Ok(Response::parse(&answer)?)
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

    #[test]
    fn a_terminal_is_asked_under_both_names() {
        let mut terminal = Terminal(Vec::new());
        assert_eq!(read(&mut terminal).unwrap(), parse(&VECTOR).unwrap());
        let digits = |command: &Vec<u8>| command.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let sent: Vec<_> = terminal.0.iter().map(digits).collect();
        assert_eq!(sent, ["00A4040006D27600000101", "00A4040006D28000000101", "00B0000000"]);
    }
}
