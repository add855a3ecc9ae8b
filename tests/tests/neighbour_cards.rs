//! Cards of other countries, judged by OpenSC through pcscd's virtual reader, and used through the module.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::artefacts::{binary, python, root};
use tests::cards::{CardImage, PIN_CH, PIN_QES};
use tests::desk::module_path;
use tests::pcscd::Pcscd;
use tests::programs::{Ran, program, run};
use tests::simulator::Simulator;

const OPENSC: &str = "opensc-pkcs11.so";

#[test]
fn opensc_knows_a_piv_card_and_signs_and_deciphers_with_it() {
    let desk = Desk::with("piv");
    let name = desk.run("opensc-tool", &["--name"]).expect_success();
    assert!(name.stdout.contains("Personal Identity Verification Card"), "{}", name.text());
    let dump = desk.run("pkcs15-tool", &["--dump"]).expect_success().text();
    for key in ["PIV AUTH key", "SIGN key", "KEY MAN key", "CARD AUTH key"] {
        assert!(dump.contains(key), "{key}: {dump}");
    }
    desk.opensc_signs("01", "C.PIV.AUT.P256", &[0xA5; 32], &["-m", "ECDSA", "--signature-format", "openssl"]);
    desk.opensc_signs("02", "C.PIV.SIG.P384", &[0xA5; 48], &["-m", "ECDSA", "--signature-format", "openssl"]);
    desk.opensc_deciphers("03", "C.PIV.KM.R2048");
    let said = desk.opensc(&["--test"]);
    assert!(said.text().contains("No errors"), "{}", said.text());
}

#[test]
fn opensc_signs_with_the_rsa_keys_of_a_piv_card() {
    let desk = Desk::with("piv-rsa");
    for (id, name) in [("01", "C.PIV.AUT.R2048"), ("02", "C.PIV.SIG.R2048")] {
        desk.opensc_signs(id, name, b"text", &["-m", "SHA256-RSA-PKCS"]);
    }
}

#[test]
fn the_module_lists_and_signs_with_a_piv_card_in_a_pcsc_reader() {
    let desk = Desk::with("piv");
    let listed = desk.ours(&["--list-objects", "--token-label", "PIV ESIGN"]).expect_success().stdout;
    assert!(listed.contains("C.PIV.AUT.P256") && listed.contains("C.PIV.KM.R2048"), "{listed}");
    for (token, id, name, digest) in [
        ("PIV ESIGN", "01", "C.PIV.AUT.P256", &[0xA5; 32][..]),
        ("PIV QES", "03", "C.PIV.SIG.P384", &[0xA5; 48]),
    ] {
        desk.ours_signs(token, PIN_CH, id, name, digest);
    }
}

#[test]
fn opensc_knows_an_estonian_card_and_signs_with_both_pins() {
    let desk = Desk::with("esteid");
    let name = desk.run("opensc-tool", &["--name"]).expect_success();
    assert!(name.stdout.contains("EstEID 2018"), "{}", name.text());
    let dump = desk.run("pkcs15-tool", &["--dump"]).expect_success().text();
    for part in ["PIN1", "PIN2", "PUK", "Isikutuvastus", "Allkirjastamine", "Tries left     : 3"] {
        assert!(dump.contains(part), "{part}: {dump}");
    }
    // OpenSC makes a token of each PIN.
    for (token, pin, id, name) in
        [("PIN1", PIN_CH, "01", "C.ID.AUT.P384"), ("PIN2", PIN_QES, "02", "C.ID.SIG.P384")]
    {
        let slots = desk.run("pkcs11-tool", &["--module", OPENSC, "--list-slots"]).expect_success().stdout;
        let label = slots.lines().filter_map(|line| line.split_once("token label")).map(|(_, label)| label);
        let label =
            label.map(|label| label.trim_start_matches([' ', ':'])).find(|label| label.contains(token));
        let label = label.unwrap_or_else(|| panic!("a token of {token}: {slots}")).to_owned();
        let (data, signature) = (desk.file("digest", &[0xA5; 48]), desk.path("signature"));
        let arguments = ["--module", OPENSC, "--login", "--pin", pin, "--token-label", &label, "--sign"];
        let more = ["--id", id, "-m", "ECDSA", "--signature-format", "openssl", "-i", text(&data)];
        desk.run("pkcs11-tool", &[&arguments[..], &more, &["-o", text(&signature)]].concat())
            .expect_success();
        desk.openssl_accepts(name, &data, &signature, &[]);
    }
}

