//! Drives the gate: tells it what happened, does what it asks, writes down what it notes.
//!
//! One thread owns the gate and the firewall, so nothing is shared and nothing is locked. What takes long (the disk, a
//! policy that thinks for longer) happens on threads of its own and comes back as an input.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{self, Duration, SystemTime};

use getrandom::SysRng;
use knockgate_core::envelope::{Message, Unsealed};
use knockgate_core::gate::{self, Gate, Recording, Silence};
use knockgate_core::key::DoorKey;
use knockgate_core::limits::{MAX_DOOR_KEYS, MAX_STATIC_SEQUENCES};
use knockgate_core::replay::Lease;
use knockgate_core::{ClientId, Happening, Now, Origin, Outcome, Probe, ProbeKind, Record, Roster, Way};
use rand_core::UnwrapErr;
use tokio::sync::oneshot;

use crate::acts::Acts;
use crate::audit::{Audit, AuditRecord};
use crate::broker::Lever;
use crate::capture::ProbeSeen;
use crate::capture::watch::{Counts, Seen};
use crate::config::{Config, OnFailure, Text};
use crate::state::{LiveRoster, Store};

use super::budgets::Budgets;
use super::clock;
use super::court::{Court, Witness};
use super::deeds::opening;
use super::figures::Figures;
use super::flows::Lookout;
use super::holders::Holders;
use super::input::{Call, Input};
use super::keeper::Keeper;
use super::lease::Renewal;
use super::ledger::{Entry, Ledger};
use super::noise::{NoiseMeter, Nuisance};
use super::peers::{Back, Peers};
use super::scribe::Scribe;
use super::spares::Spares;
use super::statics::{Probed, Statics};
use super::trails::{Arrival, Ignored, Seal, Trails};
use super::upkeep::{self, Guard, Upkeep};

/// Questions that wait for the disk or for an answer. A question takes milliseconds; more at once wait at the client.
const EXCHANGES: usize = 64;
/// Clients that knock at the same time, and recent results.
const HOLDS: usize = 256;
/// What can be open at the same time.
const GRANTS: usize = 1024;
/// Lockouts at the same time.
const LOCKOUTS: usize = 1024;
/// After so long no knock waits for a decision any more: the core gives one a second, and a few for what comes before.
const LONGEST_DECISION: Duration = Duration::from_secs(10);
/// Static sequences, and knocks of them that are undecided at the same time: each is decided in a turn or two.
const STATICS: usize = MAX_STATIC_SEQUENCES;

pub(super) type CoreConfig = gate::Config<STATICS>;
pub(super) type LinuxGate = Gate<LiveRoster, UnwrapErr<SysRng>, EXCHANGES, HOLDS, GRANTS, LOCKOUTS, STATICS>;

/// The gate and all that it acts upon.
pub(super) struct Driver {
    pub(super) config: Config,
    /// The text of the one that the agent was started with.
    pub(super) started: Text,
    /// The one before: what it named is named in records still.
    pub(super) former: Option<Config>,
    pub(super) gate: Box<LinuxGate>,
    pub(super) firewall: Lever,
    pub(super) court: Court,
    /// Of the configuration before, until all that it was asked must be decided.
    pub(super) former_court: Option<(time::Instant, Court)>,
    pub(super) witness: Witness,
    pub(super) ledger: Ledger,
    pub(super) acts: Acts,
    pub(super) keeper: Keeper,
    pub(super) store: Arc<Store>,
    pub(super) audit: Arc<Audit>,
    pub(super) upkeep: Upkeep,
    pub(super) renewal: Renewal,
    pub(super) spares: Spares,
    pub(super) peers: Peers,
    pub(super) noise: NoiseMeter,
    pub(super) budgets: Budgets,
    pub(super) lookout: Lookout,
    pub(super) statics: Statics,
    pub(super) holders: Holders,
    pub(super) figures: Figures,
    pub(super) trails: Trails,
    /// When the agent was started.
    pub(super) since: SystemTime,
    /// By which means packets are heard, for people.
    pub(super) heard_by: String,
}

