//! Which card is this: ATR hint, then FCP tag 84 of the MF (ISO/IEC 7816-4 clause 7.4.3).
//!
//! Health and insurance cards share chips and therefore ATRs, so an ATR never decides that a card is ours. It does
//! decide that a card is not, and it may break the tie when a card hides the name of its MF.

use crate::apdu::{Command, Le};
use crate::catalogue::{self, KnownCard};
use crate::hpc;
use crate::profile::{Application, Profile, profiles};
use crate::tlv::Tlv;
use crate::transport::{Transport, TransportError};

/// What a card turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardKind {
    /// A health professional card this crate has a profile for.
    Hpc(&'static Profile),
    /// A German insurance card.
    Egk,
    /// Some other card. Nothing more is sent to it.
    Foreign,
}

/// Identifies the card. A foreign card costs at most two commands, none if its ATR is known. Afterwards the MF of a
/// known card is selected, or the first application of one that is known by it. Call it inside an exclusive section.
///
/// # Errors
/// Only those of the transport: an odd answer makes a card foreign.
pub fn identify(transport: &mut dyn Transport) -> Result<CardKind, TransportError> {
    let atr = hex::encode_upper(transport.atr());
    if catalogue::is_foreign(&atr) {
        return Ok(CardKind::Foreign);
    }
    if let Some(profile) = nameless(&atr)
        && transport.transmit(&hpc::select_home(profile))?.status.is_ok()
    {
        return Ok(CardKind::Hpc(profile));
    }
    let answer = transport.transmit(&Command::new(0x00, 0xA4, 0x04, 0x04).le(Le::SHORT_WILDCARD))?;
    match mf_name(&answer.data) {
        Some(name) if !name.starts_with(CARD_MANAGER) => Ok(kind_by_name(name)),
        _ => probe(transport, &atr),
    }
}

/// The card without a named MF that is known to send this ATR.
fn nameless(atr: &str) -> Option<&'static Profile> {
    catalogue::by_atr(atr)?.profile().filter(|profile| profile.mf_aid.is_none())
}

/// GlobalPlatform's issuer security domain, which says nothing of the applications beside it.
const CARD_MANAGER: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51];

/// Application identifier of DF.HCA, where the insurance data of an eGK lies.
pub(crate) const EGK_APPLICATION: &[u8] = &[0xD2, 0x76, 0x00, 0x00, 0x01, 0x02];

/// The value of tag 84 in an FCP or FCI template.
pub(crate) fn mf_name(answer: &[u8]) -> Option<&[u8]> {
    let (template, _) = Tlv::split_first(answer).ok()?;
    matches!(template.tag, 0x62 | 0x6F).then(|| Tlv::find(template.value, 0x84).ok()).flatten()
}

fn kind_by_name(name: &[u8]) -> CardKind {
    catalogue::by_master_file(name).map_or(CardKind::Foreign, kind)
}

fn kind(card: &KnownCard) -> CardKind {
    match card.profile() {
        Some(profile) => CardKind::Hpc(profile),
        None if card.is_egk() => CardKind::Egk,
        None => CardKind::Foreign,
    }
}

/// For a card whose MF has no name: one SELECT of an application that only the card its ATR points at has. Without a
/// hint it may be one of those that come with any ATR.
fn probe(transport: &mut dyn Transport, atr: &str) -> Result<CardKind, TransportError> {
    let Some((kind, aid)) = hinted(atr) else {
        return probe_applications(transport);
    };
    if !transport.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C).data(aid))?.status.is_ok() {
        return Ok(CardKind::Foreign);
    }
    transport.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C))?;
    Ok(kind)
}

fn probe_applications(transport: &mut dyn Transport) -> Result<CardKind, TransportError> {
    for profile in profiles().iter().filter(|profile| profile.mf_aid.is_none() && profile.atrs.is_empty()) {
        if transport.transmit(&hpc::select_home(profile))?.status.is_ok() {
            return Ok(CardKind::Hpc(profile));
        }
    }
    Ok(CardKind::Foreign)
}

