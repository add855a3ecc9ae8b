//! NSS 3.87, the library under Firefox and Chromium, by its own tools, as `docs/clients/nss.md` tells.
//!
//! NSS knows no brainpool curve; of the `hba-g21` card it uses the RSA keys.

use tests::cards::PIN_CH;
use tests::desk::Desk;
use tests::nss::Database;
use tests::programs::{Ran, program, run};
use tests::tls::{REQUEST, TlsServer, expect_page_of_the_holder};

const KEYS: [(&str, &str); 3] =
    [("hpc-p384", "C.HP.AUT.E384"), ("hpc-p384", "C.HP.AUT.R2048"), ("hba-g21", "C.HP.AUT.R2048")];

#[test]
fn modutil_and_certutil_list_slots_and_certificates_without_a_pin() {
    let desk = Desk::with("hpc-p384");
    let database = Database::create(&desk, "database");
    // It lists all and then complains about the reader that has no card.
    let mut list = desk.unconfigured("modutil", &["-dbdir", &database.name(), "-list", "hpc"]);
    let listed = run(&mut list).stdout;
    for token in ["Token Name: HPC P-384 ESIGN", "Token Name: HPC P-384 QES"] {
        assert!(listed.contains(token), "{listed}");
    }
    let listed = nss(&desk, "certutil", &["-L", "-d", &database.name(), "-h", "all"]).stdout;
    for object in ["AUT.E384", "AUT.R2048", "ENC.E384", "ENC.R2048"] {
        let nickname = format!("HPC P-384 ESIGN:C.HP.{object}");
        assert!(listed.contains(&nickname), "{nickname}: {listed}");
    }
    assert!(listed.contains("HPC P-384 QES:C.HP.QES.E384"), "{listed}");
    assert_eq!(desk.simulator.verifications(), 0);
}

#[test]
fn certutil_lists_the_private_keys_after_login() {
    for profile in ["hpc-p384", "hba-g21"] {
        let desk = Desk::with(profile);
        let database = Database::create(&desk, "database");
        pins(&desk);
        let arguments = ["-K", "-d", &database.name(), "-h", desk.token(), "-f", "pins"];
        let listed = nss(&desk, "certutil", &arguments).stdout;
        for (_, object) in KEYS.iter().filter(|(of, _)| *of == profile) {
            assert!(listed.contains(object), "{profile}: {listed}");
        }
        assert_eq!(listed.lines().filter(|line| line.starts_with("< ")).count(), 4, "{profile}: {listed}");
    }
}

#[test]
fn tstclnt_authenticates_with_the_card() {
    for (profile, object) in KEYS {
        let desk = Desk::with(profile);
        let database = Database::create(&desk, "database");
        database.trust_servers();
        pins(&desk);
        desk.file("request", REQUEST);
        for (range, version) in [("tls1.2:tls1.2", "TLSv1.2"), ("tls1.3:tls1.3", "TLSv1.3")] {
            let server = TlsServer::start(&desk, &[]);
            let nickname = format!("{}:{object}", desk.token());
            let address = ["-4", "-h", "localhost", "-p", server.port(), "-d", &database.name(), "-V", range];
            let own = ["-n", &nickname, "-W", "pins", "-A", "request"];
            let said = nss(&desk, "tstclnt", &[&address[..], &own].concat());
            expect_page_of_the_holder(&said.stdout, version);
        }
        assert_eq!(desk.simulator.signatures(), 2, "{profile} {object}");
    }
}

#[test]
fn cmsutil_signs_what_openssl_verifies() {
    for (profile, object) in KEYS {
        let desk = Desk::with(profile);
        let database = Database::create(&desk, "database");
        database.trust_issuers();
        desk.file("document", "a document");
        let nickname = format!("{}:{object}", desk.token());
        let arguments = ["-S", "-d", &database.name(), "-N", &nickname, "-H", "SHA384", "-p", PIN_CH];
        nss(&desk, "cmsutil", &[&arguments[..], &["-i", "document", "-o", "signed.p7"]].concat());
        let arguments = ["cms", "-verify", "-inform", "DER", "-in", "signed.p7", "-purpose", "any"];
        let mut verify = program("openssl", arguments);
        verify.arg("-CAfile").arg(desk.card.anchors()).current_dir(desk.directory());
        assert_eq!(run(&mut verify).expect_success().stdout, "a document", "{profile} {object}");
        assert_eq!(desk.simulator.signatures(), 1, "{profile} {object}");
    }
}

/// What tstclnt and certutil read PINs from.
fn pins(desk: &Desk) {
    desk.file("pins", format!("{}:{PIN_CH}\n", desk.token()));
}

/// The configuration's place is in the database, so the environment is not needed.
#[track_caller]
fn nss(desk: &Desk, name: &str, arguments: &[&str]) -> Ran {
    run(&mut desk.unconfigured(name, arguments)).expect_success()
}
