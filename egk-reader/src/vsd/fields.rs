//! Picking values out of the XML tree, with errors that name the document and the path but never the value.

use super::DocumentKind;
use super::xml::Element;
use crate::date::PartialDate;
use crate::error::VsdError;

/// An element and the way to it.
pub(super) struct Fields<'a> {
    document: DocumentKind,
    path: String,
    element: &'a Element,
}

impl<'a> Fields<'a> {
    pub(super) fn root(document: DocumentKind, element: &'a Element) -> Fields<'a> {
        Fields { document, path: String::new(), element }
    }

    /// A child element that may be absent.
    pub(super) fn optional(&self, name: &str) -> Option<Fields<'a>> {
        let element = self.element.child(name)?;
        Some(Fields { document: self.document, path: self.path_of(name), element })
    }

    /// All child elements of that name, in their order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = Fields<'a>> + use<'a, '_> {
        let path = self.path_of(name);
        let same = self.element.children().iter().filter({
            let name = name.to_owned();
            move |child| child.name() == name && child.namespace() == self.element.namespace()
        });
        same.map(move |element| Fields { document: self.document, path: path.clone(), element })
    }

    /// A child element that every schema version demands.
    pub(super) fn required(&self, name: &str) -> Result<Fields<'a>, VsdError> {
        self.optional(name).ok_or_else(|| self.missing(name))
    }

    /// Text of a child; absent and empty are the same.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.element.child(name)?.text()
    }

    /// Text of a child that must not be absent or empty.
    pub(super) fn required_text(&self, name: &str) -> Result<String, VsdError> {
        self.text(name).ok_or_else(|| self.missing(name))
    }

    /// A date of a child; absent and empty are the same.
    pub(super) fn date(&self, name: &str) -> Result<Option<PartialDate>, VsdError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        PartialDate::parse(&text).map(Some).ok_or_else(|| self.invalid(name, "a date YYYYMMDD"))
    }

    /// A number of at most `width` digits, padded to that width with zeros: the schema types are integers, so a
    /// leading zero may be gone.
    pub(super) fn digits(&self, name: &str, width: usize) -> Result<Option<String>, VsdError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if text.len() > width || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.invalid(name, "a number of the schema's length"));
        }
        Ok(Some(format!("{text:0>width$}")))
    }

    /// `0` or `1`, in both spellings of the XML schema type.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, VsdError> {
        match self.text(name).as_deref() {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(self.invalid(name, "0 or 1")),
        }
    }

    pub(super) fn missing(&self, name: &str) -> VsdError {
        VsdError::MissingElement { document: self.document, element: self.path_of(name) }
    }

    pub(super) fn invalid(&self, name: &str, expected: &'static str) -> VsdError {
        VsdError::InvalidValue { document: self.document, element: self.path_of(name), expected }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}
