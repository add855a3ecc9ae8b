//! A small XML tree: elements with namespace, text and attributes. Document type declarations and entities other than
//! the five predefined ones are refused, so a card can neither expand nor fetch anything.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};

use super::DocumentKind;
use super::text::is_damage;
use crate::error::{VsdError, XmlFault};

/// One element.
#[derive(Default)]
pub(crate) struct Element {
    namespace: String,
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Local name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn children(&self) -> &[Element] {
        &self.children
    }

    /// Names as written, with their prefix, and values.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// First child of that local name in this element's own namespace.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name && child.namespace == self.namespace)
    }

    /// The text, without white space around it and with characters that cannot be shown replaced by U+FFFD. `None`
    /// if nothing is left.
    pub(crate) fn text(&self) -> Option<String> {
        let text = self.text.trim();
        (!text.is_empty()).then(|| shown(text))
    }
}

/// Text with the characters that cannot be shown replaced by U+FFFD.
pub(crate) fn shown(text: &str) -> String {
    let shown = |character| if is_damage(character) { char::REPLACEMENT_CHARACTER } else { character };
    text.chars().map(shown).collect()
}

/// Parses a whole document. `depth` bounds how deep elements may nest.
pub(crate) fn parse(document: DocumentKind, text: &str, depth: usize) -> Result<Element, VsdError> {
    read(text, depth).map_err(|fault| VsdError::Xml { document, fault })
}

fn read(text: &str, depth: usize) -> Result<Element, XmlFault> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        let position = reader.buffer_position();
        let (namespace, event) =
            reader.read_resolved_event().map_err(|_| XmlFault::NotWellFormed { position })?;
        match event {
            Event::Start(start) => {
                if open.len() >= depth {
                    return Err(XmlFault::TooDeep { limit: depth });
                }
                if open.is_empty() && root.is_some() {
                    return Err(XmlFault::NotWellFormed { position });
                }
                open.push(element(namespace, &start).ok_or(XmlFault::NotWellFormed { position })?);
            }
            Event::End(_) => {
                let closed = open.pop().ok_or(XmlFault::NotWellFormed { position })?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => root = Some(closed),
                }
            }
            Event::Text(part) => append(&mut open, &part.xml10_content(), position)?,
            Event::CData(part) => append(&mut open, &part.xml10_content(), position)?,
            Event::GeneralRef(reference) => append(&mut open, &resolve(&reference)?, position)?,
            Event::DocType(_) => return Err(XmlFault::DocumentType),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !open.is_empty() {
        return Err(XmlFault::NotWellFormed { position: reader.buffer_position() });
    }
    root.ok_or(XmlFault::NoElement)
}

fn element(namespace: ResolveResult<'_>, start: &BytesStart<'_>) -> Option<Element> {
    let namespace = match namespace {
        ResolveResult::Bound(namespace) => namespace.0.to_owned(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(_) => return None,
    };
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        attributes.push((attribute.key.0.to_owned(), value.into_owned()));
    }
    Some(Element {
        namespace,
        name: start.local_name().into_inner().to_owned(),
        attributes,
        ..Element::default()
    })
}

/// Text outside the root element may only be white space.
fn append(open: &mut [Element], text: &str, position: u64) -> Result<(), XmlFault> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.chars().all(|character| character.is_ascii_whitespace() || character == '\u{FEFF}') => {}
        None => return Err(XmlFault::NotWellFormed { position }),
    }
    Ok(())
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, XmlFault> {
    if reference.is_char_ref() {
        let character = reference.resolve_char_ref().map_err(|_| XmlFault::Entity)?;
        return character.map(String::from).ok_or(XmlFault::Entity);
    }
    resolve_xml_entity(reference).map(str::to_owned).ok_or(XmlFault::Entity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(body: &str) -> Option<String> {
        read(&format!("<a xmlns='urn:x'><b>{body}</b></a>"), 16).unwrap().child("b")?.text()
    }

    fn fault(text: &str) -> XmlFault {
        read(text, 16).err().expect("document must be refused")
    }

    #[test]
    fn prefix_and_default_namespace_are_the_same() {
        for text in ["<a xmlns='urn:x'><b>1</b></a>", "<p:a xmlns:p='urn:x'><p:b>1</p:b></p:a>"] {
            let root = read(text, 16).unwrap();
            assert_eq!((root.namespace(), root.name()), ("urn:x", "a"));
            assert_eq!(root.child("b").and_then(Element::text).as_deref(), Some("1"));
        }
    }

    #[test]
    fn a_child_of_another_namespace_is_not_taken() {
        let root = read("<p:a xmlns:p='urn:x'><b>1</b><b xmlns='urn:y'>2</b></p:a>", 16).unwrap();
        assert!(root.child("b").is_none());
    }

    #[test]
    fn text_is_put_together_and_trimmed() {
        assert_eq!(text_of(" M&#252;ller &amp; <![CDATA[<Sohn>]]> ").as_deref(), Some("Müller & <Sohn>"));
        assert_eq!(text_of("Zo<!-- no -->ë").as_deref(), Some("Zoë"));
        assert_eq!(text_of(" \r\n"), None);
        assert_eq!(text_of(""), None);
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(text_of("a\u{1b}[2Jb&#x9b;").as_deref(), Some("a\u{FFFD}[2Jb\u{FFFD}"));
        assert_eq!(text_of("&#xFFFE;\u{FFFF}").as_deref(), Some("\u{FFFD}\u{FFFD}"));
    }

    #[test]
    fn document_types_and_entities_are_refused() {
        assert_eq!(fault("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>"), XmlFault::DocumentType);
        assert_eq!(fault("<a>&e;</a>"), XmlFault::Entity);
        assert_eq!(fault("<a>&#0;</a>"), XmlFault::Entity);
    }

    #[test]
    fn broken_documents_are_refused() {
        for text in [
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "x<a/>",
            "<a/>x",
            "<p:a/>",
            "<a b></a>",
            "<a b='1' b='2'/>",
            "<a",
            "&amp;",
        ] {
            assert!(matches!(fault(text), XmlFault::NotWellFormed { .. }), "{text}");
        }
        assert_eq!(fault(""), XmlFault::NoElement);
        assert_eq!(fault("<?xml version='1.0'?>"), XmlFault::NoElement);
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(read(&nested(16), 16).is_ok());
        assert!(matches!(read(&nested(17), 16), Err(XmlFault::TooDeep { limit: 16 })));
    }
}
