//! The OCSP client against the responder of the simulated cards' authority, over real sockets.

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use cades::{
    TrustAnchors,
    ocsp::{OcspError, Status},
};
use card_simulator::{NewCard, ProfileName, RsaKeyPool, ocsp::OcspResponder};
use signer_service::{
    config::{NonceRule, Ocsp},
    ocsp::{FRESH, HttpError, Known, OcspClient, StatusError},
};
use x509_cert::{Certificate, der::Decode, der::DecodePem, der::Encode};

const NAMED: &str = "http://ocsp.card-simulator.invalid/";
const NOW: Duration = Duration::ZERO;

/// A card's certificate, its authority and a responder for it.
struct Desk {
    folder: tempfile::TempDir,
    certificate: Vec<u8>,
    anchors: TrustAnchors,
    responder: OcspResponder,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority");
        let card = NewCard::new(ProfileName::HpcP384).authority(&authority).rsa_keys(RsaKeyPool::Shared);
        let card = card.create(folder.path().join("card")).unwrap();
        let found = card.certificates.iter().find(|(name, _)| name.contains("C.HP.QES.E")).unwrap();
        let certificate = Certificate::from_pem(std::fs::read(&found.1).unwrap()).unwrap().to_der().unwrap();
        let anchors = TrustAnchors::from_pem(&std::fs::read(&card.ca_file).unwrap()).unwrap();
        let responder = OcspResponder::start(&authority, "127.0.0.1:0".parse().unwrap()).unwrap();
        Desk { folder, certificate, anchors, responder }
    }

    fn tell(&self, status: &str) {
        let certificate = Certificate::from_der(&self.certificate).unwrap();
        let serial = hex::encode(certificate.tbs_certificate().serial_number().as_bytes());
        let issued = self.folder.path().join("authority/issued");
        std::fs::write(issued.join(PathBuf::from(serial).with_extension("status")), status).unwrap();
    }

    fn settings(&self) -> Ocsp {
        let addresses = [(NAMED.to_owned(), self.responder.url())].into();
        Ocsp { nonce: NonceRule::Require, addresses, ..Ocsp::default() }
    }

    async fn ask(&self, client: &OcspClient, age: Duration) -> Result<Arc<Known>, StatusError> {
        client.status(&self.certificate, &self.anchors, age).await
    }
}

#[tokio::test]
async fn each_state_of_the_responder_is_told_apart() {
    let desk = Desk::new();
    let client = OcspClient::new(&desk.settings());
    let known = desk.ask(&client, NOW).await.unwrap();
    assert_eq!((known.answer.status, known.answer.nonce_returned), (Status::Good, true));
    desk.tell("revoked 2026-01-31T12:00:00Z");
    let revoked = desk.ask(&client, NOW).await.unwrap();
    assert!(matches!(revoked.answer.status, Status::Revoked { .. }));
    desk.tell("unknown");
    assert_eq!(desk.ask(&client, NOW).await.unwrap().answer.status, Status::Unknown);
    for (word, expected) in [
        ("stale", OcspError::TooOld),
        ("no-cert-hash", OcspError::CertHashMissing),
        ("wrong-cert-hash", OcspError::CertHashMismatch),
    ] {
        desk.tell(word);
        let refused = desk.ask(&client, NOW).await.unwrap_err();
        assert!(matches!(&refused, StatusError::Answer(error) if *error == expected), "{word}: {refused}");
    }
    desk.tell("gibberish");
    let failed = desk.ask(&client, NOW).await.unwrap_err();
    assert!(matches!(failed, StatusError::Unavailable(HttpError::Status(_))), "{failed}");
}

#[tokio::test]
async fn a_kept_answer_serves_as_long_as_it_is_young_enough() {
    let desk = Desk::new();
    let client = OcspClient::new(&desk.settings());
    let first = desk.ask(&client, FRESH).await.unwrap();
    desk.tell("revoked 2026-01-31T12:00:00Z");
    let kept = desk.ask(&client, FRESH).await.unwrap();
    assert_eq!(kept.response, first.response);
    let asked = desk.ask(&client, NOW).await.unwrap();
    assert_ne!(asked.answer.status, Status::Good);
    assert_eq!(desk.ask(&client, FRESH).await.unwrap().answer.status, asked.answer.status);
    assert!(client.oldest().is_some());
}

#[tokio::test]
async fn an_unreachable_and_a_silent_responder_are_not_waited_for() {
    let desk = Desk::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", closed.local_addr().unwrap());
    let to = |address: &str| Ocsp {
        addresses: [(NAMED.to_owned(), address.to_owned())].into(),
        timeout_seconds: 1,
        ..Ocsp::default()
    };
    // It accepts connections and never answers.
    let silent = desk.ask(&OcspClient::new(&to(&address)), NOW).await.unwrap_err();
    assert!(matches!(silent, StatusError::Unavailable(HttpError::Timeout(_))), "{silent}");
    drop(closed);
    let refused = desk.ask(&OcspClient::new(&to(&address)), NOW).await.unwrap_err();
    assert!(matches!(refused, StatusError::Unavailable(HttpError::Connect(_))), "{refused}");
    let other = desk.ask(&OcspClient::new(&to("https://127.0.0.1/")), NOW).await.unwrap_err();
    assert!(matches!(other, StatusError::Unavailable(HttpError::Address)), "{other}");
}

#[tokio::test]
async fn a_nonce_is_sent_unless_the_rule_says_otherwise() {
    let desk = Desk::new();
    for (nonce, returned) in [(NonceRule::Send, true), (NonceRule::Require, true), (NonceRule::Omit, false)] {
        let client = OcspClient::new(&Ocsp { nonce, ..desk.settings() });
        assert_eq!(desk.ask(&client, NOW).await.unwrap().answer.nonce_returned, returned, "{nonce:?}");
    }
}

#[tokio::test]
async fn certificates_of_strangers_are_not_asked_for() {
    let desk = Desk::new();
    let client = OcspClient::new(&desk.settings());
    let unknown = client.status(&desk.certificate, &TrustAnchors::default(), NOW).await.unwrap_err();
    assert!(matches!(unknown, StatusError::Request(_)), "{unknown}");
}
