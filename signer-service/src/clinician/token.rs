//! Access tokens: JWS in compact form (RFC 7515) with ES384 (RFC 7518 clause 3.4), shaped as RFC 9068 says, and the key
//! set (RFC 7517) with which anybody verifies them.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use p384::ecdsa::{Signature, SigningKey, signature::Signer, signature::Verifier};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The service's key for tokens.
pub struct TokenKey {
    key: SigningKey,
    id: String,
}

/// What a token says. Names follow RFC 9068 and the identity provider of the German health network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The clinician: Telematik-ID, or issuer and serial number of the certificate.
    pub sub: String,
    /// For whom it is.
    pub aud: String,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub exp: i64,
    /// Its own name.
    pub jti: String,
    /// Scopes, separated by blanks.
    pub scope: String,
    /// The client that the clinician used.
    pub client_id: String,
    /// Telematik-ID.
    #[serde(rename = "idNummer", skip_serializing_if = "Option::is_none")]
    pub telematik_id: Option<String>,
    /// First profession of the certificate.
    #[serde(rename = "professionOID", skip_serializing_if = "Option::is_none")]
    pub profession: Option<String>,
    /// Serial number of the certificate, lower-case hexadecimal.
    pub certificate_serial: String,
    /// Its issuer, RFC 4514 text.
    pub certificate_issuer: String,
    /// How the clinician was authenticated: multi-factor, smart card, PIN (RFC 8176).
    pub amr: Vec<String>,
    /// Why it grants what the patient did not consent to: BTG or ETREAT (HL7 v3 PurposeOfUse).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose_of_use: Option<String>,
    /// The emergency access it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<EmergencyClaim>,
}

/// An emergency access in a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyClaim {
    /// Its name.
    pub request_id: String,
    /// Keyed pseudonym of the patient.
    pub patient: String,
    /// Telematik-ID of who asked.
    pub requester: String,
    /// Telematik-ID of who agreed.
    pub approver: String,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

impl TokenKey {
    /// Signs with this key; its name is its thumbprint (RFC 7638).
    pub fn new(key: SigningKey) -> TokenKey {
        let (x, y) = coordinates(&key);
        let canonical = format!(r#"{{"crv":"P-384","kty":"EC","x":"{x}","y":"{y}"}}"#);
        TokenKey { key, id: encode(&Sha256::digest(canonical)) }
    }

    /// The token of these claims.
    pub fn issue(&self, claims: &Claims) -> Option<String> {
        self.sign("at+jwt", claims)
    }

    /// A JWT of this type over any claims.
    pub fn sign(&self, kind: &str, claims: &impl Serialize) -> Option<String> {
        let header = Header { alg: "ES384".into(), typ: kind.into(), kid: self.id.clone() };
        let signed = format!("{}.{}", encode_json(&header)?, encode_json(claims)?);
        let signature: Signature = self.key.sign(signed.as_bytes());
        Some(format!("{signed}.{}", encode(&signature.to_bytes())))
    }

    /// The claims of a token of this key. Times are not looked at.
    pub fn open(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        if header.alg != "ES384" || header.typ != "at+jwt" || header.kid != self.id {
            return None;
        }
        let signature = Signature::from_slice(&decode(signature)?).ok()?;
        self.key.verifying_key().verify(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&decode(payload)?).ok()
    }

    /// The key set to be published.
    pub fn public_keys(&self) -> Value {
        let (x, y) = coordinates(&self.key);
        json!({ "keys": [{ "kty": "EC", "crv": "P-384", "x": x, "y": y, "use": "sig", "alg": "ES384", "kid": self.id }] })
    }
}

/// x and y in the curve's width (RFC 7518 clause 6.2.1).
fn coordinates(key: &SigningKey) -> (String, String) {
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes().get(1..).unwrap_or_default().split_at(48);
    (encode(x), encode(y))
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn encode_json(value: &impl Serialize) -> Option<String> {
    serde_json::to_vec(value).ok().map(|bytes| encode(&bytes))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> TokenKey {
        TokenKey::new(SigningKey::from_slice(&[byte; 48]).unwrap())
    }

    fn claims() -> Claims {
        Claims {
            iss: "https://signer.example".into(),
            sub: "1-HBA-1".into(),
            aud: "clinic".into(),
            iat: 1,
            exp: 301,
            jti: "j".into(),
            scope: "prescription.sign".into(),
            client_id: "ward".into(),
            telematik_id: None,
            profession: Some("1.2.276.0.76.4.30".into()),
            certificate_serial: "01ab".into(),
            certificate_issuer: "CN=CA".into(),
            amr: vec!["mfa".into(), "sc".into(), "pin".into()],
            purpose_of_use: None,
            emergency: None,
        }
    }

    #[test]
    fn a_token_opens_with_its_key_and_no_other() {
        let token = key(7).issue(&claims()).unwrap();
        assert_eq!(key(7).open(&token), Some(claims()));
        assert_eq!(key(8).open(&token), None);
    }

    #[test]
    fn a_changed_token_is_no_token() {
        let token = key(7).issue(&claims()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let header =
            |alg: &str, kid: &str| encode_json(&json!({ "alg": alg, "typ": "at+jwt", "kid": kid })).unwrap();
        let none = header("none", &key(7).id);
        let later = encode_json(&Claims { exp: 9999, ..claims() }).unwrap();
        for changed in [
            format!("{}.{later}.{}", parts[0], parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{token}A"),
            String::new(),
        ] {
            assert_eq!(key(7).open(&changed), None, "{changed}");
        }
    }
}
