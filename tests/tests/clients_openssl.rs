//! OpenSSL 3.0 through the libp11 engine and through pkcs11-provider, as `docs/clients/openssl.md` tells.

use std::fs;

use tests::cards::PIN_CH;
use tests::desk::{Desk, converse, text_of};
use tests::openssl::{Way, verified_content, verify_signature};
use tests::programs::{program, run};
use tests::tls::{AUTHORITY, REQUEST, TlsServer, expect_page_of_the_holder, plain};

/// Card, key, digest. OpenSSL knows every curve of both cards.
const KEYS: [(&str, &str, &str); 4] = [
    ("hpc-p384", "C.HP.AUT.E384", "sha384"),
    ("hpc-p384", "C.HP.AUT.R2048", "sha256"),
    ("hba-g21", "C.HP.AUT.E256", "sha256"),
    ("hba-g21", "C.HP.AUT.R2048", "sha256"),
];

#[test]
fn dgst_and_pkeyutl_sign_with_each_key() {
    for (profile, object, digest) in KEYS {
        let desk = Desk::with(profile);
        let document = desk.file("document", "a document");
        let (certificate, key) = (desk.card.certificate(object), desk.uri(object, "private"));
        let (option, kind) = (format!("-{digest}"), format!("digest:{digest}"));
        desk.run("openssl", &["dgst", &option, "-binary", "-out", "digest", "document"]).expect_success();
        for way in Way::ALL {
            let dgst = ["dgst", &option, "-sign", &key, "-out", "signature", "document"];
            let pkeyutl =
                ["pkeyutl", "-sign", "-inkey", &key, "-in", "digest", "-pkeyopt", &kind, "-out", "signature"];
            for arguments in [&dgst[..], &pkeyutl] {
                let before = desk.simulator.signatures();
                let said = run(&mut way.command(&desk, PIN_CH, arguments));
                assert!(said.success, "{way:?} {profile} {object} {}: {}", arguments[0], said.text());
                verify_signature(&document, &desk.path("signature"), &certificate, &option, &[]);
                fs::remove_file(desk.path("signature")).unwrap();
                assert_eq!(desk.simulator.signatures(), before + 1, "{way:?} {profile} {object}");
            }
        }
    }
}

#[test]
fn cms_and_req_sign_documents_and_requests() {
    for (profile, object, digest) in KEYS {
        let desk = Desk::with(profile);
        desk.file("document", "a document");
        let key = desk.uri(object, "private");
        for way in Way::ALL {
            // The engine has no store, so it takes the certificate from a file.
            let signer = match way {
                Way::Engine => text_of(&desk.card.certificate(object)),
                Way::Provider => desk.uri(object, "cert"),
            };
            let sign = ["cms", "-sign", "-cades", "-nodetach", "-binary", "-md", digest, "-in", "document"];
            let with = ["-signer", &signer, "-inkey", &key, "-outform", "DER", "-out", "signed.p7"];
            run(&mut way.command(&desk, PIN_CH, &[&sign[..], &with].concat())).expect_success();
            assert_eq!(verified_content(&desk.path("signed.p7"), &desk.card.anchors()), b"a document");

            let option = format!("-{digest}");
            let arguments = ["req", "-new", &option, "-subj", "/C=DE/CN=Dr. Ada Beispiel", "-key", &key];
            let files = ["-out", "request.pem"];
            run(&mut way.command(&desk, PIN_CH, &[&arguments[..], &files].concat())).expect_success();
            expect_request_for(&desk, object);
            assert_eq!(desk.simulator.signatures(), if way == Way::Engine { 2 } else { 4 });
        }
    }
}

#[test]
fn storeutl_lists_the_token_and_its_certificates() {
    for (profile, object, _) in KEYS {
        let desk = Desk::with(profile);
        let token = format!("pkcs11:token={}", desk.token().replace(' ', "%20"));
        let arguments = ["storeutl", "-noout", &token];
        let listed = run(&mut Way::Provider.command(&desk, PIN_CH, &arguments)).expect_success().stdout;
        for kind in [": Certificate", ": Public key", ": Pkey"] {
            assert_eq!(listed.matches(kind).count(), 4, "{kind}: {listed}");
        }
        let certificate = desk.uri(object, "cert");
        let arguments = ["storeutl", "-certs", &certificate];
        let shown = run(&mut Way::Provider.command(&desk, PIN_CH, &arguments)).expect_success().stdout;
        let pem = fs::read_to_string(desk.card.certificate(object)).unwrap();
        let body = |text: &str| text.lines().filter(|line| line.len() == 64).collect::<String>();
        assert_eq!(body(&shown), body(&pem), "{profile} {object}");
    }
}

