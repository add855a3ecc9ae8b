//! What a PIV card does in its own way (NIST SP 800-73-4 part 2): objects by GET DATA, signatures by GENERAL
//! AUTHENTICATE, PIN status by an empty VERIFY.

use super::commands::KeyChoice;
use crate::apdu::{Command, Le};
use crate::profile::{KeyKind, SignatureScheme};
use crate::status::StatusWord;
use crate::tlv::{self, Tlv};
use crate::transport::{Transport, TransportError};

/// Most data of one short command; longer data is chained, which every PIV card knows.
const SHORT: usize = 255;
const CHAINED: u8 = 0x10;

/// The last two bytes of the tag of the cardholder unique identifier.
const CHUID: u16 = 0xC102;

/// SELECT; the application answers with its properties.
pub(super) fn select(aid: &[u8]) -> Command {
    Command::new(0x00, 0xA4, 0x04, 0x00).data(aid).le(Le::SHORT_WILDCARD)
}

/// VERIFY without data: how many tries are left.
pub(super) fn pin_status(reference: u8) -> Command {
    Command::new(0x00, 0x20, 0x00, reference)
}

/// VERIFY that ends the login.
pub(super) fn log_out(reference: u8) -> Command {
    Command::new(0x00, 0x20, 0xFF, reference)
}

/// The card's identifier: the GUID in the CHUID, 32 hexadecimal digits. `None` if the card has none.
pub(super) fn serial(transport: &mut dyn Transport) -> Result<Option<String>, TransportError> {
    let object = object(transport, CHUID)?;
    let guid = object.as_deref().and_then(|object| Tlv::find(object, 0x34).ok());
    Ok(guid.filter(|guid| guid.len() == 16).map(hex::encode_upper))
}

/// A certificate, DER; `None` if there is none, or a compressed one.
pub(super) fn certificate(
    transport: &mut dyn Transport,
    tag: u16,
) -> Result<Option<Vec<u8>>, TransportError> {
    const COMPRESSED: u8 = 0x01;
    let object = object(transport, tag)?.unwrap_or_default();
    let information = Tlv::find(&object, 0x71).ok().and_then(|value| value.first().copied());
    if information.is_some_and(|information| information & COMPRESSED != 0) {
        tracing::debug!(tag, "compressed certificate left out");
        return Ok(None);
    }
    Ok(Tlv::find(&object, 0x70).ok().map(<[u8]>::to_vec))
}

/// The content of the data object 5FC1xx.
fn object(transport: &mut dyn Transport, tag: u16) -> Result<Option<Vec<u8>>, TransportError> {
    let [high, low] = tag.to_be_bytes();
    let get = Command::new(0x00, 0xCB, 0x3F, 0xFF).data([0x5C, 0x03, 0x5F, high, low]);
    let mut response = transport.transmit(&get.clone().le(Le::EXTENDED_WILDCARD))?;
    if response.status == StatusWord::WRONG_LENGTH {
        response = transport.transmit(&get.le(Le::SHORT_WILDCARD))?;
    }
    if !response.status.is_ok() {
        tracing::debug!(tag, status = %response.status, "no object");
        return Ok(None);
    }
    Ok(Tlv::find(&response.data, 0x53).ok().map(<[u8]>::to_vec))
}

/// GENERAL AUTHENTICATE over a digest, or over an RSA block that is padded here; in several commands if it is long.
pub(super) fn sign(choice: KeyChoice, kind: KeyKind, scheme: SignatureScheme, input: &[u8]) -> Vec<Command> {
    let challenge = match (kind, scheme) {
        (KeyKind::Rsa { bits }, SignatureScheme::RsaPkcs1) => pkcs1(usize::from(bits / 8), input),
        _ => input.to_vec(),
    };
    let template = tlv::encode(0x7C, &[tlv::encode(0x82, &[]), tlv::encode(0x81, &challenge)].concat());
    let command =
        |class, part: &[u8]| Command::new(class, 0x87, choice.algorithm, choice.reference).data(part);
    let mut rest = template.as_slice();
    let mut commands = Vec::new();
    while let Some((part, behind)) = rest.split_at_checked(SHORT).filter(|(_, behind)| !behind.is_empty()) {
        commands.push(command(CHAINED, part));
        rest = behind;
    }
    commands.push(command(0x00, rest).le(Le::SHORT_WILDCARD));
    commands
}

/// The signature in an answer: r||s in the curve's width, or as it is for RSA. `None` if it is malformed.
pub(super) fn signature(kind: KeyKind, answer: &[u8]) -> Option<Vec<u8>> {
    let value = Tlv::find(Tlv::find(answer, 0x7C).ok()?, 0x82).ok()?;
    let KeyKind::Ec(curve) = kind else { return Some(value.to_vec()) };
    let (r, rest) = Tlv::split_first(Tlv::find(value, 0x30).ok()?).ok()?;
    let (s, rest) = Tlv::split_first(rest).ok()?;
    if (r.tag, s.tag) != (0x02, 0x02) || !rest.is_empty() {
        return None;
    }
    let width = curve.field_len();
    Some([element(r.value, width)?, element(s.value, width)?].concat())
}

