//! Reading a card once: serial number and certificates. PINs are not asked about: their states come with the first answer
//! to a PIN, and asking would cost every start two commands more.

use super::known::{self, KnownCertificates};
use super::{CardKey, OpenError, commands, piv};
use crate::apdu::Command;
use crate::file::{self, FileError, Length};
use crate::iccsn;
use crate::identify::{CardKind, identify};
use crate::profile::{Application, ApplicationProfile, Dialect, KeyProfile, Profile};
use crate::public_key::PublicKey;
use crate::status::StatusWord;
use crate::tlv;
use crate::transport::Transport;

/// What is read from a card at its insertion.
pub(super) struct Content {
    pub(super) profile: &'static Profile,
    pub(super) iccsn: String,
    pub(super) keys: Vec<CardKey>,
    /// The application that is selected on the basic channel now.
    pub(super) selected: Option<Application>,
    /// Whether the certificates come from an earlier reading.
    pub(super) recalled: bool,
    /// Whether everything that is missing is not on the card, rather than not readable this time.
    pub(super) complete: bool,
}

/// Reads everything that `recall` does not know from earlier. Call it inside an exclusive section.
pub(super) fn read(
    transport: &mut dyn Transport,
    recall: impl FnOnce(&Profile, &str) -> Option<KnownCertificates>,
) -> Result<Content, OpenError> {
    let CardKind::Hpc(profile) = identify(transport)? else {
        return Err(OpenError::Foreign);
    };
    let iccsn =
        read_serial(transport, profile)?.ok_or(OpenError::Malformed { file: serial_file(profile) })?;
    // Only what is read with the German cards' commands can be compared with two of them.
    let memorable = profile.dialect == Dialect::Cos;
    let known = if memorable { recall(profile, &iccsn) } else { None };
    let mut content =
        Content { profile, iccsn, keys: Vec::new(), selected: None, recalled: false, complete: memorable };
    if let Some(known) = known
        && let Some(keys) = known::check(transport, profile, &known)?
    {
        content.selected = keys.first().map(|key| key.application);
        (content.keys, content.recalled) = (keys, true);
        return Ok(content);
    }
    let mut length = Length::Extended;
    // ESIGN last: what most programs sign with is selected then.
    for application in profile.applications.iter().rev() {
        read_application(transport, profile.dialect, application, &mut length, &mut content)?;
    }
    Ok(content)
}

/// The serial number, where [`select_home`] has led; `None` if the card holds none.
pub(super) fn read_serial(
    transport: &mut dyn Transport,
    profile: &Profile,
) -> Result<Option<String>, OpenError> {
    if profile.dialect == Dialect::Piv {
        return Ok(piv::serial(transport)?);
    }
    let gdo = file::read(transport, iccsn::GDO_SFID, &mut Length::Short, |_| None);
    Ok(iccsn::parse(&gdo.map_err(open_error)?))
}

/// SELECT of the place where the serial number is read: the MF, or the application of a card without one.
pub(super) fn select_home(profile: &Profile) -> Command {
    match (&profile.mf_aid, profile.applications.first()) {
        (None, Some(application)) => commands::select_application(profile.dialect, &application.aid),
        _ => commands::select_mf(),
    }
}

fn serial_file(profile: &Profile) -> &'static str {
    match profile.dialect {
        Dialect::Cos => "EF.GDO",
        Dialect::Piv => "the CHUID",
    }
}

/// An application that is not there or switched off costs its keys only.
fn read_application(
    transport: &mut dyn Transport,
    dialect: Dialect,
    profile: &'static ApplicationProfile,
    length: &mut Length,
    content: &mut Content,
) -> Result<(), OpenError> {
    let status = transport.transmit(&commands::select_application(dialect, &profile.aid))?.status;
    if matches!(status, StatusWord::FILE_NOT_FOUND | StatusWord::DEACTIVATED | StatusWord::TERMINATED) {
        tracing::debug!(application = ?profile.application, %status, "application left out");
        return Ok(());
    }
    if !status.is_ok() {
        return Err(OpenError::Status { command: "SELECT", status });
    }
    content.selected = Some(profile.application);
    let mut keys = Vec::new();
    for alternatives in profile.keys.chunk_by(|a, b| a.certificate_fid == b.certificate_fid) {
        let Some(first) = alternatives.first() else { continue };
        let read = match dialect {
            Dialect::Cos => read_certificates(transport, first, length, &mut content.complete)?,
            Dialect::Piv => piv::certificate(transport, first.certificate_fid)?.unwrap_or_default(),
        };
        keys.extend(choose(alternatives, &read).and_then(|key| card_key(profile.application, key, &read)));
    }
    content.keys.splice(0..0, keys);
    Ok(())
}

