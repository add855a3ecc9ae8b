//! The recipe for somebody else's continuous integration in `docs/simulator.md`, run as it stands there.
//!
//! It runs in namespaces of its own, as root of nothing else: the system-wide daemon that it starts, its socket in `/run`
//! and its port are nobody else's, and all its processes end with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::artefacts::{binary, module, root};
use tests::cards::PIN_CH;
use tests::desk::text_of;
use tests::openssl::verify_raw_ecdsa;
use tests::programs::{program, run};

const HEADING: &str = "### In somebody else's continuous integration";
/// What the recipe calls the program of whoever uses it.
const PLACEHOLDER: &str = "your-program";

#[test]
fn the_recipe_for_continuous_integration_lets_a_foreign_program_sign() {
    let blocks = shell_blocks();
    let [_, recipe] = blocks.as_slice() else { panic!("two blocks of shell, not {blocks:?}") };
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    fs::write(place("digest"), [0xA5; 48]).unwrap();
    let program_of_theirs = format!(
        "#!/bin/sh\nexec pkcs11-tool --module {} --login --pin {PIN_CH} --token-label 'HPC P-384 ESIGN' --sign \
         --id 01 -m ECDSA -i digest -o signature\n",
        module().display()
    );
    fs::create_dir(place("bin")).unwrap();
    let script = place("bin").join(PLACEHOLDER);
    fs::write(&script, program_of_theirs).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(place("recipe"), recipe).unwrap();

    let simulator = binary("card-simulator");
    let built = simulator.parent().expect("binaries lie in a directory");
    let path = std::env::var("PATH").expect("there is a PATH");
    let mut alone = program("timeout", ["120", "unshare", "--user", "--map-root-user", "--mount", "--net"]);
    alone.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec"]);
    alone.arg("ip link set lo up; mount -t tmpfs tmpfs /run; exec sh -e recipe");
    alone.env("PATH", format!("{}:{}:{path}", text_of(&place("bin")), text_of(built)));
    alone.env_remove("HPC_PKCS11_CONFIG").env("HOME", directory.path()).current_dir(&directory);
    run(&mut alone).expect_success();

    let signature = fs::read(place("signature")).expect("the program signed");
    let certificate = place("card").join("certificates/C.HP.AUT.E384.pem");
    verify_raw_ecdsa(&[0xA5; 48], &signature, &certificate, directory.path());
}

#[test]
fn the_recipe_installs_the_packages_of_the_programs_that_it_needs() {
    let [install, recipe] = &shell_blocks()[..] else { panic!("two blocks of shell") };
    let packages =
        install.trim().strip_prefix("apt-get install -y ").expect("one line that installs packages");
    let mut needed = Vec::new();
    for (word, file) in [
        ("pcscd", "/usr/sbin/pcscd"),
        ("vpcd:", tests::pcscd::DRIVER),
        ("opensc-tool", "/usr/bin/opensc-tool"),
    ] {
        assert!(recipe.contains(word), "{word} is not in the recipe any more");
        let owner = run(&mut program("dpkg-query", ["-S", file])).expect_success().stdout;
        needed.push(owner.split(':').next().expect("a package").to_owned());
    }
    assert_eq!(packages.split(' ').collect::<Vec<_>>(), needed);
}

/// The fenced blocks of shell under the heading.
fn shell_blocks() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/simulator.md")).unwrap();
    let (_, section) = page.split_once(HEADING).expect("the page has the recipe");
    let section = section.split("\n#").next().expect("the section has text");
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("the block has an end").to_owned()).collect()
}
