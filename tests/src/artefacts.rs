//! The built artefacts: what a user would install.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// An invented example file that ships with the project.
pub fn example(name: &str) -> PathBuf {
    root().join("examples").join(name)
}

/// `libhpc_pkcs11.so`, release build.
pub fn module() -> PathBuf {
    release().join("libhpc_pkcs11.so")
}

/// A release binary by name.
pub fn binary(name: &str) -> PathBuf {
    release().join(name)
}

/// The Python that has the libraries of `tests/python`; `scripts/setup` makes it for tests and benchmarks.
pub fn python() -> PathBuf {
    target().join("test-python/bin/python")
}

/// Where the release artefacts lie, after making sure that they are those of the present sources.
fn release() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // The whole workspace: with other features of the same libraries everything would be built a second time.
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--quiet", "--workspace", "--locked"]).current_dir(root());
        // What cargo tells the programs it runs: ring's build script looks at it, and everything above ring would be
        // built again.
        for (name, _) in std::env::vars() {
            if name == "CARGO_MANIFEST_DIR" || name.starts_with("CARGO_PKG_") {
                cargo.env_remove(name);
            }
        }
        let status = cargo.status().expect("cargo can be started");
        assert!(status.success(), "the release build failed");
        target().join("release")
    })
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
