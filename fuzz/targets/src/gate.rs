//! The gate under a script: messages, clocks, disks, firewalls, policies and crashes in any order.
//!
//! The laws are those of `ARCHITECTURE.md`, seen from outside. This has none of the reference model's knowledge of what the gate
//! ought to do next; it only knows what must never be.

mod host;
mod laws;

use std::collections::VecDeque;
use std::time::Duration;

use knockgate_core::action::{ExchangeId, HoldId, Record, Ticket};
use knockgate_core::envelope::Message;
use knockgate_core::handshake::Initiator;
use knockgate_core::limits::MAX_LEASE;
use knockgate_core::message::{Kind, Reach, Request, Token};
use knockgate_core::replay::{Burnt, Lease, Used};
use knockgate_core::{
    Bearer, ClientId, Flows, GrantId, Network, Now, Origin, Peer, Probe, ProbeKind, Roster, UnixTime, Way,
};

use crate::scene::{CLIENTS, Door, SOURCES, START, Sender, SmallGate, at, scene};
use crate::tape::Tape;
use laws::Laws;

/// Steps of one script. Longer ones find nothing that shorter ones do not.
const STEPS: usize = 64;
/// Messages of one script: each costs ten scalar multiplications.
const MESSAGES: usize = 10;

/// A script for the gate.
pub fn gate(data: &[u8]) {
    let mut world = World::new();
    let mut tape = Tape::new(data);
    for _ in 0..STEPS {
        if tape.is_over() {
            break;
        }
        world.step(&mut tape);
    }
    world.end();
}

/// A message that was sent, and what reads its answer.
struct Sent {
    sender: Sender,
    door: Door,
    request: Request,
    initiator: Initiator,
    message: Message,
}

/// What the firewall has been asked to do and has not done yet.
enum Job {
    Open { grant: GrantId, bearer: Bearer, to: Network, service: u16, lasts: Duration },
    Close { grant: GrantId, to: Network, service: u16 },
}

/// An element of the guard's set.
struct Element {
    to: Network,
    service: u16,
    bearer: Bearer,
    until: u64,
}

/// What outlives a crash.
#[derive(Default)]
struct Disk {
    used: [Option<Used>; 3],
    cursors: [u32; 2],
    lease: Option<Lease>,
    burnt: Burnt,
}

struct World {
    gate: Box<SmallGate>,
    /// Microseconds since the start.
    time: u64,
    disk: Disk,
    kernel: Vec<Element>,
    sent: Vec<Sent>,
    /// Which of `sent` each peer has asked, by its number.
    peers: Vec<usize>,
    stores: Vec<(ExchangeId, Record)>,
    watches: Vec<HoldId>,
    tickets: Vec<(Ticket, laws::Asked)>,
    jobs: VecDeque<Job>,
    /// What the gate wants to have back before it opens.
    token: Option<Token>,
    laws: Laws,
}

impl World {
    fn new() -> Self {
        Self {
            gate: scene().gate(Burnt::default(), [Used::NOTHING; 3], [0; 2]),
            time: 0,
            disk: Disk::default(),
            kernel: Vec::new(),
            sent: Vec::new(),
            peers: Vec::new(),
            stores: Vec::new(),
            watches: Vec::new(),
            tickets: Vec::new(),
            jobs: VecDeque::new(),
            token: None,
            laws: Laws::default(),
        }
    }

    fn now(&self) -> Now {
        at(self.time)
    }

    fn step(&mut self, tape: &mut Tape<'_>) {
        match tape.place(20) {
            0..=3 => self.send_new(tape),
            4 => self.send_again(tape),
            5 => self.pass(tape),
            6 | 7 => self.stored(tape),
            8 | 9 => self.decide(tape),
            10 | 11 => self.firewall(tape),
            12 => self.watched(tape),
            13 => self.probe(tape),
            14 => self.renew_lease(tape),
            15 => self.command(tape),
            16 => self.look_at_flows(tape),
            17 => self.change_door_keys(tape),
            18 => self.restart(tape),
            _ => self.settle(),
        }
        self.turn();
    }

