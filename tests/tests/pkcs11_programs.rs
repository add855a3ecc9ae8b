//! Foreign PKCS#11 programs load the module and sign with the card's keys; OpenSSL checks the signatures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tests::artefacts::module;
use tests::cards::{CardImage, PIN_CH, PIN_QES};
use tests::openssl::verify_signature;
use tests::programs::{Ran, program, run};
use tests::simulator::{Simulator, socket_in};

#[test]
fn pkcs11_tool_lists_one_slot_for_each_pin_of_the_card() {
    let bench = Bench::with("hba-g21");
    let slots = bench.pkcs11_tool(&["-L"]).expect_success().stdout;
    assert!(slots.contains("ESIGN") && slots.contains("QES"), "{slots}");
    assert_eq!(slots.matches("token label").count(), 2, "{slots}");
    assert!(slots.contains("login required") && slots.contains("PIN initialized"), "{slots}");
    assert!(!slots.contains("PIN locked"), "{slots}");
}

#[test]
fn pkcs11_tool_sees_certificates_and_public_keys_before_login_and_private_keys_after() {
    let bench = Bench::with("hba-g21");
    let token = bench.token("ESIGN");
    let before = bench.pkcs11_tool(&["-O", "--token-label", &token]).expect_success().stdout;
    assert_eq!(before.matches("Certificate Object").count(), 4, "{before}");
    assert_eq!(before.matches("Public Key Object").count(), 4, "{before}");
    assert!(!before.contains("Private Key Object"), "{before}");
    let after = bench
        .pkcs11_tool(&["-O", "--token-label", &token, "--login", "--pin", PIN_CH])
        .expect_success()
        .stdout;
    assert_eq!(after.matches("Private Key Object").count(), 4, "{after}");
}

#[test]
fn pkcs11_tool_signs_with_every_signing_key_of_both_cards() {
    // pkcs11-tool chooses keys by CKA_ID only.
    for (profile, slot, label, id, pin, mechanism, digest) in [
        ("hpc-p384", "ESIGN", "C.HP.AUT.E384", "01", PIN_CH, "ECDSA-SHA384", "-sha384"),
        ("hpc-p384", "ESIGN", "C.HP.AUT.E384", "01", PIN_CH, "ECDSA-SHA256", "-sha256"),
        ("hpc-p384", "ESIGN", "C.HP.AUT.R2048", "04", PIN_CH, "SHA256-RSA-PKCS", "-sha256"),
        ("hpc-p384", "ESIGN", "C.HP.AUT.R2048", "04", PIN_CH, "SHA512-RSA-PKCS", "-sha512"),
        ("hpc-p384", "ESIGN", "C.HP.AUT.R2048", "04", PIN_CH, "SHA256-RSA-PKCS-PSS", "-sha256"),
        ("hpc-p384", "QES", "C.HP.QES.E384", "03", PIN_QES, "ECDSA", "-sha384"),
        ("hba-g21", "ESIGN", "C.HP.AUT.E256", "01", PIN_CH, "ECDSA-SHA256", "-sha256"),
        ("hba-g21", "ESIGN", "C.HP.AUT.R2048", "04", PIN_CH, "SHA384-RSA-PKCS", "-sha384"),
        ("hba-g21", "QES", "C.HP.QES.E256", "03", PIN_QES, "ECDSA", "-sha256"),
        ("hba-g21", "QES", "C.HP.QES.R2048", "06", PIN_QES, "RSA-PKCS-PSS", "-sha256"),
    ] {
        let bench = Bench::with(profile);
        let data = bench.file("data", b"to be signed by a card");
        let raw = !mechanism.contains("SHA");
        let input = if raw { bench.digest(&data, digest) } else { data.clone() };
        let signature = bench.directory.path().join("signature");
        let token = bench.token(slot);
        let mut arguments = vec!["--token-label", &token, "--login", "--pin", pin, "--id", id];
        arguments.extend(["--sign", "--mechanism", mechanism, "--input-file", path(&input)]);
        arguments.extend(["--output-file", path(&signature)]);
        if mechanism.starts_with("ECDSA") {
            arguments.extend(["--signature-format", "openssl"]);
        }
        if mechanism == "RSA-PKCS-PSS" {
            arguments.extend(["--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256", "--salt-len", "32"]);
        }
        let said = bench.pkcs11_tool(&arguments);
        assert!(said.success, "{profile} {label} {mechanism}: {}", said.text());
        let pss: &[&str] = &["rsa_padding_mode:pss", "rsa_pss_saltlen:32"];
        let options = if mechanism.ends_with("PSS") { pss } else { &[] };
        verify_signature(&data, &signature, &bench.card.certificate(label), digest, options);
    }
}

