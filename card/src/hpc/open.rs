//! Reading a card once: serial number and certificates. PINs are not asked about: their states come with the first answer
//! to a PIN, and asking would cost every start two commands more.

use super::known::{self, KnownCertificates};
use super::{CardKey, OpenError, commands};
use crate::file::{self, FileError, Length};
use crate::iccsn;
use crate::identify::{CardKind, identify};
use crate::profile::{Application, ApplicationProfile, KeyProfile, Profile};
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
    let iccsn = read_iccsn(transport)?.ok_or(OpenError::Malformed { file: "EF.GDO" })?;
    let known = recall(profile, &iccsn);
    let mut content =
        Content { profile, iccsn, keys: Vec::new(), selected: None, recalled: false, complete: true };
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
        read_application(transport, application, &mut length, &mut content)?;
    }
    Ok(content)
}

/// The serial number in EF.GDO of the current MF; `None` if the file holds none.
pub(super) fn read_iccsn(transport: &mut dyn Transport) -> Result<Option<String>, OpenError> {
    let gdo = file::read(transport, iccsn::GDO_SFID, &mut Length::Short, |_| None);
    Ok(iccsn::parse(&gdo.map_err(open_error)?))
}

/// An application that is not there or switched off costs its keys only.
fn read_application(
    transport: &mut dyn Transport,
    profile: &'static ApplicationProfile,
    length: &mut Length,
    content: &mut Content,
) -> Result<(), OpenError> {
    let status = transport.transmit(&commands::select(&profile.aid))?.status;
    if matches!(status, StatusWord::FILE_NOT_FOUND | StatusWord::DEACTIVATED | StatusWord::TERMINATED) {
        tracing::debug!(application = ?profile.application, %status, "application left out");
        return Ok(());
    }
    if !status.is_ok() {
        return Err(OpenError::Status { command: "SELECT", status });
    }
    content.selected = Some(profile.application);
    let mut keys = Vec::new();
    for key in &profile.keys {
        let read = read_certificates(transport, key, length, &mut content.complete)?;
        keys.extend(card_key(profile.application, key, &read));
    }
    content.keys.splice(0..0, keys);
    Ok(())
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
