//! Reads a profile file.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use super::access::AccessText;
use super::{
    Algorithm, Anchor, BelgianFile, CardKind, Content, Curve, Dialect, File, Folder, Key, KeyKind, Layout,
    Password, Secret, Structure, Transport,
};
use crate::crypto::{FlagList, Rights};

/// A profile file is wrong.
#[derive(Debug, Clone, Error)]
pub(crate) enum LayoutError {
    #[error("profile is not valid TOML: {0}")]
    Toml(String),
    #[error("profile object {object}: {reason}")]
    Object { object: String, reason: String },
    #[error("profile has no master file")]
    NoMasterFile,
}

/// Parses the text of a profile file; with `changes`, the text of one that differs from it.
pub(super) fn parse(text: &str, changes: Option<&str>) -> Result<Layout, LayoutError> {
    let toml = |error: toml::de::Error| LayoutError::Toml(error.to_string());
    let mut text: ProfileText = toml::from_str(text).map_err(toml)?;
    if let Some(changes) = changes {
        toml::from_str::<Changes>(changes).map_err(toml)?.apply(&mut text)?;
    }
    let mut layout = Layout {
        title: text.title,
        kind: text.kind,
        atr: bytes("atr", &text.atr)?,
        dialect: text.dialect,
        applet: text.applet.as_deref().map(|version| byte("applet", version)).transpose()?,
        channels: text.channels,
        folders: Vec::new(),
        files: Vec::new(),
        passwords: Vec::new(),
        keys: Vec::new(),
    };
    for folder in &text.df {
        add_folder(&mut layout, folder, &text.abbreviations)?;
    }
    match layout.folders.first() {
        Some(first) if first.parent.is_none() => Ok(layout),
        _ => Err(LayoutError::NoMasterFile),
    }
}

#[derive(Debug, Deserialize)]
struct ProfileText {
    title: String,
    kind: CardKind,
    atr: String,
    #[serde(default)]
    dialect: Dialect,
    applet: Option<String>,
    channels: usize,
    #[serde(default)]
    abbreviations: BTreeMap<String, String>,
    df: Vec<FolderText>,
}

/// How a card differs from another: objects it lacks and files with other content, by folder and name.
#[derive(Debug, Deserialize)]
struct Changes {
    title: String,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    bodies: BTreeMap<String, String>,
}

impl Changes {
    fn apply(self, profile: &mut ProfileText) -> Result<(), LayoutError> {
        profile.title = self.title;
        let mut without = self.without;
        let mut bodies = self.bodies;
        for folder in &mut profile.df {
            let mut keeps = |name: &str| {
                let place = without.iter().position(|gone| *gone == format!("{}/{name}", folder.name));
                place.map(|place| without.swap_remove(place)).is_none()
            };
            folder.file.retain(|file| keeps(&file.name));
            folder.password.retain(|password| keeps(&password.name));
            folder.key.retain(|key| keeps(&key.name));
            for file in &mut folder.file {
                if let Some(body) = bodies.remove(&format!("{}/{}", folder.name, file.name)) {
                    file.body = Some(body);
                }
            }
        }
        match without.pop().or_else(|| bodies.pop_first().map(|(name, _)| name)) {
            None => Ok(()),
            Some(object) => Err(LayoutError::Object { object, reason: "the other card has none".to_owned() }),
        }
    }
}

#[derive(Debug, Deserialize)]
struct FolderText {
    name: String,
    parent: Option<String>,
    /// Empty for a folder that is selected by its file identifier only.
    #[serde(default)]
    aid: String,
    fid: Option<String>,
    #[serde(flatten)]
    access: AccessText,
    #[serde(default)]
    file: Vec<FileText>,
    #[serde(default)]
    password: Vec<PasswordText>,
    #[serde(default)]
    key: Vec<KeyText>,
}

#[derive(Debug, Deserialize)]
struct FileText {
    name: String,
    fid: String,
    sfid: Option<String>,
    kind: Option<String>,
    max_records: Option<usize>,
    record_length: Option<usize>,
    size: Option<usize>,
    #[serde(default)]
    flags: Vec<String>,
    content: Option<String>,
    body: Option<String>,
    records: Option<Vec<String>>,
    zero_records: Option<usize>,
    zero_record_length: Option<usize>,
    #[serde(flatten)]
    access: AccessText,
}

