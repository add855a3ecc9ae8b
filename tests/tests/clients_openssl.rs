//! OpenSSL 3.0 and curl through the libp11 engine, as `docs/clients/openssl.md` and `docs/clients/curl.md` tell.

use std::fs;

use tests::cards::PIN_CH;
use tests::desk::{Desk, converse, module_path, text_of};
use tests::openssl::verified_content;
use tests::programs::{Ran, program, run};
use tests::tls::{REQUEST, TlsServer, expect_page_of_the_holder, plain};

/// Card, key, digest. OpenSSL knows every curve of both cards.
const KEYS: [(&str, &str, &str); 4] = [
    ("hpc-p384", "C.HP.AUT.E384", "-sha384"),
    ("hpc-p384", "C.HP.AUT.R2048", "-sha256"),
    ("hba-g21", "C.HP.AUT.E256", "-sha256"),
    ("hba-g21", "C.HP.AUT.R2048", "-sha256"),
];

#[test]
fn cms_signs_a_document_that_carries_its_content() {
    for (profile, object, digest) in KEYS {
        let desk = Desk::with(profile);
        desk.file("document", "a document");
        let certificate = text_of(&desk.card.certificate(object));
        let key = desk.uri(object, "private");
        let arguments = ["cms", "-sign", "-cades", "-nodetach", "-binary", "-md", &digest[1..]];
        let files = ["-in", "document", "-signer", &certificate, "-outform", "DER", "-out", "signed.p7"];
        with_engine(&desk, PIN_CH, &[&arguments[..], &files, &ENGINE, &["-inkey", &key]].concat())
            .expect_success();
        assert_eq!(verified_content(&desk.path("signed.p7"), &desk.card.anchors()), b"a document");
        assert_eq!(desk.simulator.signatures(), 1, "{profile} {object}");
    }
}

#[test]
fn req_makes_a_certificate_request_for_a_key_of_the_card() {
    for (profile, object, digest) in KEYS {
        let desk = Desk::with(profile);
        let key = desk.uri(object, "private");
        let arguments = ["req", "-new", digest, "-subj", "/C=DE/CN=Dr. Ada Beispiel", "-out", "request.pem"];
        with_engine(&desk, PIN_CH, &[&arguments[..], &ENGINE, &["-key", &key]].concat()).expect_success();
        let mut check = program("openssl", ["req", "-verify", "-noout", "-pubkey", "-in", "request.pem"]);
        let said = run(check.current_dir(desk.directory())).expect_success();
        assert!(said.text().contains("verify OK"), "{profile} {object}: {}", said.text());
        let mut extract = program("openssl", ["x509", "-noout", "-pubkey", "-in"]);
        let expected = run(extract.arg(desk.card.certificate(object))).expect_success().stdout;
        assert!(said.stdout.contains(&expected), "{profile} {object}: another key: {}", said.stdout);
    }
}

#[test]
fn s_client_authenticates_with_the_card() {
    for (profile, object, _) in KEYS {
        for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            let brainpool = object == "C.HP.AUT.E256";
            if brainpool && version == "TLSv1.3" {
                // TLS 1.3 got its brainpool schemes later than OpenSSL 3.0.
                continue;
            }
            let groups: &[&str] = if brainpool { &["-groups", "P-256:brainpoolP256r1"] } else { &[] };
            let desk = Desk::with(profile);
            let server = TlsServer::start(&desk, groups);
            let (certificate, key) = (text_of(&desk.card.certificate(object)), desk.uri(object, "private"));
            let address = format!("127.0.0.1:{}", server.port());
            let arguments = ["s_client", option, "-connect", &address, "-CAfile", "server.pem", "-ign_eof"];
            let own = ["-verify_return_error", "-cert", &certificate, "-key", &key];
            let mut client = engine(&desk, PIN_CH, &[&arguments[..], &own, &ENGINE, groups].concat());
            let said = converse(&mut client, REQUEST).expect_success();
            expect_page_of_the_holder(&said.stdout, version);
        }
    }
}

