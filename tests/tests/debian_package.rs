//! The Debian package: built, unpacked, and used from where it was unpacked.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tests::artefacts::root;
use tests::desk::{Desk, text_of};
use tests::programs::{program, run};

struct Unpacked {
    directory: TempDir,
    description: String,
}

impl Unpacked {
    fn new() -> Unpacked {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let out = text_of(directory.path());
        let built = run(program(root().join("scripts/package"), ["--out", &out]).current_dir(root()));
        let package = built.expect_success().stdout.trim().to_owned();
        let description = run(&mut program("dpkg-deb", ["--info", &package])).expect_success().stdout;
        run(&mut program("dpkg-deb", ["--extract", &package, &format!("{out}/root")])).expect_success();
        Unpacked { directory, description }
    }

    fn path(&self, installed: &str) -> PathBuf {
        self.directory.path().join("root").join(installed)
    }
}

#[test]
fn the_package_holds_all_that_is_promised_and_works_where_it_is_unpacked() {
    let package = Unpacked::new();
    expect_contents(&package);
    expect_working_programs(&package);
    expect_valid_unit(&package);
}

fn expect_contents(package: &Unpacked) {
    for needed in ["libpcsclite1", "libc6", "conffiles", "postinst"] {
        assert!(package.description.contains(needed), "{needed}: {}", package.description);
    }
    for file in [
        "usr/share/p11-kit/modules/hpc-pkcs11.module",
        "usr/lib/systemd/system/signer-service.service",
        "usr/share/doc/hpc-signer/copyright",
        "usr/share/doc/hpc-signer/docs/configuration.md",
        "usr/bin/egk-reader",
        "usr/bin/card-simulator",
    ] {
        assert!(package.path(file).is_file(), "{file}");
    }
    let configuration = package.path("etc/hpc-signer/signer-service.toml");
    let text = std::fs::read_to_string(&configuration).expect("the file is in the package");
    let state = ["audit.db", "audit.key", "pseudonyms.key", "tokens.key"];
    for place in state.map(|name| format!("\"/var/lib/hpc-signer/{name}\"")) {
        assert!(text.contains(&place), "{place}: {text}");
    }
    assert!(text.contains("/run/hpc-signer/signer.sock"), "{text}");
}

fn expect_working_programs(package: &Unpacked) {
    let desk = Desk::with("hba-g21");
    let module = modules(package).join("libhpc_pkcs11.so");
    let listed = desk.run("pkcs11-tool", &["--module", &text_of(&module), "-L"]).expect_success();
    assert!(listed.stdout.contains("HBA ESIGN"), "{}", listed.text());
    // The tool finds the module that was installed with it.
    let report = desk.run(&text_of(&package.path("usr/bin/hpc-pkcs11-tool")), &["report"]).expect_success();
    assert!(report.stdout.contains("HBA QES"), "{}", report.text());
}

fn expect_valid_unit(package: &Unpacked) {
    let unit = package.path("usr/lib/systemd/system/signer-service.service");
    let unit = std::fs::read_to_string(unit).expect("the unit is in the package");
    // The check wants to see the program that the unit starts.
    let service = text_of(&package.path("usr/bin/signer-service"));
    let checked = package.directory.path().join("signer-service.service");
    std::fs::write(&checked, unit.replace("/usr/bin/signer-service", &service))
        .expect("the directory is writable");
    run(&mut program("systemd-analyze", ["verify", "--man=no", &text_of(&checked)])).expect_success();
}

fn modules(package: &Unpacked) -> PathBuf {
    let libraries = package.path("usr/lib");
    let found = std::fs::read_dir(&libraries).expect("the package has libraries");
    let places = found.map(|entry| entry.expect("the directory can be read").path().join("pkcs11"));
    let place = places.into_iter().find(|place: &PathBuf| Path::is_dir(place));
    place.expect("there is a directory for PKCS#11 modules")
}
