//! Character set of a document. The prolog names it, nearly always ISO-8859-15, which differs from ISO-8859-1 in eight
//! characters (euro sign, S and Z with caron, OE, Y with diaeresis).

use encoding_rs::{Encoding, ISO_8859_15, UTF_8};

/// A decoded document.
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// The named character set is unknown; ISO-8859-15 was used.
    pub(crate) unknown_encoding: bool,
    /// Bytes that are no character, control characters, or the remains of an earlier wrong conversion.
    pub(crate) damaged: bool,
}

/// Decodes by byte order mark, else by the declared name, else as ISO-8859-15. Never fails: bytes that are no
/// character become U+FFFD.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    decode_or(bytes, ISO_8859_15)
}

/// As [`decode`], but a document without a declaration is UTF-8, as XML has it (XML 1.0 clause 4.3.3), if it can be.
pub(crate) fn decode_utf_8(bytes: &[u8]) -> Decoded {
    decode_or(bytes, if std::str::from_utf8(bytes).is_ok() { UTF_8 } else { ISO_8859_15 })
}

fn decode_or(bytes: &[u8], otherwise: &'static Encoding) -> Decoded {
    let declared = Encoding::for_bom(bytes).map(|(encoding, _)| Some(encoding)).or_else(|| {
        let label = declared_label(bytes)?;
        Some(Encoding::for_label(label).filter(|encoding| encoding.is_ascii_compatible()))
    });
    let unknown_encoding = declared == Some(None);
    let encoding = declared.flatten().unwrap_or(otherwise);
    let (text, _, replaced) = encoding.decode(bytes);
    let damaged = replaced || text.chars().any(is_damage) || has_converted_replacement(&text);
    Decoded { text: text.into_owned(), unknown_encoding, damaged }
}

/// Whether a character has no business in a name: control characters, the replacement character and the two
/// non-characters that XML 1.0 excludes.
pub(crate) fn is_damage(character: char) -> bool {
    let control = character.is_control() && !matches!(character, '\t' | '\n' | '\r');
    control || matches!(character, '\u{FFFD}'..='\u{FFFF}')
}

/// U+FFFD in UTF-8 is EF BF BD; read as a Latin set that is one of these. Issuers do write such cards.
fn has_converted_replacement(text: &str) -> bool {
    ["\u{EF}\u{BF}\u{153}", "\u{EF}\u{BF}\u{BD}"].iter().any(|remains| text.contains(remains))
}

/// The value of `encoding` in an XML declaration that is ASCII.
fn declared_label(bytes: &[u8]) -> Option<&[u8]> {
    let declaration = bytes.strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let declaration = declaration.get(..end)?;
    let name = b"encoding";
    let start = declaration.windows(name.len()).position(|window| window == name)? + name.len();
    let value = declaration.get(start..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first()?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    value.split(|byte| byte == quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(label: &str, body: &[u8]) -> Vec<u8> {
        [format!("<?xml version=\"1.0\" encoding=\"{label}\"?>").as_bytes(), body].concat()
    }

    #[test]
    fn the_eight_characters_of_iso_8859_15_are_decoded() {
        let bytes = [0xA4, 0xA6, 0xA8, 0xB4, 0xB8, 0xBC, 0xBD, 0xBE];
        for declared in [document("ISO-8859-15", &bytes), document("iso-8859-15", &bytes), bytes.to_vec()] {
            let decoded = decode(&declared);
            assert!(decoded.text.ends_with("€ŠšŽžŒœŸ"));
            assert!(!decoded.unknown_encoding && !decoded.damaged);
        }
    }

    #[test]
    fn a_declared_utf_8_is_believed() {
        let decoded = decode(&document("UTF-8", "Žofie".as_bytes()));
        assert!(decoded.text.ends_with("Žofie") && !decoded.damaged);
        let with_mark = [b"\xEF\xBB\xBF".as_slice(), "Žofie".as_bytes()].concat();
        assert_eq!(decode(&with_mark).text, "Žofie");
    }

    #[test]
    fn without_a_declaration_the_kind_of_document_decides() {
        let bytes = "<a>Ö</a>".as_bytes();
        assert_eq!(decode_utf_8(bytes).text, "<a>Ö</a>");
        assert_ne!(decode(bytes).text, "<a>Ö</a>");
        assert_eq!(decode_utf_8(b"<a>\xD6</a>").text, "<a>Ö</a>");
    }

    #[test]
    fn odd_bytes_are_reported_not_refused() {
        assert!(decode(&document("UTF-8", &[b'M', 0xFC, b'l'])).damaged);
        assert!(decode(&document("ISO-8859-15", &[0x07])).damaged);
        assert!(decode(&document("ISO-8859-15", &[b'D', 0xEF, 0xBF, 0xBD, b's'])).damaged);
    }

    #[test]
    fn an_unknown_name_falls_back_and_is_reported() {
        for label in ["EBCDIC-DE", "utf-16", ""] {
            let decoded = decode(&document(label, &[0xA4]));
            assert!(decoded.unknown_encoding, "{label}");
            assert!(decoded.text.ends_with('€'), "{label}");
        }
    }

    #[test]
    fn broken_declarations_are_no_declaration() {
        for bytes in [
            &b"<?xml"[..],
            b"<?xml encoding?>",
            b"<?xml encoding=?>",
            b"<?xml encoding=x?>",
            b"<?xml encoding",
        ] {
            assert!(!decode(bytes).unknown_encoding);
        }
    }
}