#[derive(Debug, Deserialize)]
struct PasswordText {
    name: String,
    id: String,
    digits: Option<[usize; 2]>,
    tries: Option<u8>,
    puk_uses: Option<u8>,
    transport: Option<Transport>,
    shares: Option<String>,
    enabled: Option<bool>,
    #[serde(default)]
    uses_per_verify: BTreeMap<String, u32>,
    #[serde(flatten)]
    access: AccessText,
}

#[derive(Debug, Deserialize)]
struct KeyText {
    name: String,
    id: String,
    kind: String,
    curve: Option<String>,
    bits: Option<usize>,
    #[serde(default)]
    algorithms: Vec<String>,
    #[serde(default)]
    algorithms_se2: Vec<String>,
    present: Option<bool>,
    rights: Option<String>,
    #[serde(default)]
    imported_verification_keys_contact: Vec<String>,
    #[serde(default)]
    imported_verification_keys_contactless: Vec<String>,
    #[serde(default)]
    imported_authentication_keys_contact: Vec<String>,
    #[serde(default)]
    imported_authentication_keys_contactless: Vec<String>,
    #[serde(flatten)]
    access: AccessText,
}

type Abbreviations = BTreeMap<String, String>;

fn add_folder(
    layout: &mut Layout,
    text: &FolderText,
    abbreviations: &Abbreviations,
) -> Result<(), LayoutError> {
    let fail = |reason: String| LayoutError::Object { object: text.name.clone(), reason };
    let parent = match &text.parent {
        None => None,
        Some(name) => {
            let found = layout.folders.iter().find(|f| f.path.rsplit('/').next() == Some(name));
            Some(found.ok_or_else(|| fail(format!("unknown parent {name}")))?)
        }
    };
    let path = parent.map_or_else(|| text.name.clone(), |p| format!("{}/{}", p.path, text.name));
    let parent = parent.map(|p| p.id);
    let id = layout.folders.len();
    layout.folders.push(Folder {
        id,
        path: path.clone(),
        parent,
        aid: bytes(&text.name, &text.aid)?,
        fid: text.fid.as_deref().map(|fid| number(&text.name, fid)).transpose()?,
        access: text.access.parse(abbreviations).map_err(fail)?,
    });
    for file in &text.file {
        let file = file_object(layout.files.len(), id, &path, file, abbreviations)?;
        layout.files.push(file);
    }
    for password in &text.password {
        let password = password_object(layout, id, &path, password, abbreviations)?;
        layout.passwords.push(password);
    }
    for key in &text.key {
        let key = key_object(layout.keys.len(), id, &path, key, abbreviations)?;
        layout.keys.push(key);
    }
    Ok(())
}

fn file_object(
    id: usize,
    folder: usize,
    path: &str,
    text: &FileText,
    abbreviations: &Abbreviations,
) -> Result<File, LayoutError> {
    let fail = |reason: &str| LayoutError::Object { object: text.name.clone(), reason: reason.to_owned() };
    let structure = structure(text).ok_or_else(|| fail("incomplete record file or unknown kind"))?;
    let content = content(text)?;
    let size = match (text.size, structure) {
        (Some(size), _) => size,
        (None, Structure::LinearFixed { max_records, length, .. })
        | (None, Structure::Cyclic { max_records, length }) => max_records * length,
        _ => return Err(fail("no size")),
    };
    let content = match (text.content.as_deref(), content) {
        (Some("zeros"), _) => Content::Bytes(vec![0; size]),
        (_, content) => content,
    };
    Ok(File {
        id,
        folder,
        path: format!("{path}/{}", text.name),
        fid: number(&text.name, &text.fid)?,
        sfid: match &text.sfid {
            Some(sfid) => Some(byte(&text.name, sfid)?),
            None => None,
        },
        structure,
        size,
        content,
        access: text.access.parse(abbreviations).map_err(|e| fail(&e))?,
    })
}

fn structure(text: &FileText) -> Option<Structure> {
    let life_cycle = text.flags.iter().any(|flag| flag == "record-life-cycle");
    match text.kind.as_deref() {
        None => Some(Structure::Transparent),
        Some("linear-fixed") => {
            let (max_records, length) = (text.max_records?, text.record_length?);
            Some(Structure::LinearFixed { max_records, length, life_cycle })
        }
        Some("linear-variable") => {
            let (max_records, max_length) = (text.max_records?, text.record_length?);
            Some(Structure::LinearVariable { max_records, max_length, life_cycle })
        }
        Some("cyclic") => {
            Some(Structure::Cyclic { max_records: text.max_records?, length: text.record_length? })
        }
        Some(_) => None,
    }
}