#[test]
fn s_server_serves_with_a_key_of_the_card() {
    for object in ["C.HP.AUT.E384", "C.HP.AUT.R2048"] {
        let desk = Desk::with("hpc-p384");
        let (certificate, key) = (text_of(&desk.card.certificate(object)), desk.uri(object, "private"));
        let mut server = plain(&desk, &["-cert", &certificate, "-key", &key, "-engine", "pkcs11"]);
        server.args(["-keyform", "engine"]).env("HPC_PKCS11_CONFIG", desk.configuration());
        let server = TlsServer::listen(server.env("OPENSSL_CONF", engine_configuration(&desk, PIN_CH)));
        for option in ["-tls1_2", "-tls1_3"] {
            let address = format!("127.0.0.1:{}", server.port());
            let anchors = text_of(&desk.card.anchors());
            // The card's certificate is one for clients.
            let arguments = ["s_client", option, "-connect", &address, "-CAfile", &anchors, "-ign_eof"];
            let judged = ["-verify_return_error", "-purpose", "any"];
            let mut client = desk.command("openssl", &[&arguments[..], &judged].concat());
            let said = converse(&mut client, REQUEST).expect_success();
            assert!(said.stdout.contains("HTTP/1.0 200 ok"), "{object} {option}: {}", said.text());
        }
        drop(server);
    }
}

#[test]
fn curl_fetches_a_page_with_certificate_and_key_of_the_card() {
    for (profile, object, _) in KEYS {
        let brainpool = object == "C.HP.AUT.E256";
        let groups: &[&str] = if brainpool { &["-groups", "P-256:brainpoolP256r1"] } else { &[] };
        let limits: &[&str] =
            if brainpool { &["--tls-max", "1.2", "--curves", "P-256:brainpoolP256r1"] } else { &[] };
        let desk = Desk::with(profile);
        let server = TlsServer::start(&desk, groups);
        let page = format!("https://localhost:{}/", server.port());
        let (key, certificate) = (desk.uri(object, "private"), desk.uri(object, "cert"));
        let arguments = ["-sS", "--cacert", "server.pem", "--key", &key, "--cert", &certificate, &page];
        let mut curl = desk.command("curl", &[&arguments[..], limits].concat());
        let said = run(curl.env("OPENSSL_CONF", engine_configuration(&desk, PIN_CH))).expect_success();
        expect_page_of_the_holder(&said.stdout, if brainpool { "TLSv1.2" } else { "TLSv1.3" });
    }
}

#[test]
fn a_wrong_pin_in_the_configuration_costs_one_try_and_makes_no_signature() {
    let desk = Desk::with("hpc-p384");
    desk.expect_lost_tries(1);
    desk.file("document", "never signed");
    let key = desk.uri("C.HP.AUT.E384", "private");
    let arguments = ["dgst", "-sha384", "-sign", &key, "-out", "signature", "document"];
    let mut sign = engine(&desk, "654321", &[&arguments[..1], &ENGINE, &arguments[1..]].concat());
    let said = run(&mut sign);
    assert!(!said.success, "{}", said.text());
    assert_eq!(desk.simulator.signatures(), 0);
    assert_eq!(fs::read(desk.path("signature")).map_or(0, |signature| signature.len()), 0);
}

const ENGINE: [&str; 4] = ["-engine", "pkcs11", "-keyform", "engine"];

fn with_engine(desk: &Desk, pin: &str, arguments: &[&str]) -> Ran {
    run(&mut engine(desk, pin, arguments))
}

fn engine(desk: &Desk, pin: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = desk.command("openssl", arguments);
    command.env("OPENSSL_CONF", engine_configuration(desk, pin));
    command
}

/// The file that a user writes once.
fn engine_configuration(desk: &Desk, pin: &str) -> std::path::PathBuf {
    let text = format!(
        "openssl_conf = start\n[start]\nengines = engines\n[engines]\npkcs11 = card\n[card]\nengine_id = pkcs11\n\
         MODULE_PATH = {}\nPIN = {pin}\ninit = 1\n[req]\ndistinguished_name = subject\n[subject]\n",
        module_path()
    );
    desk.file("engine.cnf", text)
}
