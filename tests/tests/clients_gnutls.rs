//! GnuTLS 3.7 and p11-kit 0.24, as `docs/clients/gnutls.md` and `docs/clients/p11-kit.md` tell.
//!
//! GnuTLS knows no brainpool curve; of the `hba-g21` card it uses the RSA keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use tests::artefacts::{module, root};
use tests::cards::PIN_CH;
use tests::desk::{Desk, converse, module_path};
use tests::programs::{Ran, library, program, run};
use tests::tls::{AUTHORITY, REQUEST, TlsServer, expect_page_of_the_holder};

const KEYS: [(&str, &str); 3] =
    [("hpc-p384", "C.HP.AUT.E384"), ("hpc-p384", "C.HP.AUT.R2048"), ("hba-g21", "C.HP.AUT.R2048")];

#[test]
fn p11tool_lists_all_objects_of_the_token() {
    for profile in ["hpc-p384", "hba-g21"] {
        let desk = Desk::with(profile);
        let token = format!("pkcs11:token={}", desk.token().replace(' ', "%20"));
        let before = p11tool(&desk, &["--list-all", &token]).expect_success().stdout;
        assert_eq!(before.matches("Type: X.509 Certificate").count(), 4, "{before}");
        assert!(!before.contains("Private key"), "{before}");
        let listed = p11tool(&desk, &["--login", "--list-all", &token]).expect_success().stdout;
        for kind in ["Type: X.509 Certificate", "Type: Public key", "Type: Private key"] {
            assert_eq!(listed.matches(kind).count(), 4, "{kind}: {listed}");
        }
        for (_, object) in KEYS.iter().filter(|(of, _)| *of == profile) {
            assert!(listed.contains(&format!("Label: {object}")), "{listed}");
        }
    }
}

#[test]
fn p11tool_test_signs_with_the_card() {
    for (profile, object) in KEYS {
        let desk = Desk::with(profile);
        let said = p11tool(&desk, &["--login", "--test-sign", &desk.uri(object, "private")]).expect_success();
        let text = said.text();
        assert!(text.contains("Verifying against public key in the token... ok"), "{profile}: {text}");
        assert_eq!(desk.simulator.signatures(), 1, "{profile} {object}");
    }
}

#[test]
fn gnutls_cli_authenticates_with_the_card() {
    for (profile, object) in KEYS {
        let desk = Desk::with(profile);
        let server = TlsServer::start(&desk, &[]);
        let (key, certificate) = (desk.uri(object, "private"), desk.uri(object, "cert"));
        let own = ["--x509cafile", AUTHORITY, "--x509keyfile", &key, "--x509certfile", &certificate];
        for (signatures, version) in [(1, "1.2"), (2, "1.3")] {
            let priority = format!("NORMAL:-VERS-ALL:+VERS-TLS{version}");
            let module = module_path();
            let address = ["--provider", &module, "-p", server.port(), "localhost", "--priority", &priority];
            let mut client = desk.command("gnutls-cli", &[&address[..], &own].concat());
            let said = converse(client.env("GNUTLS_PIN", PIN_CH), REQUEST).expect_success();
            expect_page_of_the_holder(&said.stdout, &format!("TLSv{version}"));
            assert_eq!(desk.simulator.signatures(), signatures, "{profile} {object} {version}");
        }
    }
}

#[test]
fn p11_kit_finds_the_module_by_its_module_file() {
    // A PC/SC daemon lets in root and whom the system's policy names; this test is somebody else.
    let desk = Desk::on_socket("hpc-p384");
    let place = install_for_a_user(&desk);
    // The file that is shipped, with another place of the module and with a configuration.
    let shipped = fs::read_to_string(root().join("packaging/hpc-pkcs11.module")).unwrap();
    let module = format!("module: {}", place.display());
    let here = shipped.replace("module: libhpc_pkcs11.so", &module);
    assert!(here.contains(&module), "{here}");
    let configuration = desk.configuration();
    let text = format!("{here}x-init-reserved: config={}\n", configuration.display());
    desk.file("config/pkcs11/modules/hpc.module", text);
    let listed = as_user(&desk, "p11-kit", &["list-modules"]).expect_success().stdout;
    let own = listed.split_once("hpc: ").unwrap_or_else(|| panic!("not found: {listed}")).1;
    for expected in ["Health professional cards", "token: HPC P-384 ESIGN", "token: HPC P-384 QES"] {
        assert!(own.contains(expected), "{expected}: {listed}");
    }

    let proxy = library("p11-kit-proxy.so");
    desk.file("digest", [0x5a; 48]);
    fs::set_permissions(desk.directory(), fs::Permissions::from_mode(0o777)).unwrap();
    sign_through(&desk, &proxy, |arguments| as_user(&desk, "pkcs11-tool", arguments));
}

