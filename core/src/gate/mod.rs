//! The gate: what a host drives, and the only place where one thing leads to another.
//!
//! # Contract
//!
//! Four kinds of method:
//!
//! - getters change nothing;
//! - `handle_*` tell the gate that something has happened;
//! - commands ([`Gate::revoke`], [`Gate::open_by_order`], [`Gate::unlock`], [`Gate::adopt_grant`], [`Gate::set_lease`],
//!   [`Gate::reconfigure`]) come from the operator or the host;
//! - `poll_*` ask what the host shall do next.
//!
//! After any `handle_*` call or command the host calls [`Gate::poll_action`] and [`Gate::poll_note`] until both return
//! `None`, and then [`Gate::poll_timeout`] to learn when to call [`Gate::handle_timeout`]. Extra calls are harmless. Time
//! never runs backwards. Openings and closings take effect in the order in which they were offered, and are reported in that
//! order. Reports about things that the gate has given up meanwhile are ignored; what was opened too late is closed by
//! the closing that was offered after it.
//!
//! Nothing is ever answered to a stranger: an answer exists only after the handshake.

mod console;
mod decide;
mod exchange;
mod follow;
mod knock;
mod knocker;
mod operator;
mod packet;
mod poll;
mod reaction;
mod reconfigure;
mod request;
mod statics;
mod timeout;

use core::net::IpAddr;
use core::time::Duration;

use heapless::{Deque, Vec};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::action::{GrantId, Outcome, Waiter};
use crate::address::{Network, SourcePrefix};
use crate::book::{Decoys, Order};
use crate::envelope::Doorkeeper;
use crate::grant::{self, Flows, Grant, Grants};
use crate::hold::{Holds, Phase};
use crate::key::{DoorKey, GateId, Identity, SecretKey};
use crate::limits::{MAX_DOOR_KEYS, MAX_LOCKOUT, MAX_SERVICES};
use crate::lockout::Lockouts;
use crate::message::Mode;
use crate::note::{CloseReason, KnockEnd, Locked, Note};
use crate::refusal::{Refusal, Refusals};
use crate::replay::{Burnt, Lease};
use crate::roster::{ClientId, Roster};
use crate::time::{Instant, Now};

pub(crate) use decide::Openings;
pub use exchange::Silence;
use exchange::{Exchange, Reply};
pub use reconfigure::Ports;
pub use statics::StaticDoor;
use statics::StaticKnocks;

/// Notes that wait for [`Gate::poll_note`] at most. One call leaves at most two for each entry it ends.
const NOTES: usize = 32;

/// Whom a wrong port locks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockoutScope {
    /// The client and its address.
    Source,
    /// Everybody, as in the paper: a switch that any client can flip for all others.
    Everybody,
}

/// What the core must know of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Names it in requests.
    pub id: u16,
    /// How long a grant lasts if the client does not say.
    pub open: Duration,
    /// How long a grant lasts at most.
    pub max_open: Duration,
    /// Whether a packet knock is to be confirmed from its address before it opens.
    pub confirm: bool,
    /// Whether a code of the second factor is needed.
    pub second_factor: bool,
    /// Whether a grant lasts as long as connections go through it, up to `max_open`, and ends soon after the last one.
    pub follow: bool,
    /// The widest prefixes that it can be opened to; none if only to single addresses.
    pub prefixes: Option<Prefixes>,
}

/// The least bits that those to whom a service is opened must share with the knocker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefixes {
    /// Of IPv4 addresses; 32 for single ones only.
    pub v4: u8,
    /// Of IPv6 addresses; 128 for single ones only.
    pub v6: u8,
}

impl Service {
    /// A service that opens to single addresses, for a fixed time, without further proof.
    pub const fn new(id: u16, open: Duration, max_open: Duration) -> Self {
        Self { id, open, max_open, confirm: false, second_factor: false, follow: false, prefixes: None }
    }

    /// Bits of the widest prefix around `source` that it can be opened to, if to any.
    fn prefix(&self, source: IpAddr) -> Option<u8> {
        let Prefixes { v4, v6 } = self.prefixes?;
        if source.is_ipv4() {
            Some(v4).filter(|&bits| bits < 32)
        } else {
            Some(v6).filter(|&bits| bits < 128)
        }
    }

