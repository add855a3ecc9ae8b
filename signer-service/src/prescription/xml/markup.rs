//! What the XML reader lets pass although it is not well-formed (Extensible Markup Language 1.0, fifth edition;
//! Namespaces in XML 1.0): a prescription that other parsers refuse must not use up a PIN.

use quick_xml::events::{BytesDecl, attributes::Attributes};

use super::Malformed;

/// The XML declaration: version 1.0, then at most encoding and standalone (productions 23 to 32).
pub(super) fn declaration(declaration: &BytesDecl<'_>) -> Result<(), Malformed> {
    let text: &str = declaration;
    let text = text.strip_prefix("xml").unwrap_or_default();
    if !text.starts_with(is_space) || !attributes_are_apart(text) {
        return Err(Malformed::Syntax);
    }
    let mut expected = ["version", "encoding", "standalone"].into_iter();
    for attribute in Attributes::new(text, 0) {
        let attribute = attribute.map_err(|_| Malformed::Syntax)?;
        let name = attribute.key.into_inner();
        if !expected.any(|expected| expected == name) {
            return Err(Malformed::Syntax);
        }
        match (name, &*attribute.value) {
            ("version", "1.0") | ("standalone", "yes" | "no") => {}
            ("version", _) => return Err(Malformed::Version),
            ("encoding", encoding) if encoding.eq_ignore_ascii_case("utf-8") => {}
            ("encoding", _) => return Err(Malformed::Encoding),
            _ => return Err(Malformed::Syntax),
        }
    }
    let text = text.trim_start_matches(is_space);
    if text.starts_with("version") { Ok(()) } else { Err(Malformed::Syntax) }
}

/// Target of a processing instruction: a name, but not XML in any case (productions 16 and 17).
pub(super) fn instruction(target: &str) -> Result<(), Malformed> {
    if is_name(target) && !target.contains(':') && !target.eq_ignore_ascii_case("xml") {
        Ok(())
    } else {
        Err(Malformed::Syntax)
    }
}

/// A name with at most one prefix.
pub(super) fn is_qualified_name(name: &str) -> bool {
    match name.split_once(':') {
        None => is_name(name),
        // An empty prefix is one that nobody declared.
        Some((prefix, local)) => {
            is_name(local) && !local.contains(':') && (prefix.is_empty() || is_name(prefix))
        }
    }
}

/// Whether white space stands between all attributes (production 40).
pub(super) fn attributes_are_apart(attributes: &str) -> bool {
    let mut quote = None;
    let mut closed = false;
    // Everything that counts here is one byte long.
    for byte in attributes.bytes() {
        if closed && !is_space(char::from(byte)) && byte != b'/' {
            return false;
        }
        closed = quote == Some(byte);
        match quote {
            Some(_) if closed => quote = None,
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            _ => {}
        }
    }
    true
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Production `Name` of XML 1.0, a little wider beyond ASCII.
fn is_name(name: &str) -> bool {
    let first = |c: char| c.is_alphabetic() || matches!(c, '_' | ':');
    name.starts_with(first)
        && name.chars().all(|c| first(c) || c.is_numeric() || matches!(c, '-' | '.' | '·'))
}
