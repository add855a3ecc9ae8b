//! A card slot: which card is in it, who holds it, what was said.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fault::{Fault, FaultPlan};
use super::pin_pad::{self, PinPad};
use super::speed::{Speed, Traffic};
use super::trace;
use crate::Card;

/// A reader with one card slot. Cloning gives another handle to the same slot.
#[derive(Clone, Debug)]
pub struct Slot {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled whenever a card comes, goes or is released.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    card: Option<Card>,
    insertions: u32,
    /// Goes up whenever volatile state is lost: insertion, removal, reset.
    epoch: u64,
    holder: Option<ClientId>,
    /// A command is being worked on: the next one waits, questions about the reader do not.
    busy: bool,
    next_client: u64,
    speed: Speed,
    traffic: Traffic,
    faults: BTreeMap<u64, Fault>,
    plans: Vec<FaultPlan>,
    last_answer: Vec<u8>,
    trace: VecDeque<String>,
    sink: Option<Sink>,
    pin_pad: Option<PinPad>,
}

struct Sink(Box<dyn FnMut(&str) + Send>);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

/// Lines kept for [`Slot::take_trace`]; older ones are dropped.
const TRACE_LIMIT: usize = 10_000;

/// One user of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientId(u64);

/// What a client hears after a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The card's answer.
    Answer(Vec<u8>),
    /// The card changed since this client looked, or it was pulled before it answered.
    Lost,
    /// Nothing, ever.
    Silence,
}

/// A user of the slot and what it knows of the card.
#[derive(Debug)]
pub(super) struct Client {
    slot: Slot,
    id: ClientId,
    /// Set when the client's plug is being taken out: it waits for nobody any more.
    stop: Arc<AtomicBool>,
    /// The epoch this client has seen; `None` before its first look.
    seen: Option<u64>,
}

impl Default for Slot {
    fn default() -> Slot {
        Slot::empty()
    }
}

