//! NSS 3.87, the library under Firefox and Chromium, by its own tools, as `docs/clients/nss.md` tells.
//!
//! NSS knows no brainpool curve; of the `hba-g21` card it uses the RSA keys.

use std::fs;

use tests::cards::PIN_CH;
use tests::desk::{Desk, module_path};
use tests::programs::{Ran, program, run};
use tests::tls::{REQUEST, TlsServer, expect_page_of_the_holder};

const KEYS: [(&str, &str); 3] =
    [("hpc-p384", "C.HP.AUT.E384"), ("hpc-p384", "C.HP.AUT.R2048"), ("hba-g21", "C.HP.AUT.R2048")];

#[test]
fn modutil_adds_the_module_with_both_slots_of_the_card() {
    let desk = Desk::with("hpc-p384");
    let said = with_database(&desk).stdout;
    assert!(said.contains("Module \"hpc\" added"), "{said}");
    let listed = nss(&desk, "modutil", &["-dbdir", DATABASE, "-list", "hpc"]).expect_success().stdout;
    for token in ["Token Name: HPC P-384 ESIGN", "Token Name: HPC P-384 QES"] {
        assert!(listed.contains(token), "{listed}");
    }
    assert_eq!(desk.simulator.verifications(), 0);
}

#[test]
fn certutil_lists_the_certificates_of_every_token_without_a_pin() {
    let desk = Desk::with("hpc-p384");
    with_database(&desk);
    let listed = nss(&desk, "certutil", &["-L", "-d", DATABASE, "-h", "all"]).expect_success().stdout;
    for object in ["AUT.E384", "AUT.R2048", "ENC.E384", "ENC.R2048"] {
        let nickname = format!("HPC P-384 ESIGN:C.HP.{object}");
        assert!(listed.contains(&nickname), "{nickname}: {listed}");
    }
    assert!(listed.contains("HPC P-384 QES:C.HP.QES.E384"), "{listed}");
    assert_eq!(desk.simulator.verifications(), 0);
}

#[test]
fn certutil_lists_the_private_keys_after_login() {
    for (profile, object) in KEYS {
        let desk = Desk::with(profile);
        with_database(&desk);
        let arguments = ["-K", "-d", DATABASE, "-h", desk.token(), "-f", "pins"];
        let listed = nss(&desk, "certutil", &arguments).expect_success().stdout;
        assert!(listed.contains(object), "{profile}: {listed}");
        assert_eq!(listed.lines().filter(|line| line.starts_with("< ")).count(), 4, "{profile}: {listed}");
    }
}

#[test]
fn tstclnt_authenticates_with_the_card() {
    for (profile, object) in KEYS {
        for (range, version) in [("tls1.2:tls1.2", "TLSv1.2"), ("tls1.3:tls1.3", "TLSv1.3")] {
            let desk = Desk::with(profile);
            let server = TlsServer::start(&desk, &[]);
            with_database(&desk);
            trust(&desk, "server", "server.pem");
            desk.file("request", REQUEST);
            let nickname = format!("{}:{object}", desk.token());
            let arguments = ["-4", "-h", "localhost", "-p", server.port(), "-d", DATABASE, "-V", range];
            let own = ["-n", &nickname, "-W", "pins", "-A", "request"];
            let said = nss(&desk, "tstclnt", &[&arguments[..], &own].concat()).expect_success();
            expect_page_of_the_holder(&said.stdout, version);
        }
    }
}

#[test]
fn cmsutil_signs_what_openssl_verifies() {
    for (profile, object) in KEYS {
        let desk = Desk::with(profile);
        with_database(&desk);
        trust_anchors(&desk);
        desk.file("document", "a document");
        let nickname = format!("{}:{object}", desk.token());
        let arguments = ["-S", "-d", DATABASE, "-N", &nickname, "-H", "SHA384", "-p", PIN_CH];
        let said = nss(&desk, "cmsutil", &[&arguments[..], &["-i", "document", "-o", "signed.p7"]].concat());
        assert!(said.success, "{profile} {object}: {}", said.text());
        let arguments = ["cms", "-verify", "-inform", "DER", "-in", "signed.p7", "-purpose", "any"];
        let mut verify = program("openssl", arguments);
        verify.arg("-CAfile").arg(desk.card.anchors()).current_dir(desk.directory());
        assert_eq!(run(&mut verify).expect_success().stdout, "a document", "{profile} {object}");
        assert_eq!(desk.simulator.signatures(), 1, "{profile} {object}");
    }
}

const DATABASE: &str = "sql:database";

/// A database that knows the module; the configuration's place is in it too, so the environment is not needed.
fn with_database(desk: &Desk) -> Ran {
    fs::create_dir(desk.path("database")).unwrap();
    nss(desk, "certutil", &["-N", "-d", DATABASE, "--empty-password"]).expect_success();
    desk.file("pins", format!("{}:{PIN_CH}\n", desk.token()));
    let configuration = format!("config={}", desk.configuration().display());
    let module = module_path();
    let add = ["-dbdir", DATABASE, "-force", "-add", "hpc", "-libfile", &module, "-string", &configuration];
    nss(desk, "modutil", &add).expect_success()
}

fn nss(desk: &Desk, name: &str, arguments: &[&str]) -> Ran {
    run(&mut desk.unconfigured(name, arguments))
}

fn trust(desk: &Desk, name: &str, file: &str) {
    nss(desk, "certutil", &["-A", "-d", DATABASE, "-n", name, "-t", "CT,C,C", "-i", file]).expect_success();
}

/// certutil takes one certificate of a file only.
fn trust_anchors(desk: &Desk) {
    let anchors = fs::read_to_string(desk.card.anchors()).unwrap();
    for (number, anchor) in anchors.split_inclusive("-----END CERTIFICATE-----\n").enumerate() {
        let name = format!("anchor-{number}");
        desk.file(&name, anchor);
        trust(desk, &name, &name);
    }
}
