//! OpenSSL as the other side: it encrypts for a card's key, or agrees with it on a secret.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What OpenSSL encrypts for the RSA key of a certificate: OAEP with SHA-256 and no label.
pub(crate) fn encrypts(certificate: &[u8], message: &[u8]) -> Vec<u8> {
    let desk = Desk::new();
    desk.file("certificate.der", certificate);
    desk.file("message", message);
    desk.run(&[
        "pkeyutl",
        "-encrypt",
        "-certin",
        "-keyform",
        "DER",
        "-inkey",
        "certificate.der",
        "-in",
        "message",
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha256",
        "-pkeyopt",
        "rsa_mgf1_md:sha256",
    ])
}

/// A certificate in PEM as DER.
pub(crate) fn der(pem: &Path) -> Vec<u8> {
    Desk::new().run(&["x509", "-outform", "DER", "-in", pem.to_str().unwrap()])
}

/// A key agreement with the key of a certificate.
pub(crate) struct Agreed {
    /// The point of OpenSSL's own key, `04‖x‖y`.
    pub(crate) point: Vec<u8>,
    /// The x-coordinate of the common point, as OpenSSL finds it.
    pub(crate) secret: Vec<u8>,
}

/// Agrees with the key of a certificate, with a fresh key on the same curve.
pub(crate) fn agrees(certificate: &[u8], curve: &str) -> Agreed {
    let desk = Desk::new();
    desk.file("certificate.der", certificate);
    let card = desk.run(&["x509", "-inform", "DER", "-in", "certificate.der", "-noout", "-pubkey"]);
    desk.file("card.pem", &card);
    desk.file("own.pem", &desk.run(&["ecparam", "-genkey", "-noout", "-name", curve]));
    let info = desk.run(&["pkey", "-in", "own.pem", "-pubout", "-outform", "DER"]);
    let secret = desk.run(&["pkeyutl", "-derive", "-inkey", "own.pem", "-peerkey", "card.pem"]);
    let point = info[info.len() - 2 * secret.len() - 1..].to_vec();
    Agreed { point, secret }
}

/// The German cards' hybrid scheme (gemSpec_COS N004.500) with OpenSSL for all of the cryptography: key pair, agreement, both
/// digests, AES and CMAC.
pub(crate) fn encrypts_by_elc(certificate: &[u8], curve: &str, message: &[u8]) -> Vec<u8> {
    let Agreed { point, secret } = agrees(certificate, curve);
    let desk = Desk::new();
    let derive = |counter: u8| {
        desk.file("seed", &[secret.as_slice(), &[0, 0, 0, counter]].concat());
        hex::encode(desk.run(&["dgst", "-sha256", "-binary", "seed"]))
    };
    let (cipher_key, mac_key) = (derive(1), derive(2));
    desk.file("zeros", &[0; 16]);
    let start = hex::encode(desk.run(&["enc", "-aes-256-ecb", "-nopad", "-K", &cipher_key, "-in", "zeros"]));
    desk.file("message", &padded(message));
    let ciphertext =
        desk.run(&["enc", "-aes-256-cbc", "-nopad", "-K", &cipher_key, "-iv", &start, "-in", "message"]);
    desk.file("authenticated", &padded(&ciphertext));
    let tag = desk.run(&[
        "mac",
        "-cipher",
        "AES-256-CBC",
        "-macopt",
        &format!("hexkey:{mac_key}"),
        "-binary",
        "-in",
        "authenticated",
        "CMAC",
    ]);
    let oid: &[u8] = match curve {
        "brainpoolP256r1" => &[0x06, 0x09, 0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07],
        "secp384r1" => &[0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22],
        other => panic!("no identifier is known for {other}"),
    };
    template(oid, &point, &ciphertext, &tag)
}

/// `A6 { 06 curve, 7F49 { 86 point }, 86 02‖ciphertext, 8E first half of the tag }`.
pub(crate) fn template(oid: &[u8], point: &[u8], ciphertext: &[u8], tag: &[u8]) -> Vec<u8> {
    let key = tlv(&[0x7F, 0x49], &tlv(&[0x86], point));
    let data = tlv(&[0x86], &[&[0x02], ciphertext].concat());
    tlv(&[0xA6], &[oid, &key, &data, &tlv(&[0x8E], &tag[..8])].concat())
}

/// With the padding `80 00…` to whole blocks.
pub(crate) fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = [bytes, &[0x80]].concat();
    padded.resize(padded.len().next_multiple_of(16), 0);
    padded
}

fn tlv(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
    [tag, &length, value].concat()
}

/// Where OpenSSL works.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    /// What it prints.
    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(self.0.path()).stderr(Stdio::inherit());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    }
}
