//! Where a client command takes the PIN from.

use std::io::IsTerminal;

use clap::Args;
use proto::v1::Pin;
use zeroize::Zeroizing;

use super::{ClientError, read_file};

/// One of these, or the terminal. A PIN is never an argument: arguments are visible to every process.
#[derive(Debug, Clone, Args)]
pub struct PinSource {
    /// Take the PIN from the first line of this file
    #[arg(long, value_name = "FILE", group = "pin")]
    pin_file: Option<std::path::PathBuf>,
    /// Take the PIN from this environment variable
    #[arg(long, value_name = "NAME", group = "pin")]
    pin_env: Option<String>,
    /// Use the last try, too: a wrong PIN then blocks it
    #[arg(long)]
    last_try: bool,
    /// Send no PIN: it is entered at the reader's key pad
    #[arg(long, group = "pin")]
    pin_pad: bool,
}

impl PinSource {
    /// The PIN, asked for at the terminal if nothing else was named.
    ///
    /// # Errors
    /// The named source has none, or there is no terminal.
    pub(super) fn read(&self, prompt: &str) -> Result<Option<Pin>, ClientError> {
        let value = if self.pin_pad {
            return Ok(self.last_try.then(|| Pin { value: String::new(), last_try: true }));
        } else if let Some(path) = &self.pin_file {
            let bytes = Zeroizing::new(read_file(path)?);
            let text =
                std::str::from_utf8(&bytes).map_err(|_| ClientError::Pin("the file is not text".into()))?;
            text.lines().next().unwrap_or_default().to_owned()
        } else if let Some(name) = &self.pin_env {
            std::env::var(name).map_err(|_| ClientError::Pin(format!("the variable {name} is not set")))?
        } else if std::io::stdin().is_terminal() {
            rpassword::prompt_password(format!("{prompt}: "))
                .map_err(|error| ClientError::Pin(error.to_string()))?
        } else {
            return Err(ClientError::Pin(
                "no terminal to ask at: use --pin-file, --pin-env or --pin-pad".into(),
            ));
        };
        Ok(Some(Pin { value, last_try: self.last_try }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_file_is_the_pin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        std::fs::write(&path, "123456\nrest\n").unwrap();
        let source = PinSource { pin_file: Some(path), pin_env: None, pin_pad: false, last_try: false };
        assert_eq!(source.read("PIN").unwrap().unwrap().value, "123456");
    }

    #[test]
    fn an_unset_variable_is_named() {
        let source = PinSource {
            pin_file: None,
            pin_env: Some("NO_SUCH_VARIABLE".into()),
            pin_pad: false,
            last_try: false,
        };
        assert!(source.read("PIN").unwrap_err().to_string().contains("NO_SUCH_VARIABLE"));
    }

    #[test]
    fn a_key_pad_needs_no_pin() {
        let source = PinSource { pin_file: None, pin_env: None, pin_pad: true, last_try: false };
        assert!(source.read("PIN").unwrap().is_none());
    }
}