/// GENERAL AUTHENTICATE with the other side's point. Not traced: the answer is the secret.
pub(super) fn agree(algorithm: &[u8], reference: u8, point: &[u8]) -> Command {
    let template = tlv::encode(0x7C, &[tlv::encode(0x82, &[]), tlv::encode(0x85, point)].concat());
    let algorithm = algorithm.first().copied().unwrap_or_default();
    Command::new(0x00, 0x87, algorithm, reference).data(template).le(Le::SHORT_WILDCARD).sensitive()
}

/// The secret in an answer; `None` if it is malformed.
pub(super) fn secret(answer: &[u8]) -> Option<Vec<u8>> {
    Tlv::find(Tlv::find(answer, 0x7C).ok()?, 0x82).ok().map(<[u8]>::to_vec)
}

/// A DER number as a field element.
fn element(number: &[u8], width: usize) -> Option<Vec<u8>> {
    let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len());
    let digits = number.get(start..)?;
    let mut element = vec![0; width.checked_sub(digits.len())?];
    element.extend_from_slice(digits);
    Some(element)
}

/// EMSA-PKCS1-v1_5 (RFC 8017 clause 9.2) around a DigestInfo. The caller has checked that it fits.
fn pkcs1(length: usize, digest_info: &[u8]) -> Vec<u8> {
    let mut block = vec![0xFF; length.saturating_sub(digest_info.len() + 1)];
    block.splice(..2, [0x00, 0x01]);
    block.push(0x00);
    block.extend_from_slice(digest_info);
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Curve;

    const RSA: KeyKind = KeyKind::Rsa { bits: 2048 };

    fn encoded(commands: &[Command]) -> Vec<String> {
        commands.iter().map(|command| hex::encode_upper(command.encode().unwrap().as_slice())).collect()
    }

    #[test]
    fn a_digest_is_signed_by_one_command() {
        let choice = KeyChoice { reference: 0x9A, algorithm: 0x11 };
        let commands = sign(choice, KeyKind::Ec(Curve::P256), SignatureScheme::Ecdsa, &[0xA5; 32]);
        assert_eq!(encoded(&commands), [format!("0087119A267C2482008120{}00", "A5".repeat(32))]);
    }

    #[test]
    fn a_padded_block_is_signed_by_two_chained_commands() {
        let choice = KeyChoice { reference: 0x9C, algorithm: 0x07 };
        let commands = encoded(&sign(choice, RSA, SignatureScheme::RsaPkcs1, &[0xA5; 51]));
        let padded = format!("0001{}00{}", "FF".repeat(202), "A5".repeat(51));
        let data = format!("7C82010682008182 0100{padded}").replace(' ', "");
        assert_eq!(commands[0], format!("1087079CFF{}", &data[..510]));
        assert_eq!(commands[1], format!("0087079C{:02X}{}00", (data.len() - 510) / 2, &data[510..]));
    }

    #[test]
    fn a_secret_is_asked_for_with_the_other_sides_point() {
        let command = agree(&[0x11], 0x9D, &[0x04; 65]);
        assert_eq!(encoded(&[command]), [format!("0087119D477C4582008541{}00", "04".repeat(65))]);
        let answer = tlv::encode(0x7C, &tlv::encode(0x82, &[0xA5; 32]));
        assert_eq!(secret(&answer), Some(vec![0xA5; 32]));
        for cut in 0..answer.len() {
            assert_eq!(secret(&answer[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn r_and_s_are_brought_to_the_width_of_the_curve() {
        let kind = KeyKind::Ec(Curve::P256);
        let long = format!("022100{}", "F0".repeat(32));
        let answer = |r: &str, s: &str| {
            let value = hex::decode([r, s].concat()).unwrap();
            tlv::encode(0x7C, &tlv::encode(0x82, &tlv::encode(0x30, &value)))
        };
        let signature_of = |answer: &[u8]| signature(kind, answer).map(hex::encode_upper);
        let expected = format!("{}{}", "F0".repeat(32), "00".repeat(31) + "05");
        assert_eq!(signature_of(&answer(&long, "020105")), Some(expected));
        let too_long = format!("0221{}", "70".repeat(33));
        for damaged in
            [answer(&too_long, "020105"), answer(&long, "040105"), answer(&long, ""), vec![0x7C, 0]]
        {
            assert_eq!(signature_of(&damaged), None);
        }
    }
}
