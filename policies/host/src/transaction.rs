//! One decision in the making: answers what a policy asks and queues what it wants, whatever engine runs it.
//!
//! Every act is checked in the same order: can this host do it, may this policy do it, does it make sense, is it within the
//! limits. What is queued here happens only when [`Transaction::finish`] sees the verdict *commit*.

use alloc::sync::Arc;

use heapless::Vec;
use knockgate_policy_abi::limits::{
    Limits, MAX_ACTIONS, MAX_LOCKOUT_SECONDS, MAX_LOG_BYTES, MAX_LOG_LINES, MAX_STATE_LOADS,
    MAX_STATE_WRITES, MIN_PREFIX_V4, MIN_PREFIX_V6,
};
use knockgate_policy_abi::{
    Capability, Head, LogLevel, Refusal, VERDICT_ABSTAIN, VERDICT_COMMIT, VERDICT_DENY,
};

use crate::{
    Action, Decision, EffectiveRights, Event, Failure, LogLine, RefusedAct, Source, StateStore, Verdict,
};

/// An event that is being decided.
pub struct Transaction {
    event: Event,
    rights: Arc<EffectiveRights>,
    state: Arc<dyn StateStore>,
    limits: Limits,
    actions: Vec<Action, MAX_ACTIONS>,
    writes: Vec<(u32, u64), MAX_STATE_WRITES>,
    loaded: Vec<(u32, u64), MAX_STATE_LOADS>,
    refused: Vec<RefusedAct, MAX_ACTIONS>,
    log: Vec<LogLine, MAX_LOG_LINES>,
    log_dropped: u32,
}

/// What the event is. Attributes and texts as `docs/policies.md` has them.
impl Transaction {
    /// Begins a decision.
    #[must_use]
    pub fn new(
        event: Event,
        rights: Arc<EffectiveRights>,
        state: Arc<dyn StateStore>,
        limits: Limits,
    ) -> Self {
        Self {
            event,
            rights,
            state,
            limits,
            actions: Vec::new(),
            writes: Vec::new(),
            loaded: Vec::new(),
            refused: Vec::new(),
            log: Vec::new(),
            log_dropped: 0,
        }
    }

    /// Begins again with another event, before anything was asked or queued.
    #[cfg(feature = "compile")]
    pub(crate) fn set_event(&mut self, event: &Event) {
        self.event.clone_from(event);
    }

    /// `attr`.
    #[must_use]
    pub fn attr(&self, key: u32) -> u64 {
        match self.event.text(key) {
            Some(text) => text.len() as u64,
            None => self.number(key).unwrap_or(0),
        }
    }

    /// `has`.
    #[must_use]
    pub fn has(&self, key: u32) -> u32 {
        let present = self.event.text(key).is_some() || self.number(key).is_some();
        present.into()
    }

    /// `text`.
    #[must_use]
    pub fn text(&self, key: u32, offset: u32) -> u64 {
        let bytes = self.event.text(key).unwrap_or("").as_bytes();
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or(&[]);
        let mut word = [0; 8];
        for (place, byte) in word.iter_mut().zip(rest) {
            *place = *byte;
        }
        u64::from_le_bytes(word)
    }

    /// `read-head`.
    #[must_use]
    pub fn head(&self) -> Head {
        self.event.head()
    }

    /// Keys of the event and keys of the policy's parameters never meet.
    fn number(&self, key: u32) -> Option<u64> {
        self.event.number(key, self.max_seconds()).or_else(|| self.rights.parameter(key))
    }

    fn max_seconds(&self) -> u32 {
        self.rights.max_seconds(self.event.request.as_ref().map(|request| request.service))
    }
}

/// What shall be done. Every answer is 0 or the code of a [`Refusal`].
impl Transaction {
    /// `open`.
    pub fn open(&mut self, service: u32, seconds: u32) -> i32 {
        self.act(Capability::Open, |this| {
            let service = this.rights.check_service(service, seconds)?;
            this.asker()?;
            Ok(Action::Open { service, seconds })
        })
    }

    /// `open-prefix`.
    pub fn open_prefix(&mut self, service: u32, bits: u32, seconds: u32) -> i32 {
        self.act(Capability::OpenPrefix, |this| {
            let service = this.rights.check_service(service, seconds)?;
            let bits = this.check_prefix(bits)?;
            Ok(Action::OpenPrefix { service, bits, seconds })
        })
    }

