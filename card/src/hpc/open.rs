//! Reading a card once: serial number and certificates. PINs are not asked about: their states come with the first answer
//! to a PIN, and asking would cost every start two commands more.
//!
//! On a card with logical channels an application is read where it will be used, when it is first looked at; elsewhere
//! everything is read at once (`docs/decisions/ten-commands-to-know-a-card.md`).

use super::known::{self, Clue, Recall};
use super::{CardError, CardKey, Hpc, OpenError, beid, commands, esteid, jpki, piv};
use crate::apdu::{Channel, Command, Response};
use crate::file::{self, FileError, Length};
use crate::iccsn;
use crate::profile::{Application, ApplicationProfile, Dialect, KeyProfile, Profile};
use crate::public_key::PublicKey;
use crate::status::StatusWord;
use crate::tlv;
use crate::transport::{Transport, TransportError};

impl Hpc {
    /// Reads everything that `recall` does not know, on the basic channel, whose MF is selected.
    pub(super) fn read_all(&mut self, recall: Option<&Recall<'_>>) -> Result<(), OpenError> {
        self.iccsn = self.number()?;
        let profile = self.profile;
        // Only what is read with the German cards' commands can be compared with two of them.
        let recall = recall.filter(|_| profile.dialect == Dialect::Cos);
        if let Some((_, known)) = recall.and_then(|recall| recall(profile, Clue::Number(&self.iccsn)))
            && let Some(keys) = known::check(&mut *self.transport, profile, &known)?
        {
            let selected = keys.first().map(|key| key.application);
            self.keys = keys;
            self.all_read(selected);
            return Ok(());
        }
        let mut length = Length::Extended;
        let mut selected = None;
        // ESIGN last: what most programs sign with is selected then.
        for application in profile.applications.iter().rev() {
            let select = commands::select_application(profile.dialect, &application.aid);
            let status = self.transport.transmit(&select)?.status;
            if left_out(application, status) {
                continue;
            }
            if !status.is_ok() {
                return Err(OpenError::Status { command: "SELECT", status });
            }
            selected = Some(application.application);
            self.read_keys(application, Channel::BASIC, &mut length)?;
            // Elsewhere the certificates are read by paths, or anew what else is to be used is selected.
            selected = selected.filter(|_| matches!(profile.dialect, Dialect::Cos | Dialect::Piv));
        }
        self.all_read(selected);
        Ok(())
    }

    fn all_read(&mut self, selected: Option<Application>) {
        for session in &mut self.sessions {
            session.looked_at = true;
            session.selected = selected == Some(session.application);
        }
    }

    /// Learns which card it is. One without channels is read on this occasion.
    pub(super) fn recognise_card(
        &mut self,
        application: Application,
        recall: Option<&Recall<'_>>,
    ) -> Result<(), OpenError> {
        if !self.has_channels {
            return self.read_all(recall);
        }
        if let (Some(recall), Some(profile)) = (recall, self.profile.application(application)) {
            match self.enter_own(profile) {
                Ok(None) => return self.read_all(Some(recall)),
                Ok(Some(channel)) if self.recall(profile, channel, recall)? => return Ok(()),
                Ok(Some(_)) => {}
                Err(CardError::Status { status, .. }) if left_out(profile, status) => {}
                Err(error) => return Err(while_reading(error)),
            }
        }
        self.iccsn = self.number()?;
        Ok(())
    }

    /// Whether the card turned out to be known by a certificate of this application.
    fn recall(
        &mut self,
        profile: &'static ApplicationProfile,
        channel: Channel,
        recall: &Recall<'_>,
    ) -> Result<bool, OpenError> {
        let Some(first) = profile.keys.first() else { return Ok(false) };
        let read = known::read_beginning(first).on_channel(channel);
        let beginning = self.transport.transmit(&read)?.data;
        let known = recall(self.profile, Clue::Certificate(&beginning));
        let Some((iccsn, known)) = known else { return Ok(false) };
        let Some(keys) = known::keys(self.profile, &known) else { return Ok(false) };
        if !keys.iter().any(|key| key.profile.id == first.id && known::begins(&key.certificate, &beginning)) {
            return Ok(false);
        }
        (self.iccsn, self.keys) = (iccsn, keys);
        self.session(profile.application).map_err(while_reading)?.looked_at = true;
        Ok(true)
    }