    /// Seconds of a grant when `asked` were asked for; 0 asks for the usual time.
    fn seconds(&self, asked: u32) -> u32 {
        let asked = if asked == 0 { self.open } else { Duration::from_secs(u64::from(asked)) };
        u32::try_from(asked.min(self.max_open).as_secs()).unwrap_or(u32::MAX)
    }
}

/// What a gate is and how it behaves.
///
/// `STATICS` is the [`Gate`]'s: a host without static sequences names no number, and has no place for any.
#[derive(Clone)]
pub struct Config<const STATICS: usize = 0> {
    /// Names the gate.
    pub gate: GateId,
    /// Its key pair.
    pub identity: Identity,
    /// The keys that messages are sealed under, the current one first.
    pub door_keys: Vec<DoorKey, MAX_DOOR_KEYS>,
    /// The ports that it watches. Every book on the roster must be drawn from them.
    pub decoys: Decoys,
    /// How a sequence is knocked.
    pub mode: Mode,
    /// Whether its ports must come in order.
    pub order: Order,
    /// From the answer with the number to the last port.
    pub hold: Duration,
    /// Wrong probes that [`Mode::Closed`] forgives.
    pub strays: u8,
    /// How long a wrong port locks out.
    pub lockout: Duration,
    /// Whom it locks out.
    pub lockout_scope: LockoutScope,
    /// The oldest message that is served, by the gate's clock; none if any age will do.
    pub max_age: Option<Duration>,
    /// Counters that may have been used before an unclean stop.
    pub burnt: Burnt,
    /// What is guarded.
    pub services: Vec<Service, MAX_SERVICES>,
    /// What static sequences open, in the order in which [`Gate::handle_static`] counts them.
    pub statics: Vec<StaticDoor, STATICS>,
    /// The service that stands for the gate's own console; none if it cannot be spoken with from afar.
    pub console: Option<u16>,
}

impl<const S: usize> Config<S> {
    fn service(&self, id: u16) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }
}

/// Whether a host writes down what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// It does, or goes on without.
    Kept,
    /// It cannot, and shall open nothing then.
    Wanting,
}

/// Something that touched a watched port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Who, as far as can be known.
    pub source: IpAddr,
    /// The port that he meant.
    pub port: u16,
    /// What came.
    pub kind: ProbeKind,
}

/// What came to a watched port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A whole TCP connection: the source is real.
    Connected,
    /// The attempt to make one, or a datagram: the source may be forged.
    Attempted,
}

/// The knock state machine, see the [module](self).
///
/// `R` is the host's roster, `G` its generator; the numbers are the capacities of its tables: questions without an
/// answer, holds (each also holds a result for a while), grants, lockouts, and static sequences, of whose knocks as many can be
/// undecided at the same time. Memory is constant.
pub struct Gate<
    R,
    G,
    const EXCHANGES: usize,
    const HOLDS: usize,
    const GRANTS: usize,
    const LOCKOUTS: usize,
    const STATICS: usize = 0,
