//! The OCSP responder of the test authority, asked by OpenSSL.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic in test code is the report")]

use std::path::{Path, PathBuf};
use std::process::Command;

use card_simulator::ocsp::OcspResponder;
use card_simulator::{IssuedCard, NewCard, ProfileName, RsaKeyPool};

struct Desk {
    folder: tempfile::TempDir,
    card: IssuedCard,
    responder: OcspResponder,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority");
        let card = NewCard::new(ProfileName::HpcP384).authority(&authority).rsa_keys(RsaKeyPool::Shared);
        let card = card.create(folder.path().join("card")).unwrap();
        let responder = OcspResponder::start(&authority, "127.0.0.1:0".parse().unwrap()).unwrap();
        Desk { folder, card, responder }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("authority")
    }

    fn certificate(&self) -> &Path {
        let found = self.card.certificates.iter().find(|(name, _)| name.contains("C.HP.QES.E"));
        &found.unwrap().1
    }

    fn tell(&self, status: &str) {
        let printed = Command::new("openssl")
            .args(["x509", "-noout", "-serial", "-in"])
            .arg(self.certificate())
            .output()
            .unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        let serial = printed.trim().strip_prefix("serial=").unwrap().to_lowercase();
        let path = self.authority().join("issued").join(format!("{serial}.status"));
        assert!(path.with_extension("der").exists());
        std::fs::write(path, status).unwrap();
    }

    /// What OpenSSL prints, its own check of responder and signature included.
    fn ask(&self) -> String {
        let root = self.authority().join("root-secp384r1.pem");
        let asked = Command::new("openssl")
            .args(["ocsp", "-url", &self.responder.url(), "-resp_text", "-issuer"])
            .args([root.as_os_str(), "-cert".as_ref(), self.certificate().as_os_str()])
            .args(["-CAfile".as_ref(), root.as_os_str()])
            .output()
            .unwrap();
        String::from_utf8_lossy(&[asked.stdout, asked.stderr].concat()).into_owned()
    }
}

#[test]
fn openssl_believes_the_answers() {
    let desk = Desk::new();
    let good = desk.ask();
    assert!(good.contains("Response verify OK") && good.contains(".pem: good"), "{good}");
    assert!(good.contains("1.3.36.8.3.13") && !good.contains("WARNING: no nonce"), "{good}");
    desk.tell("revoked 2026-01-31T12:00:00Z");
    let revoked = desk.ask();
    assert!(revoked.contains(".pem: revoked") && revoked.contains("Jan 31 12:00:00 2026"), "{revoked}");
    desk.tell("unknown");
    assert!(desk.ask().contains(".pem: unknown"));
}

#[test]
fn certificates_of_nobody_are_unknown() {
    let desk = Desk::new();
    std::fs::remove_dir_all(desk.authority().join("issued")).unwrap();
    assert!(desk.ask().contains(".pem: unknown"));
}