/// Why the agent stops.
pub(super) enum Stop {
    Signal(&'static str),
    Unguarded,
    Broken(anyhow::Error),
}

impl Driver {
    /// Comes to an end. Nobody may wait for room among the inputs any more.
    pub(super) fn end(mut self, stop: Stop, watched: Counts) -> anyhow::Result<()> {
        self.keeper.finish();
        self.save_counters();
        self.noise.add_up(watched);
        if let Some(minute) = self.noise.close(time::Instant::now()) {
            minute.tell(&self.audit);
        }
        self.stop(stop)
    }

    /// Counters that were not stored one by one are now, the lease ends that covered them, and numbers that were stored as used
    /// are given back if they were not offered.
    fn save_counters(&mut self) {
        let used = self.gate.roster_mut().take_dirty().into_iter();
        let records: Vec<_> = used.map(|(client, used)| Record::Counter { client, used }).collect();
        let roster = self.gate.roster();
        let cursors: Vec<_> = self.spares.books().map(|book| (book, roster.cursor(book))).collect();
        if let Err(error) = self.store.end(&records, &cursors) {
            tracing::warn!(
                "cannot store what has been used; the next start counts the whole lease as used: {error}"
            );
        }
    }

    /// Takes what another thread of the agent has to say.
    pub(super) fn take(&mut self, input: Input) -> Option<Stop> {
        let now = clock::now();
        match input {
            Input::Flows(seen) => {
                self.lookout.answered();
                seen.into_iter().for_each(|(grant, flows)| self.gate.handle_flows(now, grant, flows));
            }
            Input::Stored { exchange, record, outcome } => self.stored(now, exchange, &record, outcome),
            Input::Leased { lease, clients, outcome } => self.leased(lease, clients, outcome),
            Input::Roster(change) => upkeep::take_over_roster(now, &mut self.gate, *change, &self.audit),
            Input::DoorKeys(keys) => self.change_door_keys(keys),
            Input::Judged(case) => self.judged(now, *case),
            Input::Asked(question) => question.put_to(self),
            // The thread that has the packets takes it.
            Input::Turnover(..) => {}
            Input::Signal(name) => return Some(Stop::Signal(name)),
        }
        None
    }

    /// Takes what somebody wants who came over a TCP connection.
    pub(super) fn answer(&mut self, call: Call) {
        let now = clock::now();
        match call {
            Call::Message { source, message, answer } => self.message(now, source, &message, answer),
            Call::Probe(probe) => {
                self.probe(now, probe);
            }
        }
    }

    fn message(&mut self, now: Now, source: IpAddr, message: &Message, answer: oneshot::Sender<Message>) {
        let Some(message) = self.admit(now, source, Way::Connection, message) else { return };
        if self.ask_gate(now, source, Way::Connection, message, Back::Connection(answer)) {
            self.audit.write(AuditRecord::central_connection(source));
        }
    }

    /// Takes a datagram that may be a knock, and does at once what follows from it.
    pub(super) fn packet(&mut self, from: SocketAddr, asked: SocketAddr, message: &Message) {
        if self.hear(from, asked, message) {
            // Not behind the rest of a batch that strangers fill.
            self.turn();
        }
    }

    /// Takes a datagram that may be a knock. Returns whether the gate knows who has sent it.
    pub(super) fn hear(&mut self, from: SocketAddr, asked: SocketAddr, message: &Message) -> bool {
        let (now, source) = (clock::now(), from.ip());
        let Some(message) = self.admit(now, source, Way::Datagram, message) else { return false };
        self.ask_gate(now, source, Way::Datagram, message, Back::Datagram { to: from, from: asked })
    }

    /// Whether the gate knows who has written it, and so answers.
    fn ask_gate(&mut self, now: Now, source: IpAddr, way: Way, message: Unsealed, back: Back) -> bool {
        let is_in_force = |key: &DoorKey| message.is_under(key);
        let seal = match self.gate.config().door_keys.first().is_some_and(is_in_force) {
            true => Seal::InForce,
            false => Seal::Former,
        };
        self.mind_the_log();
        let peer = self.peers.next();
        match self.gate.handle_unsealed(now, Origin { peer, source, way }, message) {
            Ok(client) => {
                self.peers.wait(peer, client, back);
                self.ledger.push(Entry::Heard(client, Arrival { peer, source, way, seal }));
                true
            }
            Err(Silence { refusal, client }) => {
                self.noise.count(Nuisance::Unanswered, source);
                self.trails.silent(now.unix, source, Ignored::Refused(refusal), client);
                tracing::debug!(%source, refusal = refusal.word(), "met with silence");
                false
            }
        }
    }

