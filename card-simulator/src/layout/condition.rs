//! Access conditions: what must hold before a command may touch an object.
//!
//! Text form: `ALW`, `PWD(81)`, `FRESH(81)`, `SM(02)`, `SM(TI.55)`, `ROLE(TI.17+33)`, `ENC-CMD`, `ENC-RSP`, joined by `&`
//! (binds tighter) and `|`, with parentheses; any other word is an abbreviation defined by the profile.

use std::collections::BTreeMap;

use crate::crypto::{FlagList, Rights};

/// What the keys of secure messaging were agreed on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A key of the card, by its reference.
    Key(u8),
    /// A card whose certificate gives it these rights; in a condition, the rights it takes.
    Card(Rights),
}

/// One access condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Always allowed.
    Always,
    /// The security status of the password with this reference is set.
    Password(u8),
    /// The password was verified by the command directly before.
    FreshPassword(u8),
    /// The command came under secure messaging whose keys were negotiated with this key or with a certificate
    /// carrying this flag.
    SecureMessaging(Origin),
    /// A role authentication with these flags is in force.
    Role(Rights),
    /// Command data arrive enciphered.
    EncipheredCommand,
    /// Response data leave enciphered.
    EncipheredResponse,
    /// All of these.
    All(Vec<Condition>),
    /// One of these.
    Any(Vec<Condition>),
}

impl Condition {
    /// Parses the text form.
    pub(crate) fn parse(text: &str, abbreviations: &BTreeMap<String, String>) -> Result<Condition, String> {
        let mut parser = Parser { rest: text.trim(), abbreviations };
        let condition = parser.any()?;
        if parser.rest.is_empty() { Ok(condition) } else { Err(format!("trailing text '{}'", parser.rest)) }
    }

    /// Whether the condition holds, given which atoms do.
    pub(crate) fn holds(&self, atom: &dyn Fn(&Condition) -> bool) -> bool {
        match self {
            Condition::Always => true,
            Condition::All(parts) => parts.iter().all(|part| part.holds(atom)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(atom)),
            leaf => atom(leaf),
        }
    }

    /// The passwords named anywhere in the condition.
    pub(crate) fn passwords(&self) -> Vec<u8> {
        match self {
            Condition::Password(reference) | Condition::FreshPassword(reference) => vec![*reference],
            Condition::All(parts) | Condition::Any(parts) => {
                parts.iter().flat_map(Condition::passwords).collect()
            }
            _ => Vec::new(),
        }
    }
}

struct Parser<'t> {
    rest: &'t str,
    abbreviations: &'t BTreeMap<String, String>,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.take("|") {
            parts.push(self.all()?);
        }
        Ok(single_or(parts, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.atom()?];
        while self.take("&") {
            parts.push(self.atom()?);
        }
        Ok(single_or(parts, Condition::All))
    }

    fn atom(&mut self) -> Result<Condition, String> {
        if self.take("(") {
            let inner = self.any()?;
            return if self.take(")") { Ok(inner) } else { Err("missing ')'".to_owned()) };
        }
        let end = self.rest.find([' ', '(', ')', '&', '|']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "ALW" => Ok(Condition::Always),
            "ENC-CMD" => Ok(Condition::EncipheredCommand),
            "ENC-RSP" => Ok(Condition::EncipheredResponse),
            "PWD" => Ok(Condition::Password(self.reference()?)),
            "FRESH" => Ok(Condition::FreshPassword(self.reference()?)),
            "SM" => Ok(Condition::SecureMessaging(origin(&self.argument()?)?)),
            "ROLE" => Ok(Condition::Role(rights(&self.argument()?)?)),
            other => match self.abbreviations.get(other) {
                Some(text) => Condition::parse(text, &BTreeMap::new()),
                None => Err(format!("unknown condition '{other}'")),
            },
        }
    }

    fn reference(&mut self) -> Result<u8, String> {
        u8::from_str_radix(&self.argument()?, 16).map_err(|e| e.to_string())
    }

    fn argument(&mut self) -> Result<String, String> {
        let inner = self.rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (argument, rest) = inner.ok_or("missing argument")?;
        self.rest = rest;
        Ok(argument.to_owned())
    }

    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest).trim_start();
        found.is_some()
    }
}

/// `02`, or `TI.55`.
fn origin(text: &str) -> Result<Origin, String> {
    match u8::from_str_radix(text, 16) {
        Ok(reference) => Ok(Origin::Key(reference)),
        Err(_) => rights(text).map(Origin::Card),
    }
}

/// `TI.17+33`, or `CMS.8`.
fn rights(text: &str) -> Result<Rights, String> {
    let (list, flags) = text.split_once('.').ok_or_else(|| format!("no flags in '{text}'"))?;
    let list = match list {
        "TI" => FlagList::Telematics,
        "CMS" => FlagList::CardManagement,
        other => return Err(format!("unknown list of flags '{other}'")),
    };
    let flags: Result<Vec<u8>, _> = flags.split('+').map(str::parse).collect();
    Ok(Rights::of(list, flags.map_err(|_| format!("flags in '{text}'"))?))
}

fn single_or(mut parts: Vec<Condition>, wrap: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            wrap(parts)
        }
        None => wrap(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Condition {
        let abbreviations = BTreeMap::from([("CMS".to_owned(), "SM(14) | SM(CMS.8)".to_owned())]);
        Condition::parse(text, &abbreviations).unwrap()
    }

    fn telematics(flags: &[u8]) -> Rights {
        Rights::of(FlagList::Telematics, flags.iter().copied())
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert_eq!(
            parse("PWD(02) | PWD(01) & ROLE(TI.12)"),
            Condition::Any(vec![
                Condition::Password(2),
                Condition::All(vec![Condition::Password(1), Condition::Role(telematics(&[12]))]),
            ])
        );
    }

    #[test]
    fn abbreviations_are_expanded() {
        let expected = Condition::Any(vec![
            Condition::SecureMessaging(Origin::Key(0x14)),
            Condition::SecureMessaging(Origin::Card(Rights::of(FlagList::CardManagement, [8]))),
        ]);
        assert_eq!(parse("CMS & ENC-CMD"), Condition::All(vec![expected, Condition::EncipheredCommand]));
    }

    #[test]
    fn a_condition_holds_when_its_atoms_do() {
        let condition = parse("(PWD(03) & ROLE(TI.15)) | (PWD(01) & ROLE(TI.15+33))");
        let with = |passwords: &'static [u8], role: &'static [u8]| {
            condition.holds(&|atom| match atom {
                Condition::Password(p) => passwords.contains(p),
                Condition::Role(wanted) => telematics(role).cover(*wanted),
                _ => false,
            })
        };
        assert!(with(&[3], &[15]));
        assert!(with(&[1], &[15, 33]));
        assert!(!with(&[1], &[15]));
        assert!(!with(&[], &[15]));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "PWD", "PWD(xy)", "ALW ALW", "(ALW", "NEVER", "SM(TI)", "ROLE(XX.1)", "ROLE(TI.x)"] {
            assert!(Condition::parse(text, &BTreeMap::new()).is_err(), "{text}");
        }
    }
}
