//! A login at the national identity provider with each card: a provider made of jwcrypto opens what the service answers.

use std::fs;

use tests::artefacts::{python, root};
use tests::cards::{CardImage, PIN_CH};
use tests::programs::{Ran, program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};

#[test]
fn a_provider_opens_the_answer_of_each_kind_of_key() {
    for (profile, configuration, object, algorithm) in [
        ("hba-g21", "", "C.HP.AUT.E256", "BP256R1"),
        ("hba-g21", "[authentication]\nprefer = \"rsa\"\n", "C.HP.AUT.R2048", "PS256"),
        // The provider does not know the curve of this card's other key.
        ("hpc-p384", "", "C.HP.AUT.R2048", "PS256"),
    ] {
        let login = Login::with(profile, configuration);
        login.provider(&["challenge"]).expect_success();
        let answered = login.answer("challenge");
        assert!(answered.success, "{profile}: {}", answered.text());
        let certificate = login.card.certificate(object);
        let judged = login.provider(&["judge", certificate.to_str().unwrap()]).expect_success();
        assert_eq!(judged.stdout.trim(), format!("genuine {algorithm}"), "{profile}");
    }
}

#[test]
fn a_challenge_that_the_provider_did_not_make_costs_no_pin() {
    let login = Login::with("hba-g21", "");
    login.provider(&["challenge"]).expect_success();
    let challenge = fs::read_to_string(login.path("challenge")).unwrap();
    let (signed, signature) = challenge.rsplit_once('.').unwrap();
    for text in [format!("{signed}x.{signature}"), format!("{signed}."), "no token".to_owned()] {
        fs::write(login.path("forged"), text).unwrap();
        let refused = login.answer("forged");
        assert_eq!(refused.code, Some(3), "{}", refused.text());
        assert!(refused.stderr.contains("challenge: "), "{}", refused.text());
    }
    assert_eq!(login.simulator.verifications(), 0);
}

/// A card, the service, and a place for the provider's files.
struct Login {
    directory: tempfile::TempDir,
    card: CardImage,
    simulator: Simulator,
    service: Service,
}

impl Login {
    fn with(profile: &str, configuration: &str) -> Login {
        let directory = tempfile::tempdir().unwrap();
        let card = CardImage::of(profile);
        let reader = socket_in(&directory, "hpc");
        let simulator = Simulator::start(&[(&card, &reader)]);
        let anchors = card.anchors();
        let mut setup = Setup::on_readers(&[&reader], &anchors);
        setup.further_configuration = configuration.to_owned();
        let service = Service::start(setup);
        Login { directory, card, simulator, service }
    }

    fn answer(&self, challenge: &str) -> Ran {
        let mut command = self.service.command(&["answer-idp"]);
        command.arg(self.path(challenge)).arg("--signature-key").arg(self.path("signature.jwk"));
        command
            .arg("--encryption-key")
            .arg(self.path("encryption.jwk"))
            .arg("--out")
            .arg(self.path("answer"));
        run(command.args(["--pin-env", "TEST_PIN"]).env("TEST_PIN", PIN_CH))
    }

    fn provider(&self, arguments: &[&str]) -> Ran {
        let source = root().join("tests/python/provider_with_jwcrypto.py");
        let mut command = program(python(), [source]);
        run(command.arg(arguments[0]).arg(self.directory.path()).args(&arguments[1..]))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
}
