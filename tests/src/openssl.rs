//! OpenSSL as the judge.

use std::fs;
use std::path::Path;

use crate::programs::{program, run};

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
