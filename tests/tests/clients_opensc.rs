//! OpenSC's pkcs11-tool 0.23, as `docs/clients/opensc.md` tells: lists, signatures and its own self tests.

use std::fs;

use tests::cards::{PIN_CH, PIN_QES};
use tests::desk::{Desk, module_path, text_of};
use tests::openssl::verify_signature;
use tests::programs::Ran;

#[test]
fn one_slot_is_listed_for_each_pin_of_the_card() {
    let desk = Desk::with("hba-g21");
    let slots = pkcs11_tool(&desk, &["-L"]).expect_success().stdout;
    assert!(slots.contains("HBA ESIGN") && slots.contains("HBA QES"), "{slots}");
    assert_eq!(slots.matches("token label").count(), 2, "{slots}");
    assert!(slots.contains("login required") && slots.contains("PIN initialized"), "{slots}");
    assert!(!slots.contains("PIN locked"), "{slots}");
}

#[test]
fn certificates_and_public_keys_are_seen_before_login_and_private_keys_after() {
    let desk = Desk::with("hba-g21");
    let before = pkcs11_tool(&desk, &["-O", "--token-label", desk.token()]).expect_success().stdout;
    assert_eq!(before.matches("Certificate Object").count(), 4, "{before}");
    assert_eq!(before.matches("Public Key Object").count(), 4, "{before}");
    assert!(!before.contains("Private Key Object"), "{before}");
    let arguments = ["-O", "--token-label", desk.token(), "--login", "--pin", PIN_CH];
    let after = pkcs11_tool(&desk, &arguments).expect_success().stdout;
    assert_eq!(after.matches("Private Key Object").count(), 4, "{after}");
}

#[test]
fn every_signing_key_of_both_cards_signs() {
    // pkcs11-tool chooses keys by CKA_ID only.
    for (profile, keys) in [
        (
            "hpc-p384",
            &[
                ("ESIGN", "C.HP.AUT.E384", "01", "ECDSA-SHA384", "-sha384"),
                ("ESIGN", "C.HP.AUT.E384", "01", "ECDSA-SHA256", "-sha256"),
                ("ESIGN", "C.HP.AUT.R2048", "04", "SHA256-RSA-PKCS", "-sha256"),
                ("ESIGN", "C.HP.AUT.R2048", "04", "SHA512-RSA-PKCS", "-sha512"),
                ("ESIGN", "C.HP.AUT.R2048", "04", "SHA256-RSA-PKCS-PSS", "-sha256"),
                ("QES", "C.HP.QES.E384", "03", "ECDSA", "-sha384"),
            ][..],
        ),
        (
            "hba-g21",
            &[
                ("ESIGN", "C.HP.AUT.E256", "01", "ECDSA-SHA256", "-sha256"),
                ("ESIGN", "C.HP.AUT.R2048", "04", "SHA384-RSA-PKCS", "-sha384"),
                ("QES", "C.HP.QES.E256", "03", "ECDSA", "-sha256"),
                ("QES", "C.HP.QES.R2048", "06", "RSA-PKCS-PSS", "-sha256"),
            ],
        ),
    ] {
        let desk = Desk::with(profile);
        let data = desk.file("data", "to be signed by a card");
        for (slot, label, id, mechanism, digest) in keys {
            let (token, pin) = if *slot == "QES" {
                (desk.token().replace("ESIGN", slot), PIN_QES)
            } else {
                (desk.token().to_owned(), PIN_CH)
            };
            desk.run("openssl", &["dgst", digest, "-binary", "-out", "digest", "data"]).expect_success();
            let input = if mechanism.contains("SHA") { "data" } else { "digest" };
            let mut arguments = vec!["--token-label", &token, "--login", "--pin", pin, "--id", id, "--sign"];
            arguments.extend(["--mechanism", mechanism, "--input-file", input, "--output-file", "signature"]);
            if mechanism.starts_with("ECDSA") {
                arguments.extend(["--signature-format", "openssl"]);
            }
            if *mechanism == "RSA-PKCS-PSS" {
                arguments.extend(["--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256", "--salt-len", "32"]);
            }
            let said = pkcs11_tool(&desk, &arguments);
            assert!(said.success, "{profile} {label} {mechanism}: {}", said.text());
            let pss: &[&str] = &["rsa_padding_mode:pss", "rsa_pss_saltlen:32"];
            let options = if mechanism.ends_with("PSS") { pss } else { &[] };
            verify_signature(&data, &desk.path("signature"), &desk.card.certificate(label), digest, options);
        }
    }
}

