//! A scripted host: real cryptography, virtual time, every action carried out at once unless the script says otherwise.

mod beginning;
mod people;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::HashMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::action::{
    Action, Consultation, Decision, Effect, GrantId, Origin, Outcome, Peer, Ticket, Verdict, Way,
};
use crate::book::{Book, DecoySeed, Shape};
use crate::channel::Channel;
use crate::client::{Keys, Question};
use crate::envelope::Message;
use crate::gate::{self, Gate, Ports, Probe, ProbeKind};
use crate::key::SecretKey;
use crate::message::{Answer, Kind, Mode, Request};
use crate::note::Note;
use crate::refusal::Refusal;
use crate::replay::Used;
use crate::roster::{Client, ClientId, FixedRoster};
use crate::testing::TestRng;
use crate::time::{Instant, Now, UnixTime};
use crate::totp::TotpSecret;

use beginning::{config, keys};

/// Has a book of her own.
pub(super) const ALICE: usize = 0;
/// Shares a book with Carol.
pub(super) const BOB: usize = 1;
pub(super) const CAROL: usize = 2;
/// Has a door key and is on no roster.
pub(super) const STRANGER: usize = 3;

pub(super) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(super) const CAFE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
pub(super) const OFFICE: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Everybody may use it: a minute, an hour at most.
pub(super) const SSH: u16 = 1;
pub(super) const WEB: u16 = 2;
/// Guarded, and nobody may use it.
pub(super) const VAULT: u16 = 3;
/// Not there.
pub(super) const NOWHERE: u16 = 99;

/// The calendar when the bench is set up, in microseconds.
pub(super) const START: u64 = 1_700_000_000_000_000;

/// Places for static sequences and for their undecided knocks.
pub(super) const STATICS: usize = 4;

pub(super) type Config = gate::Config<STATICS>;

pub(super) const BOOK: u32 = 50;
pub(super) const HOLD: Duration = Duration::from_secs(10);
pub(super) const LOCKOUT: Duration = Duration::from_secs(60);

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the host does with an action.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Do {
    Report(Outcome),
    /// Nothing until [`Bench::report`].
    Wait,
}

pub(super) const WELL: Do = Do::Report(Outcome::Done);
pub(super) const BADLY: Do = Do::Report(Outcome::Failed);

/// What the policy says.
#[derive(Clone)]
pub(super) enum Judge {
    /// Open what was asked for.
    Grant,
    Say(Verdict, Vec<Effect>),
    /// Nothing until [`Bench::decide`].
    Wait,
}

impl Judge {
    pub(super) fn commit(effects: &[Effect]) -> Self {
        Self::Say(Verdict::Commit, effects.to_vec())
    }
}

pub(super) struct Script {
    pub(super) store: Do,
    pub(super) watch: Do,
    pub(super) open: Do,
    pub(super) close: Do,
    pub(super) judge: Judge,
}

struct Person {
    client: Client,
    secret: SecretKey,
    keys: &'static Keys,
    book: Book,
    counter: u64,
    totp: Option<TotpSecret>,
    /// Off the roster.
    gone: bool,
}

/// A question on its way.
pub(super) struct Asked {
    pub(super) peer: Peer,
    question: Question<'static>,
}

pub(super) struct Bench<const E: usize, const H: usize, const N: usize, const L: usize> {
    pub(super) gate: Gate<FixedRoster<4>, TestRng, E, H, N, L, STATICS>,
    pub(super) script: Script,
    /// What the gate asked for, in order.
    pub(super) trace: Vec<String>,
    pub(super) notes: Vec<Note>,
    pub(super) consultations: Vec<Consultation>,
    pub(super) waiting: Vec<Action>,
    answers: HashMap<Peer, Message>,
    /// The gate's sides of conversations.
    channels: HashMap<Peer, Channel>,
    people: Vec<Person>,
    rng: TestRng,
    /// How messages come.
    pub(super) way: Way,
    /// The host has a calendar.
    pub(super) calendar: bool,
    micros: u64,
    peers: u64,
}

pub(super) type Usual = Bench<4, 4, 8, 8>;

pub(super) fn bench() -> Usual {
    Bench::with(|_| {})
}

/// A usual bench whose gate is configured otherwise.
pub(super) fn bench_with(change: impl FnOnce(&mut Config)) -> Usual {
    Bench::with(change)
}

