//! Reads XML (Extensible Markup Language 1.0, fifth edition) into a small tree, under limits. What FHIR XML never
//! needs is refused instead of interpreted: document type declarations (entity tricks), encodings other than UTF-8,
//! deep nesting. The tree is for looking only: the bytes that are signed are the caller's.

mod markup;

use std::{borrow::Cow, collections::HashSet};

use quick_xml::{
    XmlVersion,
    events::{BytesRef, BytesStart, Event, attributes::Attributes},
    name::{Namespace, PrefixDeclaration, QName, ResolveResult},
    reader::NsReader,
};
use thiserror::Error;

/// Namespace of FHIR resources (HL7 FHIR R4 clause 2.6.1).
const FHIR: &str = "http://hl7.org/fhir";
const BYTE_ORDER_MARK: char = '\u{feff}';
/// Deepest nesting taken; prescriptions of profile 1.4 reach 14.
const MAX_DEPTH: usize = 64;
/// Most elements taken; prescriptions have a few hundred.
const MAX_ELEMENTS: usize = 50_000;

/// One element of a document with its attributes and child elements; text is not kept, FHIR puts values into attributes.
/// Names and values stand where the document has them: reading one costs little beside signing it.
#[derive(Default)]
pub(crate) struct Element<'a> {
    name: &'a str,
    fhir: bool,
    /// The attribute that most elements have, and have only.
    value: Option<Cow<'a, str>>,
    attributes: Vec<(&'a str, Cow<'a, str>)>,
    children: Vec<Element<'a>>,
}

/// Why bytes are not taken as XML.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at byte {offset}: {reason}")]
pub struct XmlError {
    /// Where, counted from 0.
    pub offset: u64,
    /// What is wrong, without quoting the document.
    pub reason: Malformed,
}

/// What can be wrong with the XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The bytes are not UTF-8, or the declaration names another encoding.
    #[error("not UTF-8")]
    Encoding,
    /// The declaration names another version than 1.0.
    #[error("not XML 1.0")]
    Version,
    /// Broken markup.
    #[error("not well-formed")]
    Syntax,
    /// A document type declaration.
    #[error("a document type declaration is not allowed")]
    DocumentType,
    /// A reference to anything but the five predefined entities and characters.
    #[error("unknown entity")]
    Entity,
    /// A character that XML does not allow.
    #[error("character not allowed in XML")]
    Character,
    /// A namespace prefix without declaration.
    #[error("undeclared namespace prefix")]
    Prefix,
    /// More nesting than a prescription has.
    #[error("nested too deeply")]
    Depth,
    /// More elements than a prescription has.
    #[error("too many elements")]
    Elements,
    /// Something beside the one root element.
    #[error("not exactly one root element")]
    Root,
}

/// Reads a document and answers its root element.
pub(crate) fn parse(bytes: &[u8]) -> Result<Element<'_>, XmlError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| XmlError { offset: error.valid_up_to() as u64, reason: Malformed::Encoding })?;
    if let Some(offset) = forbidden_character(text) {
        return Err(XmlError { offset: offset as u64, reason: Malformed::Character });
    }
    let (mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => (BYTE_ORDER_MARK.len_utf8() as u64, text),
        None => (0, text),
    };
    // The reader would take away a second mark.
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err(XmlError { offset: mark, reason: Malformed::Root });
    }
    let mut reader = NsReader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut tree = Tree::default();
    loop {
        let offset = reader.buffer_position();
        let at = |reason| XmlError { offset: mark + offset, reason };
        match reader.read_event().map_err(|_| at(Malformed::Syntax))? {
            Event::Start(start) => {
                let tag = tag(text, offset, &start).ok_or(at(Malformed::Syntax))?;
                let element = element(&reader, tag, start.name()).map_err(at)?;
                tree.open(element).map_err(at)?;
            }
            Event::Empty(start) => {
                let tag = tag(text, offset, &start).ok_or(at(Malformed::Syntax))?;
                let element = element(&reader, tag, start.name()).map_err(at)?;
                tree.open(element).map_err(at)?;
                tree.close().map_err(at)?;
            }
            Event::End(_) => tree.close().map_err(at)?,
            Event::Text(text) => tree.text(&text).map_err(at)?,
            Event::CData(_) if tree.open.is_empty() => return Err(at(Malformed::Root)),
            Event::GeneralRef(reference) => tree.reference(&reference).map_err(at)?,
            Event::Decl(_) if offset != 0 => return Err(at(Malformed::Syntax)),
            Event::Decl(declaration) => markup::declaration(&declaration).map_err(at)?,
            Event::DocType(_) => return Err(at(Malformed::DocumentType)),
            Event::PI(instruction) => markup::instruction(instruction.target()).map_err(at)?,
            Event::CData(_) | Event::Comment(_) => {}
            Event::Eof => return tree.finish().map_err(at),
        }
    }
}

impl<'t> Element<'t> {
    /// Local name, if it is in the FHIR namespace; empty otherwise.
    pub(crate) fn name(&self) -> &str {
        if self.fhir { self.name } else { "" }
    }

