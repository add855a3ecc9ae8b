//! The service signs with any PKCS#11 module: here Debian's SoftHSM with a key of its own.

use std::fs;
use std::path::{Path, PathBuf};

use tests::artefacts::example;
use tests::openssl::verified_content;
use tests::programs::{program, run};
use tests::service::{Service, Setup};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "876543";

#[test]
fn a_prescription_signed_by_softhsm_verifies_with_openssl() {
    for curve in ["secp384r1", "brainpoolP256r1"] {
        let directory = tempfile::tempdir().unwrap();
        let token = SoftToken::new(directory.path(), curve);
        let mut setup = Setup::on_readers(&[], &token.anchors);
        setup.module = Some(Path::new(MODULE));
        setup.environment.push(("SOFTHSM2_CONF".into(), token.configuration.display().to_string()));
        let service = Service::start(setup);
        let (said, signature) =
            service.sign(&example("prescription.xml"), PIN, &["--no-card", "no card in this test"]);
        said.expect_success();
        let content = verified_content(&signature, &token.anchors);
        assert_eq!(content, fs::read(example("prescription.xml")).unwrap(), "{curve}");

        let (said, _) =
            service.sign(&example("prescription.xml"), "000000", &["--no-card", "no card in this test"]);
        assert!(!said.success && said.stderr.contains("PIN"), "{curve}: {}", said.text());
    }
}

/// A token with one signature key and its certificate.
struct SoftToken {
    configuration: PathBuf,
    anchors: PathBuf,
}

impl SoftToken {
    fn new(directory: &Path, curve: &str) -> SoftToken {
        let configuration = directory.join("softhsm2.conf");
        let tokens = directory.join("tokens");
        fs::create_dir(&tokens).unwrap();
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(&configuration, text).unwrap();
        let token = SoftToken { configuration, anchors: directory.join("ca.pem") };
        certificate(directory, curve);
        let key = directory.join("key.pkcs8");
        token.run(
            "softhsm2-util",
            &["--init-token", "--free", "--label", "clinic", "--pin", PIN, "--so-pin", "12345678"],
        );
        let import = [
            "--import",
            text_of(&key),
            "--token",
            "clinic",
            "--label",
            "C.HP.QES",
            "--id",
            "03",
            "--pin",
            PIN,
        ];
        token.run("softhsm2-util", &import);
        let certificate = directory.join("certificate.der");
        let write = ["--module", MODULE, "--login", "--pin", PIN, "--write-object", text_of(&certificate)];
        token.run(
            "pkcs11-tool",
            &[&write[..], &["--type", "cert", "--id", "03", "--label", "C.HP.QES"]].concat(),
        );
        token
    }

    fn run(&self, name: &str, arguments: &[&str]) {
        run(program(name, arguments).env("SOFTHSM2_CONF", &self.configuration)).expect_success();
    }
}

/// A certificate as a qualified one looks, from a CA of its own, by OpenSSL.
fn certificate(directory: &Path, curve: &str) {
    let openssl = |arguments: &str| {
        let mut command = program("openssl", arguments.split(' '));
        run(command.current_dir(directory)).expect_success();
    };
    let extensions = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,nonRepudiation\nsubjectKeyIdentifier=hash\n\
                      authorityKeyIdentifier=keyid\ncertificatePolicies=1.2.276.0.76.4.72\n\
                      1.3.6.1.5.5.7.1.3=ASN1:SEQUENCE:statements\n[statements]\na=SEQUENCE:compliance\n\
                      [compliance]\no=OID:0.4.0.1862.1.1\n";
    fs::write(directory.join("extensions"), extensions).unwrap();
    for name in ["ca", "key"] {
        openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out {name}.pem.key"));
    }
    openssl("req -x509 -new -key ca.pem.key -days 30 -subj /C=DE/O=Test/CN=Test-CA -out ca.pem");
    openssl("req -new -key key.pem.key -subj /C=DE/CN=Clinic -out request.csr");
    openssl(
        "x509 -req -in request.csr -CA ca.pem -CAkey ca.pem.key -CAcreateserial -days 30 -extfile extensions -out certificate.pem",
    );
    openssl("x509 -in certificate.pem -outform DER -out certificate.der");
    openssl("pkcs8 -topk8 -nocrypt -in key.pem.key -out key.pkcs8");
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}
