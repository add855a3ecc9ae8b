//! Proof Key for Code Exchange (RFC 7636), with the method S256 only: "plain" shows the verifier to whoever sees the
//! request, and OAuth 2.1 leaves it out.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// A challenge of the method S256: base64url of a SHA-256, 43 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge(String);

impl Challenge {
    /// Parses a challenge (RFC 7636 clause 4.2).
    pub(super) fn parse(text: &str) -> Option<Challenge> {
        let hash = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        (hash.len() == 32).then(|| Challenge(text.to_owned()))
    }

    /// Whether a verifier is the one (clause 4.6).
    pub(super) fn fits(&self, verifier: &str) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(unreserved)
            && BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    #[test]
    fn the_example_of_the_standard_fits() {
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.fits("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.fits("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
        assert!(!challenge.fits("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
    }

    /// The flow published by the national identity provider.
    #[test]
    fn the_published_flow_fits() {
        let challenge = Challenge::parse("3IAuIJrbxzA4sMxfxiDlDjhPHoxSwDvH5pBzYm31Nm0").unwrap();
        assert!(challenge.fits("KaMP8GeJQ0g-doMVIG_uCIKFUX65VlbZ1l37fW0fE7M"));
    }

    #[test]
    fn short_verifiers_and_challenges_of_another_length_are_none() {
        for text in ["", "E9Melhoa2Owv", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", "a b"] {
            assert_eq!(Challenge::parse(text), None, "{text}");
        }
        let short = "a".repeat(42);
        let challenge = Challenge(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&short)));
        assert!(!challenge.fits(&short), "a verifier has at least 43 characters");
    }
}
