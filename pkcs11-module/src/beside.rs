//! What programs that are shipped with the module may know of its configuration.

use std::fmt;

use card::transport::ReaderSpec;

use crate::config::Config;

/// The configuration that the module would use in this process.
///
/// `Display` shows all of it, without the name of the user that is part of a home directory.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Where cards are.
    pub readers: Vec<ReaderSpec>,
    text: String,
}

/// Reads the configuration as C_Initialize does that is given no text.
///
/// # Errors
/// A file that is named or there cannot be read, or a value is wrong; the error says which.
pub fn configuration() -> Result<Configuration, Box<dyn std::error::Error + Send + Sync>> {
    let config = Config::load(None)?;
    Ok(Configuration { text: config.to_string(), readers: config.readers })
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