#[test]
fn the_module_signs_with_an_estonian_card_in_a_pcsc_reader() {
    let desk = Desk::with("esteid");
    for (token, pin, id, name) in
        [("EstEID ESIGN", PIN_CH, "01", "C.ID.AUT.P384"), ("EstEID QES", PIN_QES, "03", "C.ID.SIG.P384")]
    {
        desk.ours_signs(token, pin, id, name, &[0xA5; 48]);
    }
}

/// OpenSC 0.23 wants a dialog of its own for the signature key, which Debian's build does not have, and knows no elliptic
/// curves on Belgian cards (`docs/simulator.md`).
#[test]
fn opensc_knows_belgian_cards_and_signs_with_what_it_knows_of_them() {
    let desk = Desk::with("beid17");
    let name = desk.run("opensc-tool", &["--name"]).expect_success();
    assert!(name.stdout.contains("Belpic cards"), "{}", name.text());
    let dump = desk.run("pkcs15-tool", &["--dump"]).expect_success().text();
    for part in ["BELPIC", "Basic PIN", "Private RSA Key [Authentication]", "X.509 Certificate [Root]"] {
        assert!(dump.contains(part), "{part}: {dump}");
    }
    desk.opensc_signs("02", "C.ID.AUT.R2048", b"text", &["-m", "SHA256-RSA-PKCS"]);
    let data = desk.file("data", b"text");
    let refused = desk.opensc(&["--sign", "--id", "03", "-m", "SHA256-RSA-PKCS", "-i", text(&data)]);
    assert!(refused.text().contains("CKR_FUNCTION_NOT_SUPPORTED"), "{}", refused.text());
    let desk = Desk::with("beid18");
    let dump = desk.run("pkcs15-tool", &["--dump"]).expect_success().text();
    assert!(dump.contains("Private EC Key [Signature]"), "{dump}");
    let data = desk.file("digest", &[0xA5; 48]);
    let refused = desk.opensc(&["--sign", "--id", "02", "-m", "ECDSA", "-i", text(&data)]);
    assert!(refused.text().contains("CKR_MECHANISM_INVALID"), "{}", refused.text());
}