    /// `extend`.
    pub fn extend(&mut self, grant: u64, seconds: u32) -> i32 {
        self.act(Capability::Extend, |this| {
            check_seconds(seconds, this.max_seconds())?;
            this.asker()?;
            this.check_grant(grant)?;
            Ok(Action::Extend { grant, seconds })
        })
    }

    /// `revoke`.
    pub fn revoke(&mut self, grant: u64) -> i32 {
        self.act(Capability::Revoke, |this| {
            this.check_grant(grant)?;
            Ok(Action::Revoke { grant })
        })
    }

    /// `lockout`.
    pub fn lockout(&mut self, seconds: u32) -> i32 {
        self.act(Capability::Lockout, |this| {
            check_seconds(seconds, MAX_LOCKOUT_SECONDS)?;
            this.event.source.ok_or(Refusal::NoSuchThing)?;
            Ok(Action::Lockout { seconds })
        })
    }

    /// `start`.
    pub fn start(&mut self, unit: u32) -> i32 {
        self.act(Capability::Start, |this| Ok(Action::Start { unit: this.rights.check_unit(unit)? }))
    }

    /// `notify`.
    pub fn notify(&mut self, channel: u32, code: u32) -> i32 {
        self.act(Capability::Notify, |this| {
            Ok(Action::Notify { channel: this.rights.check_channel(channel)?, code })
        })
    }

    fn act(&mut self, act: Capability, make: impl FnOnce(&Self) -> Result<Action, Refusal>) -> i32 {
        let queued = self
            .rights
            .check(act)
            .and_then(|()| make(self))
            .and_then(|action| self.is_possible_now(act).map(|()| action))
            .and_then(|action| self.queue(action));
        self.answer(act, queued)
    }

    fn is_possible_now(&self, act: Capability) -> Result<(), Refusal> {
        if self.event.lacking.has(act) { Err(Refusal::NoSuchThing) } else { Ok(()) }
    }

    /// Where the client is that waits for an answer: without one there is nobody to give anything to.
    fn asker(&self) -> Result<Source, Refusal> {
        self.event.source.filter(|_| self.event.has_asker()).ok_or(Refusal::NoSuchThing)
    }

    fn queue(&mut self, action: Action) -> Result<(), Refusal> {
        if self.actions.len() >= self.limits.actions {
            return Err(Refusal::LimitReached);
        }
        self.actions.push(action).map_err(|_| Refusal::LimitReached)
    }

    fn answer(&mut self, act: Capability, result: Result<(), Refusal>) -> i32 {
        let Err(refusal) = result else { return 0 };
        // The first refusals tell the operator enough; a policy that tries for ever does not fill anything.
        let _ = self.refused.push(RefusedAct { act, refusal });
        refusal.code()
    }

    fn check_prefix(&self, bits: u32) -> Result<u8, Refusal> {
        let source = self.asker()?;
        let (widest, longest) =
            if source.address.is_ipv4() { (MIN_PREFIX_V4, 32) } else { (MIN_PREFIX_V6, 128) };
        if bits == 0 || bits > longest {
            return Err(Refusal::Invalid);
        }
        if bits < widest {
            return Err(Refusal::LimitReached);
        }
        u8::try_from(bits).map_err(|_| Refusal::Invalid)
    }

    fn check_grant(&self, grant: u64) -> Result<(), Refusal> {
        if self.event.knows_grant(grant) { Ok(()) } else { Err(Refusal::NoSuchThing) }
    }
}

fn check_seconds(seconds: u32, most: u32) -> Result<(), Refusal> {
    match seconds {
        0 => Err(Refusal::Invalid),
        seconds if seconds > most => Err(Refusal::LimitReached),
        _ => Ok(()),
    }
}

/// What lasts and what the operator reads.
impl Transaction {
    /// `load`: what this decision has stored so far counts.
    #[must_use]
    pub fn load(&mut self, key: u32) -> u64 {
        if self.rights.check(Capability::State).is_err() {
            return 0;
        }
        self.written(key).unwrap_or_else(|| self.load_kept(key))
    }