pub(super) fn closed(config: &mut Config) {
    config.mode = Mode::Closed;
}

impl<const E: usize, const H: usize, const N: usize, const L: usize> Bench<E, H, N, L> {
    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut rng = TestRng::new(1);
        let shape = Shape::new(BOOK, 3, 16, 10_000..=20_000).unwrap();
        let decoy_seed = DecoySeed::from_bytes([1; 32]);
        let [own, shared] = [(); 2].map(|()| Book::generate(shape, decoy_seed.clone(), &mut rng));
        let mut config = config(&mut rng, &own);
        change(&mut config);

        let mut roster = FixedRoster::new();
        let mut people = Vec::new();
        for (id, book) in (1..).zip([&own, &shared, &shared, &own]) {
            let secret = SecretKey::generate(&mut rng);
            let name = format!("client-{id}").parse().unwrap();
            let mut client = Client::new(ClientId(id), name, secret.public(), book.id());
            client.services = [SSH, WEB].into_iter().collect();
            let keys = keys(&config, 0, &secret, book);
            people.push(Person {
                client,
                secret,
                keys,
                book: book.clone(),
                counter: 0,
                totp: None,
                gone: id == 4,
            });
        }
        for person in people.iter().filter(|person| !person.gone) {
            roster.add_client(person.client.clone(), Used::NOTHING, None).unwrap();
        }
        roster.add_book(own, 0).unwrap();
        roster.add_book(shared, 0).unwrap();
        Self {
            gate: Gate::new(config, roster, TestRng::new(2)),
            script: Script { store: WELL, watch: WELL, open: WELL, close: WELL, judge: Judge::Grant },
            trace: Vec::new(),
            notes: Vec::new(),
            consultations: Vec::new(),
            waiting: Vec::new(),
            answers: HashMap::new(),
            channels: HashMap::new(),
            people,
            rng,
            way: Way::Connection,
            calendar: true,
            micros: 0,
            peers: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        let unix = self.calendar.then(|| UnixTime::from_micros(START + self.micros));
        Now { instant: Instant::from_micros(self.micros), unix }
    }

    /// Time goes by and the host does its duty.
    pub(super) fn wait(&mut self, duration: Duration) {
        let end = self.now().instant.after(duration).as_micros();
        for _ in 0..1_000 {
            let Some(due) = self.gate.poll_timeout().filter(|due| due.as_micros() <= end) else {
                self.micros = end;
                return;
            };
            self.micros = self.micros.max(due.as_micros());
            let now = self.now();
            self.gate.handle_timeout(now);
            self.turn();
        }
        panic!("the gate never stops waking its host");
    }

    /// Time goes by and the host is busy with something else.
    pub(super) fn sleep(&mut self, duration: Duration) {
        self.micros = self.now().instant.after(duration).as_micros();
    }

    /// Does what the gate asks.
    pub(super) fn turn(&mut self) {
        for _ in 0..1_000 {
            let action = self.gate.poll_action(self.now());
            while let Some(note) = self.gate.poll_note() {
                self.notes.push(note);
            }
            let Some(action) = action else { return };
            self.trace.push(word(&action));
            self.react(action);
        }
        panic!("the gate never stops asking");
    }

    fn react(&mut self, action: Action) {
        let what = match action {
            Action::Unwatch { .. } => return,
            Action::Answer { peer, message } => {
                assert_eq!(self.answers.insert(peer, message), None, "a peer is answered once");
                return;
            }
            Action::Converse { peer, message, channel, .. } => {
                assert_eq!(self.answers.insert(peer, message), None, "a peer is answered once");
                self.channels.insert(peer, channel);
                return;
            }
            Action::Consult(consultation) => return self.judge(consultation),
            Action::Remember { .. } => self.script.store,
            Action::Watch { .. } => self.script.watch,
            Action::Open { .. } => self.script.open,
            Action::Close { .. } => self.script.close,
        };
        match what {
            Do::Report(outcome) => self.tell(&action, outcome),
            Do::Wait => self.waiting.push(action),
        }
    }

