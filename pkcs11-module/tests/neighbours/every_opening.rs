//! Each key of each card that deciphers or agrees on a secret, by each mechanism that the module says it can do: OpenSSL is
//! the other side.

use card_simulator::ProfileName;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::vendor_defined::VendorDefinedMechanism;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::every_signature::with_id;
use crate::bench::{Bench, PIN_CH, openssl, value};

const MESSAGE: &[u8] = b"a content encryption key of 40 bytes ....";
/// Documented in docs/pkcs11-functions.md.
const ELC: u64 = 0xC850_4301;

/// All cards that the module knows, with the PIN of ESIGN and the number of pairs of key and mechanism. Nothing behind PIN.QES
/// does this.
const CARDS: [(ProfileName, &str, usize); 10] = [
    (ProfileName::HpcP384, PIN_CH, 2),
    (ProfileName::HbaG21, PIN_CH, 2),
    (ProfileName::SmcB, PIN_CH, 2),
    (ProfileName::Piv, PIN_CH, 0),
    (ProfileName::PivRsa, PIN_CH, 1),
    (ProfileName::PivP384, PIN_CH, 1),
    (ProfileName::Esteid, PIN_CH, 1),
    (ProfileName::Beid17, PIN_CH, 0),
    (ProfileName::Beid18, PIN_CH, 0),
    (ProfileName::Jpki, "1234", 0),
];

#[test]
fn each_key_opens_what_openssl_closed_for_it_and_finds_the_secret_that_openssl_finds() {
    for (profile, pin, expected) in CARDS {
        let bench = Bench::with(profile);
        let session = bench.logged_in(bench.esign(), pin);
        let mut tried = Vec::new();
        for key in keys(&session) {
            for mechanism in key.mechanisms() {
                open(&session, &key, mechanism);
                tried.push(mechanism);
            }
        }
        assert_eq!(tried.len(), expected, "{profile}");
        // The wrapper leaves vendors' mechanisms out of lists, but asks about them.
        let elc = MechanismType::new_vendor_defined(ELC).unwrap();
        for mechanism in [MechanismType::RSA_PKCS_OAEP, MechanismType::ECDH1_DERIVE, elc] {
            let offered = bench.module.get_mechanism_info(bench.esign(), mechanism).is_ok();
            assert_eq!(offered, tried.contains(&mechanism), "{profile} {mechanism:?}");
        }
        if let Ok(qualified) = bench.module.open_ro_session(bench.qes()) {
            let opening = [Attribute::Decrypt(true), Attribute::Derive(true)];
            let found = opening.into_iter().map(|use_of| qualified.find_objects(&[use_of]).unwrap().len());
            assert_eq!(found.sum::<usize>(), 0, "{profile}");
        }
    }
}

struct Key {
    handle: ObjectHandle,
    certificate: Vec<u8>,
    /// The curve as OpenSSL calls it; `None` for RSA.
    curve: Option<&'static str>,
    deciphers: bool,
    agrees: bool,
}

impl Key {
    fn mechanisms(&self) -> Vec<MechanismType> {
        let decipher = match self.curve {
            Some(_) => MechanismType::new_vendor_defined(ELC).unwrap(),
            None => MechanismType::RSA_PKCS_OAEP,
        };
        let derive = self.agrees.then_some(MechanismType::ECDH1_DERIVE);
        self.deciphers.then_some(decipher).into_iter().chain(derive).collect()
    }
}

/// The private keys.
fn keys(session: &Session) -> Vec<Key> {
    let wanted = [AttributeType::Id, AttributeType::Decrypt, AttributeType::Derive, AttributeType::EcParams];
    let describe = |handle: ObjectHandle| {
        let mut key = Key { handle, certificate: Vec::new(), curve: None, deciphers: false, agrees: false };
        for attribute in session.get_attributes(handle, &wanted).unwrap() {
            match attribute {
                Attribute::Id(id) => {
                    key.certificate = value(session, with_id(session, ObjectClass::CERTIFICATE, &id));
                }
                Attribute::Decrypt(deciphers) => key.deciphers = deciphers,
                Attribute::Derive(agrees) => key.agrees = agrees,
                Attribute::EcParams(parameters) => {
                    key.curve = Some(match hex::encode(parameters).as_str() {
                        "06052b81040022" => "secp384r1",
                        "06082a8648ce3d030107" => "prime256v1",
                        "06092b2403030208010107" => "brainpoolP256r1",
                        other => panic!("no name is known for the curve {other}"),
                    });
                }
                _ => {}
            }
        }
        key
    };
    let private = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    private.into_iter().map(describe).collect()
}

/// What OpenSSL closed for the key is opened; the secret that it finds with it is found.
fn open(session: &Session, key: &Key, mechanism: MechanismType) {
    let curve = key.curve.unwrap_or_default();
    match mechanism {
        MechanismType::RSA_PKCS_OAEP => {
            let mask = PkcsMgfType::MGF1_SHA256;
            let oaep = PkcsOaepParams::new(MechanismType::SHA256, mask, PkcsOaepSource::empty());
            let cryptogram = openssl::encrypts(&key.certificate, MESSAGE);
            let message = session.decrypt(&Mechanism::RsaPkcsOaep(oaep), key.handle, &cryptogram).unwrap();
            assert_eq!(message, MESSAGE);
        }
        MechanismType::ECDH1_DERIVE => {
            let agreed = openssl::agrees(&key.certificate, curve);
            let parameter = Ecdh1DeriveParams::new(EcKdf::null(), &agreed.point);
            let template = [Attribute::KeyType(KeyType::GENERIC_SECRET)];
            let new = session.derive_key(&Mechanism::Ecdh1Derive(parameter), key.handle, &template).unwrap();
            assert_eq!(value(session, new), agreed.secret);
        }
        elc => {
            let cryptogram = openssl::encrypts_by_elc(&key.certificate, curve, MESSAGE);
            let elc = Mechanism::VendorDefined(VendorDefinedMechanism::new::<()>(elc, None));
            assert_eq!(session.decrypt(&elc, key.handle, &cryptogram).unwrap(), MESSAGE);
        }
    }
}
