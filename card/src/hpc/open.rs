//! Reading a card once: serial number, certificates, PIN states.

use super::known::{self, KnownCertificates};
use super::{CardKey, OpenError, commands};
use crate::file::{self, FileError, Length};
use crate::iccsn;
use crate::identify::{CardKind, identify};
use crate::pin::PinStatus;
use crate::profile::{Application, ApplicationProfile, KeyProfile, Profile};
use crate::status::StatusWord;
use crate::tlv;
use crate::transport::Transport;

/// What is read from a card at its insertion.
pub(super) struct Content {
    pub(super) profile: &'static Profile,
    pub(super) iccsn: String,
    pub(super) keys: Vec<CardKey>,
    pub(super) pins: Vec<(Application, PinStatus)>,
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
        Content { profile, iccsn, keys: Vec::new(), pins: Vec::new(), recalled: false, complete: true };
    if let Some(known) = known
        && let Some(keys) = known::check(transport, profile, &known)?
    {
        (content.keys, content.recalled) = (keys, true);
        return Ok(content);
    }
    let mut length = Length::Extended;
    for application in &profile.applications {
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
    for key in &profile.keys {
        if let Some(certificate) = read_certificate(transport, key, length, &mut content.complete)? {
            content.keys.push(CardKey { application: profile.application, profile: key, certificate });
        }
    }
    let status = transport.transmit(&commands::pin_status(profile.pin.reference))?.status;
    content.pins.push((profile.application, PinStatus::from_status(status)));
    Ok(())
}

/// A certificate, cut at the end of its DER object; `None` if the file is absent, empty or holds something else.
fn read_certificate(
    transport: &mut dyn Transport,
    key: &KeyProfile,
    length: &mut Length,
    complete: &mut bool,
) -> Result<Option<Vec<u8>>, OpenError> {
    let mut content = match file::read(transport, key.certificate_sfid, length, tlv::total_len) {
        Ok(content) => content,
        Err(FileError::Status(status)) if is_absence(status) => {
            *complete &= matches!(status, StatusWord::FILE_NOT_FOUND | StatusWord::OFFSET);
            tracing::debug!(key = key.label, %status, "no certificate");
            return Ok(None);
        }
        Err(FileError::Status(status)) => return Err(OpenError::Status { command: "READ BINARY", status }),
        Err(FileError::Transport(error)) => return Err(error.into()),
    };
    match tlv::total_len(&content) {
        Some(total) if content.first() == Some(&DER_SEQUENCE) && total <= content.len() => {
            content.truncate(total);
            Ok(Some(content))
        }
        _ => {
            *complete &= content.first() != Some(&DER_SEQUENCE);
            tracing::debug!(key = key.label, bytes = content.len(), "no complete certificate");
            Ok(None)
        }
    }
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
