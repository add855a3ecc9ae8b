//! Access rules: which command is allowed on an object under which condition.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Condition;
use crate::Interface;

/// What a command does, as access rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    ReadBinary,
    UpdateBinary,
    WriteBinary,
    EraseBinary,
    SetLogicalEof,
    /// SET LOGICAL EOF with exactly these P1 P2.
    SetLogicalEofAt(u16),
    ReadRecord,
    SearchRecord,
    AppendRecord,
    UpdateRecord,
    EraseRecord,
    DeleteRecord,
    ActivateRecord,
    DeactivateRecord,
    Activate,
    Deactivate,
    Delete,
    LoadApplication,
    GetRandom,
    Fingerprint,
    Verify,
    PinStatus,
    /// CHANGE REFERENCE DATA P1=00: old and new secret.
    Change,
    /// CHANGE REFERENCE DATA P1=01: new secret only.
    Set,
    /// RESET RETRY COUNTER P1=00: PUK and new secret.
    ResetWithPukAndNew,
    /// RESET RETRY COUNTER P1=01: PUK only.
    ResetWithPuk,
    /// RESET RETRY COUNTER P1=02: new secret only.
    ResetWithNew,
    Disable,
    Enable,
    ComputeSignature,
    Decipher,
    Transcipher,
    VerifyCertificate,
    InternalAuthenticate,
    ExternalAuthenticate,
    ExternalAuthenticate80,
    GeneralAuthenticate,
    ReadPublicKey,
    GenerateKey,
}

const WORDS: [(&str, Operation); 38] = [
    ("READ", Operation::ReadBinary),
    ("UPDATE", Operation::UpdateBinary),
    ("WRITE", Operation::WriteBinary),
    ("ERASE", Operation::EraseBinary),
    ("SETEOF", Operation::SetLogicalEof),
    ("RREAD", Operation::ReadRecord),
    ("RSEARCH", Operation::SearchRecord),
    ("RAPPEND", Operation::AppendRecord),
    ("RUPDATE", Operation::UpdateRecord),
    ("RERASE", Operation::EraseRecord),
    ("RDELETE", Operation::DeleteRecord),
    ("RACTIVATE", Operation::ActivateRecord),
    ("RDEACTIVATE", Operation::DeactivateRecord),
    ("ACTIVATE", Operation::Activate),
    ("DEACTIVATE", Operation::Deactivate),
    ("DELETE", Operation::Delete),
    ("LOAD", Operation::LoadApplication),
    ("RANDOM", Operation::GetRandom),
    ("FINGERPRINT", Operation::Fingerprint),
    ("VERIFY", Operation::Verify),
    ("STATUS", Operation::PinStatus),
    ("CHANGE", Operation::Change),
    ("SET", Operation::Set),
    ("RESET0", Operation::ResetWithPukAndNew),
    ("RESET1", Operation::ResetWithPuk),
    ("RESET2", Operation::ResetWithNew),
    ("DISABLE", Operation::Disable),
    ("ENABLE", Operation::Enable),
    ("CDS", Operation::ComputeSignature),
    ("DECIPHER", Operation::Decipher),
    ("TRANSCIPHER", Operation::Transcipher),
    ("VERCERT", Operation::VerifyCertificate),
    ("INTAUTH", Operation::InternalAuthenticate),
    ("EXTAUTH", Operation::ExternalAuthenticate),
    ("EXTAUTH80", Operation::ExternalAuthenticate80),
    ("GENAUTH", Operation::GeneralAuthenticate),
    ("PUBKEY", Operation::ReadPublicKey),
    ("KEYGEN", Operation::GenerateKey),
];

impl Operation {
    fn parse(word: &str) -> Result<Operation, String> {
        if let Some(argument) = word.strip_prefix("SETEOF(").and_then(|rest| rest.strip_suffix(')')) {
            let parameters = u16::from_str_radix(argument, 16).map_err(|e| e.to_string())?;
            return Ok(Operation::SetLogicalEofAt(parameters));
        }
        let found = WORDS.iter().find(|(name, _)| *name == word);
        found.map(|(_, operation)| *operation).ok_or_else(|| format!("unknown command '{word}'"))
    }
}