#[test]
fn p11_kit_server_lends_the_module_to_another_process() {
    let desk = Desk::with("hpc-p384");
    desk.file("digest", [0x5a; 48]);
    let module = module_path();
    let socket = desk.path("lent");
    let arguments = ["server", "--provider", &module, "-n", socket.to_str().unwrap(), "pkcs11:"];
    // The server in the background keeps standard error open.
    let said = run(desk.command("p11-kit", &arguments).stderr(Stdio::null())).expect_success().stdout;
    let value = |name: &str| {
        let line = said.lines().find_map(|line| line.split_once(name)).unwrap_or_else(|| panic!("{said}"));
        line.1.trim_start_matches('=').split(';').next().unwrap().trim_matches(['"', '\'']).to_owned()
    };
    let (address, process) = (value("P11_KIT_SERVER_ADDRESS"), value("P11_KIT_SERVER_PID"));
    let client = library("pkcs11/p11-kit-client.so");
    sign_through(&desk, &client, |arguments| {
        run(desk.unconfigured("pkcs11-tool", arguments).env("P11_KIT_SERVER_ADDRESS", &address))
    });
    let mut stop = desk.command("p11-kit", &["server", "-k"]);
    run(stop.env("P11_KIT_SERVER_PID", process)).expect_success();
}

/// pkcs11-tool signs through a library of p11-kit, and OpenSSL verifies.
fn sign_through(desk: &Desk, library: &str, run_tool: impl Fn(&[&str]) -> Ran) {
    let arguments = ["--module", library, "--token-label", desk.token(), "--login", "--pin", PIN_CH];
    let sign = ["--sign", "--id", "01", "-m", "ECDSA", "--signature-format", "openssl", "-i", "digest"];
    run_tool(&[&arguments[..], &sign, &["-o", "signature"]].concat()).expect_success();
    // The digest stands for itself: pkeyutl verifies digests.
    let key = desk.path("key.pem");
    let mut extract = program("openssl", ["x509", "-noout", "-pubkey", "-in"]);
    let pem = run(extract.arg(desk.card.certificate("C.HP.AUT.E384"))).expect_success().stdout;
    fs::write(key, pem).unwrap();
    let arguments = ["pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-in", "digest"];
    let said = desk.run("openssl", &[&arguments[..], &["-sigfile", "signature"]].concat());
    assert!(said.success, "{}", said.text());
}

fn p11tool(desk: &Desk, arguments: &[&str]) -> Ran {
    let module = module_path();
    let mut command = desk.command("p11tool", &[&["--provider", &module], arguments].concat());
    run(command.env("GNUTLS_PIN", PIN_CH))
}

/// p11-kit reads no user's module files for root, so tests that run as root become somebody else.
fn as_user(desk: &Desk, name: &str, arguments: &[&str]) -> Ran {
    let mut command = desk.unconfigured(name, arguments);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    run(command.env("XDG_CONFIG_HOME", desk.path("config")))
}

/// Copies the module to where any user can read it, and lets any user at the card.
fn install_for_a_user(desk: &Desk) -> std::path::PathBuf {
    let place = desk.path("libhpc_pkcs11.so");
    fs::copy(module(), &place).unwrap();
    fs::create_dir_all(desk.path("config/pkcs11/modules")).unwrap();
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(desk.directory(), 0o755);
    open(&desk.path("hpc.sock"), 0o777);
    open(&place, 0o755);
    place
}

fn is_root() -> bool {
    run(&mut program("id", ["-u"])).expect_success().stdout.trim() == "0"
}

/// Debian's `nobody`.
const NOBODY: u32 = 65534;
