//! Which certificate on which token serves a purpose: pure decisions over what was listed.

use std::cmp::Reverse;

use super::{TokenError, TokenView, listing::CertificateObject};
use crate::{
    certificate::{Certificate, KeyKind},
    config::{KeyChoice, KeyPreference},
    idp,
};

/// What a key is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signing prescriptions: key usage nonRepudiation.
    Signature,
    /// Authenticating a clinician: key usage digitalSignature.
    Authentication,
    /// The same with a key that the national identity provider takes.
    NationalLogin,
}

/// A caller's selection. Everything given must fit.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// Label of the token, in full.
    pub token_label: Option<String>,
    /// Serial number of the token, or its end.
    pub serial_suffix: Option<String>,
}

/// The chosen certificate and where it is.
pub struct Choice<'a> {
    /// The token.
    pub token: &'a TokenView,
    /// The certificate on it.
    pub certificate: &'a CertificateObject,
}

impl Purpose {
    /// For error texts.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Signature => "signing prescriptions",
            Purpose::Authentication => "authentication",
            Purpose::NationalLogin => "the national identity provider",
        }
    }

    /// Label prefix of the certificate on German cards (gemSpec_HBA_ObjSys).
    fn label_prefix(self) -> &'static str {
        match self {
            Purpose::Signature => "C.HP.QES",
            Purpose::Authentication | Purpose::NationalLogin => "C.HP.AUT",
        }
    }

    /// Certificate policy of that certificate type (gemSpec_OID).
    fn policy(self) -> &'static str {
        match self {
            Purpose::Signature => "1.2.276.0.76.4.72",
            Purpose::Authentication | Purpose::NationalLogin => "1.2.276.0.76.4.75",
        }
    }

    /// Whether the key usage allows it; a certificate without the extension allows everything.
    fn allowed_by(self, certificate: &Certificate) -> bool {
        let usable = certificate.usage.is_none_or(|usage| match self {
            Purpose::Signature => usage.document_signature,
            Purpose::Authentication | Purpose::NationalLogin => usage.authentication,
        });
        usable && (self != Purpose::NationalLogin || idp::takes(&certificate.key))
    }
}

impl Selector {
    fn fits(&self, token: &TokenView) -> bool {
        self.token_label.as_ref().is_none_or(|label| *label == token.label)
            && self.serial_suffix.as_ref().is_none_or(|suffix| token.serial.ends_with(suffix.as_str()))
    }

    fn is_empty(&self) -> bool {
        self.token_label.is_none() && self.serial_suffix.is_none()
    }
}

/// Chooses the one token and the best certificate on it.
///
/// # Errors
/// Nothing fits, or tokens of several cards do.
pub fn choose<'a>(
    tokens: impl IntoIterator<Item = &'a TokenView>,
    selector: &Selector,
    configured: &KeyChoice,
    purpose: Purpose,
) -> Result<Choice<'a>, TokenError> {
    let fitting: Vec<&TokenView> = tokens
        .into_iter()
        .filter(|token| configured.token_label.as_ref().is_none_or(|label| *label == token.label))
        .filter(|token| selector.fits(token))
        .collect();
    if fitting.is_empty() {
        let asked = !selector.is_empty() || configured.token_label.is_some();
        return Err(if asked { TokenError::NotFound } else { TokenError::NoCard });
    }
    let mut choices = fitting.iter().filter_map(|token| {
        best(token, configured, purpose).map(|certificate| Choice { token, certificate })
    });
    let first = choices.next().ok_or(TokenError::NoKey { what: "certificate", purpose: purpose.name() })?;
    match choices.count() {
        0 => Ok(first),
        more => Err(TokenError::Several { count: more + 1 }),
    }
}

/// The certificate of a token that serves the purpose best, if any does.
pub fn best<'a>(
    token: &'a TokenView,
    configured: &KeyChoice,
    purpose: Purpose,
) -> Option<&'a CertificateObject> {
    token
        .certificates
        .iter()
        .filter(|object| match &configured.certificate_label {
            Some(label) => object.label == *label,
            None => purpose.allowed_by(&object.certificate),
        })
        .min_by_key(|object| Reverse(rank(object, configured.prefer, purpose)))
}