    /// The cheap checks. Most of what strangers send ends at the first one, at the price of a Poly1305; what is left costs a
    /// handshake, of which every source has its share.
    fn admit(&mut self, now: Now, source: IpAddr, way: Way, message: &Message) -> Option<Unsealed> {
        let Some(unsealed) = self.gate.doorkeeper().unseal(message) else {
            self.gate.handle_noise(1);
            self.noise.count(Nuisance::Unsealed, source);
            self.trails.unsealed(now.unix, source);
            return None;
        };
        if !self.budgets.take(now.instant, source, way) {
            self.noise.count(Nuisance::OverBudget, source);
            self.trails.silent(now.unix, source, Ignored::OverBudget, None);
            return None;
        }
        Some(unsealed)
    }

    /// Takes what a socket has brought.
    pub(super) fn seen(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Message { source, destination, message } => self.packet(source, destination, message),
            Seen::Probe(probe) => self.probe_seen(&probe),
        }
    }

    /// Takes a SYN or a datagram on a watched port.
    fn probe_seen(&mut self, seen: &ProbeSeen) {
        let &ProbeSeen { source, port, .. } = seen;
        let now = clock::now();
        let is_by_holder = self.probe(now, Probe { source, port, kind: ProbeKind::Attempted });
        let probed = self.statics.probe(now.instant, seen);
        match probed {
            Probed::Complete(door) => {
                self.mind_the_log();
                self.gate.handle_static(now, door, source);
            }
            Probed::TooMany => self.noise.count(Nuisance::OverBudget, source),
            Probed::Incomplete => {}
        }
        if is_by_holder || matches!(probed, Probed::Complete(_)) {
            // Not behind the rest of a batch that strangers fill.
            self.turn();
        }
    }

    /// Returns whether a holder has sent it.
    fn probe(&mut self, now: Now, probe: Probe) -> bool {
        tracing::trace!(source = %probe.source, port = probe.port, "probe");
        let is_by_holder = self.holders.contains(probe.source);
        if !is_by_holder {
            self.noise.count(Nuisance::Probe, probe.source);
        }
        self.gate.handle_probe(now, probe);
        is_by_holder
    }

    /// Does what the gate asks, then writes down what has come of it, until there is nothing left of either.
    pub(super) fn turn(&mut self) {
        loop {
            self.act_on_all();
            if !self.write_down(clock::now()) {
                return;
            }
        }
    }

    /// Does what the gate asks. Whoever knocks waits for this: nothing is written yet.
    pub(super) fn act_on_all(&mut self) {
        self.mind_the_log();
        loop {
            let now = clock::now();
            let Some(action) = self.gate.poll_action(now) else { return };
            self.act(now, action);
            self.gather_notes();
        }
    }

    /// Where that is wanted, nothing opens while the audit log cannot be written.
    fn mind_the_log(&mut self) {
        let recording = match self.config.audit.on_failure {
            OnFailure::Refuse if !self.audit.health().is_whole() => Recording::Wanting,
            OnFailure::Refuse | OnFailure::Count => Recording::Kept,
        };
        if recording == self.gate.recording() {
            return;
        }
        self.gate.set_recording(recording);
        match recording {
            Recording::Wanting => tracing::warn!(
                "nothing opens until the audit log can be written: audit.on-failure is \"refuse\"; make room, or write \"count\""
            ),
            Recording::Kept => tracing::info!("the audit log is written again, and knocks count again"),
        }
    }

    /// Keeps what the gate has noted in its place among the decisions.
    pub(super) fn gather_notes(&mut self) {
        while let Some(note) = self.gate.poll_note() {
            self.ledger.push(Entry::Note(note));
        }
    }

    /// Writes down what has happened and tells the policies of it. Returns whether there was anything: then the gate may want
    /// something new.
    fn write_down(&mut self, now: Now) -> bool {
        self.gather_notes();
        let Some(mut entries) = self.ledger.take() else { return false };
        for (time, entry) in entries.drain(..) {
            match entry {
                Entry::Heard(client, arrival) => self.trails.heard(time, client, arrival),
                Entry::Answered(client, peer) => self.trails.answered(client, peer),
                Entry::Note(note) => {
                    self.figures.note(&note);
                    self.trails.note(time, &note);
                    self.scribe(time).note(&note);
                    if let Some(happening) = Happening::of(&note) {
                        self.tell(now, &happening);
                    }
                }
                Entry::Case(settled) => self.close_case(time, settled),
            }
        }
        self.ledger.give_back(entries);
        true
    }

