//! python-pkcs11 0.10 and PyKCS11 1.5, as `docs/clients/python.md` tells.

use tests::artefacts::{python, root};
use tests::cards::{PIN_CH, PIN_QES};
use tests::desk::{Desk, module_path, text_of};
use tests::openssl::verify_signature;
use tests::programs::run;

const PROGRAMS: [&str; 2] = ["with_python_pkcs11.py", "with_pykcs11.py"];

#[test]
fn both_libraries_sign_with_each_key_of_both_cards() {
    for (profile, application, pin, objects) in [
        ("hpc-p384", "ESIGN", PIN_CH, ["C.HP.AUT.E384", "C.HP.AUT.R2048"]),
        ("hpc-p384", "QES", PIN_QES, ["C.HP.QES.E384", "C.HP.QES.E384"]),
        ("hba-g21", "ESIGN", PIN_CH, ["C.HP.AUT.E256", "C.HP.AUT.R2048"]),
    ] {
        let desk = Desk::with(profile);
        let document = desk.file("document", "a document");
        let token = desk.token().replace("ESIGN", application);
        for (program, object) in PROGRAMS.iter().flat_map(|program| objects.map(|object| (program, object))) {
            let source = text_of(&root().join("tests/python").join(program));
            let arguments = [&source, &token, object, "document", "signature"];
            let signatures = desk.simulator.signatures();
            let mut command = desk.command(&text_of(&python()), &arguments);
            let said = run(command.env("MODULE", module_path()).env("PIN", pin)).expect_success().stdout;
            assert!(
                said.lines()
                    .any(|line| line.starts_with("certificates without a PIN:") && line.contains(object))
            );
            assert!(said.contains("private keys without a PIN: 0"), "{program}: {said}");
            let (signature, certificate) = (desk.path("signature"), desk.card.certificate(object));
            verify_signature(&document, &signature, &certificate, "-sha256", &[]);
            assert_eq!(desk.simulator.signatures(), signatures + 1, "{program} {object}");
            std::fs::remove_file(signature).unwrap();
        }
    }
}
