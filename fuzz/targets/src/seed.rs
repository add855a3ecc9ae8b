//! What fuzzing starts from: the answers of simulated cards, good insurance data, one signature's shape.

use std::io;

use cades::SigningRequest;
use card::hpc::{CardKey, Hpc};
use card::profile::{KeyKind, SignatureScheme};
use card_simulator::{NewCard, Patient, ProfileName};
use egk_reader::identity::IdentityCard;
use time::OffsetDateTime;

use crate::conversation::{Talk, ward};
use crate::identity::{SURVEY, asked};
use crate::insurance::{COVERAGE, PERSONAL, STATUS, packed};
use crate::medical::{FILES, PATIENT, PROFESSIONAL, REASON};
use crate::simulator::choice;

/// A target, a name, an input.
pub type Seed = (&'static str, String, Vec<u8>);

/// Inputs that get deep into every target.
///
/// # Errors
/// No card could be made.
pub fn seeds() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for profile in ProfileName::ALL {
        of_profile(profile, &mut seeds)?;
    }
    medical(&mut seeds)?;
    for (place, document) in [(0, PERSONAL), (1, COVERAGE)] {
        seeds.push(("insurance_xml", format!("document-{place}"), [&[place], document].concat()));
    }
    let (pd, vd) = (packed(PERSONAL), packed(COVERAGE));
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let offsets = [8, length(&vd) + 7, u16::MAX, u16::MAX].map(u16::to_be_bytes).concat();
    let files =
        [STATUS.to_vec(), [&length(&pd).to_be_bytes()[..], &pd].concat(), [&offsets[..], &vd].concat()];
    seeds.push(("insurance_files", "good".to_owned(), joined(&files)));
    Ok(seeds)
}

/// What the driver and the reader say to a card of this profile.
fn of_profile(profile: ProfileName, seeds: &mut Vec<Seed>) -> io::Result<()> {
    let talk = || Talk::with(NewCard::new(profile));
    let mut said = Vec::new();
    if let Some(kind) = identity_of(profile) {
        said.push(("identity_answers", vec![asked(kind)], talk()?.identity(kind)?));
    }
    match profile {
        ProfileName::EgkG21 | ProfileName::EgkG2 => {
            let (personal, insurance) = (PERSONAL.to_vec(), COVERAGE.to_vec());
            let patient = Patient { personal, insurance, protected: None };
            let talk = Talk::with(NewCard::new(profile).patient(patient))?;
            said.push(("egk_answers", Vec::new(), talk.insured()?));
        }
        ProfileName::GsmcK | ProfileName::GsmcKt => {
            said.push(("identity_answers", vec![SURVEY], talk()?.survey()?));
        }
        ProfileName::Vitale2 | ProfileName::Kvk => {}
        _ => {
            let signing = talk()?.signing(|hpc| sign_with_all(hpc, profile, seeds))?;
            said.push(("card_answers", Vec::new(), signing));
        }
    }
    for (target, first, conversation) in said {
        for answer in conversation.answers.iter().filter(|answer| answer.len() > 40) {
            seeds.push(("tlv", format!("{profile}-{}", answer.len()), answer.clone()));
        }
        seeds.push((target, profile.to_string(), [first, joined(&conversation.heard())].concat()));
        let commands = [vec![choice(profile)], joined(&conversation.commands)].concat();
        seeds.push(("simulator_apdu", format!("{profile}-{target}"), commands));
    }
    Ok(())
}

fn identity_of(profile: ProfileName) -> Option<IdentityCard> {
    match profile {
        ProfileName::Beid17 | ProfileName::Beid18 => Some(IdentityCard::Belgian),
        ProfileName::Esteid => Some(IdentityCard::Estonian),
        ProfileName::Piv | ProfileName::PivRsa | ProfileName::PivP384 => Some(IdentityCard::Piv),
        ProfileName::Jpki => Some(IdentityCard::Japanese),
        ProfileName::Vitale2 => Some(IdentityCard::Vitale),
        ProfileName::Kvk => Some(IdentityCard::Kvk),
        _ => None,
    }
}

/// Medical files behind their keys, short enough to be changed in every place.
fn medical(seeds: &mut Vec<Seed>) -> io::Result<()> {
    const EMERGENCY: &str = "<NFD_Document><Notfalldaten><NFD_Befunddaten><Allergien_Unvertraeglichkeiten>\
        <Substanz>Penicillin</Substanz></Allergien_Unvertraeglichkeiten></NFD_Befunddaten></Notfalldaten></NFD_Document>";
    const DECLARATIONS: &str = "<DPE_Document><Persoenliche_Erklaerungen><DPE_Patientenverfuegung>\
        <DPE_PV_Beschreibung>Schublade</DPE_PV_Beschreibung></DPE_Patientenverfuegung></Persoenliche_Erklaerungen></DPE_Document>";
    const PLAN: &str = "<MP iv=\"1.6.0\"><S c=\"412\"><M a=\"Erfundol\" m=\"1\" v=\"1\"/></S></MP>";
    let file = |document: &str| {
        let packed = packed(document.as_bytes());
        [&u16::try_from(packed.len()).unwrap_or(u16::MAX).to_be_bytes()[..], &packed].concat()
    };
    let card = || {
        let card = NewCard::new(ProfileName::EgkG21).file("EF.NFD", file(EMERGENCY));
        card.file("EF.DPE", file(DECLARATIONS)).file("EF.AMTS", file(PLAN)).file("EF.OSE", b"x".to_vec())
    };
    for number in 0..FILES {
        for present in [PATIENT, PROFESSIONAL | REASON, PATIENT | PROFESSIONAL] {
            let heard = ward(card(), number, present)?;
            if !heard.is_empty() {
                let input = [vec![number, present], joined(&heard)].concat();
                seeds.push(("medical_answers", format!("{number}-{present}"), input));
            }
        }
    }
    Ok(())
}

/// Signs with every key that can; each signature is a seed.
fn sign_with_all(hpc: &mut Hpc, profile: ProfileName, seeds: &mut Vec<Seed>) -> io::Result<()> {
    for key in hpc.keys().to_vec() {
        if let Some(cms) = signature(hpc, &key)? {
            seeds.push(("cms", format!("{profile}-{}", key.profile.label), cms));
        }
    }
    Ok(())
}

/// A CMS signed with this key; `None` for a key that signs none.
fn signature(hpc: &mut Hpc, key: &CardKey) -> io::Result<Option<Vec<u8>>> {
    let Ok(unsigned) = cades::prepare(&SigningRequest {
        content: b"Rp. Beispielolol",
        certificate: &key.certificate,
        signing_time: OffsetDateTime::from_unix_timestamp(1_790_000_000).map_err(io::Error::other)?,
        mime_type: Some("text/plain"),
        content_hint: "a document",
        ocsp_response: None,
    }) else {
        return Ok(None);
    };
    let scheme = match key.profile.kind {
        KeyKind::Ec(_) => SignatureScheme::Ecdsa,
        KeyKind::Rsa { .. } => SignatureScheme::RsaPssSha256,
    };
    let Ok(signed) = hpc.sign(key.profile.id, scheme, unsigned.digest()) else { return Ok(None) };
    unsigned.finish(&signed).map(Some).map_err(io::Error::other)
}

/// Parts with their lengths.
fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |part: &Vec<u8>| {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        [&length.to_be_bytes()[..], part].concat()
    };
    parts.iter().flat_map(with_length).collect()
}
