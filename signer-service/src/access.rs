//! Which client programs may do what: a table from the configuration, looked at for every call.
//!
//! A client is known by its certificate, whose chain the TLS listener has checked. What is not listed is denied: calls
//! are refused, cards and readers are not seen. Who may open the Unix socket may do everything.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use sha2::{Digest, Sha256};
use x509_cert::{
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::{
    config::{self, CardName, CertificateName, Clients},
    token::TokenView,
};

/// The permissions of one client.
#[derive(Debug)]
pub struct Client {
    /// Its name in the configuration: for logs, records and keys.
    pub name: String,
    allowed: config::Client,
}

/// All clients. Replaced as a whole when the configuration is read again.
#[derive(Debug, Default)]
pub struct Access(RwLock<Arc<BTreeMap<CertificateName, Arc<Client>>>>);

/// What a client's certificate is known by.
#[derive(Debug, Clone)]
pub struct Identity(Arc<[CertificateName]>);

impl Identity {
    /// The names of a certificate (DER). One that cannot be read has its fingerprint only.
    pub fn of(certificate: &[u8]) -> Identity {
        let mut names = vec![CertificateName::Fingerprint(Sha256::digest(certificate).into())];
        if let Ok(parsed) = x509_cert::Certificate::from_der(certificate) {
            let body = parsed.tbs_certificate();
            names.push(CertificateName::Subject(body.subject().to_string()));
            if let Ok(Some((_, SubjectAltName(alternatives)))) = body.get_extension() {
                names.extend(alternatives.iter().filter_map(|name| match name {
                    GeneralName::DnsName(dns) => {
                        Some(CertificateName::Dns(dns.to_string().to_ascii_lowercase()))
                    }
                    _ => None,
                }));
            }
        }
        Identity(names.into())
    }
}

impl Access {
    /// The table of a configuration.
    pub fn new(clients: &Clients) -> Access {
        let access = Access::default();
        access.replace(clients);
        access
    }

    /// Takes another table; it counts from the next call on.
    pub fn replace(&self, clients: &Clients) {
        let mut table = BTreeMap::new();
        for (name, allowed) in clients {
            let client = Arc::new(Client { name: name.clone(), allowed: allowed.clone() });
            table.extend(allowed.certificates.iter().map(|known_by| (known_by.clone(), Arc::clone(&client))));
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    /// The one client that is known by this certificate. A certificate of several is nobody's.
    pub fn client(&self, identity: &Identity) -> Option<Arc<Client>> {
        let table = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let mut found = identity.0.iter().filter_map(|name| table.get(name));
        let first = found.next()?;
        found.all(|other| Arc::ptr_eq(first, other)).then(|| Arc::clone(first))
    }
}

impl Client {
    /// A call by its name in the contract.
    pub fn may_call(&self, call: &str) -> bool {
        self.allowed.calls.iter().any(|allowed| allowed == "*" || allowed == call)
    }

    /// A card.
    pub fn may_use(&self, token: &TokenView) -> bool {
        self.allowed.cards.iter().any(|name| match name {
            CardName::Any => true,
            CardName::Serial(end) => token.serial.ends_with(end.as_str()),
            CardName::Label(label) => token.label == *label,
            CardName::Slot(part) => token.slot_name.contains(part.as_str()),
        })
    }

    /// A reader for insurance cards.
    pub fn may_read_in(&self, reader: &str) -> bool {
        self.allowed.readers.iter().any(|part| part == "*" || reader.contains(part.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(text: &str) -> Clients {
        toml::from_str(text).unwrap()
    }

    fn known_by(names: &[&str]) -> Identity {
        Identity(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn what_is_not_listed_is_denied() {
        let table = clients("[ward]\ncertificates = ['dns:ward.example']\ncalls = ['VerifySignature']");
        let client = Access::new(&table).client(&known_by(&["dns:ward.example"])).unwrap();
        assert!(client.may_call("VerifySignature") && !client.may_call("SignPrescription"));
        assert!(!client.may_use(&TokenView::for_tests("HBA QES", "0042")) && !client.may_read_in("reader"));
    }

    #[test]
    fn cards_are_known_by_number_label_and_place() {
        for (name, fits) in [
            ("*", true),
            ("serial:0042", true),
            ("serial:0043", false),
            ("label:HBA QES", true),
            ("label:HBA", false),
            ("slot:read", true),
            ("slot:other", false),
        ] {
            let table = clients(&format!("[ward]\ncertificates = ['dns:a']\ncards = ['{name}']"));
            let client = Access::new(&table).client(&known_by(&["dns:a"])).unwrap();
            assert_eq!(client.may_use(&TokenView::for_tests("HBA QES", "123450042")), fits, "{name}");
        }
    }

    #[test]
    fn a_certificate_that_fits_two_clients_is_nobodys() {
        let table = clients("[a]\ncertificates = ['dns:a']\n[b]\ncertificates = ['subject:CN=b']");
        let access = Access::new(&table);
        assert_eq!(access.client(&known_by(&["dns:a", "subject:CN=c"])).unwrap().name, "a");
        assert!(access.client(&known_by(&["dns:a", "subject:CN=b"])).is_none());
        assert!(access.client(&known_by(&["dns:c"])).is_none());
    }

    #[test]
    fn a_replaced_table_counts_at_once() {
        let access = Access::new(&clients("[a]\ncertificates = ['dns:a']"));
        access.replace(&clients("[b]\ncertificates = ['dns:b']"));
        assert!(access.client(&known_by(&["dns:a"])).is_none());
        assert!(access.client(&known_by(&["dns:b"])).is_some());
    }

    #[test]
    fn names_are_checked_when_they_are_read() {
        for wrong in ["sha256:12", "dns:", "CN=a", "ip:1.2.3.4"] {
            assert!(wrong.parse::<CertificateName>().is_err(), "{wrong}");
        }
        for wrong in ["", "serial:1", "HBA"] {
            assert!(wrong.parse::<CardName>().is_err(), "{wrong}");
        }
        let colons = "AB:".repeat(31) + "AB";
        assert_eq!(
            format!("sha256:{colons}").parse::<CertificateName>().unwrap().to_string(),
            format!("sha256:{}", "ab".repeat(32))
        );
    }
}