/// It prints no street, and the hexadecimal digit F as E. Of Belgian cards it knows those whose identity file begins with
/// the card number, of Estonian ones those before 2018.
#[test]
fn eidenv_prints_who_the_holder_of_an_older_belgian_card_is() {
    let said = Desk::with("beid17").run("eidenv", &[]).stdout;
    for line in [
        "BELPIC_NAME: Voorbeeld",
        "BELPIC_FIRSTNAMES: Ada Marie",
        "BELPIC_NATIONALNUMBER: 79050400220",
        "BELPIC_BIRTHDATE: 04 MEI  1979",
        "BELPIC_ZIPCODE: 1000",
        "BELPIC_MUNICIPALITY: Brussel",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let newer = Desk::with("beid18").run("eidenv", &[]);
    assert!(newer.text().contains("Failed to decode the ID file"), "{}", newer.text());
    let estonian = Desk::with("esteid").run("eidenv", &[]);
    assert!(estonian.text().contains("Not an EstEID or Belpic card"), "{}", estonian.text());
}

#[test]
fn the_module_and_egk_reader_work_with_belgian_cards_over_t0() {
    let desk = Desk::with("beid18");
    for (token, id, name) in [("BeID ESIGN", "01", "C.ID.AUT.P384"), ("BeID QES", "03", "C.ID.SIG.P384")] {
        desk.ours_signs(token, PIN_CH, id, name, &[0xA5; 48]);
    }
    let photo = desk.path("photo.jpg");
    let reader = text(&binary("egk-reader")).to_owned();
    let identity = desk.run(&reader, &["identity", "--json", "--photo", text(&photo)]).expect_success();
    assert!(identity.stdout.contains("Voorbeeldstraat 12 bus 3"), "{}", identity.text());
    assert!(fs::read(photo).unwrap().starts_with(&[0xFF, 0xD8]));
    let desk = Desk::with("beid17");
    for (token, id, name) in [("BeID ESIGN", "04", "C.ID.AUT.R2048"), ("BeID QES", "06", "C.ID.SIG.R2048")] {
        desk.ours_signs_with_rsa(token, PIN_CH, id, name);
    }
}

#[test]
fn opensc_and_the_module_sign_with_both_keys_of_a_japanese_card() {
    let desk = Desk::with("jpki");
    let name = desk.run("opensc-tool", &["--name"]).expect_success();
    assert!(name.stdout.contains("jpki"), "{}", name.text());
    let dump = desk.run("pkcs15-tool", &["--dump"]).expect_success().text();
    for part in ["User Authentication PIN", "Digital Signature Key", "Tries left     : 5"] {
        assert!(dump.contains(part), "{part}: {dump}");
    }
    for (token, ours, pin, [id, our_id], name) in [
        ("User Authentication", "JPKI ESIGN", "1234", ["01", "04"], "C.ID.AUT.R2048"),
        ("Digital Signature", "JPKI QES", "ABC123", ["02", "06"], "C.ID.SIG.R2048"),
    ] {
        let label = format!("JPKI ({token} PIN)");
        let (data, signature) = (desk.file("data", b"text"), desk.path("signature"));
        let arguments = ["--module", OPENSC, "--login", "--pin", pin, "--token-label", &label, "--sign"];
        let more = ["--id", id, "-m", "SHA256-RSA-PKCS", "-i", text(&data), "-o", text(&signature)];
        desk.run("pkcs11-tool", &[&arguments[..], &more].concat()).expect_success();
        desk.openssl_accepts(name, &data, &signature, &["-rawin", "-digest", "sha256"]);
        desk.ours_signs_with_rsa(ours, pin, our_id, name);
    }
}

/// Key agreements by OpenSC's driver and by this project's module, with OpenSSL as the other side.
#[test]
fn opensc_the_module_and_openssl_agree_on_the_same_secret() {
    for (profile, certificate, curve, id, token, our_id) in [
        ("piv-rsa", "C.PIV.KM.P256", "prime256v1", "03", "PIV ESIGN", "02"),
        ("piv-p384", "C.PIV.KM.P384", "secp384r1", "03", "PIV ESIGN", "02"),
        ("esteid", "C.ID.AUT.P384", "secp384r1", "01", "EstEID ESIGN", "01"),
    ] {
        let desk = Desk::with(profile);
        let (point, secret) = desk.openssl_agrees(certificate, curve);
        let agreed = desk.path("agreed");
        let arguments = ["--derive", "-m", "ECDH1-DERIVE", "-i", text(&point), "-o", text(&agreed)];
        desk.opensc(&[&arguments[..], &["--id", id]].concat()).expect_success();
        assert_eq!(fs::read(&agreed).unwrap(), secret, "{profile}");
        for encoding in [&[][..], &["--derive-pass-der"]] {
            fs::remove_file(&agreed).unwrap();
            let login = ["--login", "--pin", PIN_CH, "--token-label", token, "--id", our_id];
            desk.ours(&[&arguments[..], &login, encoding].concat()).expect_success();
            assert_eq!(fs::read(&agreed).unwrap(), secret, "{profile}");
        }
    }
}

#[test]
fn opensc_signs_with_the_other_curves_of_a_piv_card() {
    let desk = Desk::with("piv-p384");
    desk.opensc_signs("01", "C.PIV.AUT.P384", &[0xA5; 48], &["-m", "ECDSA", "--signature-format", "openssl"]);
    desk.opensc_signs("02", "C.PIV.SIG.P256", &[0xA5; 32], &["-m", "ECDSA", "--signature-format", "openssl"]);
}

/// OpenSC looks for the files of an insurance card below the master file, where a faithful card has none
/// (`docs/other-readers.md`).
#[test]
fn egk_tool_prints_nothing_of_a_faithful_card_and_egk_reader_all_of_it() {
    let desk = Desk::with("egk-g21");
    let theirs = desk.run("egk-tool", &["--pd", "--vd", "--vsd-status"]);
    assert!(!theirs.stdout.contains("Versicherte"), "{}", theirs.text());
    let ours = desk.run(text(&binary("egk-reader")), &["read", "--json"]).expect_success();
    assert!(ours.stdout.contains("\"kvnr\""), "{}", ours.text());
}

#[test]
fn python_healthcard_names_the_same_patient_and_insurer_as_egk_reader() {
    let desk = Desk::with("egk-g21");
    let script = root().join("tests/python/with_healthcard.py");
    let theirs = desk.run(text(&python()), &[text(&script)]).expect_success().stdout;
    let ours = desk.run(text(&binary("egk-reader")), &["read", "--json"]).expect_success().stdout;
    let [theirs, ours] = [theirs, ours].map(|said| serde_json::from_str::<Value>(&said).unwrap());
    for (field, path) in [
        ("insurant_id", "/personal/kvnr"),
        ("first_name", "/personal/given_name"),
        ("last_name", "/personal/family_name"),
        ("birthdate", "/personal/birth_date"),
        ("insurance_name", "/coverage/payer/name"),
    ] {
        assert!(theirs[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {theirs}");
        assert_eq!(Some(&theirs[field]), ours.pointer(path), "{field} is not {path}");
    }
}

/// A daemon with a card in its first reader.
struct Desk {
    card: CardImage,
    _simulator: Simulator,
    daemon: Pcscd,
    directory: tempfile::TempDir,
}

impl Desk {
    fn with(profile: &str) -> Desk {
        let directory = tempfile::tempdir().unwrap();
        let daemon = Pcscd::start(directory.path()).unwrap();
        let card = CardImage::of(profile);
        let simulator = Simulator::start(&[(&card, &daemon.plug(0))]);
        daemon.wait_for_cards(1);
        Desk { card, _simulator: simulator, daemon, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Ran {
        let mut command = program("timeout", ["60", name]);
        command.args(arguments).env("PCSCLITE_CSOCK_NAME", self.daemon.socket());
        run(command.env("HOME", self.directory.path()).env_remove("HPC_PKCS11_CONFIG"))
    }

    /// pkcs11-tool with OpenSC's own driver of the card, logged in.
    fn opensc(&self, arguments: &[&str]) -> Ran {
        self.run("pkcs11-tool", &[&["--module", OPENSC, "--login", "--pin", PIN_CH], arguments].concat())
    }

    /// pkcs11-tool with this project's module.
    fn ours(&self, arguments: &[&str]) -> Ran {
        self.run("pkcs11-tool", &[&["--module", &module_path()], arguments].concat())
    }

    /// An ECDSA signature by this project's module, accepted by OpenSSL.
    fn ours_signs(&self, token: &str, pin: &str, id: &str, certificate: &str, digest: &[u8]) {
        let (data, signature) = (self.file("digest", digest), self.path("signature"));
        let arguments = ["--login", "--pin", pin, "--token-label", token, "--sign", "--id", id];
        let more =
            ["-m", "ECDSA", "--signature-format", "openssl", "-i", text(&data), "-o", text(&signature)];
        self.ours(&[&arguments[..], &more].concat()).expect_success();
        self.openssl_accepts(certificate, &data, &signature, &[]);
    }

    /// A PKCS#1 signature over a DigestInfo by this project's module, accepted by OpenSSL.
    fn ours_signs_with_rsa(&self, token: &str, pin: &str, id: &str, certificate: &str) {
        const SHA256: [u8; 19] = [
            0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
            0x00, 0x04, 0x20,
        ];
        let digest = [0xA5; 32];
        let info = self.file("info", &[&SHA256[..], &digest].concat());
        let (digest, signature) = (self.file("digest", &digest), self.path("signature"));
        let arguments = ["--login", "--pin", pin, "--token-label", token, "--sign", "--id", id];
        let more = ["-m", "RSA-PKCS", "-i", text(&info), "-o", text(&signature)];
        self.ours(&[&arguments[..], &more].concat()).expect_success();
        self.openssl_accepts(certificate, &digest, &signature, &["-pkeyopt", "digest:sha256"]);
    }

    fn opensc_signs(&self, id: &str, certificate: &str, data: &[u8], mechanism: &[&str]) {
        let (data, signature) = (self.file("data", data), self.path("signature"));
        let arguments = ["--sign", "--id", id, "-i", text(&data), "-o", text(&signature)];
        self.opensc(&[&arguments[..], mechanism].concat()).expect_success();
        let hashed = mechanism.iter().any(|word| word.starts_with("SHA"));
        self.openssl_accepts(
            certificate,
            &data,
            &signature,
            if hashed { &["-rawin", "-digest", "sha256"] } else { &[] },
        );
    }

    /// A fresh key of OpenSSL on the curve, as a file, and the secret that it has in common with the card's.
    fn openssl_agrees(&self, certificate: &str, curve: &str) -> (PathBuf, Vec<u8>) {
        let [card, own, point, secret] =
            ["card.pem", "own.pem", "own.der", "openssl.secret"].map(|file| self.path(file));
        let certificate = self.card.certificate(certificate);
        for command in [
            &["x509", "-noout", "-pubkey", "-in", text(&certificate), "-out", text(&card)][..],
            &["ecparam", "-genkey", "-noout", "-name", curve, "-out", text(&own)],
            &["pkey", "-pubout", "-outform", "DER", "-in", text(&own), "-out", text(&point)],
            &["pkeyutl", "-derive", "-inkey", text(&own), "-peerkey", text(&card), "-out", text(&secret)],
        ] {
            run(&mut program("openssl", command)).expect_success();
        }
        (point, fs::read(secret).unwrap())
    }

    fn opensc_deciphers(&self, id: &str, certificate: &str) {
        let (message, cryptogram, plain) =
            (self.file("message", b"secret"), self.path("cryptogram"), self.path("plain"));
        let mut encrypt = program("openssl", ["pkeyutl", "-encrypt", "-certin", "-inkey"]);
        encrypt.arg(self.card.certificate(certificate)).arg("-in").arg(message).arg("-out").arg(&cryptogram);
        run(&mut encrypt).expect_success();
        let arguments =
            ["--decrypt", "--id", id, "-m", "RSA-PKCS", "-i", text(&cryptogram), "-o", text(&plain)];
        self.opensc(&arguments).expect_success();
        assert_eq!(fs::read(plain).unwrap(), b"secret");
    }

    fn openssl_accepts(&self, certificate: &str, data: &Path, signature: &Path, options: &[&str]) {
        let mut verify = program("openssl", ["pkeyutl", "-verify", "-certin", "-inkey"]);
        verify.arg(self.card.certificate(certificate)).arg("-in").arg(data).arg("-sigfile").arg(signature);
        run(verify.args(options)).expect_success();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
