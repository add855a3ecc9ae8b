//! Trusted lists (ETSI TS 119 612): the list of the health network (TSL) and that of qualified trust services
//! (BNetzA), which share the format and differ in the words for type and state of a service.
//!
//! The list's own XML signature is **not** checked: an operator fetches the list over a path it trusts and checks it
//! there. What is read is who issues certificates of which quality since when, and who answers OCSP requests.

use base64::{Engine, prelude::BASE64_STANDARD};
use cades::{AnchorError, Standing, TrustAnchors};
use quick_xml::{Reader, events::Event};
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Why a trusted list cannot be used.
#[derive(Debug, Error)]
pub enum ListError {
    /// Not XML.
    #[error("not well-formed XML at byte {0}")]
    Syntax(u64),
    /// No service of a known type.
    #[error("no certification authority in it: expected a trusted list of ETSI TS 119 612")]
    Empty,
    /// A certificate is damaged.
    #[error("service {service}: {source}")]
    Certificate {
        /// Counted from 1.
        service: usize,
        /// What is wrong with it.
        source: AnchorError,
    },
    /// A certificate that is not Base64, or a time that is none.
    #[error("service {service}: {element} cannot be read")]
    Value {
        /// Counted from 1.
        service: usize,
        /// Name of the XML element.
        element: &'static str,
    },
}

/// A TSPService with what was read of it.
#[derive(Default)]
struct Service {
    kind: String,
    certificates: Vec<String>,
    /// Pairs of ServiceStatus and StatusStartingTime, now and in the past.
    states: Vec<(String, String)>,
}

/// Reads the services of a list.
///
/// # Errors
/// [`ListError`]; a list is used as a whole or not at all.
pub fn read(xml: &[u8]) -> Result<TrustAnchors, ListError> {
    let mut anchors = TrustAnchors::default();
    for (index, service) in services(xml)?.iter().enumerate() {
        add(service, index + 1, &mut anchors)?;
    }
    if anchors.is_empty() { Err(ListError::Empty) } else { Ok(anchors) }
}

fn services(xml: &[u8]) -> Result<Vec<Service>, ListError> {
    let xml = std::str::from_utf8(xml).map_err(|error| ListError::Syntax(error.valid_up_to() as u64))?;
    let mut reader = Reader::from_str(xml);
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut services = Vec::new();
    let mut service = Service::default();
    loop {
        let failed = ListError::Syntax(reader.buffer_position());
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                path.push(start.local_name().as_ref().to_owned());
                text.clear();
            }
            Ok(Event::Text(piece)) => text.push_str(&piece),
            Ok(Event::End(_)) => {
                service.take(&path, text.trim());
                text.clear();
                if path.pop().as_deref() == Some("TSPService") {
                    services.push(std::mem::take(&mut service));
                }
            }
            Ok(Event::Eof) if path.is_empty() => return Ok(services),
            Ok(Event::Eof | Event::DocType(_)) | Err(_) => return Err(failed),
            Ok(_) => {}
        }
    }
}

impl Service {
    /// Keeps the text of the element at the end of `path` if it is one that counts.
    fn take(&mut self, path: &[String], text: &str) {
        let inside = |name: &str| path.iter().any(|element| element == name);
        let history = inside("ServiceHistoryInstance");
        match path.last().map(String::as_str) {
            Some("ServiceTypeIdentifier") if !history => self.kind = text.to_owned(),
            Some("X509Certificate") if !history && inside("ServiceDigitalIdentity") => {
                self.certificates.push(text.to_owned());
            }
            Some("ServiceStatus") => self.states.push((text.to_owned(), String::new())),
            Some("StatusStartingTime") => {
                if let Some((_, since)) = self.states.last_mut() {
                    *since = text.to_owned();
                }
            }
            _ => {}
        }
    }
}

fn add(service: &Service, number: usize, anchors: &mut TrustAnchors) -> Result<(), ListError> {
    let is_responder = service.kind.contains("/Certstatus/OCSP");
    let qualified = match service.kind.rsplit_once("/Svctype/CA/") {
        Some((_, "QC")) => true,
        Some((_, "PKC")) => false,
        _ if is_responder => false,
        _ => return Ok(()),
    };
    let value = |element| ListError::Value { service: number, element };
    let mut history = Vec::new();
    for (status, since) in &service.states {
        let since = OffsetDateTime::parse(since, &Rfc3339).map_err(|_| value("StatusStartingTime"))?;
        history.push((since, is_granted(status)));
    }
    let standing = Standing { qualified: Some(qualified), history };
    if is_responder && !standing.is_granted_at(OffsetDateTime::now_utc()) {
        return Ok(());
    }
    for text in &service.certificates {
        let digits: String = text.split_ascii_whitespace().collect();
        let der = BASE64_STANDARD.decode(digits).map_err(|_| value("X509Certificate"))?;
        let added = match is_responder {
            true => anchors.add_responder(&der),
            false => anchors.add_listed(&der, standing.clone()),
        };
        added.map_err(|source| ListError::Certificate { service: number, source })?;
    }
    Ok(())
}

