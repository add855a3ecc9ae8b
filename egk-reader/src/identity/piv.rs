//! Who a PIV card is: its unique identifiers (NIST SP 800-73-4 part 1, clause 3.1.2) and the name in the certificate for
//! authentication.

use card::apdu::{Command, Le};
use card::tlv::Tlv;
use card::transport::Transport;
use serde::Serialize;

use super::IdentityError;
use crate::certificates::CertificateFacts;

const APPLICATION: [u8; 11] = [0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00];
const CHUID: [u8; 3] = [0x5F, 0xC1, 0x02];
const AUTHENTICATION_CERTIFICATE: [u8; 3] = [0x5F, 0xC1, 0x05];

/// What the card says.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Piv {
    /// Federal agency smart credential number.
    pub fasc_n: Option<FascN>,
    /// Card UUID (GUID), 32 hexadecimal digits.
    pub guid: Option<String>,
    /// UUID of the cardholder, 32 hexadecimal digits.
    pub cardholder_uuid: Option<String>,
    /// Last day of validity, YYYYMMDD.
    pub valid_until: Option<String>,
    /// Subject of the certificate for authentication (RFC 4514).
    pub subject: Option<String>,
}

/// Federal agency smart credential number, its fields in order (TIG SCEPACS, table 1). Digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FascN {
    /// Agency; 9999 for cards that no agency issued.
    pub agency: String,
    /// System.
    pub system: String,
    /// Credential number.
    pub credential: String,
    /// Series of the credential.
    pub series: String,
    /// Issue of the credential.
    pub issue: String,
    /// Person.
    pub person: String,
    /// Category of the organisation.
    pub organisation_category: String,
    /// Organisation.
    pub organisation: String,
    /// How the person belongs to it.
    pub association: String,
}

pub(super) fn read(card: &mut dyn Transport) -> Result<Piv, IdentityError> {
    let select = Command::new(0x00, 0xA4, 0x04, 0x00).data(APPLICATION).le(Le::SHORT_WILDCARD);
    let status = card.transmit(&select)?.status;
    if !status.is_ok() {
        return Err(IdentityError::Refused { what: "the PIV application", status });
    }
    let chuid = object(card, CHUID, "the CHUID")?;
    let field = |tag| Tlv::find(&chuid, tag).ok().filter(|value: &&[u8]| !value.is_empty());
    let uuid = |tag| field(tag).filter(|value| value.len() == 16).map(hex::encode_upper);
    let mut piv = Piv {
        fasc_n: field(0x30).and_then(FascN::parse),
        guid: uuid(0x34),
        cardholder_uuid: uuid(0x36),
        valid_until: field(0x35).and_then(super::text),
        subject: None,
    };
    if piv.guid.is_none() && piv.fasc_n.is_none() {
        return Err(IdentityError::Malformed { file: "the CHUID" });
    }
    // A card without this certificate is still somebody's.
    if let Ok(certificate) = object(card, AUTHENTICATION_CERTIFICATE, "the certificate") {
        let certificate = Tlv::find(&certificate, 0x70).ok();
        piv.subject = certificate.and_then(CertificateFacts::of).map(|facts| facts.subject);
    }
    Ok(piv)
}

/// GET DATA: the content of a data object.
fn object(card: &mut dyn Transport, tag: [u8; 3], what: &'static str) -> Result<Vec<u8>, IdentityError> {
    let list = [&[0x5C, 0x03][..], &tag].concat();
    let answer = card.transmit(&Command::new(0x00, 0xCB, 0x3F, 0xFF).data(list).le(Le::SHORT_WILDCARD))?;
    if !answer.status.is_ok() {
        return Err(IdentityError::Refused { what, status: answer.status });
    }
    let content = Tlv::find(&answer.data, 0x53).map_err(|_| IdentityError::Malformed { file: what })?;
    Ok(content.to_vec())
}

impl FascN {
    /// 40 characters of five bits, least significant first, the fifth for odd parity; `None` if they are no such number.
    pub fn parse(number: &[u8]) -> Option<FascN> {
        const LENGTH: usize = 25;
        const SEPARATOR: u8 = 0x0D;
        if number.len() != LENGTH {
            return None;
        }
        let bits: Vec<u8> =
            number.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        let character = |bits: &[u8]| {
            let odd = bits.iter().sum::<u8>() % 2 == 1;
            odd.then(|| bits.iter().take(4).enumerate().fold(0, |sum, (place, bit)| sum | bit << place))
        };
        // The longitudinal check at the end is even in each column and need not be odd itself.
        let (text, check) = bits.split_at_checked(bits.len() - 5)?;
        let columns_even = (0..4).all(|column| {
            let sum: u8 = bits.chunks(5).filter_map(|bits| bits.get(column)).sum();
            sum.is_multiple_of(2)
        });
        let characters: Vec<u8> = text.chunks(5).map(character).collect::<Option<_>>()?;
        if !columns_even || check.len() != 5 {
            return None;
        }
        let groups: Vec<String> = characters
            .split(|&character| character == SEPARATOR || character > 9)
            .map(|digits| digits.iter().map(|digit| char::from(b'0' + digit)).collect())
            .filter(|group: &String| !group.is_empty())
            .collect();
        let [agency, system, credential, series, issue, rest] = groups.as_slice() else { return None };
        let part = |range| rest.get(range).map(str::to_owned);
        let right = [agency.len(), system.len(), credential.len(), series.len(), issue.len(), rest.len()];
        (right == [4, 4, 6, 1, 1, 16]).then_some(())?;
        Some(FascN {
            agency: agency.clone(),
            system: system.clone(),
            credential: credential.clone(),
            series: series.clone(),
            issue: issue.clone(),
            person: part(0..10)?,
            organisation_category: part(10..11)?,
            organisation: part(11..15)?,
            association: part(15..16)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// The number that cards of nobody's agency carry.
    const NON_FEDERAL: [u8; 25] = hex!("D4E739DA739CED39CE739D836858210842108421C84210C3EB");

    #[test]
    fn the_number_of_a_card_that_no_agency_issued_is_read() {
        let number = FascN::parse(&NON_FEDERAL).unwrap();
        assert_eq!((number.agency.as_str(), number.system.as_str()), ("9999", "9999"));
        assert_eq!((number.credential.as_str(), number.series.as_str()), ("999999", "0"));
        assert_eq!((number.person.as_str(), number.organisation.as_str()), ("0000000000", "0000"));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bit in 0..200 {
            let mut damaged = NON_FEDERAL;
            damaged[bit / 8] ^= 0x80 >> (bit % 8);
            // The last bit is the parity of the check itself.
            assert!(FascN::parse(&damaged).is_none() || bit == 199, "bit {bit}");
        }
        assert!(FascN::parse(&NON_FEDERAL[..24]).is_none());
    }
}
