//! The keys of the insurance card, which is no token of the module: each signature and decipherment of its holder's keys, asked
//! for by commands and judged by OpenSSL.

use card_simulator::{Card, CardImage, NewCard, ProfileName, RsaKeyPool};
use sha2::{Digest, Sha256};

use crate::bench::{Check, openssl, openssl_accepts};

const MESSAGE: &[u8] = b"a content encryption key of 40 bytes ....";
const ESIGN: &str = "00A4040C0AA000000167455349474E";
/// MRPIN.home, which has the value of PIN.CH.
const VERIFY: &str = "00200002 0826123456FFFFFFFF";

/// What a key is asked to do: certificate, key reference, algorithm identifier, and how OpenSSL judges it.
type Use = (&'static str, u8, u8, Judge);

enum Judge {
    Signature(Check),
    Oaep,
    Elc,
}

const PKCS1: Judge = Judge::Signature(Check::Pkcs1("sha256"));
const PSS: Judge = Judge::Signature(Check::Pss);
const ECDSA: Judge = Judge::Signature(Check::Ecdsa);

/// gemSpec_eGK_ObjSys_G2.1, keys of DF.ESIGN with a certificate.
const RSA: [Use; 5] = [
    ("C.CH.AUT.R2048", 0x82, 0x02, PKCS1),
    ("C.CH.AUT.R2048", 0x82, 0x05, PSS),
    ("C.CH.AUTN.R2048", 0x86, 0x05, PSS),
    ("C.CH.ENC.R2048", 0x83, 0x85, Judge::Oaep),
    ("C.CH.ENCV.R2048", 0x87, 0x85, Judge::Oaep),
];
const EC: [Use; 4] = [
    ("C.CH.AUT.E256", 0x84, 0x00, ECDSA),
    ("C.CH.AUTN.E256", 0x8B, 0x00, ECDSA),
    ("C.CH.ENC.E256", 0x85, 0x0B, Judge::Elc),
    ("C.CH.ENCV.E256", 0x8C, 0x0B, Judge::Elc),
];

#[test]
fn openssl_accepts_what_the_keys_of_insurance_cards_sign_and_they_open_what_it_closed() {
    for (profile, uses) in [
        (ProfileName::EgkG21, RSA.into_iter().chain(EC).collect::<Vec<_>>()),
        (ProfileName::EgkG2, RSA.into()),
    ] {
        let directory = tempfile::tempdir().unwrap();
        NewCard::new(profile).rsa_keys(RsaKeyPool::Shared).create(directory.path()).unwrap();
        let image = CardImage::open(directory.path()).unwrap();
        let certified = std::fs::read_dir(directory.path().join("certificates")).unwrap().count();
        let mut card = Card::new(image);
        let mut tried: Vec<&str> = Vec::new();
        for (name, reference, algorithm, judge) in uses {
            let certificate = openssl::der(&directory.path().join(format!("certificates/{name}.pem")));
            try_key(&mut card, &certificate, (reference, algorithm), &judge, name);
            tried.push(name);
        }
        tried.dedup();
        assert_eq!(tried.len(), certified, "{profile}: each key with a certificate is tried");
    }
}

fn try_key(card: &mut Card, certificate: &[u8], (reference, algorithm): (u8, u8), judge: &Judge, name: &str) {
    let template = if matches!(judge, Judge::Signature(_)) { "B6" } else { "B8" };
    all_ok(card, ESIGN);
    all_ok(card, VERIFY);
    all_ok(card, &format!("002241{template}068401{reference:02X}8001{algorithm:02X}"));
    let digest = Sha256::digest(MESSAGE);
    let decipher = |cryptogram: &[u8]| {
        let length = u16::try_from(cryptogram.len()).unwrap();
        format!("002A808600{length:04X}{}0000", hex::encode(cryptogram))
    };
    match judge {
        Judge::Signature(check) => {
            let info = "3031300d060960864801650304020105000420";
            let prefix = if matches!(check, Check::Pkcs1(_)) { info } else { "" };
            let input = format!("{prefix}{}", hex::encode(digest));
            let signature = all_ok(card, &format!("002A9E9A0000{:02X}{input}0000", input.len() / 2));
            assert!(openssl_accepts(certificate, check, &digest, &signature), "{name} {algorithm:02X}");
        }
        Judge::Oaep => {
            let cryptogram = [&[0], openssl::encrypts(certificate, MESSAGE).as_slice()].concat();
            assert_eq!(all_ok(card, &decipher(&cryptogram)), MESSAGE, "{name}");
        }
        Judge::Elc => {
            let cryptogram = openssl::encrypts_by_elc(certificate, "brainpoolP256r1", MESSAGE);
            assert_eq!(all_ok(card, &decipher(&cryptogram)), MESSAGE, "{name}");
        }
    }
}

fn all_ok(card: &mut Card, command: &str) -> Vec<u8> {
    let mut answer = card.transmit(&hex::decode(command.replace(' ', "")).unwrap());
    let status = answer.split_off(answer.len() - 2);
    assert_eq!(status, [0x90, 0x00], "{command}");
    answer
}
