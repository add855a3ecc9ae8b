//! Simulated cards, made once with the built binary and copied for each test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::artefacts::{binary, example};
use crate::programs::{program, run};

/// The documented test secrets of a new image.
pub const PIN_CH: &str = "123456";
/// PIN of the signature application.
pub const PIN_QES: &str = "234567";
/// Unblocks both.
pub const PUK: &str = "12345678";

/// A fresh copy of a card image in a directory of its own.
pub struct CardImage {
    directory: TempDir,
}

impl CardImage {
    /// A card of a profile, such as `hpc-p384` or `egk-g21`. All of them share one test CA.
    pub fn of(profile: &str) -> CardImage {
        let master = master(profile);
        let directory = tempfile::tempdir().expect("a temporary directory");
        copy(&master, directory.path());
        CardImage { directory }
    }

    /// A card made with the given further arguments of `card-simulator new`.
    pub fn with(profile: &str, arguments: &[&str]) -> CardImage {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let out = directory.path().join("card");
        make(profile, &out, arguments);
        copy(&out, directory.path());
        fs::remove_dir_all(&out).expect("the first place can be emptied");
        CardImage { directory }
    }

    /// Where the image lies.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The trust anchors of the test PKI, PEM.
    pub fn anchors(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    /// The same one by one, as files in a directory.
    pub fn anchor_files(&self, directory: &Path) -> Vec<PathBuf> {
        let anchors = fs::read_to_string(self.anchors()).expect("the anchors are text");
        let anchors = anchors.split_inclusive("-----END CERTIFICATE-----\n").enumerate();
        let files = anchors.map(|(number, anchor)| {
            let file = directory.join(format!("anchor-{number}.pem"));
            fs::write(&file, anchor).expect("the directory is writable");
            file
        });
        files.collect()
    }

    /// The trust anchor that issued a certificate of the card, as a file in a directory.
    pub fn issuer(&self, name: &str, directory: &Path) -> PathBuf {
        let issued = |anchor: &PathBuf| {
            let mut verify = program("openssl", ["verify", "-purpose", "any", "-CAfile"]);
            run(verify.arg(anchor).arg(self.certificate(name))).success
        };
        self.anchor_files(directory).into_iter().find(issued).expect("an anchor issued the certificate")
    }

    /// A certificate of the card, PEM, by its object name such as `C.HP.AUT.E384`.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.path().join("certificates").join(format!("{name}.pem"))
    }
}

/// RSA keys take a while, so the images are kept beside the build artefacts; they hold test secrets only.
fn master(profile: &str) -> PathBuf {
    let binary = binary("card-simulator");
    let kept = binary.with_file_name("test-cards");
    fs::create_dir_all(&kept).expect("the build directory is writable");
    let lock = File::create(kept.join("lock")).expect("the build directory is writable");
    lock.lock().expect("the lock is granted");
    let image = kept.join(profile);
    let built = fs::metadata(&binary).and_then(|file| file.modified()).expect("the binary was built");
    let made = fs::metadata(image.join("ca.pem")).and_then(|file| file.modified()).ok();
    if made.is_none_or(|made| made < built) {
        let _ = fs::remove_dir_all(&image);
        make(profile, &image, &[]);
    }
    image
}

/// The directory of the certification authority of all these cards.
pub fn authority() -> PathBuf {
    binary("card-simulator").with_file_name("test-cards").join("ca")
}

fn make(profile: &str, out: &Path, arguments: &[&str]) {
    let mut new = program(binary("card-simulator"), ["new", "--profile", profile, "--out"]);
    new.arg(out).arg("--ca").arg(authority()).args(arguments);
    if profile == "egk-g21" && !arguments.contains(&"--patient") {
        new.arg("--patient").args(["pd", "vd", "gvd"].map(|part| example(&format!("patient/{part}.xml"))));
    }
    run(&mut new).expect_success();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("the image is a directory") {
        let entry = entry.expect("the image can be listed");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a file type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the image can be copied");
        }
    }
}
