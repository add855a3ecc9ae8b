//! The provider's public keys, as its key set has them (RFC 7517, RFC 7518 6.2.1) with the curve name `BP-256`.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use bp256::BrainpoolP256r1;
use elliptic_curve::{PublicKey, sec1::ToSec1Point};
use serde::{Deserialize, Serialize};

use super::IdpError;

/// A public key on brainpoolP256r1.
#[derive(Clone)]
pub struct ProviderKey(PublicKey<BrainpoolP256r1>);

/// What is looked at of a JWK; further members (kid, use, x5c) are not.
#[derive(Deserialize, Serialize)]
pub(super) struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

impl ProviderKey {
    /// Reads a JWK. `field` names it in the error.
    ///
    /// # Errors
    /// [`IdpError::ProviderKey`].
    pub fn read(text: &str, field: &'static str) -> Result<ProviderKey, IdpError> {
        parse(text).ok_or(IdpError::ProviderKey { field })
    }

    pub(super) fn public(&self) -> PublicKey<BrainpoolP256r1> {
        self.0
    }
}

impl Jwk {
    /// The form of a public key.
    pub(super) fn of(key: &PublicKey<BrainpoolP256r1>) -> Jwk {
        let point = key.to_sec1_point(false);
        let (x, y) = point.as_bytes().get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        Jwk { kty: "EC".into(), crv: "BP-256".into(), x: BASE64URL.encode(x), y: BASE64URL.encode(y) }
    }
}

fn parse(text: &str) -> Option<ProviderKey> {
    let jwk: Jwk = serde_json::from_str(text).ok()?;
    if jwk.kty != "EC" || jwk.crv != "BP-256" {
        return None;
    }
    let coordinate = |text: &str| BASE64URL.decode(text).ok().filter(|raw| raw.len() == 32);
    let point = [vec![4], coordinate(&jwk.x)?, coordinate(&jwk.y)?].concat();
    PublicKey::from_sec1_bytes(&point).ok().map(ProviderKey)
}

#[cfg(test)]
pub(super) mod tests {

    use super::*;

    /// The provider's own half.
    pub(in super::super) type SigningKey = ecdsa::SigningKey<BrainpoolP256r1>;

    pub(in super::super) fn key_of(key: &SigningKey) -> ProviderKey {
        let text = serde_json::to_string(&Jwk::of(&key.verifying_key().into())).unwrap();
        ProviderKey::read(&text, "key").unwrap()
    }

    #[test]
    fn keys_of_other_kinds_and_points_off_the_curve_are_refused() {
        let x = BASE64URL.encode([1; 32]);
        for text in [
            String::new(),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"}}"#),
            format!(r#"{{"kty":"EC","crv":"BP-256","x":"{x}","y":"{x}"}}"#),
            format!(r#"{{"kty":"EC","crv":"BP-256","x":"{x}","y":"AAAA"}}"#),
        ] {
            let error = ProviderKey::read(&text, "encryption_key").err().unwrap().to_string();
            assert!(error.starts_with("encryption_key: expected"), "{error}");
        }
    }
}