fn content(text: &FileText) -> Result<Content, LayoutError> {
    if let Some(body) = &text.body {
        return Ok(Content::Bytes(bytes(&text.name, body)?));
    }
    if let Some(records) = &text.records {
        let records = records.iter().map(|r| bytes(&text.name, r)).collect::<Result<_, _>>()?;
        return Ok(Content::Records(records));
    }
    if let Some(count) = text.zero_records {
        let length = text.zero_record_length.or(text.record_length).unwrap_or(0);
        return Ok(Content::Records(vec![vec![0; length]; count]));
    }
    match text.content.as_deref() {
        None if text.kind.is_some() => Ok(Content::Records(Vec::new())),
        None | Some("zeros") => Ok(Content::Empty),
        Some("iccsn") => Ok(Content::Iccsn),
        Some("certificate") => Ok(Content::Certificate),
        Some("cv-certificate") => Ok(Content::CvCertificate),
        Some("cardholder-id") => Ok(Content::CardholderId),
        Some("document-number") => Ok(Content::DocumentNumber),
        Some("document-number-string") => Ok(Content::DocumentNumberString),
        Some("issuer-certificate") => Ok(Content::IssuerCertificate),
        Some("token-info") => Ok(Content::Belgian(BelgianFile::TokenInfo)),
        Some("identity") => Ok(Content::Belgian(BelgianFile::Identity)),
        Some("identity-signature") => Ok(Content::Belgian(BelgianFile::IdentitySignature)),
        Some("address") => Ok(Content::Belgian(BelgianFile::Address)),
        Some("address-signature") => Ok(Content::Belgian(BelgianFile::AddressSignature)),
        Some("photo") => Ok(Content::Belgian(BelgianFile::Photo)),
        Some("register-certificate") => Ok(Content::Belgian(BelgianFile::RegisterCertificate)),
        Some("signature-budget") => Ok(Content::SignatureBudget),
        Some("personal-data") => Ok(Content::PersonalData),
        Some("insurance-data") => Ok(Content::InsuranceData),
        Some("protected-data") => Ok(Content::ProtectedData),
        Some("status-data") => Ok(Content::StatusData),
        Some(other) => {
            Err(LayoutError::Object { object: text.name.clone(), reason: format!("unknown content {other}") })
        }
    }
}

fn password_object(
    layout: &Layout,
    folder: usize,
    path: &str,
    text: &PasswordText,
    abbreviations: &Abbreviations,
) -> Result<Password, LayoutError> {
    let fail = |reason: &str| LayoutError::Object { object: text.name.clone(), reason: reason.to_owned() };
    let secret = match (&text.shares, text.digits, text.tries, text.puk_uses, text.transport) {
        (Some(other), ..) => {
            let reference = local(folder, byte(&text.name, other)?);
            let owner = layout.passwords.iter().find(|p| p.folder == folder && p.reference == reference);
            Secret::SharedWith(owner.ok_or_else(|| fail("shares an unknown password"))?.id)
        }
        (None, Some([min, max]), Some(tries), Some(puk_uses), Some(transport)) => {
            Secret::Own { min, max, tries, puk_uses, transport }
        }
        _ => return Err(fail("incomplete password")),
    };
    Ok(Password {
        id: layout.passwords.len(),
        folder,
        path: format!("{path}/{}", text.name),
        name: text.name.clone(),
        reference: local(folder, byte(&text.name, &text.id)?),
        secret,
        uses_per_verify: [text.uses_per_verify.get("se1").copied(), text.uses_per_verify.get("se2").copied()],
        enabled: text.enabled.unwrap_or(true),
        access: text.access.parse(abbreviations).map_err(|e| fail(&e))?,
    })
}

