//! Certificate extensions by certificate type (gemSpec_PKI, chapter 5; admission: Common PKI).

use const_oid::ObjectIdentifier;
use der::asn1::{Ia5String, OctetString, PrintableString};
use der::flagset::FlagSet;
use der::{Any, Encode, Sequence};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, BasicConstraints, CertificatePolicies, ExtendedKeyUsage,
    KeyUsage, KeyUsages, certpolicy::PolicyInformation,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;

use super::{PkiError, Profession};

/// Types of card certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateType {
    HpQes,
    HpAut,
    HpEnc,
    HciAut,
    HciEnc,
    HciOsig,
    ChAut,
    ChAutn,
    ChEnc,
    ChEncv,
    PivAut,
    PivSig,
    PivKm,
    PivCard,
    IdAut,
    IdSig,
}

const QCP_NATURAL_QSCD: &str = "0.4.0.194112.1.2";
const HBA_POLICY: &str = "1.2.276.0.76.4.145";
const EGK_POLICY: &str = "1.2.276.0.76.4.163";
/// A policy for tests (NIST, csor-certpolicy-test).
const TEST_POLICY: &str = "2.16.840.1.101.3.2.1.48.1";
const INSURED_PERSON: &str = "1.2.276.0.76.4.49";

impl CertificateType {
    /// The type a certificate file's name tells, such as `C.HP.QES` of `EF.C.HP.QES.E256`.
    pub(crate) fn of_file(path: &str) -> Option<CertificateType> {
        let (_, name) = path.rsplit_once("/EF.")?;
        let (kind, _) = name.rsplit_once('.')?;
        Some(match kind {
            "C.HP.QES" => CertificateType::HpQes,
            "C.HP.AUT" => CertificateType::HpAut,
            "C.HP.ENC" => CertificateType::HpEnc,
            "C.HCI.AUT" => CertificateType::HciAut,
            "C.HCI.ENC" => CertificateType::HciEnc,
            "C.HCI.OSIG" => CertificateType::HciOsig,
            "C.CH.AUT" => CertificateType::ChAut,
            "C.CH.AUTN" => CertificateType::ChAutn,
            "C.CH.ENC" => CertificateType::ChEnc,
            "C.CH.ENCV" => CertificateType::ChEncv,
            "C.PIV.AUT" => CertificateType::PivAut,
            "C.PIV.SIG" => CertificateType::PivSig,
            "C.PIV.KM" => CertificateType::PivKm,
            "C.PIV.CARD" => CertificateType::PivCard,
            "C.ID.AUT" => CertificateType::IdAut,
            "C.ID.SIG" => CertificateType::IdSig,
            _ => return None,
        })
    }

    /// Whether the certificate names nobody.
    pub(crate) fn is_pseudonymous(self) -> bool {
        matches!(self, CertificateType::ChAutn | CertificateType::ChEncv)
    }

    fn policies(self) -> Vec<&'static str> {
        match self {
            CertificateType::HpQes => vec!["1.2.276.0.76.4.72", QCP_NATURAL_QSCD, HBA_POLICY],
            CertificateType::HpAut => vec!["1.2.276.0.76.4.75", HBA_POLICY],
            CertificateType::HpEnc => vec!["1.2.276.0.76.4.74", HBA_POLICY],
            CertificateType::HciAut => vec!["1.2.276.0.76.4.77", EGK_POLICY],
            CertificateType::HciEnc => vec!["1.2.276.0.76.4.76", EGK_POLICY],
            CertificateType::HciOsig => vec!["1.2.276.0.76.4.78", EGK_POLICY],
            CertificateType::ChAut => vec!["1.2.276.0.76.4.70", EGK_POLICY],
            CertificateType::ChAutn => vec!["1.2.276.0.76.4.71", EGK_POLICY],
            CertificateType::ChEnc => vec!["1.2.276.0.76.4.68", EGK_POLICY],
            CertificateType::ChEncv => vec!["1.2.276.0.76.4.69", EGK_POLICY],
            CertificateType::IdSig => vec![QCP_NATURAL_QSCD],
            _ => vec![TEST_POLICY],
        }
    }

    fn key_usage(self, rsa: bool) -> FlagSet<KeyUsages> {
        use KeyUsages::{DataEncipherment, DigitalSignature, KeyAgreement, KeyEncipherment, NonRepudiation};
        match (self, rsa) {
            (CertificateType::HpQes | CertificateType::HciOsig, _) => NonRepudiation.into(),
            (CertificateType::HciAut, true) => DigitalSignature | KeyEncipherment,
            (CertificateType::HciAut, false) => DigitalSignature.into(),
            (CertificateType::HpAut, true) => DigitalSignature | KeyEncipherment,
            (CertificateType::HpAut, false) => DigitalSignature | KeyAgreement,
            (CertificateType::ChAut | CertificateType::ChAutn, true) => DigitalSignature | KeyEncipherment,
            (CertificateType::ChAut | CertificateType::ChAutn, false) => DigitalSignature.into(),
            (CertificateType::PivAut | CertificateType::PivCard | CertificateType::IdAut, _) => {
                DigitalSignature.into()
            }
            (CertificateType::IdSig, _) => NonRepudiation.into(),
            (CertificateType::PivSig, _) => DigitalSignature | NonRepudiation,
            (CertificateType::PivKm, true) => KeyEncipherment.into(),
            (_, true) => KeyEncipherment | DataEncipherment,
            (_, false) => KeyAgreement.into(),
        }
    }

    fn extended_key_usage(self) -> Vec<ObjectIdentifier> {
        use const_oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_EMAIL_PROTECTION};
        match self {
            CertificateType::HpAut => vec![ID_KP_CLIENT_AUTH, ID_KP_EMAIL_PROTECTION],
            CertificateType::HciAut
            | CertificateType::ChAut
            | CertificateType::ChAutn
            | CertificateType::PivAut
            | CertificateType::IdAut => vec![ID_KP_CLIENT_AUTH],
            CertificateType::PivSig => vec![ID_KP_EMAIL_PROTECTION],
            _ => Vec::new(),
        }
    }
}

