//! The sections about callers over the network: the TLS listener and who may do what through it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use prost::Message;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::ConfigError;

/// Files of the TLS listener (`listen.tls`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The server's certificate and those of authorities between it and the root, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities whose certificates clients have to show, PEM.
    pub client_ca: PathBuf,
    /// The oldest version of TLS that is spoken.
    pub oldest: TlsVersion,
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Clients by name.
pub type Clients = BTreeMap<String, Client>;

/// One client program and what it may do: nothing that is not listed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// How its certificate is known; one of them is enough.
    pub certificates: Vec<CertificateName>,
    /// Calls it may make, by their names in the contract; also "Health", "Reflection", and "*".
    #[serde(default)]
    pub calls: Vec<String>,
    /// Cards it sees and may use.
    #[serde(default)]
    pub cards: Vec<CardName>,
    /// Readers of insurance cards it may use: parts of their names, or "*".
    #[serde(default)]
    pub readers: Vec<String>,
}

/// What a client's certificate is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateName {
    /// SHA-256 of the certificate.
    Fingerprint([u8; 32]),
    /// A DNS name among its alternative names, lower case.
    Dns(String),
    /// Its subject as RFC 4514 text.
    Subject(String),
}

/// What a card is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardName {
    /// Every card.
    Any,
    /// The end of its serial number.
    Serial(String),
    /// The label of its token.
    Label(String),
    /// A part of the name of its reader, as the PKCS#11 module has it.
    Slot(String),
}

/// Where spans of calls go.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Traces {
    /// Address of an OpenTelemetry collector: OTLP over HTTP.
    pub otlp: Option<String>,
}

/// Where metrics are read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Beside the Unix socket of the service, if nothing is said.
    pub listen: Option<MetricsAt>,
}

/// A place for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAt {
    /// None.
    Off,
    /// A socket of mode 0600.
    Unix(PathBuf),
    /// An address.
    Tcp(SocketAddr),
}

impl Metrics {
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Some(MetricsAt::Unix(path)) = &mut self.listen {
            *path = folder.join(&*path);
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            certificate: "tls/server.pem".into(),
            key: "tls/server.key".into(),
            client_ca: "tls/ca.pem".into(),
            oldest: TlsVersion::Tls13,
        }
    }
}

impl FromStr for CertificateName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected sha256:<64 hexadecimal digits>, dns:<name> or subject:<RFC 4514 text>";
        match text.split_once(':') {
            Some(("sha256", digits)) => {
                let digits: String = digits.chars().filter(|digit| *digit != ':').collect();
                let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
                bytes.map(CertificateName::Fingerprint).ok_or(expected)
            }
            Some(("dns", name)) if !name.is_empty() => Ok(CertificateName::Dns(name.to_ascii_lowercase())),
            Some(("subject", name)) if !name.is_empty() => Ok(CertificateName::Subject(name.to_owned())),
            _ => Err(expected),
        }
    }
}

impl FromStr for CardName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "*" => Ok(CardName::Any),
            Some(("serial", end)) if end.len() >= 4 => Ok(CardName::Serial(end.to_owned())),
            Some(("label", label)) if !label.is_empty() => Ok(CardName::Label(label.to_owned())),
            Some(("slot", part)) if !part.is_empty() => Ok(CardName::Slot(part.to_owned())),
            _ => Err("expected \"*\", serial:<at least four characters>, label:<text> or slot:<text>"),
        }
    }
}

impl FromStr for MetricsAt {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(MetricsAt::Unix(path.into())),
            None if text == "off" => Ok(MetricsAt::Off),
            _ => text
                .parse()
                .map(MetricsAt::Tcp)
                .map_err(|_| "expected \"off\", unix:<path> or <address>:<port>"),
        }
    }
}

impl<'de> Deserialize<'de> for MetricsAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateName::Fingerprint(hash) => write!(f, "sha256:{}", hex::encode(hash)),
            CertificateName::Dns(name) => write!(f, "dns:{name}"),
            CertificateName::Subject(name) => write!(f, "subject:{name}"),
        }
    }
}

impl<'de> Deserialize<'de> for CertificateName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl<'de> Deserialize<'de> for CardName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err = &'static str>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|expected| D::Error::custom(format!("{expected}, got {text:?}")))
}

/// Calls that are of other services than the contract's.
const OTHER_CALLS: [&str; 3] = ["*", "Health", "Reflection"];

/// Names that keys and tokens use for something else.
const RESERVED: [&str; 2] = ["local", "batch"];

/// Checks what the form of the file does not.
pub(super) fn check(clients: &Clients) -> Result<(), ConfigError> {
    let refuse =
        |expected, got: &str| Err(ConfigError::Value { key: "clients", expected, got: got.to_owned() });
    let calls = calls();
    let mut known = BTreeSet::new();
    for (name, client) in clients {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(harmless) || RESERVED.contains(&name.as_str())
        {
            return refuse("names of letters, digits, \"-\", \"_\", \".\", not \"local\" or \"batch\"", name);
        }
        if client.certificates.is_empty() {
            return refuse("certificates for each client", &format!("none for {name}"));
        }
        if let Some(twice) = client.certificates.iter().find(|certificate| !known.insert(*certificate)) {
            return refuse("each certificate once", &twice.to_string());
        }
        let unknown =
            |call: &&String| !OTHER_CALLS.contains(&call.as_str()) && !calls.contains(call.as_str());
        if let Some(unknown) = client.calls.iter().find(unknown) {
            return refuse("names of calls, \"Health\", \"Reflection\" or \"*\"", unknown);
        }
    }
    Ok(())
}

/// The names of all calls of the contract.
fn calls() -> BTreeSet<String> {
    let files = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
    let services = files.file.iter().flat_map(|file| &file.service);
    services.flat_map(|service| &service.method).map(|method| method.name().to_owned()).collect()
}