#[test]
fn one_signature_of_the_generic_card_is_one_command_with_the_digest_and_le() {
    let bench = Bench::with("hpc-p384");
    let data = bench.file("data", b"forty-eight bytes of SHA-384 follow");
    let digest = bench.digest(&data, "-sha384");
    let signature = bench.directory.path().join("signature");
    let token = bench.token("ESIGN");
    let arguments = ["--token-label", &token, "--login", "--pin", PIN_CH, "--id", "01", "--sign"];
    let files = ["--mechanism", "ECDSA", "--input-file", path(&digest), "--output-file", path(&signature)];
    bench.pkcs11_tool(&[&arguments[..], &files[..]].concat()).expect_success();

    let expected = format!("002A9E9A30{}00", hex::encode_upper(fs::read(&digest).unwrap()));
    let signed: Vec<String> =
        bench.simulator.sent().into_iter().filter(|command| command[2..].starts_with("2A9E9A")).collect();
    assert_eq!(signed.len(), 1, "{signed:?}");
    assert_eq!(signed[0], expected);
    assert_eq!(fs::read(&signature).unwrap().len(), 96, "r and s, 48 bytes each");
}

#[test]
fn the_openssl_engine_signs_with_the_cards_keys() {
    for (profile, label, digest) in [
        ("hpc-p384", "C.HP.AUT.E384", "-sha384"),
        ("hba-g21", "C.HP.AUT.E256", "-sha256"),
        ("hba-g21", "C.HP.AUT.R2048", "-sha256"),
    ] {
        let bench = Bench::with(profile);
        let data = bench.file("data", b"signed through the engine");
        let signature = bench.directory.path().join("signature");
        let token = bench.token("ESIGN").replace(' ', "%20");
        let key = format!("pkcs11:token={token};object={label};type=private");
        let mut sign =
            program("openssl", ["dgst", "-engine", "pkcs11", "-keyform", "engine", "-sign", &key, digest]);
        sign.arg("-out").arg(&signature).arg(&data).env("OPENSSL_CONF", bench.engine_configuration(PIN_CH));
        let said = run(bench.configured(&mut sign));
        assert!(said.success, "{profile} {label}: {}", said.text());
        verify_signature(&data, &signature, &bench.card.certificate(label), digest, &[]);
    }
}

/// One card in one reader, and the module configured for it.
struct Bench {
    card: CardImage,
    simulator: Simulator,
    configuration: PathBuf,
    directory: TempDir,
}

impl Bench {
    fn with(profile: &str) -> Bench {
        let card = CardImage::of(profile);
        let directory = tempfile::tempdir().unwrap();
        let reader = socket_in(&directory, "hpc");
        let simulator = Simulator::start(&[(&card, &reader)]);
        let configuration = directory.path().join("module.toml");
        fs::write(&configuration, format!("readers = [{reader:?}]\ncertificate_cache = false\n")).unwrap();
        Bench { card, simulator, configuration, directory }
    }

    fn configured<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("HPC_PKCS11_CONFIG", &self.configuration)
    }

    fn pkcs11_tool(&self, arguments: &[&str]) -> Ran {
        let mut tool = program("pkcs11-tool", arguments);
        run(self.configured(tool.arg("--module").arg(module())))
    }

    /// The label of the token for a PIN.
    fn token(&self, application: &str) -> String {
        let slots = self.pkcs11_tool(&["-L"]).expect_success().stdout;
        let labels = slots.lines().filter_map(|line| line.trim().strip_prefix("token label"));
        let mut labels = labels.map(|rest| rest.trim_start_matches([' ', ':']).trim_end().to_owned());
        labels
            .find(|label| label.ends_with(application))
            .unwrap_or_else(|| panic!("no {application} in {slots}"))
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let file = self.directory.path().join(name);
        fs::write(&file, content).unwrap();
        file
    }

    fn digest(&self, data: &Path, digest: &str) -> PathBuf {
        let out = self.directory.path().join("digest");
        let mut dgst = program("openssl", ["dgst", digest, "-binary", "-out"]);
        run(dgst.arg(&out).arg(data)).expect_success();
        out
    }

    fn engine_configuration(&self, pin: &str) -> PathBuf {
        let lines = [
            "openssl_conf = start".to_owned(),
            "[start]\nengines = engines".to_owned(),
            "[engines]\npkcs11 = hpc".to_owned(),
            format!(
                "[hpc]\nengine_id = pkcs11\nMODULE_PATH = {}\nPIN = {pin}\ninit = 1\n",
                module().display()
            ),
        ];
        self.file("engine.cnf", lines.join("\n").as_bytes())
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}