impl Slot {
    /// A slot without a card.
    pub fn empty() -> Slot {
        Slot { shared: Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }) }
    }

    /// A slot with a card.
    pub fn with(card: Card) -> Slot {
        let slot = Slot::empty();
        slot.insert(card);
        slot
    }

    /// Inserts a card, and gives back the one that was there.
    pub fn insert(&self, mut card: Card) -> Option<Card> {
        card.power_on();
        let mut state = self.state();
        state.insertions = state.insertions.wrapping_add(1);
        state.epoch += 1;
        let old = state.card.replace(card);
        drop(state);
        self.shared.changed.notify_all();
        old
    }

    /// Takes the card out.
    pub fn eject(&self) -> Option<Card> {
        let mut state = self.state();
        state.epoch += 1;
        let card = state.card.take();
        drop(state);
        self.shared.changed.notify_all();
        card
    }

    /// Resets the card, as another program sharing the reader might.
    pub fn reset(&self) {
        let mut state = self.state();
        state.epoch += 1;
        if let Some(card) = &mut state.card {
            card.reset();
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Whether a card is inserted.
    pub fn has_card(&self) -> bool {
        self.state().card.is_some()
    }

    /// Number of insertions so far.
    pub fn insertions(&self) -> u32 {
        self.state().insertions
    }

    /// Number of commands the cards in this slot were sent so far.
    pub fn commands(&self) -> u64 {
        self.traffic().commands
    }

    /// What went over the line so far.
    pub fn traffic(&self) -> Traffic {
        self.state().traffic
    }

    /// Makes the cards in this slot as slow as this from now on.
    pub fn set_speed(&self, speed: Speed) {
        self.state().speed = speed;
    }

    /// The trace since the last call (at most its last ten thousand lines): number, command, answer; PINs masked.
    pub fn take_trace(&self) -> Vec<String> {
        self.state().trace.drain(..).collect()
    }

    /// Also hands each line of the trace to this function from now on.
    pub fn trace_to(&self, sink: impl FnMut(&str) + Send + 'static) {
        self.state().sink = Some(Sink(Box::new(sink)));
    }

    /// Gives the reader a PIN pad. Clients learn of it when they connect.
    pub fn set_pin_pad(&self, pad: PinPad) {
        self.state().pin_pad = Some(pad);
    }

    /// Lets something go wrong at a command; commands are counted from 1, see [`Slot::commands`].
    pub fn fault_at(&self, command: u64, fault: Fault) {
        self.state().faults.insert(command, fault);
    }

    /// Lets something go wrong as planned. Commands are counted from 1; [`Slot::fault_at`] comes before.
    pub fn fault_plan(&self, plan: FaultPlan) {
        self.state().plans.push(plan);
    }

    /// Looks at the card in the slot, for tests: its image holds counters and contents.
    pub fn inspect<T>(&self, look: impl FnOnce(&Card) -> T) -> Option<T> {
        self.state().card.as_ref().map(look)
    }

    pub(super) fn client(&self, stop: &Arc<AtomicBool>) -> Client {
        let mut state = self.state();
        state.next_client += 1;
        Client { slot: self.clone(), id: ClientId(state.next_client), stop: stop.clone(), seen: None }
    }

    /// Lets clients that wait for their turn look whether they are to stop.
    pub(super) fn wake_waiting(&self) {
        // With the lock taken once, nobody is between looking and waiting.
        drop(self.state());
        self.shared.changed.notify_all();
    }

    /// Waits until the slot has a card or the time is up; the number of the insertion if there is one.
    pub(super) fn wait_for_card(&self, patience: Duration) -> Option<u32> {
        let state = self.state();
        let absent = |state: &mut State| state.card.is_none();
        let waited = self.shared.changed.wait_timeout_while(state, patience, absent);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.card.is_some().then_some(state.insertions)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// The card's ATR, or nothing if there is no card. Acknowledges a reset, a removal or a swap.
    pub(super) fn atr(&mut self) -> Vec<u8> {
        let state = self.slot.state();
        self.seen = Some(state.epoch);
        state.card.as_ref().map(|card| card.atr().to_vec()).unwrap_or_default()
    }

    /// Resets the card. The own reset is known to this client, an earlier one by somebody else still is not.
    pub(super) fn reset(&mut self) {
        let slot = self.slot.clone();
        let Some(mut state) = self.turn(&slot) else { return };
        let was_current = self.seen.is_none_or(|seen| seen == state.epoch);
        state.epoch += 1;
        if let Some(card) = &mut state.card {
            card.reset();
        }
        if was_current {
            self.seen = Some(state.epoch);
        }
    }

    /// Card present or not, and the number of insertions.
    pub(super) fn status(&self) -> (bool, u32) {
        let state = self.slot.state();
        (state.card.is_some(), state.insertions)
    }

    /// Waits until nobody else holds the card, then holds it. Whether the card changed since this client looked.
    pub(super) fn begin(&mut self) -> bool {
        let slot = self.slot.clone();
        let Some(mut state) = self.turn(&slot) else { return true };
        state.holder = Some(self.id);
        self.seen.is_some_and(|seen| seen != state.epoch)
    }

    /// Lets go of the card.
    pub(super) fn end(&mut self) {
        let mut state = self.slot.state();
        if state.holder == Some(self.id) {
            state.holder = None;
            drop(state);
            self.slot.shared.changed.notify_all();
        }
    }

    /// An order for the reader itself. Nobody waits for the slot while somebody types, but for the card.
    pub(super) fn control(&mut self, message: &[u8]) -> Reply {
        let pad = self.slot.state().pin_pad.clone();
        pin_pad::control(pad.as_ref(), message, Reply::Answer, |command| self.transmit(command))
    }

    /// Sends a command.
    pub(super) fn transmit(&mut self, command: &[u8]) -> Reply {
        let slot = self.slot.clone();
        let Some(mut state) = self.turn(&slot) else { return Reply::Lost };
        let number = state.traffic.commands + 1;
        let fault = if state.card.is_some() { state.fault(number) } else { None };
        if matches!(fault, Some(Fault::Reset)) {
            state.epoch += 1;
            state.card.as_mut().map(Card::reset);
        }
        let seen = *self.seen.get_or_insert(state.epoch);
        if seen != state.epoch {
            return Reply::Lost;
        }
        let Some(card) = &mut state.card else { return Reply::Lost };
        let mut answer = card.transmit(command);
        let before = std::mem::replace(&mut state.last_answer, answer.clone());
        if let Some(fault) = &fault {
            answer = fault.distort(answer, &before);
        }
        let traffic = Traffic::of(command, &answer);
        state.traffic.add(traffic);
        let work = match fault {
            Some(Fault::Delay(time)) => time,
            _ => state.speed.time(traffic),
        };
        let mut state = self.work(&slot, state, work);
        if matches!(fault, Some(Fault::Pull)) {
            state.epoch += 1;
            state.card = None;
            slot.shared.changed.notify_all();
        }
        let reply = match fault {
            _ if seen != state.epoch => Reply::Lost,
            Some(Fault::Mute) => Reply::Silence,
            _ => Reply::Answer(answer),
        };
        state.record(number, command, &reply);
        reply
    }

    /// Lets the card work for a while; only its removal, a reset or the end of the plug come before.
    fn work<'s>(
        &self,
        slot: &'s Slot,
        mut state: MutexGuard<'s, State>,
        time: Duration,
    ) -> MutexGuard<'s, State> {
        if time.is_zero() {
            return state;
        }
        state.busy = true;
        let (start, epoch) = (Instant::now(), state.epoch);
        while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            if state.epoch != epoch || self.stop.load(Ordering::SeqCst) {
                break;
            }
            let waited = slot.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.busy = false;
        slot.shared.changed.notify_all();
        state
    }

    /// The slot's state once nobody else holds the card; `None` if this client is to stop before.
    fn turn<'s>(&self, slot: &'s Slot) -> Option<MutexGuard<'s, State>> {
        let held = |state: &State| state.busy || state.holder.is_some_and(|holder| holder != self.id);
        let waits = |state: &mut State| held(state) && !self.stop.load(Ordering::SeqCst);
        let waited = slot.shared.changed.wait_while(slot.state(), waits);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        if held(&state) { None } else { Some(state) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

impl State {
    fn fault(&mut self, number: u64) -> Option<Fault> {
        let planned = || self.plans.iter().find_map(|plan| plan.at(number)).cloned();
        self.faults.remove(&number).or_else(planned)
    }

    fn record(&mut self, number: u64, command: &[u8], reply: &Reply) {
        let answer = match reply {
            Reply::Answer(answer) => Some(answer.as_slice()),
            Reply::Lost | Reply::Silence => None,
        };
        let line = trace::line(number, command, answer);
        if let Some(Sink(sink)) = &mut self.sink {
            sink(&line);
        }
        if self.trace.len() == TRACE_LIMIT {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }
}
