//! A look at any card: what it is and which applications it has, from ATR, MF, EF.DIR and the answers to SELECT.
//!
//! Unlike [`crate::identify`], which asks as little as a driver needs, this asks whatever tells something, also of cards
//! that this crate does not drive. No PIN is touched and nothing is written.

use crate::apdu::{Command, Le};
use crate::catalogue::{self, KnownCard, application_name, known_cards};
use crate::file::{self, FileError, Length};
use crate::identify::mf_name;
use crate::tlv::{self, Tlv};
use crate::transport::{Transport, TransportError, WholeAnswers};

/// What a card told about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The answer to reset.
    pub atr: Vec<u8>,
    /// How the reader reaches the card, as the form of the ATR tells.
    pub interface: Interface,
    /// Transmission protocols that the ATR offers, T=0 and T=1.
    pub protocols: Vec<u8>,
    /// The card, if it is known.
    pub card: Option<&'static KnownCard>,
    /// What told that it is this card.
    pub known_by: Option<Sign>,
    /// Name of the MF, if the card tells it.
    pub master_file: Option<Vec<u8>>,
    /// Applications in EF.DIR, then those that answered to SELECT.
    pub applications: Vec<FoundApplication>,
    /// EF.Version2 of a German card.
    pub version2: Option<Vec<u8>>,
}

/// How a reader reaches a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Contacts.
    Contacts,
    /// Radio: PC/SC part 3 makes up an ATR for such cards.
    Radio,
}

/// What names a card, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The name of its MF.
    MasterFile,
    /// An application that no other card has.
    Application,
    /// Its ATR, which other cards with the same chip may share.
    Atr,
}

/// An application of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundApplication {
    /// Its identifier.
    pub aid: Vec<u8>,
    /// What the card calls it.
    pub label: Option<String>,
    /// What the catalogue calls it.
    pub name: Option<&'static str>,
}

/// Looks at the card, in one exclusive section. A German card costs a command per application and three more, any other
/// card one for each application that the catalogue knows.
///
/// # Errors
/// Those of the transport: an odd answer tells nothing, that is all.
pub fn survey(transport: &mut dyn Transport) -> Result<Survey, TransportError> {
    let mut transport = WholeAnswers::new(transport);
    transport.begin()?;
    let survey = look(&mut transport);
    if let Err(error) = transport.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
    survey
}

fn look(transport: &mut dyn Transport) -> Result<Survey, TransportError> {
    let atr = transport.atr().to_vec();
    let answer = transport.transmit(&Command::new(0x00, 0xA4, 0x04, 0x04).le(Le::SHORT_WILDCARD))?;
    let master_file = mf_name(&answer.data).map(<[u8]>::to_vec);
    let named = master_file.as_deref().and_then(catalogue::by_master_file);
    let mut applications = if answer.status.is_ok() { directory(transport)? } else { Vec::new() };
    let mut version2 = None;
    let (card, known_by) = match named {
        Some(card) => {
            if card.version_file {
                version2 = version_file(transport)?;
            }
            (Some(card), Some(Sign::MasterFile))
        }
        None => match probe(transport, &mut applications)? {
            Some(card) => (Some(card), Some(Sign::Application)),
            None => {
                let card = catalogue::by_atr(&hex::encode_upper(&atr));
                (card, card.map(|_| Sign::Atr))
            }
        },
    };
    let interface = interface(&atr);
    let protocols = protocols(&atr);
    Ok(Survey { atr, interface, protocols, card, known_by, master_file, applications, version2 })
}

/// Short file identifier of EF.DIR (ISO/IEC 7816-4 clause 12.2.1).
const DIR_SFID: u8 = 0x1E;
const VERSION2_SFID: u8 = 0x11;
/// More applications than any card here has.
const MOST_RECORDS: u8 = 32;

/// EF.DIR, record by record: application templates with identifier and label.
fn directory(transport: &mut dyn Transport) -> Result<Vec<FoundApplication>, TransportError> {
    let mut found = Vec::new();
    for number in 1..=MOST_RECORDS {
        let read = Command::new(0x00, 0xB2, number, DIR_SFID << 3 | 0x04).le(Le::SHORT_WILDCARD);
        let answer = transport.transmit(&read)?;
        if answer.data.is_empty() {
            break;
        }
        let Ok(template) = Tlv::find(&answer.data, 0x61) else { continue };
        let Ok(aid) = Tlv::find(template, 0x4F) else { continue };
        let label = Tlv::find(template, 0x50).ok().map(|label| String::from_utf8_lossy(label).into_owned());
        found.push(FoundApplication { aid: aid.to_vec(), label, name: application_name(aid) });
    }
    Ok(found)
}

/// EF.Version2, where the MF is selected; `None` if it cannot be read.
fn version_file(transport: &mut dyn Transport) -> Result<Option<Vec<u8>>, TransportError> {
    match file::read(transport, VERSION2_SFID, &mut Length::Short, tlv::total_len) {
        Ok(content) => Ok(Some(content)),
        Err(FileError::Transport(error)) => Err(error),
        Err(FileError::Status(status)) => {
            tracing::debug!(%status, "no EF.Version2");
            Ok(None)
        }
    }
}

