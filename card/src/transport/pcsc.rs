//! Cards in readers of the PC/SC service (pcsc-lite, WinSCard).
//!
//! Shared mode, T=1 where the card offers it (extended length), and never a reset: the crate `pcsc` resets the card
//! when a handle is dropped, so that every handle here is disconnected with `LeaveCard` instead.

use std::ffi::CString;
use std::fmt;

use pcsc::{Context, Disposition, Error, Protocols, Scope, ShareMode, State};
use self_cell::MutBorrow;

use super::pin_pad::{Features, GET_FEATURE_REQUEST};
use super::readers::{CardPresence, ReaderState};
use super::{PinEntry, PinPad, Transport, TransportError};
use crate::apdu::{Command, Le, Response};
use crate::status::StatusWord;

type CardOwner = MutBorrow<pcsc::Card>;
type Transaction<'card> = pcsc::Transaction<'card>;

self_cell::self_cell!(
    /// A card together with the transaction that borrows it.
    struct HeldCard {
        owner: CardOwner,
        #[covariant]
        dependent: Transaction,
    }
);

/// The connection that watches readers: made on first use, made again after the service went away.
#[derive(Default)]
pub(super) struct Service {
    context: Option<Context>,
    /// Connections made so far: a service that was restarted counts events from the start again.
    connections: u32,
}

/// A card in a PC/SC reader.
///
/// Each has a context of its own: pcsc-lite lets one call per context run, and a slow signature must not hold up a
/// look at the readers.
pub(super) struct PcscTransport {
    reader: CString,
    atr: Vec<u8>,
    /// Whether the card is spoken to with T=0.
    byte_wise: bool,
    handle: Handle,
    buffer: Vec<u8>,
    features: Features,
}

enum Handle {
    Idle(pcsc::Card),
    Held(HeldCard),
    None,
}

impl Service {
    /// Readers whose name contains `filter`, with their state. An answer without readers is no error.
    pub(super) fn list(&mut self, filter: &str) -> Result<Vec<ReaderState>, TransportError> {
        let states = self.with_context(|context| states(context, filter));
        let mut states = states.map_err(|error| explain(error, filter))?;
        for state in &mut states {
            state.insertions = state.insertions.wrapping_add(self.connections << 24);
        }
        Ok(states)
    }

    /// Runs a call; if the service went away since the last one, runs it once more on a new connection.
    fn with_context<T>(&mut self, call: impl Fn(&Context) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(context) = &self.context {
            match call(context) {
                Err(error) if service_lost(error) => self.context = None,
                result => return result,
            }
        }
        let context = self.context.insert(Context::establish(Scope::User)?);
        self.connections = self.connections.wrapping_add(1);
        call(context)
    }
}

impl PcscTransport {
    /// Connects to the card in a reader.
    pub(super) fn connect(name: &str) -> Result<PcscTransport, TransportError> {
        let unknown = || TransportError::UnknownReader { name: name.to_owned() };
        let reader = CString::new(name).map_err(|_| unknown())?;
        let card = Context::establish(Scope::User)
            .and_then(|context| prefer_t1(|protocols| context.connect(&reader, ShareMode::Shared, protocols)))
            .map_err(|error| explain(error, name))?;
        let (atr, byte_wise) = read_status(&card);
        let mut buffer = vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
        // A reader without features refuses the question, each in its own way.
        let features = card.control(GET_FEATURE_REQUEST.into(), &[], &mut buffer);
        let features = features.map(Features::parse).unwrap_or_default();
        Ok(PcscTransport { reader, atr, byte_wise, handle: Handle::Idle(card), buffer, features })
    }

    fn exchange(
        &mut self,
        call: impl for<'b> FnOnce(&pcsc::Card, &'b mut [u8]) -> Result<&'b [u8], Error>,
    ) -> Result<Response, TransportError> {
        let card = match &self.handle {
            Handle::Idle(card) => card,
            Handle::Held(held) => held.borrow_dependent(),
            Handle::None => return Err(TransportError::Removed),
        };
        match call(card, &mut self.buffer) {
            Ok(answer) => Ok(Response::parse(answer)?),
            Err(error) => Err(explain(error, &self.reader.to_string_lossy())),
        }
    }

    fn name(&self) -> String {
        self.reader.to_string_lossy().into_owned()
    }

    fn explain(&self, error: Error) -> TransportError {
        explain(error, &self.name())
    }

    /// Ends a transaction, if there is one, and disconnects without a reset.
    fn disconnect(&mut self) {
        let card = match std::mem::replace(&mut self.handle, Handle::None) {
            Handle::Idle(card) => card,
            Handle::Held(held) => held.into_owner().into_inner(),
            Handle::None => return,
        };
        if let Err((card, error)) = card.disconnect(Disposition::LeaveCard) {
            tracing::debug!(%error, "disconnect");
            // Dropping the handle would reset the card. The service has forgotten it anyway: it is leaked instead.
            std::mem::forget(card);
        }
    }
}

