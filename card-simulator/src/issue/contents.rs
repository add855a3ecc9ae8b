//! First contents of the files of a new card.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{IssueError, NewCard};
use crate::crypto::PrivateKey;
use crate::image::TrustedKey;
use crate::layout::{CardKind, Content, File, Key, Layout, Password, Secret};
use crate::pki::{Admitted, Authority, CertificateType, Holder, card_extensions};
use crate::tlv;

/// File contents by path, and the certificates among them by object name.
pub(super) struct Contents {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) certificates: Vec<(String, Vec<u8>)>,
}

/// Makes the contents that the profile leaves to the issuer.
pub(super) fn contents(
    card: &NewCard,
    layout: &'static Layout,
    iccsn: &str,
    keys: &[(&'static Key, PrivateKey)],
    authority: &Authority,
) -> Result<Contents, IssueError> {
    let mut contents = Contents { files: BTreeMap::new(), certificates: Vec::new() };
    for file in &layout.files {
        let bytes = match file.content {
            Content::Iccsn => iccsn_file(iccsn),
            Content::CardholderId => cardholder_id(iccsn),
            Content::DocumentNumber => document_number(iccsn),
            Content::DocumentNumberString => tlv::encode(0x04, &document_number(iccsn)),
            Content::IssuerCertificate => authority.issuer_of(first_key(keys)?)?,
            Content::Belgian(kind) => {
                super::belgian::content(kind, layout, iccsn, first_key(keys)?, authority)?
            }
            Content::SignatureBudget => budget_file(layout, file, card.signatures_per_pin),
            Content::PersonalData => card.patient.personal_file()?,
            Content::InsuranceData => card.patient.insurance_file()?,
            Content::ProtectedData => card.patient.protected_file()?,
            Content::StatusData => card.patient.status_file(time::OffsetDateTime::now_utc()),
            Content::Certificate => match certificate(card, layout, file, iccsn, keys, authority)? {
                Some((name, der)) => {
                    contents.certificates.push((name, der.clone()));
                    der
                }
                None => continue,
            },
            Content::CvCertificate => match cv_certificate(card, file, iccsn, keys, authority)? {
                Some(bytes) => bytes,
                None => continue,
            },
            Content::Empty | Content::Bytes(_) | Content::Records(_) => continue,
        };
        contents.files.insert(file.path.clone(), bytes);
    }
    deviate(card, layout, &mut contents.files)?;
    for file in &layout.files {
        if let Some(got) = contents.files.get(&file.path).map(Vec::len).filter(|got| *got > file.size) {
            return Err(IssueError::FileTooSmall { file: file.path.clone(), size: file.size, got });
        }
    }
    Ok(contents)
}

/// All keys of a card that has files about its issuer are of one kind.
fn first_key<'k>(keys: &'k [(&'static Key, PrivateKey)]) -> Result<&'k PrivateKey, IssueError> {
    let first = keys.first().map(|(_, key)| key);
    first.ok_or_else(|| IssueError::Keys("the card has none".to_owned()))
}

fn deviate(
    card: &NewCard,
    layout: &'static Layout,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), IssueError> {
    for (name, deviation) in &card.deviations {
        let is_meant = |file: &&File| file.path == *name || file.path.rsplit('/').next() == Some(name);
        let file = layout
            .files
            .iter()
            .find(is_meant)
            .ok_or_else(|| IssueError::Value { what: "file", reason: format!("the card has no {name}") })?;
        let content = match (files.remove(&file.path), &file.content) {
            (Some(content), _) => content,
            (None, Content::Bytes(body)) => body.clone(),
            (None, _) => Vec::new(),
        };
        files.insert(file.path.clone(), deviation.apply(content)?);
    }
    Ok(())
}

/// EF.GDO: the serial number as BCD under tag 5A.
fn iccsn_file(iccsn: &str) -> Vec<u8> {
    tlv::encode(0x5A, &hex::decode(iccsn).unwrap_or_default())
}

/// Cardholder unique identifier of a PIV card (SP 800-73-4, part 1, 3.1.2): number of a card that no federal agency
/// issued, an identifier made of the serial number, end of validity; not signed.
fn cardholder_id(iccsn: &str) -> Vec<u8> {
    const NON_FEDERAL: [u8; 25] = [
        0xD4, 0xE7, 0x39, 0xDA, 0x73, 0x9C, 0xED, 0x39, 0xCE, 0x73, 0x9D, 0x83, 0x68, 0x58, 0x21, 0x08, 0x42,
        0x10, 0x84, 0x21, 0xC8, 0x42, 0x10, 0xC3, 0xEB,
    ];
    const EXPIRY: &[u8] = b"20991231";
    let digest: [u8; 32] = Sha256::digest(iccsn).into();
    let mut id: [u8; 16] = std::array::from_fn(|i| digest.get(i).copied().unwrap_or_default());
    // A UUID of version 4, variant 1.
    id[6] = id[6] & 0x0F | 0x40;
    id[8] = id[8] & 0x3F | 0x80;
    let parts = [
        tlv::encode(0x30, &NON_FEDERAL),
        tlv::encode(0x34, &id),
        tlv::encode(0x35, EXPIRY),
        tlv::encode(0x3E, &[]),
        tlv::encode(0xFE, &[]),
    ];
    tlv::encode(0x53, &parts.concat())
}

/// Two letters and seven digits, as Estonian documents have them.
fn document_number(iccsn: &str) -> Vec<u8> {
    format!("AS{}", iccsn.get(13..).unwrap_or(iccsn)).into_bytes()
}

/// EF.SSEC: per security environment the password, its application and the signatures per entry.
fn budget_file(layout: &Layout, file: &File, signatures: u32) -> Vec<u8> {
    const SIGNATURE_USAGE: [u8; 1] = [0x08];
    let aid = &layout.folder(file.folder).aid;
    let mut entries = Vec::new();
    let own = |p: &&Password| p.folder == file.folder && matches!(p.secret, Secret::Own { .. });
    for password in layout.passwords.iter().filter(own) {
        for (environment, _) in (1u8..).zip(password.uses_per_verify).filter(|(_, uses)| uses.is_some()) {
            let reference = [
                tlv::encode(0x82, aid),
                tlv::encode(0x83, &[password.reference]),
                tlv::encode(0x95, &SIGNATURE_USAGE),
                tlv::encode(0xC0, &[u8::try_from(signatures).unwrap_or(u8::MAX)]),
            ];
            entries.extend(tlv::encode(0x80, &[environment]));
            entries.extend(tlv::encode(0xA4, &reference.concat()));
        }
    }
    tlv::encode(0x7B, &entries)
}

/// The roots the card trusts: those of the test certification authority, limited as the profile says.
pub(super) fn roots(layout: &'static Layout, authority: &Authority) -> Result<Vec<TrustedKey>, IssueError> {
    let mut roots = Vec::new();
    for key in &layout.keys {
        let Some(anchor) = &key.anchor else { continue };
        let certificate = authority.cv_root(anchor.rights.list)?.certificate;
        roots.push(TrustedKey {
            anchor: key.path.clone(),
            reference: certificate.holder,
            point: certificate.point,
            rights: certificate.rights.within(anchor.rights),
            expires: certificate.expires,
        });
    }
    Ok(roots)
}

/// The card-verifiable certificate for the key of the same name, or of the authority that issued it.
fn cv_certificate(
    card: &NewCard,
    file: &File,
    iccsn: &str,
    keys: &[(&'static Key, PrivateKey)],
    authority: &Authority,
) -> Result<Option<Vec<u8>>, IssueError> {
    /// A professional's card receives remote PINs and creates signatures, an institution's receives PINs only.
    const RECEIVER_AND_SIGNER: u64 = 0x0C;
    const RECEIVER: u64 = 0x04;
    /// A terminal's module sends PINs.
    const SENDER: u64 = 0x02;
    /// A connector's module is its signature application component.
    const SIGNATURE_APPLICATION: u64 = 0x01;
    let Some((_, name)) = file.path.rsplit_once("/EF.C.") else { return Ok(None) };
    if name.starts_with("CA_") {
        return Ok(Some(authority.cv_authority()?.file));
    }
    let key_name = format!("PrK.{name}");
    let found = keys.iter().find(|(key, _)| key.folder == file.folder && key.name == key_name);
    let Some((key, value)) = found else { return Ok(None) };
    let flags = match name.split('.').nth(1) {
        Some("AUTR_CVC") => card.profession.card_rights(),
        Some("AUTD_SUK_CVC") => RECEIVER_AND_SIGNER,
        Some("AUTD_RPE_CVC") => RECEIVER,
        Some("AUTD_RPS_CVC") => SENDER,
        Some("AUTD_SAK_CVC") => SIGNATURE_APPLICATION,
        _ => 0,
    };
    let number = hex::decode(iccsn).unwrap_or_default();
    let reference = [&[0, key.reference.unwrap_or(0)], number.as_slice()].concat();
    Ok(Some(authority.cv_certificate(value, &reference, flags)?))
}

/// The certificate for the key of the same name, or `None` if the card carries no such key.
fn certificate(
    card: &NewCard,
    layout: &Layout,
    file: &File,
    iccsn: &str,
    keys: &[(&'static Key, PrivateKey)],
    authority: &Authority,
) -> Result<Option<(String, Vec<u8>)>, IssueError> {
    let name = file.path.rsplit_once("/EF.").map(|(_, name)| name);
    let Some((kind, name)) = CertificateType::of_file(&file.path).zip(name) else { return Ok(None) };
    let key_name = format!("PrK.{}", name.trim_start_matches("C."));
    let found = keys.iter().find(|(key, _)| key.folder == file.folder && key.name == key_name);
    let Some((_, key)) = found else { return Ok(None) };
    let holder = Holder { name: card.holder.clone(), iccsn: iccsn.to_owned() };
    let telematik_id = card.telematik_id_for(iccsn);
    let (subject, admitted) = match layout.kind {
        CardKind::Professional => (holder.subject()?, Admitted::professional(card.profession, &telematik_id)),
        CardKind::Institution | CardKind::Device => {
            (holder.subject()?, Admitted::institution(card.profession, &telematik_id))
        }
        CardKind::Insured => {
            let insured = card.patient.insured();
            let subject =
                if kind.is_pseudonymous() { insured.pseudonym(iccsn)? } else { insured.subject()? };
            (subject, Admitted::insured())
        }
    };
    let is_rsa = matches!(key, PrivateKey::Rsa(_));
    let extensions = card_extensions(kind, is_rsa, &admitted, &card.ocsp, &subject)?;
    Ok(Some((name.to_owned(), authority.issue(key, subject, extensions)?)))
}
