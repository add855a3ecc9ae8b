//! OpenSSL as the judge, and as a client in the two ways in which it can use a card.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::desk::{Desk, module_path};
use crate::programs::{library, program, run};

/// Verifies a CAdES signature with its content against trust anchors; answers the content that comes out.
#[track_caller]
pub fn verified_content(signature: &Path, anchors: &Path) -> Vec<u8> {
    let content = signature.with_extension("content");
    let arguments = ["cms", "-verify", "-cades", "-inform", "DER", "-purpose", "any", "-binary", "-in"];
    let mut verify = program("openssl", arguments);
    verify.arg(signature).arg("-CAfile").arg(anchors).arg("-out").arg(&content);
    let said = run(&mut verify).expect_success();
    assert!(said.stderr.contains("CAdES Verification successful"), "openssl said: {}", said.text());
    fs::read(content).expect("openssl wrote the content")
}

/// Whether a signature over a file verifies with the key of a certificate.
#[track_caller]
pub fn verify_signature(data: &Path, signature: &Path, certificate: &Path, digest: &str, options: &[&str]) {
    let key = signature.with_extension("key.pem");
    let mut extract = program("openssl", ["x509", "-noout", "-pubkey", "-in"]);
    let pem = run(extract.arg(certificate)).expect_success().stdout;
    fs::write(&key, pem).expect("a file can be written");
    let mut verify = program("openssl", ["dgst", digest]);
    for option in options {
        verify.args(["-sigopt", option]);
    }
    verify.arg("-verify").arg(&key).arg("-signature").arg(signature).arg(data);
    let said = run(&mut verify).expect_success();
    assert!(said.stdout.contains("Verified OK"), "openssl said: {}", said.text());
}

/// Whether r||s over a digest verifies with the key of a certificate. Files for OpenSSL are written to the directory.
#[track_caller]
pub fn verify_raw_ecdsa(digest: &[u8], signature: &[u8], certificate: &Path, directory: &Path) {
    let file = |name: &str, content: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, content).expect("the directory is writable");
        path
    };
    let (digest, signature) = (file("digest", digest), file("signature.der", &ecdsa_der(signature)));
    let mut verify = program("openssl", ["pkeyutl", "-verify", "-certin", "-inkey"]);
    verify.arg(certificate).arg("-sigfile").arg(signature).arg("-in").arg(digest);
    let said = run(&mut verify).expect_success();
    assert!(said.stdout.contains("Verified Successfully"), "openssl said: {}", said.text());
}

/// r||s as SEQUENCE { r, s } (RFC 3279 clause 2.2.3).
fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let leading = number.iter().take_while(|byte| **byte == 0).count();
        let digits = &number[leading..];
        let sign: &[u8] = if digits.first().is_none_or(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
        let length = u8::try_from(sign.len() + digits.len()).expect("a number of a curve");
        [&[2, length], sign, digits].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).expect("a curve of at most 384 bits")], both.as_slice()].concat()
}

/// How OpenSSL reaches the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The engine of libp11.
    Engine,
    /// pkcs11-provider, without any of its settings for quirks.
    Provider,
}

impl Way {
    /// Both.
    pub const ALL: [Way; 2] = [Way::Engine, Way::Provider];

    /// The options that say that a key is a URI: the provider needs none.
    pub fn options(self) -> &'static [&'static str] {
        match self {
            Way::Engine => &["-engine", "pkcs11", "-keyform", "engine"],
            Way::Provider => &[],
        }
    }

    /// An OpenSSL command with a key of the card; the options come right after the command's name.
    pub fn command(self, desk: &Desk, pin: &str, arguments: &[&str]) -> Command {
        let (name, rest) = arguments.split_first().expect("a command's name");
        let mut command = desk.command("openssl", &[&[*name], self.options(), rest].concat());
        command.env("OPENSSL_CONF", self.configuration(desk, pin));
        command
    }

    /// The file that a user writes once.
    pub fn configuration(self, desk: &Desk, pin: &str) -> PathBuf {
        let module = module_path();
        let (name, sections) = match self {
            Way::Engine => (
                "engine.cnf",
                format!(
                    "engines = engines\n[engines]\npkcs11 = card\n\
                     [card]\nengine_id = pkcs11\nMODULE_PATH = {module}\nPIN = {pin}\ninit = 1\n"
                ),
            ),
            Way::Provider => (
                "provider.cnf",
                format!(
                    "providers = providers\n[providers]\ndefault = base\npkcs11 = card\n[base]\nactivate = 1\n\
                     [card]\nmodule = {}\npkcs11-module-path = {module}\npkcs11-module-token-pin = {pin}\n\
                     activate = 1\n",
                    library("ossl-modules/pkcs11.so")
                ),
            ),
        };
        let subject = "[req]\ndistinguished_name = subject\n[subject]\n";
        desk.file(name, format!("openssl_conf = start\n[start]\n{sections}{subject}"))
    }
}