    fn send_new(&mut self, tape: &mut Tape<'_>) {
        if self.peers.len() >= MESSAGES {
            return;
        }
        let (sender, door) = (tape.one_of(Sender::ALL), tape.one_of([Door::InForce, Door::Before]));
        let request = self.any_request(tape);
        let (initiator, message) = scene().ask(sender, door, &request.encode());
        self.sent.push(Sent { sender, door, request, initiator, message });
        self.deliver(self.sent.len() - 1, tape);
    }

    fn any_request(&self, tape: &mut Tape<'_>) -> Request {
        let present = START + self.time;
        let kind = tape.one_of([
            Kind::Open,
            Kind::NextNumber,
            Kind::Status,
            Kind::Renew,
            Kind::Close,
            Kind::Console,
        ]);
        let step = u64::try_from(self.sent.len()).unwrap_or(0);
        let counter = match tape.place(8) {
            0..=3 => present + step,
            4 => present - 60_000_000 + step,
            5 => present + 120_000_000 + step,
            6 => present + 2 * 86_400_000_000 + u64::from(tape.byte()),
            _ => tape.u64(),
        };
        Request {
            service: tape.one_of([1, 1, 2, 3, 4, 0, 9]),
            seconds: tape.one_of([0, 5, 3000, u32::MAX]),
            source: tape.some(|tape| tape.one_of(SOURCES)),
            grant: tape.one_of([0, 0, 1, 2, 3]),
            code: tape.some(|tape| if tape.flag() { scene().code(self.now()) } else { tape.u32() }),
            token: self.token.filter(|_| tape.flag()),
            reach: tape.one_of([Reach::Address, Reach::Prefix]),
            ..Request::new(kind, counter)
        }
    }

    /// The very same bytes once more, perhaps from elsewhere.
    fn send_again(&mut self, tape: &mut Tape<'_>) {
        let place = tape.place(self.sent.len());
        if place < self.sent.len() && self.peers.len() < MESSAGES {
            self.deliver(place, tape);
        }
    }

    fn deliver(&mut self, place: usize, tape: &mut Tape<'_>) {
        let peer = Peer(u64::try_from(self.peers.len()).unwrap_or(0));
        self.peers.push(place);
        let origin =
            Origin { peer, source: tape.one_of(SOURCES), way: tape.one_of([Way::Datagram, Way::Connection]) };
        let now = self.now();
        let Some(Sent { sender, request, message, .. }) = self.sent.get(place) else { return };
        let before = laws::Snapshot::of(&self.gate);
        let result = self.gate.handle_message(now, origin, message);
        match result {
            Ok(()) => self.laws.admitted(sender.client(now), request.counter, origin),
            Err(_) => {
                assert_eq!(laws::Snapshot::of(&self.gate), before, "a refusal changes nothing");
                assert!(self.gate.poll_action(now).is_none(), "and nothing follows from it");
            }
        }
    }

    fn pass(&mut self, tape: &mut Tape<'_>) {
        let steps = [1_000, 900_000, 5_000_000, 11_000_000, 61_000_000, 1_000_000_000, 3_600_000_000];
        self.time += tape.one_of(steps);
        self.time_passes();
    }

    fn probe(&mut self, tape: &mut Tape<'_>) {
        let source = tape.one_of(SOURCES);
        let kind = tape.one_of([ProbeKind::Connected, ProbeKind::Attempted]);
        // The whole sequence of a number, perhaps with a wrong port at its end.
        let (book, number, spoilt) = (tape.place(2), u32::from(tape.byte() % 8), tape.byte() % 4 == 3);
        let ports = scene().books.get(book).and_then(|book| book.sequence(number, &scene().decoys));
        let mut ports = ports.unwrap_or_default();
        if spoilt && let Some(last) = ports.last_mut() {
            *last = scene().decoys.ports().first().copied().unwrap_or(0);
        }
        for port in ports {
            self.gate.handle_probe(self.now(), Probe { source, port, kind });
            self.turn();
        }
    }

    /// As the agent does it: what old and new have in common, then the disk, then the new one.
    fn renew_lease(&mut self, tape: &mut Tape<'_>) {
        let present = START + self.time;
        let length = u64::try_from(MAX_LEASE.as_micros()).unwrap_or(u64::MAX);
        let new = Lease { after: present - length / 4, until: present + length / 4 * 3 };
        let new = Some(new).filter(|_| !tape.one_in(8));
        let common = self.gate.lease().zip(new).map(|(old, new)| old.and(new));
        self.gate.set_lease(common);
        // The disk may be slow, and the gate goes on meanwhile.
        if tape.one_in(4) {
            return;
        }
        self.disk_takes_everything();
        self.disk.lease = new;
        self.gate.set_lease(new);
    }