fn hinted(atr: &str) -> Option<(CardKind, &'static [u8])> {
    match kind(catalogue::by_atr(atr)?) {
        CardKind::Hpc(profile) => {
            profile.mf_aid.as_ref()?;
            let application = profile.application(Application::Qes)?;
            Some((CardKind::Hpc(profile), &application.aid))
        }
        CardKind::Egk => Some((CardKind::Egk, EGK_APPLICATION)),
        CardKind::Foreign => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    const SELECT_PIV: &str = "00A404000BA00000030800001000010000";
    const ATR_HPC: &str = "3B9C968131FE458066485043333834739621F3B4";

    fn identified(script: Script) -> CardKind {
        let (mut transport, log) = script.start();
        transport.begin().unwrap();
        let kind = identify(&mut *transport).unwrap();
        transport.end().unwrap();
        log.assert_finished();
        kind
    }

    #[test]
    fn the_mf_name_in_the_fcp_decides() {
        let cards =
            [("D27600014601", "hba-g21"), ("F04850433338342E4D46", "hpc-p384"), ("D27600014606", "smc-b")];
        for (aid, name) in cards {
            let script = Script::new("3B9F").on("00A4040400", &script::fcp(aid));
            assert_eq!(identified(script), CardKind::Hpc(Profile::by_name(name).unwrap()));
        }
        let egk = Script::new("3B9F").on("00A4040400", &script::fcp("D2760001448000"));
        assert_eq!(identified(egk), CardKind::Egk);
    }

    #[test]
    fn a_card_with_another_mf_name_costs_one_command_whatever_its_atr() {
        let script = Script::new(ATR_HPC).on("00A4040400", &script::fcp("D2760001448003"));
        assert_eq!(identified(script), CardKind::Foreign);
    }

    #[test]
    fn an_unknown_card_costs_two_commands() {
        for answer in ["6A82", "6D00", "6F009000", "6F0A8408A0000001510000009000", "6280000090 00"] {
            let script = Script::new("3B80800101").on("00A4040400", answer).on(SELECT_PIV, "6A82");
            assert_eq!(identified(script), CardKind::Foreign, "{answer}");
        }
        let named = Script::new("3B80800101").on("00A4040400", "62058403D276009000");
        assert_eq!(identified(named), CardKind::Foreign);
    }

    #[test]
    fn a_card_without_a_known_master_file_is_known_by_its_application() {
        for answer in ["6A82", "6F0A8408A0000001510000009000"] {
            let script = Script::new("3B80800101").on("00A4040400", answer).on(SELECT_PIV, "61009000");
            assert_eq!(identified(script), CardKind::Hpc(Profile::by_name("piv").unwrap()), "{answer}");
        }
    }

    #[test]
    fn an_atr_known_to_be_foreign_costs_no_command() {
        for atr in ["3B7513000043 09EA9000", "3F6525002C09F99000", "3BAC00402A001225006480000310009000"] {
            assert_eq!(identified(Script::new(atr)), CardKind::Foreign, "{atr}");
        }
    }

    #[test]
    fn a_nameless_mf_is_probed_once_if_the_atr_hints() {
        let known = Script::new(ATR_HPC)
            .on("00A4040400", "6206820178830 23F009000".replace(' ', "").as_str())
            .on("00A4040C0BF04850433338342E514553", "9000")
            .on("00A4040C", "9000");
        assert_eq!(identified(known), CardKind::Hpc(Profile::by_name("hpc-p384").unwrap()));
        let egk = Script::new("3BD097FF81B1FE451F072B")
            .on("00A4040400", "9000")
            .on("00A4040C06D27600000102", "9000")
            .on("00A4040C", "9000");
        assert_eq!(identified(egk), CardKind::Egk);
        let foreign =
            Script::new(ATR_HPC).on("00A4040400", "9000").on("00A4040C0BF04850433338342E514553", "6A82");
        assert_eq!(identified(foreign), CardKind::Foreign);
    }
}
