//! A database of NSS: what Firefox, Chromium and the NSS tools keep their modules and certificates in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::desk::{Desk, module_path};
use crate::programs::{Ran, run};
use crate::tls::{AUTHORITY, make_certificates};

/// A database that knows the module. The place of the module's configuration is in it too.
pub struct Database<'a> {
    desk: &'a Desk,
    place: PathBuf,
}

impl<'a> Database<'a> {
    /// Makes one in a directory of the desk.
    pub fn create(desk: &'a Desk, directory: &str) -> Database<'a> {
        let place = desk.path(directory);
        fs::create_dir_all(&place).expect("the directory is writable");
        let database = Database { desk, place };
        database.run("certutil", "-d", &["-N", "--empty-password"]);
        let configuration = format!("config={}", desk.configuration().display());
        let module = module_path();
        let add = ["-force", "-add", "hpc", "-libfile", &module, "-string", &configuration];
        let said = database.run("modutil", "-dbdir", &add);
        assert!(said.text().contains("Module \"hpc\" added"), "{}", said.text());
        database
    }

    /// Its directory.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Its name as NSS wants it.
    pub fn name(&self) -> String {
        format!("sql:{}", self.place.display())
    }

    /// Trusts a certificate as an authority.
    pub fn trust(&self, name: &str, file: &str) {
        self.run("certutil", "-d", &["-A", "-n", name, "-t", "CT,C,C", "-i", file]);
    }

    /// Trusts the authority of the test's TLS servers.
    pub fn trust_servers(&self) {
        make_certificates(self.desk);
        self.trust("servers", AUTHORITY);
    }

    /// Trusts the authorities of the card's certificates. certutil takes one certificate of a file only.
    pub fn trust_issuers(&self) {
        for (number, anchor) in self.desk.card.anchor_files(self.desk.directory()).iter().enumerate() {
            self.trust(&format!("anchor-{number}"), anchor.to_str().expect("test paths are UTF-8"));
        }
    }

    #[track_caller]
    fn run(&self, name: &str, database: &str, arguments: &[&str]) -> Ran {
        let place = self.name();
        run(&mut self.desk.unconfigured(name, &[&[database, &place], arguments].concat())).expect_success()
    }
}
