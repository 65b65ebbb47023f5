//! Drives the gate: tells it what happened, does what it asks, writes down what it notes.
//!
//! One task owns the gate and the firewall, so nothing is shared and nothing is locked. What takes long (the disk, the
//! policy) happens on threads of its own and comes back as an input.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use getrandom::SysRng;
use knockgate_core::action::Peer;
use knockgate_core::envelope::{Message, Unsealed};
use knockgate_core::gate::Gate;
use knockgate_core::key::DoorKey;
use knockgate_core::limits::MAX_DOOR_KEYS;
use knockgate_core::replay::Lease;
use knockgate_core::{
    Action, Bearer, ClientId, GrantId, Happening, Network, Now, Origin, Outcome, Probe, Record, Refusal, Way,
};
use rand_core::UnwrapErr;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::acts::Acts;
use crate::audit::{Audit, AuditRecord};
use crate::config::{Config, Service};
use crate::firewall::{self, Firewall, Reach};
use crate::state::{LiveRoster, Store};

use super::clock;
use super::court::{Court, Witness};
use super::flows::Lookout;
use super::hearing::Settled;
use super::input::Input;
use super::keeper::Keeper;
use super::lease::Renewal;
use super::packets::Door;
use super::peers::{Back, Peers};
use super::scribe::Scribe;
use super::signals::Signals;
use super::upkeep::{self, Guard, Upkeep};

/// Questions that wait for the disk or for an answer. A question takes milliseconds; more at once wait at the client.
const EXCHANGES: usize = 64;
/// Clients that knock at the same time, and recent results.
const HOLDS: usize = 256;
/// What can be open at the same time.
const GRANTS: usize = 1024;
/// Lockouts at the same time.
const LOCKOUTS: usize = 1024;

/// How often the agent looks after roster and firewall.
const UPKEEP: Duration = Duration::from_secs(1);

pub(super) type LinuxGate = Gate<LiveRoster, UnwrapErr<SysRng>, EXCHANGES, HOLDS, GRANTS, LOCKOUTS>;

/// The gate and all that it acts upon.
pub(super) struct Driver {
    pub(super) config: Config,
    pub(super) gate: Box<LinuxGate>,
    pub(super) firewall: Firewall,
    pub(super) court: Court,
    pub(super) witness: Witness,
    pub(super) settled: Vec<Settled>,
    pub(super) acts: Acts,
    pub(super) keeper: Keeper,
    pub(super) store: Arc<Store>,
    pub(super) audit: Arc<Audit>,
    pub(super) upkeep: Upkeep,
    pub(super) renewal: Renewal,
    pub(super) peers: Peers,
    pub(super) door: Door,
    pub(super) lookout: Lookout,
    /// To whom the decoys answer now.
    pub(super) holders: HashSet<IpAddr>,
}

/// Why the agent stops.
enum Stop {
    Signal(&'static str),
    Unguarded,
    Broken(anyhow::Error),
}

impl Driver {
    /// Runs until a signal ends it or something that it cannot do without breaks.
    pub(super) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut signals: Signals,
    ) -> anyhow::Result<()> {
        let mut upkeep = interval_at(Instant::now() + UPKEEP, UPKEEP);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = loop {
            self.turn();
            let deadline = self.deadline();
            let stop = tokio::select! {
                input = inputs.recv() => self.take(input),
                () = sleep_until(deadline) => { self.gate.handle_timeout(clock::now()); None }
                _ = upkeep.tick() => self.look_after(),
                name = signals.next() => Some(Stop::Signal(name)),
            };
            if let Some(stop) = stop {
                break stop;
            }
        };
        self.turn();
        drop(inputs);
        self.keeper.finish();
        self.save_counters();
        self.stop(stop)
    }

    /// Counters that were not stored one by one are now, and the lease ends that covered them.
    fn save_counters(&mut self) {
        let used = self.gate.roster_mut().take_dirty().into_iter();
        let records: Vec<_> = used.map(|(client, used)| Record::Counter { client, used }).collect();
        if let Err(error) = self.store.write_lease(&records, None) {
            tracing::warn!(
                "cannot store what has been used; the next start counts the whole lease as used: {error}"
            );
        }
    }

    fn take(&mut self, input: Option<Input>) -> Option<Stop> {
        let now = clock::now();
        match input? {
            Input::Packet { source, destination, message } => {
                self.packet(now, source, destination, *message);
            }
            Input::Message { source, message, answer } => self.message(now, source, &message, answer),
            Input::Flows(seen) => {
                self.lookout.answered();
                seen.into_iter().for_each(|(grant, flows)| self.gate.handle_flows(now, grant, flows));
            }
            Input::Probe { probe, by_holder } => {
                // A decoy task that has been closed meanwhile needs no answer.
                let _ = by_holder.send(self.holders.contains(&probe.source));
                self.probe(now, probe);
            }
            Input::SilentProbe(probe) => self.probe(now, probe),
            Input::Stored { exchange, outcome } => self.gate.handle_stored(now, exchange, outcome),
            Input::Leased { lease, clients, outcome } => self.leased(lease, clients, outcome),
            Input::Roster(change) => upkeep::take_over_roster(now, &mut self.gate, *change, &self.audit),
            Input::DoorKeys(keys) => self.change_door_keys(keys),
            Input::Judged(case) => self.judged(now, *case),
            Input::Broken(error) => return Some(Stop::Broken(error)),
        }
        None
    }

