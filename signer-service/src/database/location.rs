//! How a database is named: a path, or a `postgres:` URL, which may hold a password and is never shown whole.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

/// Where a database is.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server, as a URL.
    Postgres(String),
    /// Another kind of URL. Refused when it is opened, not when the configuration is read: that would print the line.
    Unknown,
}

/// Why a place cannot be named.
#[derive(Debug, Error)]
pub enum LocationError {
    /// Neither a path nor a URL that can be read. The text is not repeated: it may hold a password.
    #[error("expected a path, or postgres://user@host/database")]
    Url,
    /// SQLite takes UTF-8 names.
    #[error("{0}: expected a path in UTF-8")]
    NotUtf8(String),
}

impl Location {
    /// Makes a relative path one below this folder.
    pub fn resolve(&mut self, folder: &Path) {
        if let Location::Sqlite(path) = self {
            *path = folder.join(&*path);
        }
    }

    /// What should be there, for messages.
    pub(super) fn expected(&self) -> &'static str {
        match self {
            Location::Sqlite(_) => "an SQLite database",
            Location::Postgres(_) => "a PostgreSQL server that lets this user in",
            Location::Unknown => "a path, or postgres://user@host/database",
        }
    }

    /// The URL for the driver; `mode` is SQLite's `rw` or `ro`.
    pub(super) fn url(&self, mode: &str) -> Result<String, LocationError> {
        match self {
            Location::Postgres(url) => Ok(url.clone()),
            Location::Unknown => Err(LocationError::Url),
            Location::Sqlite(path) => {
                let not_utf8 = || LocationError::NotUtf8(path.display().to_string());
                let path = path.to_str().ok_or_else(not_utf8)?;
                Ok(format!("sqlite://{}?mode={mode}", escaped(path)))
            }
        }
    }
}

impl From<String> for Location {
    fn from(text: String) -> Location {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Location::Postgres(text),
            Some(_) => Location::Unknown,
            None => Location::Sqlite(text.into()),
        }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Location {
        Location::Sqlite(path)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => path.display().fmt(f),
            Location::Unknown => f.write_str("another URL"),
            Location::Postgres(url) => {
                let place = url.split_once("://").map_or("", |(_, rest)| rest);
                let end = place.find('?').unwrap_or(place.len());
                let place = place.get(..end).unwrap_or_default();
                write!(f, "postgres://{}", place.rsplit_once('@').map_or(place, |(_, place)| place))
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A path as it stands in a URL: bytes that could mean something else are written in hexadecimal (RFC 3986 2.1).
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Location {
        text.to_owned().into()
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in ["postgres://signer:secret@db/hpc", "postgresql://db/hpc?user=signer&password=secret"] {
            let location = location(url);
            assert_eq!(location.to_string(), "postgres://db/hpc");
            assert_eq!(format!("{location:?}"), "postgres://db/hpc");
        }
    }

    #[test]
    fn any_path_can_be_named() {
        let location = Location::from(PathBuf::from("/a b/100%?#.db"));
        assert_eq!(location.url("rw").unwrap(), "sqlite:///a%20b/100%25%3F%23.db?mode=rw");
    }

    #[test]
    fn only_paths_are_resolved() {
        let mut file = location("audit.db");
        file.resolve(Path::new("/etc/signer"));
        assert_eq!(file, Location::Sqlite("/etc/signer/audit.db".into()));
        let mut server = location("postgres:///hpc");
        server.resolve(Path::new("/etc/signer"));
        assert_eq!(server, Location::Postgres("postgres:///hpc".into()));
    }

    #[test]
    fn other_databases_are_refused_without_repeating_their_password() {
        let error = location("mysql://signer:secret@db/hpc").url("rw").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