/// Selects one after the other what only one kind of card has; returns the first card that answers.
fn probe(
    transport: &mut dyn Transport,
    found: &mut Vec<FoundApplication>,
) -> Result<Option<&'static KnownCard>, TransportError> {
    let mut first = None;
    for card in known_cards() {
        for aid in card.applications() {
            let select = Command::new(0x00, 0xA4, 0x04, 0x00).data(aid).le(Le::SHORT_WILDCARD);
            let mut status = transport.transmit(&select)?.status;
            if !status.is_ok() {
                // Some applications answer without data only.
                status = transport.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C).data(aid))?.status;
            }
            if status.is_ok() {
                first = first.or(Some(card));
                if !found.iter().any(|known| known.aid == aid) {
                    found.push(FoundApplication {
                        aid: aid.to_vec(),
                        label: None,
                        name: application_name(aid),
                    });
                }
            }
        }
    }
    Ok(first)
}

/// PC/SC part 3 clause 3.1.3.2.3: the ATR of a contactless card is `3B 8n 80 01` and n historical bytes.
fn interface(atr: &[u8]) -> Interface {
    match atr {
        [0x3B, count, 0x80, 0x01, ..] if count & 0xF0 == 0x80 => Interface::Radio,
        _ => Interface::Contacts,
    }
}

/// The protocols in TD1, TD2 and so on (ISO/IEC 7816-3 clause 8.2.3); T=0 if there is no TD1. T=15 is none.
fn protocols(atr: &[u8]) -> Vec<u8> {
    let mut bytes = atr.iter().copied().skip(1);
    let Some(mut announced) = bytes.next() else { return Vec::new() };
    let mut found = Vec::new();
    loop {
        let before = (announced & 0x70).count_ones();
        let next = if announced & 0x80 == 0 { None } else { bytes.nth(before as usize) };
        let Some(next) = next else { break };
        let protocol = next & 0x0F;
        if protocol != 15 && !found.contains(&protocol) {
            found.push(protocol);
        }
        announced = next;
    }
    if found.is_empty() {
        found.push(0);
    }
    found
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::script::{self, Script};

    fn surveyed(script: Script) -> Survey {
        let (mut transport, log) = script.start();
        let survey = survey(&mut *transport).unwrap();
        log.assert_finished();
        survey
    }

    #[test]
    fn a_german_card_lists_its_applications_and_its_version() {
        let survey = surveyed(
            Script::new("3BD097FF81B1FE451F072B")
                .on("00A4040400", &script::fcp("D2760001448000"))
                .on("00B201F400", "61094F07D27600014480009000")
                .on("00B202F400", "610D4F06D2760000010250034842419000")
                .on("00B203F400", "6A83")
                .on("00B0910000", "EF05C1030405026282"),
        );
        assert_eq!(survey.card.map(|card| card.id.as_str()), Some("egk"));
        assert_eq!(survey.known_by, Some(Sign::MasterFile));
        assert_eq!(survey.version2.as_deref(), Some(&hex!("EF05C103040502")[..]));
        let names: Vec<_> = survey.applications.iter().map(|application| application.name).collect();
        assert_eq!(names, [None, Some("DF.HCA, insurance data")]);
        assert_eq!(survey.applications[1].label.as_deref(), Some("HBA"));
    }

    fn probed() -> Vec<&'static [u8]> {
        known_cards().iter().flat_map(KnownCard::applications).collect()
    }

    fn probing(atr: &str, present: &str) -> Script {
        let mut script = Script::new(atr).on("00A4040400", "6A82");
        for aid in probed() {
            let (length, aid) = (aid.len(), hex::encode_upper(aid));
            let with_answer = format!("00A40400{length:02X}{aid}00");
            let without = format!("00A4040C{length:02X}{aid}");
            script = script.on(&with_answer, "6A82");
            script = script.on(&without, if aid == present { "9000" } else { "6A82" });
        }
        script
    }

    #[test]
    fn a_card_without_a_telling_master_file_is_known_by_its_application() {
        let survey = surveyed(probing("3B80800101", "A000000177504B43532D3135"));
        assert_eq!(survey.card.map(|card| card.id.as_str()), Some("beid"));
        assert_eq!(survey.known_by, Some(Sign::Application));
        assert_eq!(survey.applications.len(), 1);
        assert_eq!(survey.interface, Interface::Radio);
    }

    #[test]
    fn a_silent_card_is_known_by_its_atr_or_not_at_all() {
        let survey = surveyed(probing("3B02", ""));
        assert_eq!(survey.known_by, None);
        let survey = surveyed(probing("3B7513000047 09EA9000", ""));
        assert_eq!(
            (survey.card.map(|card| card.id.as_str()), survey.known_by),
            (Some("vitale2"), Some(Sign::Atr))
        );
    }

    #[test]
    fn the_atr_tells_the_protocols() {
        for (atr, expected) in [
            (&hex!("3BD097FF81B1FE451F072B")[..], &[1][..]),
            (&hex!("3B9813400AA503010101AD1311"), &[0]),
            (&hex!("3BDB960080B1FE451F830012233F536549440F9000F1"), &[0, 1]),
            (&hex!("3F65250052096A9000"), &[0]),
            (&hex!("3B"), &[]),
            (&hex!("3BFF"), &[0]),
        ] {
            assert_eq!(protocols(atr), expected, "{}", hex::encode(atr));
        }
    }

    #[test]
    fn a_broken_connection_is_an_error() {
        let script = Script::new("3B9F").fail("00A4040400", TransportError::Removed);
        let (mut transport, _) = script.start();
        assert!(matches!(survey(&mut *transport), Err(TransportError::Removed)));
    }
}