/// The last part of a ServiceStatus: today's words, those before 2016, and that of the health network.
fn is_granted(status: &str) -> bool {
    let word = status.rsplit('/').next().unwrap_or_default();
    ["granted", "undersupervision", "supervisionincessation", "accredited", "inaccord"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed test certificate of no meaning, made for this file.
    const CERTIFICATE: &str = include_str!("../../tests/fixtures/list-issuer.b64");

    fn service(kind: &str, status: &str, history: &str) -> String {
        format!(
            "<tsl:TSPService xmlns:tsl=\"http://uri.etsi.org/02231/v2#\"><tsl:ServiceInformation>\
             <tsl:ServiceTypeIdentifier>http://uri.etsi.org/TrstSvc/Svctype/{kind}</tsl:ServiceTypeIdentifier>\
             <tsl:ServiceDigitalIdentity><tsl:DigitalId><tsl:X509Certificate>{CERTIFICATE}\
             </tsl:X509Certificate></tsl:DigitalId></tsl:ServiceDigitalIdentity>\
             <tsl:ServiceStatus>http://uri.etsi.org/TrstSvc/{status}</tsl:ServiceStatus>\
             <tsl:StatusStartingTime>2016-06-30T22:00:00Z</tsl:StatusStartingTime></tsl:ServiceInformation>\
             {history}</tsl:TSPService>"
        )
    }

    fn list(services: &str) -> Vec<u8> {
        format!("<TrustServiceStatusList>{services}</TrustServiceStatusList>").into_bytes()
    }

    #[test]
    fn authorities_of_both_lists_are_read() {
        for (kind, status) in [("CA/QC", "TrustedList/Svcstatus/granted"), ("CA/PKC", "Svcstatus/inaccord")] {
            let anchors = read(&list(&service(kind, status, ""))).unwrap();
            assert_eq!(anchors.len(), 1, "{kind}");
        }
    }

    #[test]
    fn responders_and_other_services_are_no_authorities() {
        for kind in ["Certstatus/OCSP", "Certstatus/OCSP/QC", "TSA/QTST"] {
            let read = read(&list(&service(kind, "Svcstatus/granted", "")));
            assert!(matches!(read, Err(ListError::Empty)), "{kind}");
        }
    }

    #[test]
    fn the_past_of_a_service_is_not_its_present() {
        let history = "<tsl:ServiceHistory><tsl:ServiceHistoryInstance>\
            <tsl:ServiceTypeIdentifier>http://uri.etsi.org/TrstSvc/Svctype/TSA</tsl:ServiceTypeIdentifier>\
            <tsl:ServiceStatus>http://x/Svcstatus/accredited</tsl:ServiceStatus>\
            <tsl:StatusStartingTime>2010-01-01T00:00:00Z</tsl:StatusStartingTime>\
            </tsl:ServiceHistoryInstance></tsl:ServiceHistory>";
        let xml = list(&service("CA/QC", "TrustedList/Svcstatus/withdrawn", history));
        let services = services(&xml).unwrap();
        assert!(services[0].kind.ends_with("CA/QC"));
        let states: Vec<bool> = services[0].states.iter().map(|(status, _)| is_granted(status)).collect();
        assert_eq!(states, [false, true]);
        assert_eq!(services[0].states[1].1, "2010-01-01T00:00:00Z");
    }

    #[test]
    fn a_damaged_list_is_refused_as_a_whole() {
        let good = service("CA/QC", "Svcstatus/granted", "");
        let cases = [
            list(&(good.clone() + &good.replace(CERTIFICATE, "AAAA"))),
            list(&(good.clone() + &good.replace(CERTIFICATE, "*"))),
            list(&good.replace("2016-06-30T22:00:00Z", "yesterday")),
            list(&good.replace("</tsl:ServiceStatus>", "</tsl:Servicestatus>")),
            list(&good)[..500].to_vec(),
            list(""),
        ];
        for xml in cases {
            assert!(read(&xml).is_err(), "{}", String::from_utf8_lossy(&xml));
        }
    }
}
