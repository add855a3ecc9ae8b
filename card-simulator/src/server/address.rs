//! Addresses of plugs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a slot is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `socket:/path`: a Unix socket to listen on.
    Unix(PathBuf),
    /// `socket:host:port`: a TCP address to listen on, loopback only. Port 0 lets the system choose.
    Tcp(String),
    /// `vpcd:host:port`: pcscd's virtual reader to connect to.
    Vpcd(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "socket:{}", path.display()),
            Address::Tcp(host) => write!(f, "socket:{host}"),
            Address::Vpcd(host) => write!(f, "vpcd:{host}"),
        }
    }
}

/// Explains the form of an address.
impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let wrong =
            || format!("'{text}' is none of socket:/path, socket:127.0.0.1:port, vpcd:127.0.0.1:port");
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let has_port =
            |host: &str| host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        match kind {
            "socket" if rest.contains('/') => Ok(Address::Unix(PathBuf::from(rest))),
            "socket" if has_port(rest) => {
                let loopback = ["127.", "localhost:", "[::1]:"].iter().any(|start| rest.starts_with(start));
                if loopback {
                    Ok(Address::Tcp(rest.to_owned()))
                } else {
                    Err(format!("'{rest}' is not loopback"))
                }
            }
            "vpcd" if has_port(rest) => Ok(Address::Vpcd(rest.to_owned())),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in ["socket:/run/a.sock", "socket:127.0.0.1:7816", "vpcd:127.0.0.1:35963"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_loopback_is_not_listened_on() {
        for text in ["socket:0.0.0.0:7816", "socket:192.0.2.1:1", "socket:x", "pcsc:", "vpcd:127.0.0.1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
