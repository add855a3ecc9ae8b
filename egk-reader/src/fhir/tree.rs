//! A FHIR resource as a tree that can be written as JSON and as XML. The two differ in more than brackets: JSON keeps
//! extensions of a primitive in a twin property with an underscore, XML keeps the order of elements.

use std::fmt;

use serde_json::{Map, Value, json};

/// A FHIR resource. `Debug` prints its type only: it is made of personal data.
#[derive(Clone, PartialEq)]
pub struct Resource {
    kind: &'static str,
    fields: Vec<(&'static str, Node)>,
}

/// What an element can hold.
#[derive(Clone, PartialEq)]
pub(super) enum Node {
    /// A primitive value, its extensions, or both.
    Primitive(Option<String>, Vec<Extension>),
    /// A complex type; the order is the order of the FHIR definition.
    Object(Vec<(&'static str, Node)>),
    /// An element that may repeat; never empty.
    List(Vec<Node>),
    /// Extensions of a complex type or resource.
    Extensions(Vec<Extension>),
    /// A resource inside another one.
    Resource(Resource),
}

/// `extension` with a URL and one `value[x]`.
#[derive(Clone, PartialEq)]
pub(super) struct Extension {
    pub(super) url: &'static str,
    /// `valueString`, `valueCode`, ...
    pub(super) name: &'static str,
    pub(super) value: Node,
}

/// A primitive without extensions.
pub(super) fn text(value: impl Into<String>) -> Node {
    Node::Primitive(Some(value.into()), Vec::new())
}

pub(super) fn object(fields: impl IntoIterator<Item = (&'static str, Node)>) -> Node {
    Node::Object(fields.into_iter().collect())
}

/// `{system, code}`.
pub(super) fn coding(system: &str, code: &str) -> Node {
    object([("system", text(system)), ("code", text(code))])
}

impl Resource {
    pub(super) fn new(kind: &'static str, fields: Vec<(&'static str, Node)>) -> Resource {
        Resource { kind, fields }
    }

    /// The resource type, for example `Patient`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The JSON form.
    pub fn to_json(&self) -> Value {
        let mut map = json_object(&self.fields);
        map.insert("resourceType".to_owned(), self.kind.into());
        Value::Object(map)
    }

    /// The XML form, indented by tabs, without an XML declaration (UTF-8).
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write_xml(&mut out, 0, " xmlns=\"http://hl7.org/fhir\"");
        out
    }

    fn write_xml(&self, out: &mut String, depth: usize, namespace: &str) {
        open_tag(out, depth, self.kind, namespace, false);
        for (name, node) in &self.fields {
            write_node(out, depth + 1, name, node);
        }
        close_tag(out, depth, self.kind);
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({})", self.kind)
    }
}

fn json_object(fields: &[(&'static str, Node)]) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, node) in fields {
        let (value, twin) = json_value(node);
        if let Some(value) = value {
            map.insert((*name).to_owned(), value);
        }
        if let Some(twin) = twin {
            map.insert(format!("_{name}"), twin);
        }
    }
    map
}

/// The value of a property and, for primitives with extensions, of its twin with the underscore.
fn json_value(node: &Node) -> (Option<Value>, Option<Value>) {
    match node {
        Node::Primitive(value, extensions) => {
            let twin = (!extensions.is_empty()).then(|| json!({ "extension": json_extensions(extensions) }));
            (value.clone().map(Value::String), twin)
        }
        Node::Object(fields) => (Some(Value::Object(json_object(fields))), None),
        Node::Extensions(extensions) => (Some(json_extensions(extensions)), None),
        Node::Resource(resource) => (Some(resource.to_json()), None),
        Node::List(items) => {
            let (values, twins): (Vec<_>, Vec<_>) = items.iter().map(json_value).unzip();
            let array = |items: Vec<Option<Value>>| {
                let any = items.iter().any(Option::is_some);
                any.then(|| items.into_iter().map(|item| item.unwrap_or(Value::Null)).collect())
            };
            (array(values), array(twins))
        }
    }
}

fn json_extensions(extensions: &[Extension]) -> Value {
    let one = |extension: &Extension| {
        let mut map = Map::new();
        map.insert("url".to_owned(), extension.url.into());
        let (value, _) = json_value(&extension.value);
        map.extend(value.map(|value| (extension.name.to_owned(), value)));
        Value::Object(map)
    };
    extensions.iter().map(one).collect()
}

fn write_node(out: &mut String, depth: usize, name: &str, node: &Node) {
    match node {
        Node::Primitive(value, extensions) => {
            let attribute =
                value.as_deref().map(|value| format!(" value=\"{}\"", escape(value))).unwrap_or_default();
            open_tag(out, depth, name, &attribute, extensions.is_empty());
            if !extensions.is_empty() {
                write_extensions(out, depth + 1, extensions);
                close_tag(out, depth, name);
            }
        }
        Node::Object(fields) => {
            open_tag(out, depth, name, "", false);
            for (name, node) in fields {
                write_node(out, depth + 1, name, node);
            }
            close_tag(out, depth, name);
        }
        Node::List(items) => items.iter().for_each(|item| write_node(out, depth, name, item)),
        Node::Extensions(extensions) => write_extensions(out, depth, extensions),
        Node::Resource(resource) => {
            open_tag(out, depth, name, "", false);
            resource.write_xml(out, depth + 1, "");
            close_tag(out, depth, name);
        }
    }
}

fn write_extensions(out: &mut String, depth: usize, extensions: &[Extension]) {
    for extension in extensions {
        open_tag(out, depth, "extension", &format!(" url=\"{}\"", escape(extension.url)), false);
        write_node(out, depth + 1, extension.name, &extension.value);
        close_tag(out, depth, "extension");
    }
}

fn open_tag(out: &mut String, depth: usize, name: &str, attributes: &str, empty: bool) {
    out.extend(std::iter::repeat_n('\t', depth));
    let end = if empty { "/>\n" } else { ">\n" };
    out.extend(["<", name, attributes, end]);
}

fn close_tag(out: &mut String, depth: usize, name: &str) {
    out.extend(std::iter::repeat_n('\t', depth));
    out.extend(["</", name, ">\n"]);
}

/// For a double-quoted attribute. White space other than blanks would be normalised away by an XML reader.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push_str(&format!("&#{};", u32::from(character))),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Resource {
        let extension = Extension { url: "urn:e", name: "valueString", value: text("a & \"b\"\n<c>") };
        Resource::new(
            "Sample",
            vec![
                ("id", text("1")),
                (
                    "extension",
                    Node::Extensions(vec![Extension {
                        url: "urn:c",
                        name: "valueCoding",
                        value: coding("s", "0"),
                    }]),
                ),
                ("birthDate", Node::Primitive(None, vec![extension.clone()])),
                (
                    "line",
                    Node::List(vec![text("plain"), Node::Primitive(Some("with".into()), vec![extension])]),
                ),
                ("given", Node::List(vec![text("only")])),
            ],
        )
    }