> {
    config: Config<STATICS>,
    roster: R,
    rng: G,
    /// The ephemeral key of the next answer. Made when there is nothing else to do, so that no knock waits for it, and kept
    /// until an answer needs it, so that a stranger's message never costs its generation.
    ephemeral: Option<Identity>,
    doorkeeper: Doorkeeper,
    /// Counters that need not be stored one by one; none if all must be.
    lease: Option<Lease>,
    recording: Recording,
    /// Makes the tokens by which addresses are confirmed. A restart makes another one, and clients ask again.
    token_key: SecretKey,
    exchanges: Vec<Exchange, EXCHANGES>,
    next_exchange: u32,
    holds: Holds<HOLDS>,
    statics: StaticKnocks<STATICS>,
    unwatch: Vec<IpAddr, HOLDS>,
    grants: Grants<GRANTS>,
    lockouts: Lockouts<LOCKOUTS>,
    /// Failed attempts since the last grant, of clients and of source prefixes.
    failures: Vec<(Locked, u32), LOCKOUTS>,
    notes: Deque<Note, NOTES>,
    refusals: Refusals,
    /// Something changed since [`Gate::poll_action`] last found nothing.
    stirred: bool,
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// A gate that is shut to everybody.
    pub fn new(config: Config<S>, roster: R, mut rng: G) -> Self {
        let mut index_key = [0; 16];
        rng.fill_bytes(&mut index_key);
        Self {
            doorkeeper: Doorkeeper::new(config.gate, config.door_keys.clone()),
            config,
            roster,
            ephemeral: None,
            lease: None,
            recording: Recording::Kept,
            token_key: SecretKey::generate(&mut rng),
            rng,
            exchanges: Vec::new(),
            next_exchange: 0,
            holds: Holds::new(index_key),
            statics: StaticKnocks::new(),
            unwatch: Vec::new(),
            grants: Grants::new(),
            lockouts: Lockouts::new(),
            failures: Vec::new(),
            notes: Deque::new(),
            refusals: Refusals::new(),
            // There is an ephemeral key to make.
            stirred: true,
        }
    }

    /// How the gate behaves.
    pub fn config(&self) -> &Config<S> {
        &self.config
    }

    /// The host's roster.
    pub fn roster(&self) -> &R {
        &self.roster
    }

    /// The host's roster, to add and remove clients. See [`Gate::forget_client`].
    pub fn roster_mut(&mut self) -> &mut R {
        &mut self.roster
    }

    /// Tells messages of this gate's clients from noise, for a host that wants to do so before it bothers the gate.
    pub fn doorkeeper(&self) -> &Doorkeeper {
        &self.doorkeeper
    }

    /// Changes the door keys, the one in force first. A client that uses the other one is told the one in force.
    pub fn set_door_keys(&mut self, keys: Vec<DoorKey, MAX_DOOR_KEYS>) {
        self.doorkeeper = Doorkeeper::new(self.config.gate, keys.clone());
        self.config.door_keys = keys;
    }

    /// Whether what happens is written down. While it is not, nothing opens, and nothing is prolonged on demand.
    pub fn set_recording(&mut self, recording: Recording) {
        self.recording = recording;
    }

    /// Whether what happens is written down, as far as the gate was told.
    pub fn recording(&self) -> Recording {
        self.recording
    }

    /// The counters that are admitted from memory alone from now on. They must be durable as such, and stay so until another
    /// lease is set; `None` has every counter stored by itself again.
    ///
    /// A host that renews its lease first sets what old and new have in common, then stores the new one together with
    /// everything that was used, and then sets the new one: so nothing is admitted that neither would cover.
    pub fn set_lease(&mut self, lease: Option<Lease>) {
        self.lease = lease;
    }

    /// The counters that are admitted from memory alone.
    pub fn lease(&self) -> Option<Lease> {
        self.lease
    }

    /// Counts messages that the host has found to be noise by itself.
    pub fn handle_noise(&mut self, messages: u64) {
        self.refusals.add(Refusal::Unsealed, messages);
    }

    /// How often each refusal happened.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Who is locked out.
    pub fn lockouts(&self) -> &Lockouts<L> {
        &self.lockouts
    }

    /// How many clients hold a number now.
    pub fn holds(&self) -> usize {
        self.holds.iter().filter(|hold| hold.phase.is_active()).count()
    }

    /// What is open, as far as the host has said so.
    pub fn open_grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(|grant| grant.is_open())
    }

    /// Takes over a grant that an earlier run has left open for another `left`.
    ///
    /// Returns `false` if there is no room; the host shall then close it.
    pub fn adopt_grant(
        &mut self,
        now: Now,
        id: GrantId,
        client: ClientId,
        to: Network,
        service: u16,
        left: Duration,
    ) -> bool {
        let deadline = now.instant.after(left);
        let longest = self.config.service(service).map_or(left, |service| service.max_open.max(left));
        let grant = Grant {
            id,
            client,
            to,
            service,
            deadline,
            limit: now.instant.after(longest),
            flows: Flows::None,
            in_force: Some(deadline),
            offered: None,
            phase: grant::Phase::Open,
            waiters: [None; 2],
            notable: false,
        };
        self.grants.adopt(grant).is_ok()
    }

    /// Takes a grant back.
    pub fn revoke(&mut self, now: Now, grant: GrantId) {
        self.stirred = true;
        if let Some(grant) = self.grants.by_id(grant) {
            grant.close(now.instant, CloseReason::Revoked);
        }
    }

    /// Takes back all that a client has: grants, and a knock that is under way. For a client that left the roster, or whoever
    /// knocks a static sequence.
    pub fn forget_client(&mut self, now: Now, client: ClientId) {
        self.stirred = true;
        for grant in self.grants.iter_mut().filter(|grant| grant.client == client) {
            grant.close(now.instant, CloseReason::Revoked);
        }
        // Whoever is not on the roster is a stranger: nothing more is answered.
        self.exchanges.retain(|exchange| exchange.client != client);
        self.end_attempt(now.instant, client, Refusal::UnknownClient);
        if let Some(hold) = self.holds.of_client(client).filter(|hold| hold.phase.is_deciding()) {
            let id = hold.id;
            self.fail(now.instant, Waiter::Hold(id), Refusal::UnknownClient);
        }
        self.forget_statics(now.instant, client);
    }

    /// Takes note of what became of [`Action::Close`](crate::Action::Close).
    pub fn handle_closed(&mut self, now: Now, id: GrantId, outcome: Outcome) {
        self.stirred = true;
        let Some(grant) = self.grants.by_id(id) else { return };
        let grant::Phase::Closing(reason) = grant.phase else { return };
        match outcome {
            Outcome::Done => self.finish_grant(id, reason),
            Outcome::Failed => grant.close_failed(now.instant),
        }
    }

    fn finish_grant(&mut self, id: GrantId, reason: CloseReason) {
        let Some(&mut Grant { client, to, service, .. }) = self.grants.by_id(id) else { return };
        self.grants.remove(id);
        self.note(Note::GrantClosed { grant: id, client, to, service, reason });
    }

    /// What is to be written into the audit log next.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// How many notes [`Gate::poll_note`] has ready.
    pub fn notes_waiting(&self) -> usize {
        self.notes.len()
    }

    fn note(&mut self, note: Note) {
        if self.notes.is_full() {
            // The host did not drain the notes as the contract says; the latest ones say more than the oldest.
            self.notes.pop_front();
        }
        let _ = self.notes.push_back(note);
    }

    fn refuse(&mut self, refusal: Refusal) -> Refusal {
        self.refusals.count(refusal);
        refusal
    }

    fn lock_out(&mut self, now: Instant, who: Locked, lasts: Duration) {
        // Anybody can knock a static sequence, so what comes of that must not take it away from the others.
        if matches!(who, Locked::Client(client) if client.is_static()) {
            return;
        }
        let lasts = lasts.min(MAX_LOCKOUT);
        self.lockouts.add(now, who, lasts);
        self.note(Note::LockedOut { who, lasts });
    }

    fn failures_of(&self, whose: Locked) -> u32 {
        self.failures.iter().find(|(known, _)| *known == whose).map_or(0, |(_, count)| *count)
    }

    fn count_failure(&mut self, client: ClientId, source: IpAddr) {
        for whose in charged(client, source) {
            if let Some((_, count)) = self.failures.iter_mut().find(|(known, _)| *known == whose) {
                *count = count.saturating_add(1);
                continue;
            }
            if self.failures.is_full() {
                self.failures.remove(0);
            }
            // There is room now, unless the table has no places at all.
            let _ = self.failures.push((whose, 1));
        }
    }

    fn forgive_failures(&mut self, client: ClientId, source: IpAddr) {
        self.failures.retain(|(known, _)| charged(client, source).all(|whose| whose != *known));
    }

    /// Ends a knock that has not been completed.
    fn end_attempt(&mut self, now: Instant, client: ClientId, refusal: Refusal) {
        let Some(hold) = self.holds.of_client(client).filter(|hold| hold.phase.is_active()) else { return };
        hold.end(now, Phase::Failed(refusal));
        let (id, source) = (hold.id, hold.source);
        let note = knock::ended(hold, KnockEnd::Failed(refusal));
        self.reply(id, Reply::refused(refusal));
        self.stop_watching(source);
        self.refuse(refusal);
        self.count_failure(client, source);
        self.note(note);
    }

    fn stop_watching(&mut self, source: IpAddr) {
        // Without room the decoys stay visible to the holder until the host hides them by itself.
        let _ = self.unwatch.push(source);
    }
}

/// Whose failure and whose success it is. Whoever knocks a static sequence may have forged his address.
fn charged(client: ClientId, source: IpAddr) -> impl Iterator<Item = Locked> {
    let source = (!client.is_static()).then(|| Locked::Source(SourcePrefix::of(source)));
    [Some(Locked::Client(client)), source].into_iter().flatten()
}

#[cfg(test)]
mod tests;