    fn message(&mut self, now: Now, source: IpAddr, message: &Message, answer: oneshot::Sender<Message>) {
        let peer = self.peers.next();
        let result = self.gate.handle_message(now, Origin { peer, source, way: Way::Connection }, message);
        self.audit.write(AuditRecord::central_connection(source, result));
        self.expect_answer(peer, Back::Connection(answer), source, result);
    }

    fn packet(&mut self, now: Now, from: SocketAddr, asked: SocketAddr, message: Unsealed) {
        let (peer, source) = (self.peers.next(), from.ip());
        let result = self.gate.handle_unsealed(now, Origin { peer, source, way: Way::Datagram }, message);
        self.expect_answer(peer, Back::Datagram { to: from, from: asked }, source, result);
    }

    fn expect_answer(&mut self, peer: Peer, back: Back, source: IpAddr, result: Result<(), Refusal>) {
        match result {
            Ok(()) => self.peers.wait(peer, back),
            Err(refusal) => tracing::debug!(%source, refusal = refusal.word(), "met with silence"),
        }
    }

    fn probe(&mut self, now: Now, probe: Probe) {
        tracing::trace!(source = %probe.source, port = probe.port, "probe");
        self.gate.handle_probe(now, probe);
    }

    /// Does what the gate asks and writes what it notes, until it wants nothing more.
    fn turn(&mut self) {
        loop {
            let now = clock::now();
            let action = self.gate.poll_action(now);
            let is_last = action.is_none();
            if let Some(action) = action {
                self.act(now, action);
            }
            self.close_cases();
            // Only then: whoever writes the notes down would take the processor from what was just begun.
            while let Some(note) = self.gate.poll_note() {
                self.scribe().note(&note);
                if let Some(happening) = Happening::of(&note) {
                    self.tell(now, &happening);
                }
            }
            if is_last {
                return;
            }
        }
    }

    pub(super) fn scribe(&self) -> Scribe<'_> {
        Scribe { audit: &self.audit, roster: self.gate.roster(), config: &self.config }
    }

    fn act(&mut self, now: Now, action: Action) {
        match action {
            Action::Remember { exchange, record } => {
                if self.keeper.keep(exchange, record).is_err() {
                    self.gate.handle_stored(now, exchange, Outcome::Failed);
                }
            }
            Action::Watch { hold, source, lasts } => {
                let outcome = self.watch(source, lasts);
                self.gate.handle_watched(now, hold, outcome);
            }
            Action::Unwatch { source } => self.unwatch(source),
            Action::Consult(consultation) => self.consult(now, consultation),
            Action::Open { grant, bearer, to, service, lasts } => {
                let outcome = self.open(bearer, to, service, lasts);
                self.gate.handle_opened(now, grant, outcome);
            }
            Action::Close { grant, to, service } => {
                let outcome = self.close(grant, to, service);
                self.gate.handle_closed(now, grant, outcome);
            }
            // A server's console is its own: `knockgated` and its log. The core offers this only where one is configured.
            Action::Answer { peer, message } | Action::Converse { peer, message, .. } => {
                self.peers.answer(peer, &message);
            }
        }
    }

    fn watch(&mut self, source: IpAddr, lasts: Duration) -> Outcome {
        self.holders.insert(source);
        outcome("cannot show the decoys to a holder", self.firewall.watch(source, lasts))
    }

    fn unwatch(&mut self, source: IpAddr) {
        self.holders.remove(&source);
        // The kernel does the same at the end of the hold.
        let _ = outcome("cannot hide the decoys from a holder", self.firewall.unwatch(source));
    }

    fn open(&mut self, bearer: Bearer, to: Network, service: u16, lasts: Duration) -> Outcome {
        let Some(service) = self.config.service_by_id(service) else { return Outcome::Failed };
        let Bearer { grant, client } = bearer;
        let grant = firewall::Grant { client: client.0, timeout: lasts, ..opening(grant, to, service) };
        outcome("cannot open a service", self.firewall.open(&grant))
    }

    fn close(&mut self, grant: GrantId, to: Network, service: u16) -> Outcome {
        // A service that left the configuration is guarded no more: there is nothing to close.
        let Some(service) = self.config.service_by_id(service) else { return Outcome::Done };
        outcome("cannot close a service", self.firewall.close(&opening(grant, to, service)))
    }

    fn deadline(&self) -> Instant {
        let now = clock::now().instant;
        let left = self.gate.poll_timeout().map_or(UPKEEP, |deadline| deadline.left(now));
        Instant::now() + left
    }

    fn look_after(&mut self) -> Option<Stop> {
        let now = clock::now();
        self.peers.forget();
        self.gate.handle_noise(self.door.take_noise());
        self.look_at_flows();
        self.tell_what_was_missed();
        self.renew_lease(now);
        self.gate.handle_timeout(now);
        match self.upkeep.firewall(now, &mut self.firewall, &self.gate, &self.config) {
            Guard::Wanted => None,
            Guard::GivenUp => Some(Stop::Unguarded),
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
        self.door.change(self.gate.doorkeeper().clone());
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

/// How a grant reads to the firewall. The client and the time are the opener's to fill in.
pub(super) fn opening(grant: GrantId, to: Network, service: &Service) -> firewall::Grant {
    firewall::Grant {
        id: grant.0,
        client: 0,
        service: service.id,
        source: to.address(),
        reach: if to.is_host() { Reach::Address } else { Reach::Prefix(to.bits()) },
        protocol: super::plan::protocol(service.protocol),
        ports: service.ports.clone(),
        timeout: Duration::ZERO,
    }
}

fn outcome(what: &str, result: Result<(), firewall::FirewallError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => {
            tracing::warn!("{what}: {error}");
            Outcome::Failed
        }
    }
}