    fn disk_takes_everything(&mut self) {
        for (at, client) in CLIENTS.into_iter().enumerate() {
            let used = self.gate.roster().used(client);
            self.disk.merge(at, used);
        }
    }

    fn command(&mut self, tape: &mut Tape<'_>) {
        let now = self.now();
        match tape.flag() {
            true => self.gate.revoke(now, GrantId(u32::from(tape.byte() % 8))),
            false => self.gate.forget_client(now, tape.one_of(CLIENTS)),
        }
    }

    fn look_at_flows(&mut self, tape: &mut Tape<'_>) {
        let followed: Vec<GrantId> = self.gate.followed().map(|grant| grant.id()).collect();
        for grant in followed {
            let flows = if tape.flag() { Flows::Alive } else { Flows::None };
            self.gate.handle_flows(self.now(), grant, flows);
        }
    }

    fn change_door_keys(&mut self, tape: &mut Tape<'_>) {
        let [one, two] = [Door::InForce, Door::Before].map(|door| scene().door_key(door).clone());
        let keys = match tape.place(3) {
            0 => vec![one, two],
            1 => vec![two, one],
            _ => vec![one],
        };
        self.gate.set_door_keys(keys.into_iter().collect());
    }

    /// After an unclean stop, the lease is burnt and what the disk has not got is forgotten.
    fn restart(&mut self, tape: &mut Tape<'_>) {
        let is_clean = tape.one_in(4);
        if is_clean {
            self.disk_takes_everything();
            self.disk.lease = None;
        }
        // Some of what was under way had reached the disk.
        for (_, record) in std::mem::take(&mut self.stores) {
            if tape.flag() {
                self.disk.store(record);
            }
        }
        if let Some(lease) = self.disk.lease.take() {
            self.disk.burnt.add(lease);
        }
        let used = self.disk.used.map(|used| used.unwrap_or(Used::NOTHING));
        self.gate = scene().gate(self.disk.burnt.clone(), used, self.disk.cursors);
        (self.watches, self.tickets, self.token) = (Vec::new(), Vec::new(), None);
        self.jobs.clear();
        self.laws.restarted();
        self.adopt();
    }

    /// Grants are found in the kernel again.
    fn adopt(&mut self) {
        let now = self.now();
        let mut known = Vec::new();
        self.kernel.retain_mut(|element| {
            let left = Duration::from_micros(element.until.saturating_sub(self.time));
            let &mut Element { to, service, bearer: Bearer { grant, client }, .. } = element;
            let is_new = !known.contains(&grant);
            known.push(grant);
            is_new && self.gate.adopt_grant(now, grant, client, to, service, left)
        });
    }

    fn end(&mut self) {
        self.settle();
        // Longer than anything that was promised.
        for _ in 0..4 {
            self.time += 31 * 86_400_000_000;
            self.time_passes();
            self.turn();
            self.settle();
        }
        assert_eq!(self.gate.open_grants().count(), 0, "everything closes in the end");
        assert!(self.kernel.is_empty());
    }

    /// Until when a client is enrolled.
    fn enrolled(client: ClientId) -> Option<UnixTime> {
        (client == crate::scene::CAROL).then(crate::scene::end)
    }
}

impl Disk {
    fn merge(&mut self, at: usize, used: Used) {
        if let Some(stored) = self.used.get_mut(at) {
            *stored = Some(stored.map_or(used, |stored| stored.merged(used)));
        }
    }

    fn store(&mut self, record: Record) {
        let (client, used) = match record {
            Record::Counter { client, used } | Record::Offer { client, used, .. } => (client, used),
        };
        if let Some(at) = CLIENTS.iter().position(|known| *known == client) {
            self.merge(at, used);
        }
        if let Record::Offer { book, next, .. } = record {
            let at = scene().books.iter().position(|known| known.id() == book);
            if let Some(cursor) = at.and_then(|at| self.cursors.get_mut(at)) {
                *cursor = next.max(*cursor);
            }
        }
    }
}
