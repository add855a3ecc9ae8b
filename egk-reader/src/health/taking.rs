//! Taking an element apart, so that nothing gets lost: whatever was not asked for is left at the end.

use serde::Serialize;

use crate::date::PartialDate;
use crate::vsd::xml::{Element, shown};

/// Something of a document that has no field of its own.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Names of the elements down to the text, joined by `/`; an attribute's name has `@` before it.
    pub name: String,
    /// The text.
    pub value: String,
}

/// An element and what of it has not been taken yet.
pub(super) struct Taking<'a> {
    element: &'a Element,
    attributes: Vec<(&'a str, &'a str)>,
    children: Vec<&'a Element>,
}

impl<'a> Taking<'a> {
    pub(super) fn of(element: &'a Element) -> Taking<'a> {
        let is_content = |name: &str| !name.starts_with("xmlns") && !name.starts_with("xsi:");
        let attributes = element.attributes().filter(|(name, _)| is_content(name)).collect();
        Taking { element, attributes, children: element.children().iter().collect() }
    }

    /// The first child of that local name.
    pub(super) fn child(&mut self, name: &str) -> Option<Taking<'a>> {
        let at = self.children.iter().position(|child| child.name() == name)?;
        Some(Taking::of(self.children.remove(at)))
    }

    /// All children of that local name, in their order.
    pub(super) fn children(&mut self, name: &str) -> Vec<Taking<'a>> {
        let all = std::mem::take(&mut self.children);
        let (taken, left) = all.into_iter().partition(|child| child.name() == name);
        self.children = left;
        taken.into_iter().map(Taking::of).collect()
    }

    /// All children that are left, in their order, with their names.
    pub(super) fn all_children(&mut self) -> Vec<(&'a str, Taking<'a>)> {
        let all = std::mem::take(&mut self.children);
        all.into_iter().map(|child| (child.name(), Taking::of(child))).collect()
    }

    /// The text of the first child of that name that holds nothing but text. Absent and empty are the same.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let is_leaf = |child: &&Element| child.name() == name && child.children().is_empty();
        let at = self.children.iter().position(is_leaf)?;
        self.children.remove(at).text()
    }

    /// `0` or `1` in a child, in both spellings of the XML schema type; something else is left where it is.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let at = self.children.iter().position(|child| child.name() == name)?;
        let value = flag_of(self.children.get(at)?.text()?.as_str())?;
        self.children.remove(at);
        Some(value)
    }

    /// A date `YYYYMMDD` of a child; something else is left where it is.
    pub(super) fn date(&mut self, name: &str) -> Option<PartialDate> {
        let at = self.children.iter().position(|child| child.name() == name)?;
        let date = PartialDate::parse(&self.children.get(at)?.text()?)?;
        self.children.remove(at);
        Some(date)
    }

    /// An attribute. Absent and empty are the same.
    pub(super) fn attribute(&mut self, name: &str) -> Option<String> {
        let at = self.attributes.iter().position(|(key, _)| *key == name)?;
        let (_, value) = self.attributes.remove(at);
        let value = shown(value.trim());
        (!value.is_empty()).then_some(value)
    }

    /// An attribute that is `0` or `1`; something else is left where it is.
    pub(super) fn attribute_flag(&mut self, name: &str) -> Option<bool> {
        let at = self.attributes.iter().position(|(key, _)| *key == name)?;
        let value = flag_of(self.attributes.get(at)?.1.trim())?;
        self.attributes.remove(at);
        Some(value)
    }

    /// An attribute that is a date `YYYYMMDD`; something else is left where it is.
    pub(super) fn attribute_date(&mut self, name: &str) -> Option<PartialDate> {
        let at = self.attributes.iter().position(|(key, _)| *key == name)?;
        let date = PartialDate::parse(self.attributes.get(at)?.1.trim())?;
        self.attributes.remove(at);
        Some(date)
    }

    /// Leaves out attributes whose value the schema fixes, such as the identifier of a code system.
    pub(super) fn leave_out(&mut self, names: &[&str]) {
        self.attributes.retain(|(name, _)| !names.contains(name));
    }

    /// What was not taken.
    pub(super) fn rest(self) -> Vec<Field> {
        let mut fields = Vec::new();
        self.rest_into("", &mut fields);
        fields
    }

    /// What was not taken, with the names that lead to it.
    pub(super) fn rest_into(self, path: &str, fields: &mut Vec<Field>) {
        if let Some(value) = self.element.text() {
            fields.push(Field { name: path.to_owned(), value });
        }
        for (name, value) in self.attributes {
            fields.push(Field { name: below(path, &format!("@{name}")), value: shown(value) });
        }
        for child in self.children {
            Taking::of(child).rest_into(&below(path, child.name()), fields);
        }
    }
}

/// The path to a part. Names are cut: thousands of parts below a name of thousands of characters would cost more memory than
/// the document has bytes by far. No name of the schemas comes near.
pub(crate) fn below(path: &str, name: &str) -> String {
    const LONGEST: usize = 64;
    let name = match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    };
    if path.is_empty() { name } else { format!("{path}/{name}") }
}

fn flag_of(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}
