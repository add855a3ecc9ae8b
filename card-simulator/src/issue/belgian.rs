//! The files of a Belgian card that say who its holder is: an invented person (Belgian eID Card Specifications, content of
//! the identity and address files).

use sha2::{Digest, Sha256, Sha384};

use super::IssueError;
use crate::crypto::PrivateKey;
use crate::layout::{BelgianFile, Layout};
use crate::pki::{Authority, Register};
use crate::tlv;

/// The holder, without the digits that belong to the card.
const IDENTITY: [(u8, &str); 12] = [
    (0x03, "01.01.2024"),
    (0x04, "01.01.2034"),
    (0x05, "Voorbeeldstad"),
    // The last two digits are 97 less the rest of the nine before them.
    (0x06, "79050400220"),
    (0x07, "Voorbeeld"),
    (0x08, "Ada Marie"),
    (0x09, "J"),
    (0x0A, "Belg"),
    (0x0B, "Fantasiegem"),
    (0x0C, "04 MEI  1979"),
    (0x0D, "V"),
    (0x0E, ""),
];
/// Document of a Belgian citizen, no special status.
const DOCUMENT: [(u8, &str); 2] = [(0x0F, "01"), (0x10, "0")];
const ADDRESS: [(u8, &str); 3] = [(0x01, "Voorbeeldstraat 12 bus 3"), (0x02, "1000"), (0x03, "Brussel")];
/// Version of the identity file's structure.
const STRUCTURE: [u8; 2] = [0x00, 0x02];
/// Bytes of the files that are filled with zeros.
const ADDRESS_FILE: usize = 121;
const SIGNATURE_FILE: usize = 256;
const PHOTO: &[u8] = include_bytes!("../../profiles/photo.jpg");

/// Number of the chip: 16 bytes made of the card's serial number.
pub(crate) fn chip_number(iccsn: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(iccsn).into();
    std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default())
}

/// A file's content. `key` is one of the card's own: the register's is of the same kind.
pub(super) fn content(
    file: BelgianFile,
    layout: &Layout,
    iccsn: &str,
    key: &PrivateKey,
    authority: &Authority,
) -> Result<Vec<u8>, IssueError> {
    let register = || authority.register(key);
    Ok(match file {
        BelgianFile::TokenInfo => token_info(iccsn),
        BelgianFile::Identity => identity(layout, iccsn),
        BelgianFile::IdentitySignature => identity_signature(layout, iccsn, &register()?)?,
        BelgianFile::Address => filled(address(), ADDRESS_FILE),
        BelgianFile::AddressSignature => {
            let register = register()?;
            // Without the zeros behind it, and the file before it with them.
            let signed = [address(), identity_signature(layout, iccsn, &register)?].concat();
            filled(register.sign(&signed)?, SIGNATURE_FILE)
        }
        BelgianFile::Photo => PHOTO.to_vec(),
        BelgianFile::RegisterCertificate => register()?.certificate,
    })
}

fn identity_signature(layout: &Layout, iccsn: &str, register: &Register) -> Result<Vec<u8>, IssueError> {
    Ok(filled(register.sign(&identity(layout, iccsn))?, SIGNATURE_FILE))
}

/// A flat list of tag, length and value. Only the newer cards begin with the version of the structure.
fn identity(layout: &Layout, iccsn: &str) -> Vec<u8> {
    let newer = layout.applet.is_some_and(|applet| applet >= 0x18);
    let digits = iccsn.get(8..).unwrap_or(iccsn);
    let mut file = if newer { field(0x00, &STRUCTURE) } else { Vec::new() };
    file.extend(field(0x01, digits.as_bytes()));
    file.extend(field(0x02, &chip_number(iccsn)));
    file.extend(texts(&IDENTITY).chain(texts(&DOCUMENT)).flatten());
    let digest = if newer { Sha384::digest(PHOTO).to_vec() } else { Sha256::digest(PHOTO).to_vec() };
    file.extend(field(0x11, &digest));
    file
}

fn address() -> Vec<u8> {
    texts(&ADDRESS).flatten().collect()
}

fn texts(fields: &[(u8, &str)]) -> impl Iterator<Item = Vec<u8>> {
    fields.iter().map(|(tag, text)| field(*tag, text.as_bytes()))
}

/// A length of 255 and more goes on in the next byte.
fn field(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    field.resize(1 + value.len() / 0xFF, 0xFF);
    field.push((value.len() % 0xFF) as u8);
    field.extend(value);
    field
}

/// With zeros to the length that such files have.
fn filled(mut content: Vec<u8>, length: usize) -> Vec<u8> {
    content.resize(length.max(content.len()), 0);
    content
}

/// TokenInfo (ISO/IEC 7816-15, 8.10): version, serial number, label; the card makes random numbers.
fn token_info(iccsn: &str) -> Vec<u8> {
    const VERSION_1: [u8; 1] = [0x00];
    const PRN_GENERATION: [u8; 2] = [0x04, 0x30];
    let parts = [
        tlv::encode(0x02, &VERSION_1),
        tlv::encode(0x04, &chip_number(iccsn)),
        tlv::encode(0x80, b"BELPIC"),
        tlv::encode(0x03, &PRN_GENERATION),
    ];
    tlv::encode(0x30, &parts.concat())
}
