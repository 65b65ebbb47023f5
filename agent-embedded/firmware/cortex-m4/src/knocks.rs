//! Both halves of the protocol on one chip: a packet knock and a sequence knock open, and nothing of them opens again.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use cortex_m_semihosting::hprintln;
use heapless::Vec;
use knockgate_core::book::{Book, DecoySeed, Order, Shape};
use knockgate_core::client::{Keys, Question};
use knockgate_core::envelope::Message;
use knockgate_core::gate::Service;
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::message::{Answer, Kind, Mode, Request, Verdict as Answered};
use knockgate_core::profile::Profile;
use knockgate_core::replay::{Burnt, Used};
use knockgate_core::roster::FixedRoster;
use knockgate_core::{
    Action, Client, ClientId, Config, Decision, Effect, Gate, Instant, Now, Origin, Outcome, Peer, Probe,
    ProbeKind, Refusal, Verdict, Way,
};

use crate::chance::Chance;
use crate::clock::Clock;

const SERVICE: u16 = 1;
const OPEN: Duration = Duration::from_secs(60);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// On a frame of its own, so that the stack is counted for it alone.
#[inline(never)]
pub(crate) fn check(clock: &mut Clock, seed: u64) -> Result<(), &'static str> {
    let mut rng = Chance::new(seed);
    let profile = profile(&mut rng)?;
    let keys = Keys::of(&profile.1).map_err(|_| "the client's keys are unusable")?;
    let mut host = Host::new(profile, rng)?;
    let (knocked, took) = clock.measure(|| packet_knock(&mut host, &keys))?;
    knocked?;
    hprintln!("packet knock, both halves: {took} instructions");
    let (knocked, took) = clock.measure(|| sequence_knock(&mut host, &keys))?;
    knocked?;
    hprintln!("sequence knock, both halves: {took} instructions");
    Ok(())
}

fn packet_knock(host: &mut Host, keys: &Keys) -> Result<(), &'static str> {
    let (question, message) = host.ask(keys, Kind::Open)?;
    host.hear(Way::Datagram, &message).map_err(|_| "a packet knock was refused")?;
    let answer = host.answer(&question)?;
    (answer.verdict == Answered::Granted && host.open == 1)
        .then_some(())
        .ok_or("a packet knock did not open")?;

    let again = host.hear(Way::Datagram, &message);
    (again == Err(Refusal::Replayed)).then_some(()).ok_or("a replayed packet knock was not refused")?;
    host.sleep(OPEN);
    (host.open == 0).then_some(()).ok_or("a grant outlived its time")
}

fn sequence_knock(host: &mut Host, keys: &Keys) -> Result<(), &'static str> {
    let (question, message) = host.ask(keys, Kind::NextNumber)?;
    host.hear(Way::Connection, &message).map_err(|_| "a question for the next number was refused")?;
    let offer = host.answer(&question)?.offer.ok_or("no number was offered")?;
    let decoys = host.book.decoys();
    let sequence =
        host.book.sequence(offer.number, &decoys).ok_or("the offered number is not in the book")?;
    host.knock(&sequence);
    (host.open == 1).then_some(()).ok_or("a sequence did not open")?;

    host.sleep(OPEN);
    (host.open == 0).then_some(()).ok_or("a grant outlived its time")?;
    host.knock(&sequence);
    (host.open == 0).then_some(()).ok_or("a replayed sequence opened")
}

/// The gate, and a host that does at once what it asks and never fails.
struct Host {
    gate: Gate<FixedRoster<1>, Chance, 2, 2, 2, 2>,
    book: Book,
    rng: Chance,
    counter: u64,
    now: Instant,
    answer: Option<Message>,
    /// What is open.
    open: u32,
}

