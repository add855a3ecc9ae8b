//! Each mechanism of each key of each card: what the module says it can sign with is tried, and OpenSSL verifies it.

use card_simulator::ProfileName;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::bench::{Bench, Check, PIN_CH, PIN_QES, login, openssl_accepts};

const TEXT: &[u8] = b"The quick brown fox signs with a card.";

/// The cards that sign, with the PINs of ESIGN and QES and the number of pairs of key and mechanism.
const CARDS: [(ProfileName, &[&str], usize); 10] = [
    (ProfileName::HpcP384, &[PIN_CH, PIN_QES], 12),
    (ProfileName::HbaG21, &[PIN_CH, PIN_QES], 12),
    (ProfileName::Piv, &[PIN_CH, PIN_CH], 5),
    (ProfileName::PivRsa, &[PIN_CH, PIN_CH], 5),
    (ProfileName::PivP384, &[PIN_CH, PIN_CH], 5),
    (ProfileName::Esteid, &[PIN_CH, PIN_QES], 5),
    (ProfileName::Beid17, &[PIN_CH, PIN_CH], 5),
    (ProfileName::Beid18, &[PIN_CH, PIN_CH], 5),
    (ProfileName::Jpki, &["1234", "ABC123"], 5),
    (ProfileName::SmcB, &[PIN_CH], 16),
];

#[test]
fn openssl_accepts_each_mechanism_of_each_key_of_each_card() {
    for (profile, pins, expected) in CARDS {
        let bench = Bench::with(profile);
        let mut tried = 0;
        for (slot, pin) in [bench.esign(), bench.qes()].into_iter().zip(pins) {
            tried += sign_with_everything(&bench, slot, pin, profile);
        }
        assert_eq!(tried, expected, "{profile}");
    }
}

fn sign_with_everything(bench: &Bench, slot: Slot, pin: &str, profile: ProfileName) -> usize {
    let session = bench.logged_in(slot, pin);
    let keys = private_keys(&session);
    let mut tried = 0;
    for (id, mechanisms, bits) in keys {
        for kind in mechanisms {
            // What else the key can do has a test of its own.
            if kind == MechanismType::ECDH1_DERIVE {
                continue;
            }
            let Some((mechanism, input, check, digest)) = order(kind, bits) else {
                panic!("{profile}: no check is known for {kind}");
            };
            // A signature may have used the login up.
            let _ = session.logout();
            login(&session, UserType::User, pin).unwrap();
            let key = with_id(&session, ObjectClass::PRIVATE_KEY, &id);
            let signature = session.sign(&mechanism, key, &input).unwrap();
            let certificate = with_id(&session, ObjectClass::CERTIFICATE, &id);
            let Attribute::Value(certificate) =
                session.get_attributes(certificate, &[AttributeType::Value]).unwrap().remove(0)
            else {
                panic!("a certificate has a value");
            };
            assert!(openssl_accepts(&certificate, &check, &digest, &signature), "{profile} {id:?} {kind}");
            tried += 1;
        }
    }
    tried
}

/// Id, mechanisms to sign with, and for elliptic curves the bytes of a field element.
fn private_keys(session: &Session) -> Vec<(Vec<u8>, Vec<MechanismType>, usize)> {
    let signing = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Sign(true)];
    let wanted = [AttributeType::Id, AttributeType::AllowedMechanisms, AttributeType::EcParams];
    let describe = |key: ObjectHandle| {
        let (mut id, mut mechanisms, mut width) = (Vec::new(), Vec::new(), 0);
        for attribute in session.get_attributes(key, &wanted).unwrap() {
            match attribute {
                Attribute::Id(value) => id = value,
                Attribute::AllowedMechanisms(value) => mechanisms = value,
                // secp384r1 has the short identifier.
                Attribute::EcParams(value) => width = if value.len() == 7 { 48 } else { 32 },
                _ => {}
            }
        }
        (id, mechanisms, width)
    };
    session.find_objects(&signing).unwrap().into_iter().map(describe).collect()
}

pub(crate) fn with_id(session: &Session, class: ObjectClass, id: &[u8]) -> ObjectHandle {
    session.find_objects(&[Attribute::Class(class), Attribute::Id(id.to_vec())]).unwrap()[0]
}

/// What is given to the module, and what OpenSSL has to find signed.
fn order(kind: MechanismType, width: usize) -> Option<(Mechanism<'static>, Vec<u8>, Check, Vec<u8>)> {
    let sha256 = Sha256::digest(TEXT).to_vec();
    let (sha384, sha512) = (Sha384::digest(TEXT).to_vec(), Sha512::digest(TEXT).to_vec());
    let pss =
        || PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() };
    let text = TEXT.to_vec();
    Some(match kind {
        MechanismType::ECDSA if width == 48 => (Mechanism::Ecdsa, sha384.clone(), Check::Ecdsa, sha384),
        MechanismType::ECDSA => (Mechanism::Ecdsa, sha256.clone(), Check::Ecdsa, sha256),
        MechanismType::ECDSA_SHA256 => (Mechanism::EcdsaSha256, text, Check::Ecdsa, sha256),
        MechanismType::ECDSA_SHA384 => (Mechanism::EcdsaSha384, text, Check::Ecdsa, sha384),
        MechanismType::ECDSA_SHA512 => (Mechanism::EcdsaSha512, text, Check::Ecdsa, sha512),
        MechanismType::RSA_PKCS => {
            let prefix = hex::decode("3031300d060960864801650304020105000420").unwrap();
            (Mechanism::RsaPkcs, [prefix, sha256.clone()].concat(), Check::Pkcs1("sha256"), sha256)
        }
        MechanismType::SHA256_RSA_PKCS => (Mechanism::Sha256RsaPkcs, text, Check::Pkcs1("sha256"), sha256),
        MechanismType::SHA384_RSA_PKCS => (Mechanism::Sha384RsaPkcs, text, Check::Pkcs1("sha384"), sha384),
        MechanismType::SHA512_RSA_PKCS => (Mechanism::Sha512RsaPkcs, text, Check::Pkcs1("sha512"), sha512),
        MechanismType::RSA_PKCS_PSS => (Mechanism::RsaPkcsPss(pss()), sha256.clone(), Check::Pss, sha256),
        MechanismType::SHA256_RSA_PKCS_PSS => (Mechanism::Sha256RsaPkcsPss(pss()), text, Check::Pss, sha256),
        _ => return None,
    })
}