/// Higher is better: the right certificate type, the right label, the preferred kind of key.
fn rank(object: &CertificateObject, prefer: KeyPreference, purpose: Purpose) -> (bool, bool, bool, bool) {
    let certificate = &object.certificate;
    let preferred = matches!(
        (&certificate.key, prefer),
        (KeyKind::Ec(_), KeyPreference::Ec) | (KeyKind::Rsa(_), KeyPreference::Rsa)
    );
    (
        certificate.policies.iter().any(|policy| policy == purpose.policy()),
        object.label.starts_with(purpose.label_prefix()),
        certificate.usage.is_some(),
        preferred,
    )
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::certificate::Usage;

    fn object(label: &str, key: KeyKind, usage: Option<(bool, bool)>) -> CertificateObject {
        let certificate = Certificate {
            der: Vec::new(),
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            not_before: OffsetDateTime::UNIX_EPOCH,
            not_after: OffsetDateTime::UNIX_EPOCH,
            key,
            usage: usage.map(|(document_signature, authentication)| Usage {
                document_signature,
                authentication,
                encryption: false,
            }),
            policies: Vec::new(),
            professions: Vec::new(),
        };
        CertificateObject { label: label.into(), id: vec![1], certificate }
    }

    fn ec() -> KeyKind {
        KeyKind::Ec("P-384".into())
    }

    fn token(label: &str, serial: &str, certificates: Vec<CertificateObject>) -> TokenView {
        TokenView { certificates, ..TokenView::for_tests(label, serial) }
    }

    fn card(name: &str, serial: &str) -> [TokenView; 2] {
        let aut = vec![
            object("C.HP.AUT.R2048", KeyKind::Rsa(2048), Some((false, true))),
            object("C.HP.AUT.E384", ec(), Some((false, true))),
            object("C.HP.ENC.E384", ec(), Some((false, false))),
        ];
        let qes = vec![
            object("C.HP.QES.R2048", KeyKind::Rsa(2048), Some((true, false))),
            object("C.HP.QES.E384", ec(), Some((true, false))),
        ];
        [token(&format!("{name} ESIGN"), serial, aut), token(&format!("{name} QES"), serial, qes)]
    }

    fn chosen(
        tokens: &[TokenView],
        selector: Selector,
        configured: KeyChoice,
        purpose: Purpose,
    ) -> Result<String, TokenError> {
        choose(tokens, &selector, &configured, purpose)
            .map(|choice| format!("{}/{}", choice.token.label, choice.certificate.label))
    }

    #[test]
    fn one_card_needs_no_selection() {
        let tokens = card("HPC", "1111");
        let signature = chosen(&tokens, Selector::default(), KeyChoice::default(), Purpose::Signature);
        assert_eq!(signature.unwrap(), "HPC QES/C.HP.QES.E384");
        let authentication =
            chosen(&tokens, Selector::default(), KeyChoice::default(), Purpose::Authentication);
        assert_eq!(authentication.unwrap(), "HPC ESIGN/C.HP.AUT.E384");
    }

    #[test]
    fn rsa_can_be_preferred() {
        let configured = KeyChoice { prefer: KeyPreference::Rsa, ..KeyChoice::default() };
        let signature = chosen(&card("HPC", "1111"), Selector::default(), configured, Purpose::Signature);
        assert_eq!(signature.unwrap(), "HPC QES/C.HP.QES.R2048");
    }

    #[test]
    fn two_cards_need_a_selection() {
        let tokens = [card("HPC", "1111"), card("HBA", "2222")].concat();
        let undecided = chosen(&tokens, Selector::default(), KeyChoice::default(), Purpose::Signature);
        assert!(matches!(undecided, Err(TokenError::Several { count: 2 })));
        let by_label = Selector { token_label: Some("HBA QES".into()), serial_suffix: None };
        assert_eq!(
            chosen(&tokens, by_label, KeyChoice::default(), Purpose::Signature).unwrap(),
            "HBA QES/C.HP.QES.E384"
        );
        let by_serial = Selector { token_label: None, serial_suffix: Some("11".into()) };
        assert_eq!(
            chosen(&tokens, by_serial, KeyChoice::default(), Purpose::Signature).unwrap(),
            "HPC QES/C.HP.QES.E384"
        );
    }

    #[test]
    fn an_authentication_key_never_signs_prescriptions_unless_configured() {
        let [esign, _] = card("HPC", "1111");
        let tokens = [esign];
        let refused = chosen(&tokens, Selector::default(), KeyChoice::default(), Purpose::Signature);
        assert!(matches!(refused, Err(TokenError::NoKey { what: "certificate", .. })));
        let configured =
            KeyChoice { certificate_label: Some("C.HP.AUT.E384".into()), ..KeyChoice::default() };
        let taken = chosen(&tokens, Selector::default(), configured, Purpose::Signature);
        assert_eq!(taken.unwrap(), "HPC ESIGN/C.HP.AUT.E384");
    }

    #[test]
    fn the_type_of_the_certificate_counts_more_than_its_key() {
        let mut typed = object("other", KeyKind::Rsa(2048), Some((true, true)));
        typed.certificate.policies = vec!["1.2.276.0.76.4.72".into()];
        let tokens = [token("soft", "1", vec![object("plain", ec(), Some((true, true))), typed])];
        let signature = chosen(&tokens, Selector::default(), KeyChoice::default(), Purpose::Signature);
        assert_eq!(signature.unwrap(), "soft/other");
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        let none = chosen(&[], Selector::default(), KeyChoice::default(), Purpose::Signature);
        assert!(matches!(none, Err(TokenError::NoCard)));
        let selector = Selector { token_label: Some("other".into()), serial_suffix: None };
        let unknown = chosen(&card("HPC", "1111"), selector, KeyChoice::default(), Purpose::Signature);
        assert!(matches!(unknown, Err(TokenError::NotFound)));
    }
}
