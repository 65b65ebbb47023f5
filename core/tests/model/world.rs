//! The real gate with its clients, its host and a pretended kernel, side by side with the reference.

mod clients;
mod compare;
mod host;
mod lease;
mod reconfigure;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::action::{ExchangeId, HoldId};
use knockgate_core::client::Question;
use knockgate_core::envelope::Message;
use knockgate_core::message::Kind;
use knockgate_core::replay::{Lease, Used};
use knockgate_core::roster::FixedRoster;
use knockgate_core::{
    ClientId, Gate, GrantId, Instant, Network, Now, Peer, Record, Roster, Ticket, UnixTime,
};

use compare::lock;

use crate::event::{Event, Rules};
use crate::laws::Laws;
use crate::people::{ADDRESSES, Numbers, People, STATICS};
use crate::reference::grants::Door;
use crate::reference::packet::{Confirmation, Packet};
use crate::reference::{At, QUESTIONS, Reference, Wanted};

type ModelGate = Gate<FixedRoster<3>, Numbers, QUESTIONS, 8, 64, 16, STATICS>;

/// An opening or closing that the host has not reported yet.
enum Job {
    Open { grant: GrantId, door: Door, lasts: At },
    Close { grant: GrantId, door: Door },
}

/// A message on the wire, kept for those who replay it.
struct Sent {
    message: Message,
    client: u32,
    counter: u64,
}

pub(crate) struct World {
    gate: Box<ModelGate>,
    memory: usize,
    reference: Reference,
    laws: Laws,
    people: &'static People,
    rng: Numbers,
    peers: u64,
    /// Each client's own idea of its last counter.
    counters: [u64; 3],
    /// Its last question was met with silence.
    silence: [bool; 3],
    /// The last token that each client was given.
    tokens: [Option<Confirmation>; 3],
    /// The service of each packet knock that waits for its answer.
    services: HashMap<Peer, u16>,
    /// What the host is storing: a lease, and all that was used when it began.
    leasing: Option<(Lease, Vec<(u32, Used)>)>,
    sent: Vec<Sent>,
    questions: HashMap<Peer, (Question<'static>, Kind, u32, u64)>,
    answers: BTreeMap<u64, Message>,
    /// The knock that was just asked for, until the gate has it remembered.
    asked: Option<usize>,
    /// The knock that was just stored, until the gate has it watched.
    kept: Option<usize>,
    stores: Vec<(ExchangeId, Record, usize)>,
    watches: Vec<(HoldId, usize)>,
    consultations: Vec<(Ticket, usize)>,
    consulted: BTreeSet<usize>,
    jobs: VecDeque<Job>,
    kernel: BTreeMap<Door, At>,
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        let people = People::all();
        let laws = Laws::default();
        let gate = start(people, rules, &laws, &BTreeSet::new(), 0);
        let memory = size_of_val(&*gate);
        Self {
            gate,
            memory,
            reference: Reference::new(rules),
            laws,
            people,
            rng: Numbers(99),
            peers: 0,
            counters: [0; 3],
            silence: [false; 3],
            tokens: [None; 3],
            services: HashMap::new(),
            leasing: None,
            sent: Vec::new(),
            questions: HashMap::new(),
            answers: BTreeMap::new(),
            asked: None,
            kept: None,
            stores: Vec::new(),
            watches: Vec::new(),
            consultations: Vec::new(),
            consulted: BTreeSet::new(),
            jobs: VecDeque::new(),
            kernel: BTreeMap::new(),
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Ask { who, from, service, seconds, claim } => {
                let claim = claim.map(|at| ADDRESSES[at]);
                self.ask(who, ADDRESSES[from], Kind::NextNumber, Wanted { service, seconds }, claim);
            }
            Event::Status { who, from } => self.status(who, ADDRESSES[from]),
            Event::Knock { who, from, service, seconds, touch } => {
                self.knock(who, ADDRESSES[from], Wanted { service, seconds }, touch);
            }
            Event::Packet { who, from, kind, service, seconds, meant, datagram, with_token } => {
                let token = self.tokens[who].filter(|_| with_token);
                let packet = Packet { kind, service, seconds, grant: self.named(meant), datagram, token };
                self.packet(who, ADDRESSES[from], packet);
            }
            Event::Lease => self.lease(),
            Event::Leased { work } => self.leased(work),
            Event::Replay { pick, from } => self.replay(usize::from(pick), ADDRESSES[from]),
            Event::Stale { who, from } => self.stale(who, ADDRESSES[from]),
            Event::Static { door, from } => self.static_knock(door, ADDRESSES[from]),
            Event::Probe { pick, touch } => self.touch(self.somewhere(usize::from(pick)), touch),
            Event::Stored { pick, work } => self.stored(usize::from(pick), work),
            Event::Watched { pick, work } => self.watched(usize::from(pick), work),
            Event::Decided { pick, say, wishes } => self.decide(usize::from(pick), say, &wishes),
            Event::Firewall { luck, .. } if self.reference.rules.slow && luck % 4 > 0 => {}
            Event::Firewall { work, .. } => self.firewall(work),
            Event::Settle => self.settle(!self.reference.rules.slow),
            Event::Sleep { millis } => self.reference.now += millis,
            Event::Wait { millis } => self.wait(millis),
            Event::Timeout => self.timeout(),
            Event::Revoke { pick } => self.revoke(u32::from(pick)),
            Event::Order { from, service, seconds } => self.order(ADDRESSES[from], service, seconds),
            Event::Unlock { pick } => self.unlock(usize::from(pick)),
            Event::Forget { who } => self.forget(who),
            Event::Reconfigure { change } => self.reconfigure(change),
            Event::Crash { leased } => self.crash(leased),
            Event::Stop => self.stop(),
        }
    }