    /// Writes down what happened at `time`.
    pub(super) fn scribe(&self, time: SystemTime) -> Scribe<'_> {
        Scribe {
            audit: &self.audit,
            roster: self.gate.roster(),
            config: &self.config,
            former: self.former.as_ref(),
            time,
        }
    }

    /// How long until the gate wants to be told that time has passed.
    pub(super) fn due(&self, now: Now) -> Option<Duration> {
        self.gate.poll_timeout().map(|deadline| deadline.left(now.instant))
    }

    /// Tells the gate that time has passed, if it waits for that.
    pub(super) fn look_at_the_clock(&mut self) {
        let now = clock::now();
        if self.due(now).is_some_and(|left| left.is_zero()) {
            self.gate.handle_timeout(now);
        }
    }

    /// To be called every second. `watched` is what the watch has counted.
    pub(super) fn look_after(&mut self, instant: time::Instant, watched: Counts) -> Option<Stop> {
        let now = clock::now();
        self.peers.forget();
        self.former_court.take_if(|(since, _)| since.elapsed() > LONGEST_DECISION);
        self.noise.add_up(watched);
        self.noise.second_is_over();
        if let Some(minute) = self.noise.due(instant) {
            minute.tell(&self.audit);
        }
        self.look_at_flows();
        self.tell_what_was_missed();
        self.renew_lease(now);
        self.gate.handle_timeout(now);
        // What has ended now is shut before anybody looks what is open.
        self.turn();
        match self.upkeep.firewall(now, &mut self.firewall, &self.gate, &self.config, &self.audit) {
            Guard::Wanted => None,
            Guard::GivenUp => Some(Stop::Unguarded),
            Guard::OutOfReach(error) => Some(Stop::Broken(error.into())),
        }
    }

    /// What old and new lease have in common is in force until the new one is durable.
    fn renew_lease(&mut self, now: Now) {
        let Some(lease) = self.renewal.due(now) else { return };
        self.gate.set_lease(self.gate.lease().map(|old| old.and(lease)));
        let used = self.gate.roster_mut().take_dirty();
        let clients = used.iter().map(|(client, _)| *client).collect();
        if self.keeper.renew(lease, used).is_err() {
            self.leased(lease, clients, Outcome::Failed);
        }
    }

    fn leased(&mut self, lease: Lease, clients: Vec<ClientId>, outcome: Outcome) {
        match outcome {
            Outcome::Done => {
                self.renewal.stored();
                self.gate.set_lease(Some(lease));
            }
            Outcome::Failed => {
                self.renewal.failed();
                self.gate.roster_mut().put_back(clients);
            }
        }
    }

    fn change_door_keys(&mut self, keys: heapless::Vec<DoorKey, MAX_DOOR_KEYS>) {
        let former = keys.len().saturating_sub(1);
        self.gate.set_door_keys(keys);
        tracing::info!(former, "the door keys have changed");
    }

    /// Which of the grants that follow their connections are in use? The answer comes as an input.
    fn look_at_flows(&mut self) {
        let followed = self.gate.followed().filter_map(|grant| {
            let service = self.config.service_by_id(grant.service())?;
            Some((grant.id(), opening(grant.id(), grant.to(), service)))
        });
        let followed = followed.collect();
        self.lookout.ask(followed);
    }

    fn stop(self, stop: Stop) -> anyhow::Result<()> {
        let open = self.gate.open_grants().count();
        match stop {
            Stop::Signal(name) => {
                tracing::info!("stopping on {name}; the guard stays, {open} open grants end on time");
                self.audit.write(AuditRecord::stopped(name));
                Ok(())
            }
            Stop::Unguarded => {
                tracing::warn!(
                    "stopping: `knockgated unguard` has removed the guard, and nothing is guarded any more"
                );
                self.audit.write(AuditRecord::stopped("unguarded"));
                Ok(())
            }
            Stop::Broken(error) => {
                self.audit.write(AuditRecord::stopped("failure"));
                Err(error.context("the agent stops; the guard stays and open grants end on time"))
            }
        }
    }
}
