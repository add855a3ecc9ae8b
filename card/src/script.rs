//! A strict test double of a card: it expects exactly the scripted commands, in order and inside exclusive sections,
//! and fails the test on any deviation.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::apdu::{Command, Response};
use crate::transport::{Transport, TransportError};

/// What the card will see and say.
pub(crate) struct Script {
    atr: Vec<u8>,
    steps: VecDeque<Step>,
}

enum Step {
    Command(Vec<u8>, Result<Response, TransportError>),
    BeginFails(TransportError),
    Reconnect(Result<(), TransportError>),
}

/// The test's view of a running script.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<State>>);

struct State {
    steps: VecDeque<Step>,
    commands: usize,
    in_section: bool,
}

impl Script {
    pub(crate) fn new(atr: &str) -> Script {
        Script { atr: bytes(atr), steps: VecDeque::new() }
    }

    /// Expects a command (hexadecimal, blanks allowed) and answers it.
    pub(crate) fn on(mut self, command: &str, answer: &str) -> Script {
        let answer = Response::parse(&bytes(answer)).unwrap();
        self.steps.push_back(Step::Command(bytes(command), Ok(answer)));
        self
    }

    /// Expects a command that fails below the card.
    pub(crate) fn fail(mut self, command: &str, error: TransportError) -> Script {
        self.steps.push_back(Step::Command(bytes(command), Err(error)));
        self
    }

    pub(crate) fn begin_fails(mut self, error: TransportError) -> Script {
        self.steps.push_back(Step::BeginFails(error));
        self
    }

    pub(crate) fn reconnect(mut self, result: Result<(), TransportError>) -> Script {
        self.steps.push_back(Step::Reconnect(result));
        self
    }

    /// The steps of another script behind these.
    pub(crate) fn then(mut self, more: Script) -> Script {
        self.steps.extend(more.steps);
        self
    }

    /// Only the steps before the one with this index, which fails instead.
    pub(crate) fn cut(mut self, index: usize, error: TransportError) -> Script {
        self.steps.truncate(index + 1);
        match self.steps.pop_back() {
            Some(Step::Command(command, _)) => self.steps.push_back(Step::Command(command, Err(error))),
            _ => panic!("no command {index}"),
        }
        self
    }

    /// The same script once more; its steps must be answered commands.
    pub(crate) fn duplicate(&self) -> Script {
        let copy = |step: &Step| match step {
            Step::Command(command, Ok(answer)) => Step::Command(command.clone(), Ok(answer.clone())),
            _ => panic!("only answered commands can be copied"),
        };
        Script { atr: self.atr.clone(), steps: self.steps.iter().map(copy).collect() }
    }

    pub(crate) fn start(self) -> (Box<dyn Transport>, Log) {
        let state = State { steps: self.steps, commands: 0, in_section: false };
        let log = Log(Arc::new(Mutex::new(state)));
        (Box::new(Scripted { atr: self.atr, log: log.clone() }), log)
    }
}

impl Log {
    /// Continues the script.
    pub(crate) fn then(&self, more: Script) {
        self.0.lock().unwrap().steps.extend(more.steps);
    }

    /// Commands seen since the last call.
    pub(crate) fn take_count(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().commands)
    }

    pub(crate) fn assert_finished(&self) {
        let state = self.0.lock().unwrap();
        assert!(!state.in_section, "an exclusive section was left open");
        if let Some(Step::Command(next, _)) = state.steps.front() {
            panic!("never sent: {}", hex::encode_upper(next));
        }
        assert!(state.steps.is_empty(), "script not finished");
    }
}

struct Scripted {
    atr: Vec<u8>,
    log: Log,
}

impl Transport for Scripted {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        if std::thread::panicking() {
            return Err(TransportError::Removed);
        }
        let sent = hex::encode_upper(command.encode()?.as_slice());
        let mut state = self.log.0.lock().unwrap();
        assert!(state.in_section, "{sent} outside an exclusive section");
        state.commands += 1;
        match state.steps.pop_front() {
            Some(Step::Command(expected, answer)) => {
                assert_eq!(sent, hex::encode_upper(expected));
                answer
            }
            _ => panic!("unexpected command {sent}"),
        }
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        if std::thread::panicking() {
            return Err(TransportError::Removed);
        }
        let mut state = self.log.0.lock().unwrap();
        assert!(!state.in_section, "sections do not nest");
        if matches!(state.steps.front(), Some(Step::BeginFails(_)))
            && let Some(Step::BeginFails(error)) = state.steps.pop_front()
        {
            return Err(error);
        }
        state.in_section = true;
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        if let Ok(mut state) = self.log.0.lock() {
            state.in_section = false;
        }
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        match self.log.0.lock().unwrap().steps.pop_front() {
            Some(Step::Reconnect(result)) => result,
            _ => panic!("unexpected reconnect"),
        }
    }
}

/// An answer to SELECT MF with this AID.
pub(crate) fn fcp(aid: &str) -> String {
    let name = aid.len() / 2;
    format!("62{:02X}82017883023F008A010584{name:02X}{aid}9000", name + 12)
}

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}