    /// Whatever has happened, in the end everything is shut and nothing is left to be done.
    pub(crate) fn end(mut self) {
        for millis in [1, 2 * 86_400_000, 60_000] {
            self.settle(true);
            self.wait(millis);
        }
        self.settle(true);
        let now = self.reference.now;
        assert!(self.kernel.values().all(|until| *until <= now), "something is open for ever");
        assert_eq!(self.gate.open_grants().count(), 0);
        assert_eq!(self.gate.poll_timeout(), None);
    }

    fn now(&self) -> Now {
        let unix = Some(UnixTime::from_micros(self.reference.unix()));
        Now { instant: Instant::from_micros(self.reference.now * 1_000), unix }
    }

    fn wait(&mut self, millis: u64) {
        let end = self.reference.now + millis;
        for _ in 0..1_000 {
            let due = self.gate.poll_timeout().map(|due| due.as_micros().div_ceil(1_000));
            let Some(due) = due.filter(|due| *due <= end) else {
                self.reference.now = end;
                return;
            };
            self.reference.now = self.reference.now.max(due);
            self.timeout();
        }
        panic!("the gate never stops waking its host");
    }

    fn timeout(&mut self) {
        let now = self.now();
        self.reference.timeout();
        for _ in 0..10 {
            self.gate.handle_timeout(now);
            self.turn();
            if self.gate.poll_timeout().is_none_or(|due| due > now.instant) {
                break;
            }
        }
        self.reference.grants.everything_over_is_closing(self.reference.now);
        let before = (self.open(), self.locks(), self.gate.poll_timeout());
        self.gate.handle_timeout(now);
        assert!(self.gate.poll_action(now).is_none(), "a second timeout at the same moment does nothing");
        assert!(self.gate.poll_note().is_none());
        assert_eq!((self.open(), self.locks(), self.gate.poll_timeout()), before);
    }

    fn revoke(&mut self, pick: u32) {
        let grant = pick % (self.reference.grants.numbered + 1);
        let now = self.now();
        self.gate.revoke(now, GrantId(grant));
        self.reference.grants.revoke(self.reference.now, grant);
        self.turn();
    }