    /// Reports what became of `action`, for the first time or once more.
    pub(super) fn tell(&mut self, action: &Action, outcome: Outcome) {
        let now = self.now();
        match *action {
            Action::Remember { exchange, .. } => self.gate.handle_stored(now, exchange, outcome),
            Action::Watch { hold, .. } => self.gate.handle_watched(now, hold, outcome),
            Action::Open { grant, .. } => self.gate.handle_opened(now, grant, outcome),
            Action::Close { grant, .. } => self.gate.handle_closed(now, grant, outcome),
            Action::Unwatch { .. } | Action::Consult(_) | Action::Answer { .. } | Action::Converse { .. } => {
                unreachable!("has no outcome")
            }
        }
    }

    fn judge(&mut self, consultation: Consultation) {
        let Consultation { service, seconds, .. } = consultation;
        let decision = match self.script.judge.clone() {
            Judge::Grant => decision(Verdict::Commit, &[Effect::Open { service, seconds }]),
            Judge::Say(verdict, effects) => decision(verdict, &effects),
            Judge::Wait => return self.consultations.push(consultation),
        };
        let now = self.now();
        let record = Ticket(consultation.ticket.0);
        self.gate.handle_decision(now, consultation.ticket, decision);
        self.consultations.push(Consultation { ticket: record, ..consultation });
    }

    /// Reports the oldest action that the script held back.
    pub(super) fn report(&mut self, outcome: Outcome) {
        let action = self.waiting.remove(0);
        self.tell(&action, outcome);
        self.turn();
    }

    /// Answers the last consultation that the script held back.
    pub(super) fn decide(&mut self, verdict: Verdict, effects: &[Effect]) {
        let ticket = self.consultations.pop().expect("the policy was asked").ticket;
        let now = self.now();
        self.gate.handle_decision(now, ticket, decision(verdict, effects));
        self.turn();
    }

    /// What `who` would send next.
    pub(super) fn message(
        &mut self,
        who: usize,
        change: impl FnOnce(&mut Request),
    ) -> (Question<'static>, Message) {
        let person = &mut self.people[who];
        person.counter += 1;
        let mut request = Request { service: SSH, ..Request::new(Kind::NextNumber, person.counter) };
        change(&mut request);
        person.keys.ask(&request, &mut self.rng).unwrap()
    }

    /// Hands a message to the gate.
    pub(super) fn send(&mut self, from: IpAddr, message: &Message) -> Result<Peer, Refusal> {
        self.peers += 1;
        let peer = Peer(self.peers);
        let now = self.now();
        let origin = Origin { peer, source: from, way: self.way };
        let result = self.gate.handle_message(now, origin, message);
        self.turn();
        result.map(|()| peer)
    }

    /// Asks without waiting for the answer.
    pub(super) fn start(&mut self, who: usize, from: IpAddr, change: impl FnOnce(&mut Request)) -> Asked {
        let (question, message) = self.message(who, change);
        Asked { peer: self.send(from, &message).expect("an authentic and fresh request"), question }
    }

    pub(super) fn answer(&mut self, asked: Asked) -> Option<Answer> {
        let message = self.answers.remove(&asked.peer)?;
        Some(asked.question.answer(&message).expect("the gate's answer to this very question"))
    }

    /// The answer to somebody who wants to speak with the console, and both sides of the conversation: his and the gate's.
    pub(super) fn welcome(&mut self, asked: Asked) -> Option<(Answer, Channel, Channel)> {
        let message = self.answers.remove(&asked.peer)?;
        let read = asked.question.answer_and_go_on(&message);
        let (answer, his) = read.expect("the gate's answer to this very question");
        Some((answer, his, self.channels.remove(&asked.peer)?))
    }

    pub(super) fn ask(&mut self, who: usize, from: IpAddr, change: impl FnOnce(&mut Request)) -> Answer {
        let asked = self.start(who, from, change);
        self.answer(asked).expect("an answer")
    }

    /// A packet knock.
    pub(super) fn packet(
        &mut self,
        who: usize,
        from: IpAddr,
        kind: Kind,
        change: impl FnOnce(&mut Request),
    ) -> Answer {
        let asked = self.start_packet(who, from, kind, change);
        self.answer(asked).expect("an answer")
    }

    /// A packet knock, without waiting for the answer.
    pub(super) fn start_packet(
        &mut self,
        who: usize,
        from: IpAddr,
        kind: Kind,
        change: impl FnOnce(&mut Request),
    ) -> Asked {
        let before = core::mem::replace(&mut self.way, Way::Datagram);
        let asked = self.start(who, from, |request| {
            request.kind = kind;
            change(request);
        });
        self.way = before;
        asked
    }