    /// Makes an application ready for its login and reads its certificates, unless they are known already.
    pub(super) fn enter_and_read(&mut self, application: Application) -> Result<(), CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        let known = self.keys.iter().any(|key| key.application == application);
        let entered = match self.enter_own(profile) {
            Ok(None) if known => Ok(Channel::BASIC),
            Ok(None) => self.select_shared(profile).map(|()| Channel::BASIC),
            Ok(Some(channel)) => Ok(channel),
            Err(error) => Err(error),
        };
        match entered {
            Ok(channel) if !known => self
                .read_keys(profile, channel, &mut Length::Extended)
                .map_err(|error| self.reading_failed(error))?,
            Err(CardError::Status { status, .. }) if left_out(profile, status) => {}
            other => drop(other?),
        }
        self.session(application)?.looked_at = true;
        Ok(())
    }

    /// Reads the certificates of the application that is selected on a channel.
    fn read_keys(
        &mut self,
        profile: &'static ApplicationProfile,
        channel: Channel,
        length: &mut Length,
    ) -> Result<(), OpenError> {
        let card = self.profile;
        let mut transport = OnChannel { transport: &mut *self.transport, channel };
        let mut keys = Vec::new();
        for alternatives in profile.keys.chunk_by(|a, b| a.certificate_fid == b.certificate_fid) {
            let Some(first) = alternatives.first().filter(|key| !key.certificate_behind_pin) else {
                continue;
            };
            let read = match card.dialect {
                Dialect::Cos => read_certificates(&mut transport, first, length, &mut self.complete)?,
                Dialect::Piv => piv::certificate(&mut transport, first.certificate_fid)?.unwrap_or_default(),
                Dialect::Esteid => esteid::certificate(&mut transport, card, &first.certificate_path)?,
                Dialect::Beid => beid::certificate(&mut transport, &first.certificate_path)?,
                Dialect::Jpki => jpki::certificate(&mut transport, first.certificate_fid)?,
            };
            keys.extend(
                choose(alternatives, &read).and_then(|key| card_key(profile.application, key, &read)),
            );
        }
        self.fresh = true;
        let first_of_all = self.profile.applications.first().map(|first| first.application);
        let place = if first_of_all == Some(profile.application) { 0 } else { self.keys.len() };
        self.keys.splice(place..place, keys);
        Ok(())
    }

    fn number(&mut self) -> Result<String, OpenError> {
        let file = serial_file(self.profile);
        read_serial(&mut *self.transport, self.profile)?.ok_or(OpenError::Malformed { file })
    }

    fn reading_failed(&mut self, error: OpenError) -> CardError {
        match error {
            OpenError::Transport(error) => self.lost(error),
            OpenError::Status { command, status } => CardError::Status { command, status },
            OpenError::Foreign | OpenError::Malformed { .. } => CardError::KeyMissing,
        }
    }
}

/// Opening a card makes no errors but these.
fn while_reading(error: CardError) -> OpenError {
    match error {
        CardError::Status { command, status } => OpenError::Status { command, status },
        CardError::Transport(error) => OpenError::Transport(error),
        CardError::Reset => OpenError::Transport(TransportError::Reset),
        CardError::Removed => OpenError::Transport(TransportError::Removed),
        _ => OpenError::Foreign,
    }
}

/// Whether an application is not there or switched off, which costs its keys only.
fn left_out(profile: &ApplicationProfile, status: StatusWord) -> bool {
    let absent =
        matches!(status, StatusWord::FILE_NOT_FOUND | StatusWord::DEACTIVATED | StatusWord::TERMINATED);
    if absent {
        tracing::debug!(application = ?profile.application, %status, "application left out");
    }
    absent
}

/// Commands sent on a logical channel.
struct OnChannel<'t> {
    transport: &'t mut dyn Transport,
    channel: Channel,
}

impl Transport for OnChannel<'_> {
    fn atr(&self) -> &[u8] {
        self.transport.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        self.transport.transmit(&command.clone().on_channel(self.channel))
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.transport.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.transport.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.transport.reconnect()
    }

    fn answer_limit(&self) -> Option<u16> {
        self.transport.answer_limit()
    }
}

/// The serial number, where [`select_home`] has led; `None` if the card holds none.
pub(super) fn read_serial(
    transport: &mut dyn Transport,
    profile: &Profile,
) -> Result<Option<String>, OpenError> {
    match profile.dialect {
        Dialect::Cos => {}
        Dialect::Piv => return Ok(piv::serial(transport)?),
        Dialect::Esteid => return Ok(esteid::serial(transport)?),
        Dialect::Beid => return Ok(beid::serial(transport)?),
        Dialect::Jpki => return Ok(jpki::serial(transport)?),
    }
    let gdo = file::read(transport, iccsn::GDO_SFID, &mut Length::Short, |_| None);
    Ok(iccsn::parse(&gdo.map_err(open_error)?))
}

/// SELECT of the place where the serial number is read: the MF, or an application of a card without one.
pub(crate) fn select_home(profile: &Profile) -> Command {
    let first = || profile.applications.first().map(|application| &application.aid);
    match (&profile.mf_aid, profile.home_aid.as_ref().or_else(first)) {
        (None, Some(aid)) => commands::select_application(profile.dialect, aid),
        _ => commands::select_mf(),
    }
}

fn serial_file(profile: &Profile) -> &'static str {
    match profile.dialect {
        Dialect::Cos => "EF.GDO",
        Dialect::Piv => "the CHUID",
        Dialect::Esteid => "the document number",
        Dialect::Beid => "GET CARD DATA",
        Dialect::Jpki => "the certificate for authentication",
    }
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