impl Transport for PcscTransport {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let bytes = match self.byte_wise {
            true => match for_t0(command) {
                Some(command) => command.encode()?,
                None => return Ok(Response { data: Vec::new(), status: StatusWord::WRONG_LENGTH }),
            },
            false => command.encode()?,
        };
        self.exchange(|card, buffer| card.transmit(&bytes, buffer))
    }

    fn pin_pad(&self) -> PinPad {
        self.features.pin_pad()
    }

    fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
        let (code, order) = self.features.order(command, entry)?;
        self.exchange(|card, buffer| card.control(code.into(), &order, buffer))
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        let card = match std::mem::replace(&mut self.handle, Handle::None) {
            Handle::Idle(card) => card,
            other => {
                self.handle = other;
                return Err(TransportError::Removed);
            }
        };
        match HeldCard::try_new_or_recover(MutBorrow::new(card), |card| card.borrow_mut().transaction()) {
            Ok(held) => {
                self.handle = Handle::Held(held);
                Ok(())
            }
            Err((card, error)) => {
                self.handle = Handle::Idle(card.into_inner());
                Err(self.explain(error))
            }
        }
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.handle = match std::mem::replace(&mut self.handle, Handle::None) {
            Handle::Held(held) => Handle::Idle(held.into_owner().into_inner()),
            other => other,
        };
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.end()?;
        if let Handle::Idle(card) = &mut self.handle {
            let result =
                prefer_t1(|protocols| card.reconnect(ShareMode::Shared, protocols, Disposition::LeaveCard));
            match result {
                Ok(()) => {
                    (self.atr, self.byte_wise) = read_status(card);
                    return Ok(());
                }
                Err(error) if service_lost(error) => self.disconnect(),
                Err(error) => return Err(self.explain(error)),
            }
        }
        *self = PcscTransport::connect(&self.name())?;
        Ok(())
    }
}

impl Drop for PcscTransport {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("connections", &self.connections).finish()
    }
}

fn states(context: &Context, filter: &str) -> Result<Vec<ReaderState>, Error> {
    let names = match context.list_readers_owned() {
        Err(Error::NoReadersAvailable) => Vec::new(),
        names => names?,
    };
    let wanted = names.into_iter().filter(|name| name.to_string_lossy().contains(filter));
    let mut states: Vec<_> = wanted.map(|name| pcsc::ReaderState::new(name, State::UNAWARE)).collect();
    if states.is_empty() {
        return Ok(Vec::new());
    }
    // With the state given as unknown the call answers at once.
    context.get_status_change(std::time::Duration::ZERO, &mut states)?;
    Ok(states.iter().map(reader_state).collect())
}

fn reader_state(state: &pcsc::ReaderState) -> ReaderState {
    let present = state.event_state().contains(State::PRESENT);
    ReaderState {
        name: state.name().to_string_lossy().into_owned(),
        card: if present { CardPresence::Present } else { CardPresence::Absent },
        insertions: state.event_count(),
    }
}

/// T=1 if the card offers it: T=0 knows no extended length.
fn prefer_t1<T>(mut connect: impl FnMut(Protocols) -> Result<T, Error>) -> Result<T, Error> {
    match connect(Protocols::T1) {
        Err(Error::ProtoMismatch) => connect(Protocols::ANY),
        result => result,
    }
}

/// The ATR, and whether T=0 is spoken. The ATR is a hint; a card that hides it is identified by what it answers.
fn read_status(card: &pcsc::Card) -> (Vec<u8>, bool) {
    card.status2_owned().map_or_else(
        |_| Default::default(),
        |status| (status.atr().to_vec(), status.protocol2() == Some(pcsc::Protocol::T0)),
    )
}

/// The command as T=0 carries it (ISO/IEC 7816-3 clause 12.2): a command with data has no Le, the card says `61xx` and is
/// asked for its answer. `None` for extended length, which needs a card that knows ENVELOPE; none of those here does.
fn for_t0(command: &Command) -> Option<Command> {
    match (command.data_len(), command.expected()) {
        (256.., _) | (_, Le::Extended(_)) => None,
        (0, _) => Some(command.clone()),
        _ => Some(command.clone().le(Le::None)),
    }
}

/// Errors after which a context is of no use any more.
fn service_lost(error: Error) -> bool {
    matches!(
        error,
        Error::NoService | Error::ServiceStopped | Error::InvalidHandle | Error::CommError | Error::Shutdown
    )
}

fn explain(error: Error, reader: &str) -> TransportError {
    match error {
        error if service_lost(error) => TransportError::NoService,
        Error::UnknownReader | Error::ReaderUnavailable | Error::NoReadersAvailable => {
            TransportError::UnknownReader { name: reader.to_owned() }
        }
        Error::NoSmartcard => TransportError::NoCard,
        Error::UnresponsiveCard | Error::UnpoweredCard | Error::UnsupportedCard | Error::InvalidAtr => {
            TransportError::Unresponsive
        }
        Error::RemovedCard => TransportError::Removed,
        Error::ResetCard => TransportError::Reset,
        Error::SharingViolation => TransportError::Sharing,
        Error::NotTransacted => TransportError::NotTransacted,
        Error::Timeout => TransportError::Timeout,
        other => TransportError::Pcsc(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_for_t0_has_data_or_a_length_of_the_answer() {
        let command = |data: &[u8], le| Command::new(0x00, 0xA4, 0x04, 0x00).data(data).le(le);
        let sent = |data: &[u8], le| {
            for_t0(&command(data, le)).map(|command| hex::encode_upper(command.encode().unwrap().as_slice()))
        };
        assert_eq!(sent(&[0x3F], Le::SHORT_WILDCARD).as_deref(), Some("00A40400013F"));
        assert_eq!(sent(&[], Le::SHORT_WILDCARD).as_deref(), Some("00A4040000"));
        assert_eq!(sent(&[], Le::None).as_deref(), Some("00A40400"));
        assert_eq!(sent(&[], Le::EXTENDED_WILDCARD), None);
        assert_eq!(sent(&[0; 256], Le::None), None);
    }
}