/// The access rules of one object.
#[derive(Debug)]
pub(crate) struct AccessRules {
    sets: Vec<RuleSet>,
}

#[derive(Debug)]
struct RuleSet {
    interface: Interface,
    active: bool,
    /// The security environment; `None` is any.
    environment: Option<u8>,
    rules: Vec<(Vec<Operation>, Condition)>,
}

impl AccessRules {
    /// No rule at all: nothing is allowed.
    pub(crate) const fn none() -> AccessRules {
        AccessRules { sets: Vec::new() }
    }

    /// The condition for a command, or `None` if no rule names it: it is refused then.
    pub(crate) fn condition(
        &self,
        interface: Interface,
        active: bool,
        environment: u8,
        operation: Operation,
    ) -> Option<&Condition> {
        self.sets
            .iter()
            .filter(|set| set.interface == interface && set.active == active)
            .filter(|set| set.environment.is_none_or(|number| number == environment))
            .flat_map(|set| &set.rules)
            .find(|(operations, _)| operations.contains(&operation))
            .map(|(_, condition)| condition)
    }

    /// Everything the rules name, in any state and environment.
    #[cfg(test)]
    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation> {
        self.sets.iter().flat_map(|set| &set.rules).flat_map(|(operations, _)| operations.iter().copied())
    }

    /// Whether the object has rules for this security environment.
    pub(crate) fn knows_environment(&self, number: u8) -> bool {
        self.sets.iter().any(|set| set.environment == Some(number))
    }
}

/// Access rules as a profile file writes them: `["READ: ALW", "UPDATE WRITE: PWD(01)"]` per interface, life
/// cycle and security environment.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AccessText {
    #[serde(default)]
    contact: Vec<String>,
    #[serde(default)]
    contactless: Vec<String>,
    #[serde(default)]
    contact_se2: Vec<String>,
    #[serde(default)]
    contactless_se2: Vec<String>,
    #[serde(default)]
    contact_deactivated: Vec<String>,
    #[serde(default)]
    contactless_deactivated: Vec<String>,
}

impl AccessText {
    /// Rules of the first security environment only.
    pub(super) fn of(contact: &[String], contactless: &[String]) -> AccessText {
        AccessText { contact: contact.to_vec(), contactless: contactless.to_vec(), ..AccessText::default() }
    }

    pub(super) fn parse(&self, abbreviations: &BTreeMap<String, String>) -> Result<AccessRules, String> {
        use Interface::{Contact, Contactless};
        let written = [
            (&self.contact, Contact, true, Some(1)),
            (&self.contactless, Contactless, true, Some(1)),
            (&self.contact_se2, Contact, true, Some(2)),
            (&self.contactless_se2, Contactless, true, Some(2)),
            (&self.contact_deactivated, Contact, false, None),
            (&self.contactless_deactivated, Contactless, false, None),
        ];
        let mut sets = Vec::new();
        for (lines, interface, active, environment) in written {
            if !lines.is_empty() {
                let rules = lines.iter().map(|line| rule(line, abbreviations)).collect::<Result<_, _>>()?;
                sets.push(RuleSet { interface, active, environment, rules });
            }
        }
        Ok(AccessRules { sets })
    }
}

fn rule(line: &str, abbreviations: &BTreeMap<String, String>) -> Result<(Vec<Operation>, Condition), String> {
    let (words, condition) = line.split_once(':').ok_or_else(|| format!("no ':' in rule '{line}'"))?;
    let operations = words.split_whitespace().map(Operation::parse).collect::<Result<_, _>>()?;
    let condition = Condition::parse(condition, abbreviations).map_err(|e| format!("rule '{line}': {e}"))?;
    Ok((operations, condition))
}