#[test]
fn messages_to_the_encryption_key_are_deciphered() {
    for (profile, id) in [("hpc-p384", "05"), ("hba-g21", "05")] {
        let desk = Desk::with(profile);
        let message = b"a message that only the holder of the card shall read";
        desk.file("message", message);
        let certificate = text_of(&desk.card.certificate("C.HP.ENC.R2048"));
        let oaep = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"];
        let mut encrypt = vec!["pkeyutl", "-encrypt", "-certin", "-inkey", &certificate, "-in", "message"];
        encrypt.extend(oaep.iter().flat_map(|option| ["-pkeyopt", option]));
        desk.run("openssl", &[&encrypt[..], &["-out", "cryptogram"]].concat()).expect_success();

        let key = ["--token-label", desk.token(), "--login", "--pin", PIN_CH, "--id", id, "--decrypt"];
        let mechanism =
            ["--mechanism", "RSA-PKCS-OAEP", "--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256"];
        let files = ["--input-file", "cryptogram", "--output-file", "opened"];
        pkcs11_tool(&desk, &[&key[..], &mechanism, &files].concat()).expect_success();
        assert_eq!(fs::read(desk.path("opened")).unwrap(), message, "{profile}");

        // The card's key knows no other padding.
        let said = pkcs11_tool(&desk, &[&key[..], &["--mechanism", "RSA-PKCS"], &files].concat());
        assert!(!said.success && said.text().contains("CKR_MECHANISM_INVALID"), "{}", said.text());
    }
}

#[test]
fn one_signature_of_the_generic_card_is_one_command_with_the_digest_and_le() {
    let desk = Desk::with("hpc-p384");
    let digest = [0x5a; 48];
    desk.file("digest", digest);
    let arguments = ["--token-label", desk.token(), "--login", "--pin", PIN_CH, "--id", "01", "--sign"];
    let files = ["--mechanism", "ECDSA", "--input-file", "digest", "--output-file", "signature"];
    pkcs11_tool(&desk, &[&arguments[..], &files].concat()).expect_success();

    let sent = desk.simulator.sent();
    let signed: Vec<_> = sent.iter().filter(|command| command[2..].starts_with("2A9E9A")).collect();
    assert_eq!(signed, [&format!("002A9E9A30{}00", hex::encode_upper(digest))]);
    assert_eq!(fs::read(desk.path("signature")).unwrap().len(), 96, "r and s, 48 bytes each");
}

#[test]
fn the_test_suite_of_pkcs11_tool_finds_no_errors() {
    for profile in ["hpc-p384", "hba-g21"] {
        let desk = Desk::with(profile);
        let arguments = ["--test", "--login", "--pin", PIN_CH, "--token-label", desk.token()];
        let said = pkcs11_tool(&desk, &arguments).expect_success().text();
        assert!(said.contains("No errors"), "{profile}: {said}");
        for mechanism in ["RSA-PKCS: OK", "SHA256-RSA-PKCS: OK"] {
            assert!(said.contains(mechanism), "{profile} {mechanism}: {said}");
        }
    }
}

#[test]
fn a_forked_child_can_initialise_the_module_again() {
    let desk = Desk::with("hpc-p384");
    let said = pkcs11_tool(&desk, &["--test-fork"]).expect_success();
    assert!(said.text().contains("Calling C_Initialize in forked child"), "{}", said.text());
}

#[test]
fn threads_that_initialise_list_and_look_at_once_all_succeed() {
    let desk = Desk::with("hpc-p384");
    // Initialise (with system locks, or plain), information, slot list, token of slot 0 or 1.
    let mut arguments = Vec::new();
    for plan in ["ILGISLT0", "ILGISLT1", "INGISLT0", "INGISLT1", "ILSLT0SLT1"] {
        arguments.extend(["--test-threads", plan]);
    }
    let said = pkcs11_tool(&desk, &arguments).expect_success().text();
    assert!(said.contains("all threads have ended with CKR_OK"), "{said}");
}

fn pkcs11_tool(desk: &Desk, arguments: &[&str]) -> Ran {
    desk.run("pkcs11-tool", &[&["--module", &module_path()], arguments].concat())
}
