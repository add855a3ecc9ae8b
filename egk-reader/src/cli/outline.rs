//! Any record as an outline for people: one line for each field, nothing for what is absent.

use std::io::{self, Write};

use serde_json::Value;

/// Prints the fields of an object, or the entries of a list.
pub(crate) fn print(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    write(out, value, 0)
}

fn write(out: &mut dyn Write, value: &Value, depth: usize) -> io::Result<()> {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(_, value)| !is_empty(value)) {
                field(out, name, value, depth)?;
            }
            Ok(())
        }
        Value::Array(entries) => entries.iter().try_for_each(|entry| list_entry(out, entry, depth)),
        plain => writeln!(out, "{}{}", indent(depth), text(plain)),
    }
}

fn field(out: &mut dyn Write, name: &str, value: &Value, depth: usize) -> io::Result<()> {
    let label = name.replace('_', " ");
    match value {
        Value::Object(_) => {
            writeln!(out, "{}{label}", indent(depth))?;
            write(out, value, depth + 1)
        }
        Value::Array(entries) if entries.iter().all(|entry| !entry.is_object() && !entry.is_array()) => {
            let entries: Vec<_> = entries.iter().map(text).collect();
            writeln!(out, "{}{label}: {}", indent(depth), entries.join(", "))
        }
        Value::Array(_) => {
            writeln!(out, "{}{label}", indent(depth))?;
            write(out, value, depth + 1)
        }
        plain => writeln!(out, "{}{label}: {}", indent(depth), text(plain)),
    }
}

/// A dash before the first line of an entry.
fn list_entry(out: &mut dyn Write, entry: &Value, depth: usize) -> io::Result<()> {
    let mut lines = Vec::new();
    write(&mut lines, entry, depth + 1)?;
    let lines = String::from_utf8_lossy(&lines);
    match lines.strip_prefix(&indent(depth + 1)) {
        Some(rest) => write!(out, "{}- {rest}", indent(depth)),
        None => Ok(()),
    }
}

/// A name and a value that came together from the card are one line; a tilde is a line break of a medication plan.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('~', " / "),
        other => other.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(entries) => entries.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
        _ => false,
    }
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_is_one_line_each_and_the_rest_is_silent() {
        let value = json!({
            "allergies": [{ "reaction": null, "substance": "Penicillin" }, { "substance": "Latex" }],
            "consent": null,
            "insured": { "kvnr": "X110540756", "title": null },
            "notes": [],
            "rights": [17, 18],
            "version": "1.4.0",
        });
        let mut out = Vec::new();
        print(&mut out, &value).unwrap();
        let expected = "allergies\n  - substance: Penicillin\n  - substance: Latex\ninsured\n  kvnr: X110540756\n\
                        rights: 17, 18\nversion: 1.4.0\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
