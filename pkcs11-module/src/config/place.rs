//! Where the user's files are (XDG Base Directory Specification 0.8) and whether the environment may say so.

use std::ffi::OsString;
use std::path::PathBuf;

use rustix::process::{getegid, geteuid, getgid, getuid};

/// The directory of this module in the directories of a user or of the system.
const NAME: &str = "hpc-pkcs11";
const FILE: &str = "config.toml";

/// What the environment says. Of a program with more rights than its user (setuid) it says nothing: it would let the
/// user choose which files that program reads and writes.
pub(super) struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl<'a> Environment<'a> {
    /// The environment behind this function.
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<OsString>) -> Environment<'a> {
        Environment(lookup)
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        self.0(name).filter(|value| !value.is_empty())
    }

    /// Configuration files to look for, the user's first.
    pub(super) fn configuration_files(&self) -> Vec<PathBuf> {
        let of_user = self.base("XDG_CONFIG_HOME", ".config");
        let directories = of_user.into_iter().chain([PathBuf::from("/etc")]);
        directories.map(|directory| directory.join(NAME).join(FILE)).collect()
    }

    /// The user's directory for what can be made again; `None` for a user without a home.
    pub(super) fn cache_directory(&self) -> Option<PathBuf> {
        self.base("XDG_CACHE_HOME", ".cache").map(|directory| directory.join(NAME))
    }

    /// Relative paths in these variables are invalid and count as unset.
    fn base(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        let absolute = |name| self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute(variable).or_else(|| Some(absolute("HOME")?.join(in_home)))
    }
}

/// A variable of this process; see [`Environment`].
pub(super) fn of_process(name: &str) -> Option<OsString> {
    let as_user = getuid() == geteuid() && getgid() == getegid();
    as_user.then(|| std::env::var_os(name)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(variables: &[(&str, &str)]) -> Vec<PathBuf> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        Environment::new(&lookup).configuration_files()
    }

    #[test]
    fn the_users_file_comes_before_the_systems() {
        let system = PathBuf::from("/etc/hpc-pkcs11/config.toml");
        let of_home = PathBuf::from("/home/a/.config/hpc-pkcs11/config.toml");
        assert_eq!(files(&[("HOME", "/home/a")]), [of_home, system.clone()]);
        let of_xdg = PathBuf::from("/xdg/hpc-pkcs11/config.toml");
        assert_eq!(files(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "/xdg")]), [of_xdg, system.clone()]);
        assert_eq!(files(&[]), [system]);
    }

    #[test]
    fn empty_and_relative_directories_count_as_unset() {
        let of_home = PathBuf::from("/home/a/.config/hpc-pkcs11/config.toml");
        for odd in ["", "relative"] {
            assert_eq!(files(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", odd)])[0], of_home);
        }
        assert_eq!(files(&[("HOME", "")]).len(), 1);
    }
}