fn key_object(
    id: usize,
    folder: usize,
    path: &str,
    text: &KeyText,
    abbreviations: &Abbreviations,
) -> Result<Key, LayoutError> {
    let fail = |reason: String| LayoutError::Object { object: text.name.clone(), reason };
    let kind = match (text.kind.as_str(), text.curve.as_deref(), text.bits) {
        ("ec-private", Some("brainpoolP256r1"), _) => KeyKind::EcPrivate(Curve::BrainpoolP256r1),
        ("ec-private", Some("secp256r1"), _) => KeyKind::EcPrivate(Curve::P256),
        ("ec-private", Some("secp384r1"), _) => KeyKind::EcPrivate(Curve::P384),
        ("rsa-private", _, Some(bits)) => KeyKind::RsaPrivate { bits },
        ("ec-public", ..) => KeyKind::EcPublic,
        ("aes", ..) => KeyKind::Aes,
        ("pace", ..) => KeyKind::Pace,
        (kind, ..) => return Err(fail(format!("incomplete or unknown key kind {kind}"))),
    };
    let algorithms = |names: &[String]| -> Result<Vec<Algorithm>, LayoutError> {
        names.iter().map(|name| algorithm(name).ok_or_else(|| fail(format!("algorithm {name}")))).collect()
    };
    Ok(Key {
        id,
        folder,
        path: format!("{path}/{}", text.name),
        name: text.name.clone(),
        reference: byte(&text.name, &text.id).ok().map(|id| local(folder, id)),
        kind,
        algorithms: [algorithms(&text.algorithms)?, algorithms(&text.algorithms_se2)?],
        present: text.present.unwrap_or(true),
        anchor: anchor(text, abbreviations).map_err(fail)?,
        access: text.access.parse(abbreviations).map_err(fail)?,
    })
}

/// What a root key hands on: its rights as `TI:ffffffffffffc3`, and the rules for the keys imported under it.
fn anchor(text: &KeyText, abbreviations: &Abbreviations) -> Result<Option<Anchor>, String> {
    let Some(rights) = &text.rights else { return Ok(None) };
    let rights = match rights.split_once(':') {
        Some(("TI", flags)) => (FlagList::Telematics, flags),
        Some(("CMS", flags)) => (FlagList::CardManagement, flags),
        _ => return Err(format!("rights '{rights}'")),
    };
    let flags = u64::from_str_radix(rights.1, 16).map_err(|e| e.to_string())?;
    let rules = |contact, contactless| AccessText::of(contact, contactless).parse(abbreviations);
    Ok(Some(Anchor {
        rights: Rights { list: rights.0, flags },
        verification_access: rules(
            &text.imported_verification_keys_contact,
            &text.imported_verification_keys_contactless,
        )?,
        authentication_access: rules(
            &text.imported_authentication_keys_contact,
            &text.imported_authentication_keys_contactless,
        )?,
    }))
}

fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "signECDSA" => Algorithm::SignEcdsa,
        "signPKCS1_V1_5" => Algorithm::SignPkcs1,
        "signPSS" => Algorithm::SignPss,
        "rsaClientAuthentication" => Algorithm::RsaClientAuthentication,
        "rsaDecipherOaep" => Algorithm::RsaDecipherOaep,
        "elcSharedSecretCalculation" => Algorithm::ElcSharedSecret,
        "elcRoleAuthentication" => Algorithm::ElcRoleAuthentication,
        "elcSessionkey4SM" => Algorithm::ElcSessionKey4Sm,
        "elcSessionkey4TC" => Algorithm::ElcSessionKey4Tc,
        "elcAsynchronAdmin" => Algorithm::ElcAsynchronAdmin,
        _ => return None,
    })
}

/// References inside an application carry bit 8.
fn local(folder: usize, id: u8) -> u8 {
    if folder == 0 { id } else { id | 0x80 }
}

fn bytes(object: &str, text: &str) -> Result<Vec<u8>, LayoutError> {
    hex::decode(text)
        .map_err(|e| LayoutError::Object { object: object.to_owned(), reason: format!("hexadecimal: {e}") })
}

fn number(object: &str, text: &str) -> Result<u16, LayoutError> {
    u16::from_str_radix(text, 16)
        .map_err(|e| LayoutError::Object { object: object.to_owned(), reason: format!("'{text}': {e}") })
}

fn byte(object: &str, text: &str) -> Result<u8, LayoutError> {
    u8::from_str_radix(text, 16)
        .map_err(|e| LayoutError::Object { object: object.to_owned(), reason: format!("'{text}': {e}") })
}