    fn order(&mut self, source: IpAddr, service: u16, seconds: u32) {
        let lasts = Duration::from_secs(u64::from(seconds));
        let ordered = self.gate.open_by_order(self.now(), source, service, lasts);
        assert_eq!(ordered.is_ok(), self.reference.order(source, service, seconds));
        self.turn();
    }

    fn unlock(&mut self, pick: usize) {
        let locks: Vec<_> = self.gate.lockouts().iter().map(|(who, _)| who).collect();
        let Some(who) = pick.checked_rem(locks.len()).and_then(|at| locks.get(at)) else { return };
        assert!(self.gate.unlock(*who));
        self.reference.unlock(lock(*who));
        self.turn();
    }

    fn forget(&mut self, who: usize) {
        let client = self.people.clients[who].client.id.0;
        self.reference.forget(client);
        let old = self.gate.roster().clone();
        *self.gate.roster_mut() = roster(
            self.people,
            |client| old.used(ClientId(client)),
            |book| old.cursor(self.people.books[book].id()),
            &self.reference.gone,
        );
        let now = self.now();
        self.gate.forget_client(now, ClientId(client));
        self.turn();
    }

    fn crash(&mut self, leased: bool) {
        if let Some(leasing) = self.leasing.take().filter(|_| leased) {
            self.lease_is_durable(leasing);
        }
        self.laws.crashed();
        self.silence = [false; 3];
        self.restart();
    }

    fn restart(&mut self) {
        let now = self.reference.now;
        self.kernel.retain(|_, until| *until > now);
        let left: BTreeMap<u32, At> = self
            .reference
            .grants
            .open()
            .into_iter()
            .filter_map(|(id, (_, door, _))| Some((id, *self.kernel.get(&door)?)))
            .collect();
        let run = self.reference.run + 1;
        self.gate = start(self.people, self.reference.rules, &self.laws, &self.reference.gone, run);
        for (id, until) in &left {
            let (client, (source, service)) = self
                .reference
                .grants
                .all
                .get(id)
                .map(|grant| (grant.client, grant.door))
                .expect("it is open");
            let lasts = Duration::from_millis(until - now);
            let now = self.now();
            let to = Network::host(source);
            assert!(self.gate.adopt_grant(now, GrantId(*id), ClientId(client), to, service, lasts));
        }
        let next = [0, 1].map(|book: usize| self.durable_next(book));
        self.reference.crash(self.laws.counters.clone(), self.laws.burnt.clone(), next);
        self.reference.grants.adopt(left);
        // The host closes what belongs to nobody.
        let owned: BTreeSet<Door> = self.reference.grants.all.values().map(|grant| grant.door).collect();
        self.kernel.retain(|door, _| owned.contains(door));
        self.questions.clear();
        self.services.clear();
        self.stores.clear();
        self.watches.clear();
        self.consultations.clear();
        self.jobs.clear();
        self.compare();
    }

    fn durable_next(&self, book: usize) -> u32 {
        self.laws.next.get(&self.people.books[book].id().0).copied().unwrap_or(0)
    }
}

/// A gate that knows what is on disk.
fn start(people: &People, rules: Rules, laws: &Laws, gone: &BTreeSet<u32>, run: u64) -> Box<ModelGate> {
    let used = |client| laws.counters.get(&client).copied().unwrap_or(Used::NOTHING);
    let cursor = |book: usize| laws.next.get(&people.books[book].id().0).copied().unwrap_or(0);
    let config = people.config(rules, laws.burnt.clone());
    Box::new(Gate::new(config, roster(people, used, cursor, gone), Numbers(7 + run)))
}

fn roster(
    people: &People,
    used: impl Fn(u32) -> Used,
    cursor: impl Fn(usize) -> u32,
    gone: &BTreeSet<u32>,
) -> FixedRoster<3> {
    let mut roster = FixedRoster::new();
    for person in people.clients.iter().filter(|person| !gone.contains(&person.client.id.0)) {
        roster.add_client(person.client.clone(), used(person.client.id.0), None).expect("three places");
    }
    for (at, book) in people.books.iter().enumerate() {
        roster.add_book(book.clone(), cursor(at)).expect("two places");
    }
    roster
}
