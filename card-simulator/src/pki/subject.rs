//! Subject names of card certificates.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519::{
    COUNTRY_NAME, GIVEN_NAME, ORGANIZATION_NAME, ORGANIZATIONAL_UNIT_NAME, SERIAL_NUMBER, SN,
};
use der::asn1::{PrintableString, SetOfVec};
use der::{Any, Decode, Encode};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use super::PkiError;

const COMMON_NAME: ObjectIdentifier = const_oid::db::rfc4519::COMMON_NAME;

/// Longest common name (RFC 5280, appendix A.1); names on cards have up to 45 characters each.
const COMMON_NAME_LIMIT: usize = 64;

/// A health professional.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    /// Full name with title, for the common name.
    pub(crate) name: String,
    pub(crate) iccsn: String,
}

/// An insured person.
#[derive(Clone)]
pub(crate) struct Insured {
    pub(crate) given_name: String,
    pub(crate) surname: String,
    pub(crate) kvnr: String,
    pub(crate) payer: String,
    pub(crate) payer_id: String,
}

impl Holder {
    /// C=DE and one multi-valued name: CN, surname, given name, serial number "00." and the card's number.
    pub(crate) fn subject(&self) -> Result<Name, PkiError> {
        let mut words: Vec<&str> = self.name.split_whitespace().filter(|word| !word.ends_with('.')).collect();
        let surname = words.pop().unwrap_or("Unbekannt");
        let given = words.join(" ");
        let mut person = vec![
            utf8(COMMON_NAME, &self.name)?,
            utf8(SN, surname)?,
            printable(SERIAL_NUMBER, &format!("00.{}", self.iccsn))?,
        ];
        if !given.is_empty() {
            person.push(utf8(GIVEN_NAME, &given)?);
        }
        name(vec![vec![printable(COUNTRY_NAME, "DE")?], person])
    }
}

impl Insured {
    /// C, O = payer, OU = payer's number, OU = insured person's number, and the person's names.
    pub(crate) fn subject(&self) -> Result<Name, PkiError> {
        let whole = format!("{} {}", self.given_name, self.surname);
        let whole: String = whole.trim().chars().take(COMMON_NAME_LIMIT).collect();
        name(vec![
            vec![printable(COUNTRY_NAME, "DE")?],
            vec![utf8(ORGANIZATION_NAME, &self.payer)?],
            vec![utf8(ORGANIZATIONAL_UNIT_NAME, &self.payer_id)?],
            vec![utf8(ORGANIZATIONAL_UNIT_NAME, &self.kvnr)?],
            vec![utf8(SN, &self.surname)?],
            vec![utf8(GIVEN_NAME, &self.given_name)?],
            vec![utf8(COMMON_NAME, &whole)?],
        ])
    }

    /// The pseudonymous certificates carry no name.
    pub(crate) fn pseudonym(&self, iccsn: &str) -> Result<Name, PkiError> {
        name(vec![
            vec![printable(COUNTRY_NAME, "DE")?],
            vec![utf8(ORGANIZATION_NAME, &self.payer)?],
            vec![utf8(COMMON_NAME, &format!("PSEUDONYM {iccsn}"))?],
        ])
    }
}

/// Name of a certification authority.
pub(crate) fn authority(common_name: &str) -> Result<Name, PkiError> {
    name(vec![
        vec![printable(COUNTRY_NAME, "DE")?],
        vec![utf8(ORGANIZATION_NAME, "Card simulator NOT-VALID")?],
        vec![utf8(ORGANIZATIONAL_UNIT_NAME, "Test CA")?],
        vec![utf8(COMMON_NAME, common_name)?],
    ])
}

fn name(parts: Vec<Vec<AttributeTypeAndValue>>) -> Result<Name, PkiError> {
    let mut sequence = RdnSequence::default();
    for part in parts {
        sequence.push(RelativeDistinguishedName::from(SetOfVec::try_from(part)?));
    }
    Ok(Name::from_der(&sequence.to_der()?)?)
}

fn utf8(oid: ObjectIdentifier, value: &str) -> Result<AttributeTypeAndValue, PkiError> {
    Ok(AttributeTypeAndValue { oid, value: Any::encode_from(&value.to_owned())? })
}

fn printable(oid: ObjectIdentifier, value: &str) -> Result<AttributeTypeAndValue, PkiError> {
    Ok(AttributeTypeAndValue { oid, value: Any::encode_from(&PrintableString::new(value)?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_to_what_a_common_name_holds() {
        let insured = Insured {
            given_name: "\u{e4}".repeat(45),
            surname: "\u{f6}".repeat(45),
            kvnr: "S304761291".to_owned(),
            payer: "Testkasse".to_owned(),
            payer_id: "109999006".to_owned(),
        };
        let subject = insured.subject().unwrap();
        let is_name = |a: &&AttributeTypeAndValue| a.oid == COMMON_NAME;
        let name = subject.iter().find(is_name).unwrap();
        let name = String::from_utf8(name.value.value().to_vec()).unwrap();
        assert_eq!(name, format!("{} {}", "\u{e4}".repeat(45), "\u{f6}".repeat(18)));
    }
}