#[test]
fn s_client_authenticates_with_the_card() {
    for (profile, object, _) in KEYS {
        let brainpool = object == "C.HP.AUT.E256";
        let groups: &[&str] = if brainpool { &["-groups", "P-256:brainpoolP256r1"] } else { &[] };
        let desk = Desk::with(profile);
        let server = TlsServer::start(&desk, groups);
        let (certificate, key) = (text_of(&desk.card.certificate(object)), desk.uri(object, "private"));
        let address = format!("127.0.0.1:{}", server.port());
        for way in Way::ALL {
            for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
                let arguments = ["s_client", option, "-connect", &address, "-CAfile", AUTHORITY, "-ign_eof"];
                let own = ["-verify_return_error", "-cert", &certificate, "-key", &key];
                let said = converse(
                    &mut way.command(&desk, PIN_CH, &[&arguments[..], &own, groups].concat()),
                    REQUEST,
                );
                if brainpool && version == "TLSv1.3" {
                    // TLS 1.3 got its brainpool schemes later than OpenSSL 3.0: it sends no certificate.
                    assert!(said.text().contains("certificate required"), "{}", said.text());
                    continue;
                }
                expect_page_of_the_holder(&said.expect_success().stdout, version);
            }
        }
    }
}

#[test]
fn s_server_serves_with_a_key_of_the_card() {
    for (profile, object, _) in KEYS {
        let brainpool = object == "C.HP.AUT.E256";
        let groups: &[&str] = if brainpool { &["-groups", "P-256:brainpoolP256r1"] } else { &[] };
        let desk = Desk::with(profile);
        let (certificate, key) = (text_of(&desk.card.certificate(object)), desk.uri(object, "private"));
        for way in Way::ALL {
            let mut server = plain(&desk, &["-www", "-cert", &certificate, "-key", &key]);
            server.args(way.options()).args(groups).env("HPC_PKCS11_CONFIG", desk.configuration());
            let server = TlsServer::listen(server.env("OPENSSL_CONF", way.configuration(&desk, PIN_CH)));
            let address = format!("127.0.0.1:{}", server.port());
            let anchors = text_of(&desk.card.anchors());
            let versions: &[&str] = if brainpool { &["-tls1_2"] } else { &["-tls1_2", "-tls1_3"] };
            for option in versions {
                // The card's certificate is one for clients.
                let arguments = ["s_client", option, "-connect", &address, "-CAfile", &anchors, "-ign_eof"];
                let judged = ["-verify_return_error", "-purpose", "any"];
                let mut client = desk.command("openssl", &[&arguments[..], &judged, groups].concat());
                let said = converse(&mut client, REQUEST).expect_success();
                let page = said.stdout.contains("HTTP/1.0 200 ok");
                assert!(page, "{way:?} {profile} {object} {option}: {}", said.text());
            }
        }
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
        let arguments = ["-sS", "--cacert", AUTHORITY, "--key", &key, "--cert", &certificate, &page];
        let mut curl = desk.command("curl", &[&arguments[..], limits].concat());
        let said = run(curl.env("OPENSSL_CONF", Way::Engine.configuration(&desk, PIN_CH))).expect_success();
        expect_page_of_the_holder(&said.stdout, if brainpool { "TLSv1.2" } else { "TLSv1.3" });
    }
}

#[test]
fn a_wrong_pin_in_the_configuration_costs_one_try_and_makes_no_signature() {
    for way in Way::ALL {
        let desk = Desk::with("hpc-p384");
        desk.expect_lost_tries(1);
        desk.file("document", "never signed");
        let key = desk.uri("C.HP.AUT.E384", "private");
        let arguments = ["dgst", "-sha384", "-sign", &key, "-out", "signature", "document"];
        let said = run(&mut way.command(&desk, "654321", &arguments));
        assert!(!said.success, "{way:?}: {}", said.text());
        assert_eq!(desk.simulator.signatures(), 0, "{way:?}");
        assert_eq!(fs::read(desk.path("signature")).map_or(0, |signature| signature.len()), 0, "{way:?}");
    }
}

/// OpenSSL without the card finds the request good, and the key in it is that of the certificate.
fn expect_request_for(desk: &Desk, object: &str) {
    let said =
        desk.run("openssl", &["req", "-verify", "-noout", "-pubkey", "-in", "request.pem"]).expect_success();
    assert!(said.text().contains("verify OK"), "{object}: {}", said.text());
    let mut extract = program("openssl", ["x509", "-noout", "-pubkey", "-in"]);
    let expected = run(extract.arg(desk.card.certificate(object))).expect_success().stdout;
    assert!(said.stdout.contains(&expected), "{object}: another key: {}", said.stdout);
}
