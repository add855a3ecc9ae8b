//! What a certificate says about its holder's profession and about its own quality.

use der::Decode;
use x509_cert::ext::pkix::CertificatePolicies;

use crate::certificate::Certificate;
use crate::oid::{self, Oid};
use crate::tlv::{Element, TlvError, tag};

/// First profession of the first admission; later ones are ignored, as the health network does.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Profession {
    pub(crate) oids: Vec<Oid>,
    pub(crate) registration_number: Option<String>,
}

impl Profession {
    /// From the extension admission; nothing when it is missing or damaged.
    pub(crate) fn of(certificate: &Certificate) -> Profession {
        certificate.extension(oid::ADMISSION).and_then(|value| read(value).ok()).unwrap_or_default()
    }
}

/// Profession OIDs, dotted, in the first admission of a certificate (DER); none without one.
pub fn professions(certificate: &[u8]) -> Vec<String> {
    let profession = Certificate::from_der(certificate).map(|certificate| Profession::of(&certificate));
    profession.unwrap_or_default().oids.iter().map(ToString::to_string).collect()
}

/// Registration number - the Telematik-ID - in the first admission of a certificate (DER), if it has one.
pub fn registration_number(certificate: &[u8]) -> Option<String> {
    Profession::of(&Certificate::from_der(certificate).ok()?).registration_number
}

/// Certificate policies, dotted; none when the extension is missing or damaged.
pub(crate) fn policies(certificate: &Certificate) -> Vec<String> {
    let policies = certificate.extension(oid::CERTIFICATE_POLICIES);
    let policies = policies.and_then(|value| CertificatePolicies::from_der(value).ok());
    policies
        .into_iter()
        .flat_map(|found| found.0)
        .map(|policy| policy.policy_identifier.to_string())
        .collect()
}

/// Identifiers of the QcStatements, dotted (ETSI EN 319 412-5 clause 4.2); none when missing or damaged.
pub(crate) fn qc_statements(certificate: &Certificate) -> Vec<String> {
    let Some(value) = certificate.extension(oid::QC_STATEMENTS) else { return Vec::new() };
    let statements = Element::only(tag::SEQUENCE, value).and_then(|list| list.elements().all());
    let id = |statement: Element<'_>| {
        let id = Element::only(tag::SEQUENCE, statement.raw).and_then(|s| s.elements().expect(tag::OID));
        id.ok().and_then(|id| Oid::from_der(id.raw).ok())
    };
    statements.unwrap_or_default().into_iter().filter_map(id).map(|oid| oid.to_string()).collect()
}

/// Which certificates of a chain must be valid when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidityModel {
    /// The certificate does not say; judged as chain.
    NotStated,
    /// Each certificate when its key was used.
    Chain,
    /// All of them when the document was signed.
    Shell,
}

impl ValidityModel {
    /// From the extension validityModel (Common PKI part 1, table 26).
    pub(crate) fn of(certificate: &Certificate) -> ValidityModel {
        let model = certificate.extension(oid::VALIDITY_MODEL).and_then(|value| {
            let model = Element::only(tag::SEQUENCE, value).and_then(|s| s.elements().expect(tag::OID));
            Oid::from_der(model.ok()?.raw).ok()
        });
        match model {
            Some(oid::VALIDITY_MODEL_CHAIN) => ValidityModel::Chain,
            Some(oid::VALIDITY_MODEL_SHELL) => ValidityModel::Shell,
            _ => ValidityModel::NotStated,
        }
    }
}

/// AdmissionSyntax (Common PKI 2.0 part 1, table 29b): GeneralName OPTIONAL, SEQUENCE OF Admissions, each with
/// authorities `[0]` and `[1]` OPTIONAL and a SEQUENCE OF ProfessionInfo.
fn read(value: &[u8]) -> Result<Profession, TlvError> {
    let mut syntax = Element::only(tag::SEQUENCE, value)?.elements();
    let mut contents = syntax.take()?.ok_or(TlvError::Missing { expected: tag::SEQUENCE })?;
    if contents.tag != tag::SEQUENCE {
        contents = syntax.expect(tag::SEQUENCE)?;
    }
    let mut admission = contents.elements().expect(tag::SEQUENCE)?.elements();
    admission.optional(tag::CONTEXT_0)?;
    admission.optional(tag::CONTEXT_1)?;
    let mut info = admission.expect(tag::SEQUENCE)?.elements().expect(tag::SEQUENCE)?.elements();
    info.optional(tag::CONTEXT_0)?;
    info.expect(tag::SEQUENCE)?;
    let oids = match info.optional(tag::SEQUENCE)? {
        Some(list) => list.elements().all()?,
        None => Vec::new(),
    };
    let registration = info.optional(tag::PRINTABLE_STRING)?;
    Ok(Profession {
        oids: oids.into_iter().filter_map(|oid| Oid::from_der(oid.raw).ok()).collect(),
        registration_number: registration.and_then(|text| String::from_utf8(text.body.to_vec()).ok()),
    })
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// Authority "O=Land kammer", one item "Zahnarz", OID 1.2.276.0.76.4.31, no registration number.
    const WITHOUT_NUMBER: [u8; 58] = hex!(
        "3038 a418 3016 3114 3012 0603 55040a 0c0b 4c616e64206b616d6d6572"
        "301c 301a 3018 3016 3009 0c07 5a61686e61727a 3009 0607 2a8214004c041f"
    );

    #[test]
    fn a_damaged_admission_is_refused_without_panic() {
        for length in 0..WITHOUT_NUMBER.len() {
            assert!(read(&WITHOUT_NUMBER[..length]).is_err());
        }
    }

    #[test]
    fn profession_and_number_are_read_without_an_authority() {
        let admission =
            hex!("301f 301d 301b 3019 3017 3006 0c04 41727a74 3009 0607 2a8214004c041e 1302 3141");
        let profession = read(&admission).unwrap();
        assert_eq!(profession.oids, [Oid::new_unwrap("1.2.276.0.76.4.30")]);
        assert_eq!(profession.registration_number.as_deref(), Some("1A"));
    }

    #[test]
    fn a_missing_registration_number_is_none() {
        let profession = read(&WITHOUT_NUMBER).unwrap();
        assert_eq!(profession.oids, [Oid::new_unwrap("1.2.276.0.76.4.31")]);
        assert_eq!(profession.registration_number, None);
    }
}