    /// Notes what was answered: with it, the decision can be made again when the numbers have changed.
    fn load_kept(&mut self, key: u32) -> u64 {
        let value = self.state.load(key);
        if !self.loaded.iter().any(|(known, _)| *known == key) {
            // What goes beyond the room is missed in a replay, not here.
            let _ = self.loaded.push((key, value));
        }
        value
    }

    /// `store`.
    pub fn store(&mut self, key: u32, value: u64) -> i32 {
        let result = self.rights.check(Capability::State).and_then(|()| self.write(key, value));
        self.answer(Capability::State, result)
    }

    fn written(&self, key: u32) -> Option<u64> {
        self.writes.iter().find(|(written, _)| *written == key).map(|(_, value)| *value)
    }

    fn write(&mut self, key: u32, value: u64) -> Result<(), Refusal> {
        let old = self.written(key).unwrap_or_else(|| self.state.load(key));
        if old == 0 && value != 0 && self.keys_in_use() >= self.limits.state_keys {
            return Err(Refusal::LimitReached);
        }
        match self.writes.iter_mut().find(|(written, _)| *written == key) {
            Some((_, old)) => *old = value,
            None => self.writes.push((key, value)).map_err(|_| Refusal::LimitReached)?,
        }
        Ok(())
    }

    /// Keys that would be present if what is queued happened.
    fn keys_in_use(&self) -> usize {
        let mut count = self.state.len();
        for (key, value) in &self.writes {
            match (self.state.load(*key), *value) {
                (0, 0) => {}
                (0, _) => count = count.saturating_add(1),
                (_, 0) => count = count.saturating_sub(1),
                (_, _) => {}
            }
        }
        count
    }

    /// Whether a line would be kept. A host asks before it copies the text out of the guest.
    #[must_use]
    pub fn wants_log(&mut self) -> bool {
        if self.rights.check(Capability::Log).is_err() {
            return false;
        }
        if self.log.is_full() {
            self.log_dropped = self.log_dropped.saturating_add(1);
        }
        !self.log.is_full()
    }

    /// `log`. Of a longer text the first [`MAX_LOG_BYTES`] bytes count.
    pub fn log(&mut self, level: u32, message: &[u8]) {
        let mut text = heapless::String::<MAX_LOG_BYTES>::new();
        let message = message.get(..MAX_LOG_BYTES).unwrap_or(message);
        for letter in message.utf8_chunks().flat_map(|chunk| {
            let damaged = if chunk.invalid().is_empty() { None } else { Some('?') };
            chunk.valid().chars().chain(damaged)
        }) {
            // A line break or an escape sequence would let a policy forge lines in the operator's terminal.
            if text.push(if letter.is_control() { ' ' } else { letter }).is_err() {
                break;
            }
        }
        let _ = self.log.push(LogLine { level: LogLevel::from_number(level), text });
    }
}

/// The end.
impl Transaction {
    /// Turns what `decide` returned, or why it failed, into a decision. State is stored here, before anybody acts.
    #[must_use]
    pub fn finish(self, outcome: Result<u32, Failure>, fuel: u64) -> Decision {
        let (verdict, failure) = match outcome {
            Ok(VERDICT_COMMIT) => self.commit_state(),
            Ok(VERDICT_DENY) => (Verdict::Deny, None),
            Ok(VERDICT_ABSTAIN) => (Verdict::Abstain, None),
            Ok(other) => (Verdict::Deny, Some(Failure::Verdict(other))),
            Err(failure) => (Verdict::Deny, Some(failure)),
        };
        let actions = if verdict == Verdict::Commit { self.actions } else { Vec::new() };
        let Self { refused, loaded, log, log_dropped, .. } = self;
        Decision { verdict, actions, fuel, failure, refused, loaded, log, log_dropped }
    }

    /// Whether [`Transaction::finish`] would wait for the host's store.
    #[cfg(feature = "std")]
    pub(crate) fn would_store(&self, outcome: Option<u32>) -> bool {
        outcome == Some(VERDICT_COMMIT) && !self.writes.is_empty()
    }

    fn commit_state(&self) -> (Verdict, Option<Failure>) {
        if self.writes.is_empty() {
            return (Verdict::Commit, None);
        }
        match self.state.commit(&self.writes) {
            Ok(()) => (Verdict::Commit, None),
            Err(error) => (Verdict::Deny, Some(Failure::State(error))),
        }
    }
}
