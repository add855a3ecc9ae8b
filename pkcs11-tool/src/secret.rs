//! Where PINs come from: the lines of a file, or the terminal. Never an argument: every process can see those.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Where to read secrets.
#[derive(Args)]
pub(crate) struct SecretSource {
    /// Take the secrets from the lines of this file, in the order in which they would be asked for
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

/// Hands out secrets one after another.
pub(crate) struct Secrets {
    lines: Option<Vec<Zeroizing<String>>>,
}

impl SecretSource {
    /// Whether a file was named: then no PIN pad is asked.
    pub(crate) fn is_file(&self) -> bool {
        self.pin_file.is_some()
    }

    /// Reads the file, if there is one.
    pub(crate) fn open(&self) -> Result<Secrets, Failure> {
        let Some(path) = &self.pin_file else { return Ok(Secrets { lines: None }) };
        let read = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = read.map_err(|error| Failure::NoSecret {
            what: "PIN",
            why: format!("{}: {error}", path.display()),
        })?;
        Ok(Secrets { lines: Some(text.lines().rev().map(|line| Zeroizing::new(line.to_owned())).collect()) })
    }
}

impl Secrets {
    /// The next secret.
    pub(crate) fn next(&mut self, what: &'static str) -> Result<Zeroizing<String>, Failure> {
        match &mut self.lines {
            Some(lines) => lines
                .pop()
                .ok_or_else(|| Failure::NoSecret { what, why: "the file has no further line".into() }),
            None => ask(what),
        }
    }

    /// A new PIN: whoever types it types it twice.
    pub(crate) fn next_new(&mut self, what: &'static str) -> Result<Zeroizing<String>, Failure> {
        let first = self.next(what)?;
        if self.lines.is_none() && *ask("same new PIN again")? != *first {
            return Err(Failure::EntriesDiffer);
        }
        Ok(first)
    }
}

fn ask(what: &'static str) -> Result<Zeroizing<String>, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::NoSecret { what, why: "no terminal to ask at; use --pin-file".into() });
    }
    rpassword::prompt_password(format!("{what}: "))
        .map(Zeroizing::new)
        .map_err(|error| Failure::NoSecret { what, why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file_are_handed_out_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        std::fs::write(&path, "123456\n654321\n").unwrap();
        let mut secrets = SecretSource { pin_file: Some(path) }.open().unwrap();
        assert_eq!(*secrets.next("PIN").unwrap(), "123456");
        assert_eq!(*secrets.next_new("new PIN").unwrap(), "654321");
        let missing = secrets.next("PUK").err().unwrap();
        assert!(missing.to_string().contains("PUK"), "{missing}");
    }
}
