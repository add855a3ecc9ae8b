//! The self tests of OpenSC's pkcs11-tool 0.23, as `docs/clients/opensc.md` tells.

use tests::cards::PIN_CH;
use tests::desk::{Desk, module_path};
use tests::programs::Ran;

#[test]
fn the_test_suite_of_pkcs11_tool_finds_no_errors() {
    for profile in ["hpc-p384", "hba-g21"] {
        let desk = Desk::with(profile);
        let arguments = ["--test", "--login", "--pin", PIN_CH, "--token-label", desk.token()];
        let said = pkcs11_tool(&desk, &arguments).expect_success().text();
        assert!(said.contains("No errors"), "{profile}: {said}");
        for mechanism in ["RSA-PKCS: OK", "SHA256-RSA-PKCS: OK"] {
            assert!(said.contains(mechanism), "{profile} {mechanism}: {said}");
        }
    }
}

#[test]
fn a_forked_child_can_initialise_the_module_again() {
    let desk = Desk::with("hpc-p384");
    let said = pkcs11_tool(&desk, &["--test-fork"]).expect_success();
    assert!(said.text().contains("Calling C_Initialize in forked child"), "{}", said.text());
}

#[test]
fn threads_that_initialise_list_and_look_at_once_all_succeed() {
    let desk = Desk::with("hpc-p384");
    // Initialise (with system locks, or plain), information, slot list, token of slot 0 or 1.
    let mut arguments = Vec::new();
    for plan in ["ILGISLT0", "ILGISLT1", "INGISLT0", "INGISLT1", "ILSLT0SLT1"] {
        arguments.extend(["--test-threads", plan]);
    }
    let said = pkcs11_tool(&desk, &arguments).expect_success().text();
    assert!(said.contains("all threads have ended with CKR_OK"), "{said}");
}

fn pkcs11_tool(desk: &Desk, arguments: &[&str]) -> Ran {
    desk.run("pkcs11-tool", &[&["--module", &module_path()], arguments].concat())
}