/// The key that a certificate file is about. The only one there can be is taken whatever the certificate says: that it
/// cannot be read is found out where it is used.
fn choose<'k>(alternatives: &'k [KeyProfile], file: &[u8]) -> Option<&'k KeyProfile> {
    let [only] = alternatives else {
        let (certificates, _) = split(file);
        let certificate = certificates.first()?;
        return alternatives.iter().find(|key| PublicKey::from_certificate(certificate, key.kind).is_some());
    };
    Some(only)
}

/// A key with what its certificate file holds, if that begins with a certificate.
pub(super) fn card_key(
    application: Application,
    profile: &'static KeyProfile,
    file: &[u8],
) -> Option<CardKey> {
    let (mut certificates, _) = split(file);
    let certificate = (!certificates.is_empty()).then(|| certificates.remove(0))?;
    Some(CardKey { application, profile, certificate, issuers: certificates })
}

/// The file of a certificate; empty if it is absent, empty or holds something else.
fn read_certificates(
    transport: &mut dyn Transport,
    key: &KeyProfile,
    length: &mut Length,
    complete: &mut bool,
) -> Result<Vec<u8>, OpenError> {
    let content = match file::read(transport, key.certificate_sfid, length, |read| split(read).1) {
        Ok(content) => content,
        Err(FileError::Status(status)) if is_absence(status) => {
            *complete &= matches!(status, StatusWord::FILE_NOT_FOUND | StatusWord::OFFSET);
            tracing::debug!(key = key.label, %status, "no certificate");
            return Ok(Vec::new());
        }
        Err(FileError::Status(status)) => return Err(OpenError::Status { command: "READ BINARY", status }),
        Err(FileError::Transport(error)) => return Err(error.into()),
    };
    let (certificates, end) = split(&content);
    if certificates.is_empty() || end.is_none_or(|end| end > content.len()) {
        *complete &= content.first() != Some(&DER_SEQUENCE);
        tracing::debug!(key = key.label, bytes = content.len(), "no complete certificate");
    }
    Ok(content)
}

/// The DER objects that a file begins with, one behind the other, and where they end; `None` if that cannot be told yet.
/// Anything but a further SEQUENCE behind one is padding.
pub(super) fn split(file: &[u8]) -> (Vec<Vec<u8>>, Option<usize>) {
    let mut objects = Vec::new();
    let mut end = 0;
    while let Some(rest) = file.get(end..).filter(|rest| rest.first() == Some(&DER_SEQUENCE)) {
        let Some(total) = tlv::total_len(rest) else {
            return (objects, None);
        };
        end = end.saturating_add(total);
        match rest.get(..total) {
            Some(object) => objects.push(object.to_vec()),
            None => return (objects, Some(end)),
        }
    }
    let known = end > 0 || !file.is_empty();
    (objects, known.then_some(end))
}

/// Not there, empty, protected or switched off: such a file costs its key only. Every other word is a failure of the
/// card, which must not look like a card with fewer keys.
fn is_absence(status: StatusWord) -> bool {
    matches!(
        status,
        StatusWord::FILE_NOT_FOUND
            | StatusWord::OFFSET
            | StatusWord::SECURITY_STATUS
            | StatusWord::DEACTIVATED
            | StatusWord::TERMINATED
            | StatusWord::COMMAND_INCOMPATIBLE
            | StatusWord::CONDITIONS
    )
}

const DER_SEQUENCE: u8 = 0x30;

fn open_error(error: FileError) -> OpenError {
    match error {
        FileError::Status(status) => OpenError::Status { command: "READ BINARY", status },
        FileError::Transport(error) => OpenError::Transport(error),
    }
}
