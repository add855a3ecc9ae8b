//! Where PINs come from at a command line: the terminal, the lines of a file, a variable of the environment. Never an
//! argument: every process can see those.
//!
//! A program flattens [`SecretSource`] into its arguments and asks [`Secrets`] for one PIN after another.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use thiserror::Error;
use zeroize::Zeroizing;

/// Where to read secrets.
#[derive(Args, Clone, Debug, Default)]
pub struct SecretSource {
    /// Take the secrets from the lines of this file, in the order in which they would be asked for; /dev/fd/3 for a file
    /// that is open already
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Take the secrets from the lines of this variable of the environment, as from a file
    #[arg(long, value_name = "VARIABLE", conflicts_with = "pin_file")]
    pin_env: Option<String>,
}

/// Why there is no PIN. Nothing was sent to a card.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read, or is no text.
    #[error("no PIN: {path}: {source}", path = path.display())]
    File {
        /// Its name.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The variable is not set, or is no text.
    #[error("no PIN: the environment has no text in {name}")]
    Variable {
        /// Its name.
        name: String,
    },
    /// The file or the variable has too few lines.
    #[error("no {what}: there is no further line")]
    NoFurtherLine {
        /// What was to be entered.
        what: String,
    },
    /// Standard input is no terminal.
    #[error("{what} is needed, and there is no terminal to ask at; use --pin-file or --pin-env")]
    NoTerminal {
        /// What was to be entered.
        what: String,
    },
    /// The terminal failed.
    #[error("no {what}: {source}")]
    Terminal {
        /// What was to be entered.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// The new PIN was typed differently the second time.
    #[error("the two entries of the new PIN differ; nothing was sent to the card")]
    EntriesDiffer,
}

/// Hands out secrets one after another.
pub struct Secrets {
    /// The last one first; `None` asks at the terminal.
    lines: Option<Vec<Zeroizing<String>>>,
}

impl SecretSource {
    /// Whether a file or a variable was named: then no PIN pad is asked.
    pub fn is_given(&self) -> bool {
        self.pin_file.is_some() || self.pin_env.is_some()
    }

    /// Reads the file or the variable, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(&self) -> Result<Secrets, SecretError> {
        let text = match (&self.pin_file, &self.pin_env) {
            (Some(path), _) => std::fs::read_to_string(path)
                .map_err(|source| SecretError::File { path: path.clone(), source })?,
            (None, Some(name)) => {
                std::env::var(name).map_err(|_| SecretError::Variable { name: name.clone() })?
            }
            (None, None) => return Ok(Secrets { lines: None }),
        };
        let text = Zeroizing::new(text);
        Ok(Secrets { lines: Some(text.lines().rev().map(|line| Zeroizing::new(line.to_owned())).collect()) })
    }
}

impl Secrets {
    /// The next secret; `what` is shown to the user.
    ///
    /// # Errors
    /// There is none.
    pub fn next(&mut self, what: &str) -> Result<Zeroizing<String>, SecretError> {
        match &mut self.lines {
            Some(lines) => lines.pop().ok_or_else(|| SecretError::NoFurtherLine { what: what.to_owned() }),
            None => ask(what),
        }
    }

    /// A new PIN: whoever types it types it twice.
    ///
    /// # Errors
    /// There is none, or the two entries differ.
    pub fn next_new(&mut self, what: &str) -> Result<Zeroizing<String>, SecretError> {
        let first = self.next(what)?;
        if self.lines.is_none() && *ask("same new PIN again")? != *first {
            return Err(SecretError::EntriesDiffer);
        }
        Ok(first)
    }
}

fn ask(what: &str) -> Result<Zeroizing<String>, SecretError> {
    if !io::stdin().is_terminal() {
        return Err(SecretError::NoTerminal { what: what.to_owned() });
    }
    rpassword::prompt_password(format!("{what}: "))
        .map(Zeroizing::new)
        .map_err(|source| SecretError::Terminal { what: what.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file_are_handed_out_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        std::fs::write(&path, "123456\n654321\n").unwrap();
        let source = SecretSource { pin_file: Some(path), pin_env: None };
        assert!(source.is_given());
        let mut secrets = source.open().unwrap();
        assert_eq!(*secrets.next("PIN").unwrap(), "123456");
        assert_eq!(*secrets.next_new("new PIN").unwrap(), "654321");
        let missing = secrets.next("PUK").err().unwrap();
        assert!(missing.to_string().contains("PUK"), "{missing}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let absent = SecretSource { pin_file: Some("/nowhere/pins".into()), pin_env: None };
        assert!(absent.open().err().unwrap().to_string().contains("/nowhere/pins"));
        let unset = SecretSource { pin_file: None, pin_env: Some("PIN_ENTRY_TEST_NOT_SET".into()) };
        assert!(unset.open().err().unwrap().to_string().contains("PIN_ENTRY_TEST_NOT_SET"));
    }
}