impl Host {
    fn new((config, profile): (Config, Profile), mut rng: Chance) -> Result<Self, &'static str> {
        let secret = profile.secret.as_ref().ok_or("the profile has no secret")?;
        let mut client = Client::new(ClientId(1), profile.client, secret.public(), profile.book.id());
        client.services.push(SERVICE).map_err(|_| "no room for a service")?;
        let mut roster = FixedRoster::new();
        roster.add_client(client, Used::NOTHING, None).map_err(|_| "no room for a client")?;
        roster.add_book(profile.book.clone(), 0).map_err(|_| "no room for a book")?;
        let gate = Gate::new(config, roster, Chance::new(rand_core::Rng::next_u64(&mut rng)));
        let (counter, now) = (0, Instant::from_micros(0));
        Ok(Self { gate, book: profile.book, rng, counter, now, answer: None, open: 0 })
    }

    fn ask<'k>(&mut self, keys: &'k Keys, kind: Kind) -> Result<(Question<'k>, Message), &'static str> {
        self.counter = self.counter.saturating_add(1);
        let request = Request { service: SERVICE, ..Request::new(kind, self.counter) };
        keys.ask(&request, &mut self.rng).map_err(|_| "the client cannot ask")
    }

    fn hear(&mut self, way: Way, message: &Message) -> Result<(), Refusal> {
        let origin = Origin { peer: Peer(self.counter), source: HOME, way };
        let heard = self.gate.handle_message(self.clock(), origin, message);
        self.turn();
        heard
    }

    fn answer(&mut self, question: &Question<'_>) -> Result<Answer, &'static str> {
        let message = self.answer.take().ok_or("the gate did not answer")?;
        question.answer(&message).map_err(|_| "the answer is not the gate's")
    }

    fn knock(&mut self, sequence: &[u16]) {
        for port in sequence {
            let probe = Probe { source: HOME, port: *port, kind: ProbeKind::Connected };
            self.gate.handle_probe(self.clock(), probe);
            self.turn();
        }
    }

    /// Time goes by.
    fn sleep(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.gate.handle_timeout(self.clock());
        self.turn();
    }

    const fn clock(&self) -> Now {
        Now { instant: self.now, unix: None }
    }

    fn turn(&mut self) {
        while let Some(action) = self.gate.poll_action(self.clock()) {
            self.act(action);
        }
        while self.gate.poll_note().is_some() {}
    }

    fn act(&mut self, action: Action) {
        let now = self.clock();
        match action {
            Action::Remember { exchange, .. } => self.gate.handle_stored(now, exchange, Outcome::Done),
            Action::Watch { hold, .. } => self.gate.handle_watched(now, hold, Outcome::Done),
            Action::Unwatch { .. } => {}
            Action::Consult(asked) => {
                let effect = Effect::Open { service: asked.service, seconds: asked.seconds };
                let decision = Decision { verdict: Verdict::Commit, effects: Vec::from_iter([effect]) };
                self.gate.handle_decision(now, asked.ticket, decision);
            }
            Action::Open { grant, .. } => {
                self.open = self.open.saturating_add(1);
                self.gate.handle_opened(now, grant, Outcome::Done);
            }
            Action::Close { grant, .. } => {
                self.open = self.open.saturating_sub(1);
                self.gate.handle_closed(now, grant, Outcome::Done);
            }
            Action::Answer { message, .. } | Action::Converse { message, .. } => self.answer = Some(message),
        }
    }
}

/// A gate and what its only client has of it.
fn profile(rng: &mut Chance) -> Result<(Config, Profile), &'static str> {
    let shape = Shape::new(10, 6, 100, 10_000..=32_767).map_err(|_| "the book's figures are wrong")?;
    let book = Book::generate(shape, DecoySeed::generate(rng), rng);
    let (gate, identity, door_key) = (GateId([7; 16]), Identity::generate(rng), DoorKey::generate(rng));
    let profile = Profile {
        client: "anna".parse().map_err(|_| "a good name was refused")?,
        address: "gate.example".try_into().map_err(|_| "a good address was refused")?,
        central_port: 62_201,
        packet_ports: None,
        gate,
        gate_key: identity.public(),
        door_key: door_key.clone(),
        secret: Some(SecretKey::generate(rng)),
        services: Vec::new(),
        book: book.clone(),
    };
    let config = Config {
        gate,
        identity,
        door_keys: Vec::from_iter([door_key]),
        decoys: book.decoys(),
        mode: Mode::Connect,
        order: Order::Strict,
        hold: knockgate_core::limits::DEFAULT_HOLD,
        strays: 0,
        lockout: OPEN,
        lockout_scope: knockgate_core::gate::LockoutScope::Source,
        max_age: None,
        burnt: Burnt::default(),
        statics: Vec::new(),
        services: Vec::from_iter([Service::new(SERVICE, OPEN, OPEN)]),
        console: None,
    };
    Ok((config, profile))
}