    #[test]
    fn json_keeps_extensions_of_primitives_in_a_twin() {
        let extension = json!({ "extension": [{ "url": "urn:e", "valueString": "a & \"b\"\n<c>" }] });
        assert_eq!(
            sample().to_json(),
            json!({
                "resourceType": "Sample",
                "id": "1",
                "extension": [{ "url": "urn:c", "valueCoding": { "system": "s", "code": "0" } }],
                "_birthDate": extension,
                "line": ["plain", "with"],
                "_line": [null, extension],
                "given": ["only"],
            })
        );
    }

    #[test]
    fn xml_keeps_order_and_escapes() {
        let escaped = "<extension url=\"urn:e\"> <valueString value=\"a &amp; &quot;b&quot;&#10;&lt;c&gt;\"/> </extension>";
        let expected = format!(
            "<Sample xmlns=\"http://hl7.org/fhir\"> <id value=\"1\"/> <extension url=\"urn:c\"> <valueCoding> \
             <system value=\"s\"/> <code value=\"0\"/> </valueCoding> </extension> <birthDate> {escaped} </birthDate> \
             <line value=\"plain\"/> <line value=\"with\"> {escaped} </line> <given value=\"only\"/> </Sample>"
        );
        let written = sample().to_xml().split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(written, expected);
    }

    #[test]
    fn debug_prints_the_type_only() {
        assert_eq!(format!("{:?}", sample()), "Resource(Sample)");
    }
}