    /// FHIR child elements.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element<'t>> {
        self.children.iter().filter(|child| child.fhir)
    }

    /// Child elements of this name.
    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element<'t>> {
        self.elements().filter(move |child| child.name == name)
    }

    /// First child element of this name.
    pub(crate) fn child<'a>(&'a self, name: &'a str) -> Option<&'a Element<'t>> {
        self.children(name).next()
    }

    /// The child element of this name, if there is exactly one.
    pub(crate) fn only_child<'a>(&'a self, name: &'a str) -> Option<&'a Element<'t>> {
        let mut children = self.children(name);
        children.next().filter(|_| children.next().is_none())
    }

    /// The attribute `value`: the value of a FHIR primitive.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// An attribute but `value`.
    pub(crate) fn attribute(&self, wanted: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_ref())
    }

    /// Value of the first child element of this name.
    pub(crate) fn value_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.child(name)?.value()
    }
}

/// The elements that are open, and the finished root.
#[derive(Default)]
struct Tree<'a> {
    open: Vec<Element<'a>>,
    root: Option<Element<'a>>,
    count: usize,
}

impl<'a> Tree<'a> {
    fn open(&mut self, element: Element<'a>) -> Result<(), Malformed> {
        self.count += 1;
        if self.root.is_some() {
            return Err(Malformed::Root);
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        if self.count > MAX_ELEMENTS {
            return Err(Malformed::Elements);
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Malformed> {
        let element = self.open.pop().ok_or(Malformed::Syntax)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&self, text: &str) -> Result<(), Malformed> {
        if text.contains("]]>") {
            return Err(Malformed::Syntax);
        }
        let blank = text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        if self.open.is_empty() && !blank { Err(Malformed::Root) } else { Ok(()) }
    }

    fn reference(&self, reference: &BytesRef<'_>) -> Result<(), Malformed> {
        if self.open.is_empty() {
            return Err(Malformed::Root);
        }
        match reference.resolve_char_ref() {
            Ok(Some(character)) if is_xml_character(character) => Ok(()),
            Ok(None) if quick_xml::escape::resolve_predefined_entity(reference).is_some() => Ok(()),
            _ => Err(Malformed::Entity),
        }
    }

    fn finish(self) -> Result<Element<'a>, Malformed> {
        if !self.open.is_empty() {
            return Err(Malformed::Syntax);
        }
        self.root.ok_or(Malformed::Root)
    }
}

/// Name and attributes of a tag, where the text has them: behind the `<` at an offset.
fn tag<'a>(text: &'a str, offset: u64, start: &BytesStart<'_>) -> Option<&'a str> {
    let begin = usize::try_from(offset).ok()?.checked_add(1)?;
    text.get(begin..begin.checked_add(start.len())?).filter(|tag| *tag == &**start)
}

fn element<'a>(reader: &NsReader<&[u8]>, tag: &'a str, name: QName<'_>) -> Result<Element<'a>, Malformed> {
    let (name, attributes) = tag.split_at_checked(name.into_inner().len()).ok_or(Malformed::Syntax)?;
    if !markup::is_qualified_name(name) || !markup::attributes_are_apart(attributes) {
        return Err(Malformed::Syntax);
    }
    let (namespace, local) = reader.resolver().resolve_element(QName(name));
    let fhir = match namespace {
        ResolveResult::Bound(Namespace(uri)) => uri == FHIR,
        ResolveResult::Unbound => false,
        ResolveResult::Unknown(_) => return Err(Malformed::Prefix),
    };
    let mut element = Element { name: local.into_inner(), fhir, ..Element::default() };
    let mut expanded_names = HashSet::new();
    for attribute in Attributes::new(tag, name.len()) {
        let attribute = attribute.map_err(|_| Malformed::Syntax)?;
        if attribute.value.contains('<') || !markup::is_qualified_name(attribute.key.into_inner()) {
            return Err(Malformed::Syntax);
        }
        match reader.resolver().resolve_attribute(attribute.key) {
            (ResolveResult::Unknown(_), _) => return Err(Malformed::Prefix),
            (ResolveResult::Bound(Namespace(uri)), local) if !expanded_names.insert((uri, local)) => {
                return Err(Malformed::Syntax);
            }
            _ => {}
        }
        if matches!(attribute.key.as_namespace_binding(), Some(PrefixDeclaration::Named(_)))
            && attribute.value.is_empty()
        {
            return Err(Malformed::Prefix);
        }
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|_| Malformed::Entity)?;
        // What the text has is allowed; a reference may stand for more.
        if matches!(&value, Cow::Owned(value) if forbidden_character(value).is_some()) {
            return Err(Malformed::Character);
        }
        match attribute.key.into_inner() {
            "value" => element.value = Some(value),
            name => element.attributes.push((name, value)),
        }
    }
    Ok(element)
}

/// Where the first character is that XML does not allow. Most texts have none, and that is seen faster than which.
fn forbidden_character(text: &str) -> Option<usize> {
    let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    let suspicious = text.bytes().any(is_control) || text.contains('\u{fffe}') || text.contains('\u{ffff}');
    if !suspicious {
        return None;
    }
    text.char_indices().find(|(_, character)| !is_xml_character(*character)).map(|(offset, _)| offset)
}

/// Production `Char` of XML 1.0.
fn is_xml_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: impl AsRef<[u8]>) -> Malformed {
        parse(text.as_ref()).map(|_| ()).unwrap_err().reason
    }

    #[test]
    fn values_and_children_are_found_by_name() {
        let root = parse(
            b"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\r\n<!-- x -->\r\n<f:A xmlns:f='http://hl7.org/fhir'>\r\n\
              <f:b value='1 &lt; 2 &#x41;'/><other xmlns='urn:x'/><f:b value='2'>t&amp;</f:b></f:A>\r\n",
        )
        .unwrap();
        assert_eq!(root.name(), "A");
        assert_eq!(root.value_of("b"), Some("1 < 2 A"));
        assert_eq!(root.children("b").count(), 2);
        assert_eq!(root.elements().count(), 2);
        assert!(root.child("other").is_none());
    }

    #[test]
    fn broken_markup_is_refused() {
        for text in [
            "<a>",
            "<a></b>",
            "</a>",
            "<a b=1/>",
            "<a b='1' b='2'/>",
            "<a",
            "<a b='<'/>",
            "<a><!-- -- --></a>",
            "<a/><?xml version='1.0'?>",
            "<a>&amp</a>",
            "<a b='1'c='2'/>",
            "<a>]]></a>",
            "<a:b:c xmlns:a='u'/>",
            "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
            "<a><? x ?></a>",
            "<?XML x?><a/>",
            "<?xml encoding='UTF-8'?><a/>",
            "<?xml version='1.0' standalone='maybe'?><a/>",
            "<?xml version='1.0' other='x'?><a/>",
            "<?xml version='1.0'encoding='UTF-8'?><a/>",
        ] {
            assert!(matches!(reason(text), Malformed::Syntax), "{text}: {:?}", reason(text));
        }
    }

    #[test]
    fn entities_are_not_defined_by_the_document() {
        assert_eq!(reason("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"), Malformed::DocumentType);
        assert_eq!(reason("<a>&x;</a>"), Malformed::Entity);
        assert_eq!(reason("<a b='&x;'/>"), Malformed::Entity);
        assert_eq!(reason("<a>&#0;</a>"), Malformed::Entity);
    }

    #[test]
    fn other_encodings_and_characters_are_refused() {
        assert_eq!(reason(b"<a b='\xe4'/>"), Malformed::Encoding);
        assert_eq!(reason("<?xml version='1.0' encoding='ISO-8859-15'?><a/>"), Malformed::Encoding);
        assert_eq!(reason("<a>\u{1}</a>"), Malformed::Character);
        assert_eq!(reason("<a b='&#x1;'/>"), Malformed::Character);
        assert_eq!(reason("<?xml version='1.1'?><a/>"), Malformed::Version);
        assert_eq!(reason("<p:a/>"), Malformed::Prefix);
        assert_eq!(reason("<a p:b='1'/>"), Malformed::Prefix);
        assert_eq!(reason("<a xmlns:p=''/>"), Malformed::Prefix);
    }

    #[test]
    fn what_xml_allows_around_elements_is_taken() {
        for text in [
            "<?xml version='1.0'?><a/>",
            "<?xml version = \"1.0\" encoding = \"utf-8\" standalone='no' ?><a/>",
            "<?pi x?><a><?pi?><![CDATA[ <x> ]]>]] > ></a><?pi y?>",
            "<a  b='>'\n c = \"'\" />",
            "<a xml:lang='de' xmlns=''/>",
        ] {
            assert!(parse(text.as_bytes()).is_ok(), "{text}: {:?}", reason(text));
        }
    }

    #[test]
    fn one_byte_order_mark_is_taken_and_counted() {
        assert!(parse("\u{feff}<a/>".as_bytes()).is_ok());
        assert_eq!(reason("\u{feff}\u{feff}<a/>"), Malformed::Root);
        assert_eq!(parse("\u{feff}<a>".as_bytes()).map(|_| ()).unwrap_err().offset, 6);
    }

    #[test]
    fn there_is_exactly_one_root() {
        for text in ["", "   ", "<a/><b/>", "<a/>text", "text<a/>", "<a/>&amp;", "<!-- only -->"] {
            assert_eq!(reason(text), Malformed::Root, "{text}");
        }
    }

    #[test]
    fn depth_and_number_of_elements_are_limited() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(reason(nested(MAX_DEPTH + 1)), Malformed::Depth);
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert_eq!(reason(wide), Malformed::Elements);
    }

    #[test]
    fn the_error_tells_the_place_and_quotes_nothing() {
        let error = parse(b"<a>\n<secret</a>").map(|_| ()).unwrap_err();
        assert_eq!(error.offset, 4);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
