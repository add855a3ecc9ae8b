//! The section `[web]`: login of clinicians by card for web applications.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;
use url::{Host, Url};

use super::ConfigError;
use crate::clinician::scope::Scope;

/// Scope of OpenID Connect: the client gets an id_token.
pub const OPENID: &str = "openid";

/// Where browsers log clinicians in, and for whom.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Unix socket, mode 0600, behind a proxy that speaks HTTPS.
    pub unix: Option<PathBuf>,
    /// HTTPS, with the certificate of `[tls]`.
    pub tls: Option<SocketAddr>,
    /// Plaintext HTTP on loopback, only together with the development flag.
    pub insecure_tcp: Option<SocketAddr>,
    /// The page offers the last try of a PIN.
    pub last_try: bool,
    /// Applications that may ask for a login.
    pub clients: Vec<WebClient>,
}

/// A registered application (RFC 6749 clause 2).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebClient {
    /// Its client_id.
    pub id: String,
    /// For people, on the page.
    pub name: String,
    /// Where browsers are sent back to: compared letter by letter.
    pub redirect_uris: Vec<String>,
    /// The most it may ask for.
    pub scopes: Vec<String>,
    /// Claim "aud" of its access tokens; without, its id.
    pub audience: Option<String>,
    /// SHA-256 of its secret, hexadecimal; without, it is a public client (RFC 6749 clause 2.1).
    pub secret_sha256: Option<String>,
}

impl Web {
    /// Is there a listener?
    pub fn is_on(&self) -> bool {
        self.listeners() > 0
    }

    /// Where it listens, for people.
    pub fn place(&self) -> Option<String> {
        let tls = self.tls.map(|address| format!("https {address}"));
        let unix = self.unix.as_ref().map(|path| path.display().to_string());
        tls.or(unix).or_else(|| self.insecure_tcp.map(|address| format!("plaintext {address}")))
    }

    fn listeners(&self) -> usize {
        let tcp = [self.tls, self.insecure_tcp].iter().flatten().count();
        tcp + usize::from(self.unix.is_some())
    }

    /// Refuses what cannot work. `issuer` is the address under which browsers reach the listener.
    pub(super) fn check(&self, issuer: &str) -> Result<(), ConfigError> {
        let refuse =
            |key, expected, got: &str| Err(ConfigError::Value { key, expected, got: got.to_owned() });
        if let Some(address) = self.insecure_tcp.filter(|address| !address.ip().is_loopback()) {
            let expected = "a loopback address, because PINs would cross the network unprotected";
            return refuse("web.insecure_tcp", expected, &address.to_string());
        }
        if self.listeners() > 1 {
            return refuse("web", "one of unix, tls and insecure_tcp", "several");
        }
        if !self.is_on() {
            return if self.clients.is_empty() {
                Ok(())
            } else {
                refuse("web.clients", "none without a listener of the web login", "some")
            };
        }
        if !is_issuer(issuer, self.insecure_tcp.is_some()) {
            let expected = "the address of the web login, https://host or https://host:port and nothing behind it (http only on \
                            loopback with web.insecure_tcp)";
            return refuse("clinicians.issuer", expected, issuer);
        }
        for (index, client) in self.clients.iter().enumerate() {
            let same = |other: &WebClient| other.id == client.id;
            if client.id.is_empty() || !client.id.bytes().all(is_unreserved) {
                return refuse("web.clients.id", "letters, digits and - . _ ~", &client.id);
            }
            if self.clients.iter().take(index).any(same) {
                return refuse("web.clients.id", "each once", &client.id);
            }
            if client.name.trim().is_empty() {
                return refuse("web.clients.name", "a name for people", &client.name);
            }
            if client.redirect_uris.is_empty() {
                return refuse("web.clients.redirect_uris", "at least one address", "none");
            }
            if let Some(uri) = client.redirect_uris.iter().find(|uri| !is_redirect(uri)) {
                let expected = "https addresses, or http on loopback, without fragment";
                return refuse("web.clients.redirect_uris", expected, uri);
            }
            let scope = |text: &&String| *text == OPENID || text.parse::<Scope>().is_ok();
            if let Some(text) = client.scopes.iter().find(|text| !scope(text)) {
                return refuse(
                    "web.clients.scopes",
                    "openid, prescription.sign, patient/Resource.rs and the like",
                    text,
                );
            }
            if let Some(hash) = &client.secret_sha256
                && hex::decode(hash).map_or(true, |bytes| bytes.len() != 32)
            {
                return refuse("web.clients.secret_sha256", "64 hexadecimal digits", "something else");
            }
        }
        Ok(())
    }
}

/// RFC 8414 clause 2: https, no query, no fragment. A path is not taken either: the endpoints stand at the root.
fn is_issuer(text: &str, development: bool) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let bare = url.path() == "/" && !text.ends_with('/') && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    let scheme = url.scheme() == "https" || (development && url.scheme() == "http" && is_loopback(&url));
    bare && anonymous && scheme && url.host().is_some()
}

/// Plain http is for programs on the browser's own machine only (RFC 8252 clause 7.3).
fn is_redirect(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    scheme && url.fragment().is_none() && url.username().is_empty() && url.password().is_none()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// RFC 3986 clause 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_https_address_without_a_path() {
        for good in ["https://login.example", "https://login.example:8443"] {
            assert!(is_issuer(good, false), "{good}");
        }
        for bad in [
            "hpc-signer",
            "http://login.example",
            "http://localhost:1",
            "https://login.example/",
            "https://login.example/a",
            "https://login.example?x",
            "https://u@login.example",
        ] {
            assert!(!is_issuer(bad, false), "{bad}");
        }
        assert!(is_issuer("http://localhost:1", true) && is_issuer("http://127.0.0.1:1", true));
        assert!(!is_issuer("http://login.example", true));
    }

    #[test]
    fn browsers_are_sent_to_https_or_their_own_machine() {
        for good in ["https://ward.example/back?x=1", "http://127.0.0.1:8080/back", "http://[::1]/b"] {
            assert!(is_redirect(good), "{good}");
        }
        for bad in ["http://ward.example/back", "https://ward.example/#x", "javascript:alert(1)", "back", ""]
        {
            assert!(!is_redirect(bad), "{bad}");
        }
    }
}
