//! Java 17 through SunPKCS11, as `docs/clients/java.md` tells.

use std::fs;

use tests::artefacts::root;
use tests::cards::PIN_CH;
use tests::desk::{Desk, module_path, text_of};
use tests::programs::{Ran, program, run};
use tests::tls::{AUTHORITY, TlsServer, expect_page_of_the_holder};

/// Card, key, signature algorithm, digest. Java 17 signs with brainpool keys of a token but verifies none.
const KEYS: [(&str, &str, &str, &str); 4] = [
    ("hpc-p384", "C.HP.AUT.E384", "SHA384withECDSA", "SHA-384"),
    ("hpc-p384", "C.HP.AUT.R2048", "SHA256withRSA", "SHA-256"),
    ("hba-g21", "C.HP.AUT.E256", "SHA256withECDSA", "SHA-256"),
    ("hba-g21", "C.HP.AUT.R2048", "SHA256withRSA", "SHA-256"),
];

#[test]
fn keytool_lists_each_key_with_its_certificate() {
    for profile in ["hpc-p384", "hba-g21"] {
        let desk = Desk::with(profile);
        let listed = java(&desk, "keytool", &["-list"], &[]).expect_success().stdout;
        assert!(listed.contains("contains 4 entries"), "{profile}: {listed}");
        assert_eq!(listed.matches("PrivateKeyEntry").count(), 4, "{profile}: {listed}");
    }
}

#[test]
fn jarsigner_signs_an_archive_with_one_signature_of_the_card() {
    for (profile, object, algorithm, digest) in KEYS {
        let desk = Desk::with(profile);
        desk.file("document", "inside an archive");
        desk.run("jar", &["cf", "archive.jar", "document"]).expect_success();
        let options = ["-sigalg", algorithm, "-digestalg", digest, "-signedjar", "signed.jar"];
        java(&desk, "jarsigner", &options, &["archive.jar", object]).expect_success();
        assert_eq!(desk.simulator.signatures(), 1, "{profile} {object}");
        if object != "C.HP.AUT.E256" {
            let said = desk.run("jarsigner", &["-verify", "signed.jar"]).expect_success().stdout;
            assert!(said.contains("jar verified."), "{profile} {object}: {said}");
        }
        verify_signature_file(&desk);
    }
}

#[test]
fn a_java_program_opens_a_page_with_a_key_of_the_card() {
    for (profile, objects) in
        [("hpc-p384", &["C.HP.AUT.E384", "C.HP.AUT.R2048"][..]), ("hba-g21", &["C.HP.AUT.R2048"])]
    {
        let desk = Desk::with(profile);
        let server = TlsServer::start(&desk, &[]);
        let address = format!("https://localhost:{}/", server.port());
        for object in objects {
            for version in ["TLSv1.2", "TLSv1.3"] {
                let protocols = format!("-Djdk.tls.client.protocols={version}");
                let said = own_program(&desk, "Page.java", &[&protocols], &[&address, AUTHORITY, object]);
                expect_page_of_the_holder(&said.stdout, version);
            }
        }
        assert_eq!(desk.simulator.verifications(), 2 * objects.len(), "{profile}: one login each");
    }
}

#[test]
fn twenty_threads_of_one_java_program_sign_with_one_login() {
    let desk = Desk::with("hpc-p384");
    for (object, algorithm) in [("C.HP.AUT.E384", "SHA384withECDSA"), ("C.HP.AUT.R2048", "SHA256withRSA")] {
        let (signatures, verifications) = (desk.simulator.signatures(), desk.simulator.verifications());
        let said = own_program(&desk, "Threads.java", &[], &["20", "3", object, algorithm]);
        assert_eq!(said.stdout, "60 signatures are good\n", "{object}: {}", said.text());
        assert_eq!(desk.simulator.signatures(), signatures + 60, "{object}");
        assert_eq!(desk.simulator.verifications(), verifications + 1, "{object}");
    }
}

/// The signature in the archive is a CMS over its list of digests; OpenSSL judges it with the chain.
fn verify_signature_file(desk: &Desk) {
    desk.run("jar", &["xf", "signed.jar"]).expect_success();
    let directory = desk.path("META-INF");
    let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = names.collect();
    let file = |extensions: &[&str]| {
        let wanted = |path: &&std::path::PathBuf| {
            path.extension().is_some_and(|extension| extensions.contains(&extension.to_str().unwrap()))
        };
        text_of(files.iter().find(wanted).unwrap_or_else(|| panic!("{files:?}")))
    };
    let (signature, content) = (file(&["EC", "RSA"]), file(&["SF"]));
    let arguments = ["cms", "-verify", "-inform", "DER", "-binary", "-in", &signature, "-content", &content];
    let mut verify = program("openssl", arguments);
    verify.args(["-purpose", "any", "-out", "/dev/null", "-CAfile"]).arg(desk.card.anchors());
    run(&mut verify).expect_success();
}

/// A program of the JDK with the options that bring in the token.
fn java(desk: &Desk, name: &str, options: &[&str], operands: &[&str]) -> Ran {
    configure(desk);
    desk.file("pin", PIN_CH);
    let token = ["-storetype", "PKCS11", "-keystore", "NONE", "-storepass:file", "pin"];
    let provider = ["-providerClass", "sun.security.pkcs11.SunPKCS11", "-providerArg", "java.cfg"];
    desk.run(name, &[options, &token, &provider, operands].concat())
}

/// A program in `tests/java`.
#[track_caller]
fn own_program(desk: &Desk, name: &str, options: &[&str], operands: &[&str]) -> Ran {
    configure(desk);
    let source = text_of(&root().join("tests/java").join(name));
    let mut command = desk.command("java", &[options, &[&source], operands].concat());
    run(command.env("PIN", PIN_CH)).expect_success()
}

fn configure(desk: &Desk) {
    let text = format!("name=hpc\nlibrary={}\nslotListIndex=0\nexplicitCancel=false\n", module_path());
    desk.file("java.cfg", text);
}