/// Who the admission extension speaks of.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) text: String,
    pub(crate) profession: ObjectIdentifier,
    pub(crate) registration: Option<String>,
}

impl Admitted {
    pub(crate) fn professional(profession: Profession, telematik_id: &str) -> Admitted {
        Admitted {
            text: profession.text().to_owned(),
            profession: profession.oid(),
            registration: Some(telematik_id.to_owned()),
        }
    }

    /// The institution that people of this profession run; the profession itself if none is known.
    pub(crate) fn institution(profession: Profession, telematik_id: &str) -> Admitted {
        let (text, oid) = profession.institution().unwrap_or((profession.text(), profession.oid()));
        Admitted { text: text.to_owned(), profession: oid, registration: Some(telematik_id.to_owned()) }
    }

    pub(crate) fn insured() -> Admitted {
        Admitted {
            text: "Versicherte/-r".to_owned(),
            profession: ObjectIdentifier::new_unwrap(INSURED_PERSON),
            registration: None,
        }
    }
}

/// All extensions of a card certificate but the two key identifiers.
pub(crate) fn card_extensions(
    kind: CertificateType,
    rsa: bool,
    admitted: &Admitted,
    ocsp: &str,
    subject: &Name,
) -> Result<Vec<Extension>, PkiError> {
    let mut extensions = Vec::new();
    let mut add = |extension: Extension| extensions.push(extension);
    let encoded = |result: der::Result<Extension>| result.map_err(PkiError::from);
    add(encoded(BasicConstraints { ca: false, path_len_constraint: None }.to_extension(subject, &[]))?);
    add(encoded(KeyUsage(kind.key_usage(rsa)).to_extension(subject, &[]))?);
    let usages = kind.extended_key_usage();
    if !usages.is_empty() {
        add(encoded(ExtendedKeyUsage(usages).to_extension(subject, &[]))?);
    }
    add(encoded(policies(&kind.policies()).to_extension(subject, &[]))?);
    add(encoded(responder(ocsp)?.to_extension(subject, &[]))?);
    if kind == CertificateType::HpQes {
        add(raw("1.3.6.1.5.5.7.1.3", &qualified_statements())?);
        add(raw("1.3.6.1.4.1.8301.3.5", &vec![chain_model()])?);
    }
    add(raw("1.3.36.8.3.3", &admission(admitted)?)?);
    Ok(extensions)
}

/// Extensions of a certification authority but the two key identifiers.
pub(crate) fn authority_extensions(subject: &Name) -> Result<Vec<Extension>, PkiError> {
    let constraints = BasicConstraints { ca: true, path_len_constraint: None };
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    Ok(vec![constraints.to_extension(subject, &[])?, usage.to_extension(subject, &[])?])
}

fn policies(oids: &[&str]) -> CertificatePolicies {
    let policy = |oid: &&str| PolicyInformation {
        policy_identifier: ObjectIdentifier::new_unwrap(oid),
        policy_qualifiers: None,
    };
    CertificatePolicies(oids.iter().map(policy).collect())
}

fn responder(url: &str) -> Result<AuthorityInfoAccessSyntax, PkiError> {
    Ok(AuthorityInfoAccessSyntax(vec![AccessDescription {
        access_method: const_oid::db::rfc5280::ID_AD_OCSP,
        access_location: GeneralName::UniformResourceIdentifier(Ia5String::new(url)?),
    }]))
}

/// QcCompliance and QcSSCD (ETSI EN 319 412-5).
fn qualified_statements() -> Vec<Statement> {
    let statement = |oid| Statement { id: ObjectIdentifier::new_unwrap(oid) };
    vec![statement("0.4.0.1862.1.1"), statement("0.4.0.1862.1.4")]
}

/// Validity model: chain.
fn chain_model() -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.8301.3.5.1")
}

/// QCStatement without further information.
#[derive(Sequence)]
struct Statement {
    id: ObjectIdentifier,
}

/// AdmissionSyntax with an authority and one profession.
#[derive(Sequence)]
struct AdmissionSyntax {
    authority: Any,
    contents: Vec<Admissions>,
}

#[derive(Sequence)]
struct Admissions {
    professions: Vec<ProfessionInfo>,
}

#[derive(Sequence)]
struct ProfessionInfo {
    items: Vec<String>,
    oids: Vec<ObjectIdentifier>,
    #[asn1(optional = "true")]
    registration: Option<PrintableString>,
}

fn admission(admitted: &Admitted) -> Result<AdmissionSyntax, PkiError> {
    let authority = GeneralName::DirectoryName(super::subject::authority("Admission authority")?);
    Ok(AdmissionSyntax {
        authority: Any::encode_from(&authority)?,
        contents: vec![Admissions {
            professions: vec![ProfessionInfo {
                items: vec![admitted.text.clone()],
                oids: vec![admitted.profession],
                registration: admitted.registration.as_deref().map(PrintableString::new).transpose()?,
            }],
        }],
    })
}

fn raw(oid: &str, value: &impl Encode) -> Result<Extension, PkiError> {
    Ok(Extension {
        extn_id: ObjectIdentifier::new_unwrap(oid),
        critical: false,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}