    /// Opens SSH by a packet knock.
    pub(super) fn open_by_packet(&mut self, who: usize, from: IpAddr) -> Answer {
        self.packet(who, from, Kind::Open, |_| {})
    }

    pub(super) fn status(&mut self, who: usize, from: IpAddr) -> Answer {
        self.ask(who, from, |request| request.kind = Kind::Status)
    }

    /// The number that `who` is offered.
    pub(super) fn number(&mut self, who: usize, from: IpAddr) -> u32 {
        let answer = self.ask(who, from, |_| {});
        answer.offer.unwrap_or_else(|| panic!("not offered: {answer:?}")).number
    }

    pub(super) fn sequence(&self, who: usize, number: u32) -> Vec<u16> {
        self.people[who].book.sequence(number, &self.gate.config().decoys).unwrap().to_vec()
    }

    /// A watched port that is not in the sequence.
    pub(super) fn wrong_port(&self, who: usize, number: u32) -> u16 {
        let sequence = self.sequence(who, number);
        *self.gate.config().decoys.ports().iter().find(|port| !sequence.contains(port)).unwrap()
    }

    pub(super) fn probe(&mut self, from: IpAddr, ports: &[u16]) {
        let kind = match self.gate.config().mode {
            Mode::Connect => ProbeKind::Connected,
            Mode::Closed => ProbeKind::Attempted,
        };
        for &port in ports {
            let now = self.now();
            self.gate.handle_probe(now, Probe { source: from, port, kind });
            self.turn();
        }
    }

    /// Asks and knocks properly.
    pub(super) fn knock(&mut self, who: usize, from: IpAddr, change: impl FnOnce(&mut Request)) {
        let answer = self.ask(who, from, change);
        let number = answer.offer.unwrap_or_else(|| panic!("not offered: {answer:?}")).number;
        let sequence = self.sequence(who, number);
        self.probe(from, &sequence);
    }

    /// Who is let in, and where to.
    pub(super) fn open(&self) -> Vec<(u32, IpAddr, u16)> {
        self.gate
            .open_grants()
            .map(|grant| (grant.client().0, grant.to().address(), grant.service()))
            .collect()
    }

    /// The only grant that is open.
    pub(super) fn grant(&self) -> GrantId {
        assert_eq!(self.gate.open_grants().count(), 1);
        self.gate.open_grants().next().map(|grant| grant.id()).unwrap()
    }

    /// How long the openings were to last, in seconds.
    pub(super) fn left(&self) -> Vec<u64> {
        let now = self.now().instant;
        self.gate.open_grants().map(|grant| grant.deadline().left(now).as_secs()).collect()
    }

    pub(super) fn revoke(&mut self, grant: GrantId) {
        let now = self.now();
        self.gate.revoke(now, grant);
        self.turn();
    }

    /// The gate behaves as its configuration says after this `change`.
    pub(super) fn reconfigure(&mut self, change: impl Fn(&mut Config), ports: impl Fn(u16) -> Ports) {
        let (now, mut config) = (self.now(), self.gate.config().clone());
        change(&mut config);
        self.gate.reconfigure(now, config, ports);
        self.turn();
    }

    pub(super) fn actions(&mut self) -> Vec<String> {
        core::mem::take(&mut self.trace)
    }
}

pub(super) fn refused(answer: &Answer) -> Refusal {
    answer.refusal().unwrap_or_else(|| panic!("not refused: {answer:?}"))
}

pub(super) fn decision(verdict: Verdict, effects: &[Effect]) -> Decision {
    Decision { verdict, effects: effects.iter().copied().collect() }
}

fn word(action: &Action) -> String {
    match action {
        Action::Remember { .. } => "remember".into(),
        Action::Watch { source, .. } => format!("watch {source}"),
        Action::Unwatch { source } => format!("unwatch {source}"),
        Action::Consult(_) => "consult".into(),
        Action::Open { to, service, lasts, .. } => {
            format!("open {service} to {to} for {}", lasts.as_secs())
        }
        Action::Close { to, service, .. } => format!("close {service} to {to}"),
        Action::Answer { .. } => "answer".into(),
        Action::Converse { client, source, .. } => format!("converse with {} at {source}", client.0),
    }
}
