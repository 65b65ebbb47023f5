//! What one packet costs the core, on one thread: knocks that are good, junk of the right size, and the X25519 operations alone.
//!
//! Processor time, so that a busy machine does not count as a slow one. `cargo run --release -p knockgate-core --example packet_cost`
#![allow(clippy::unwrap_used, reason = "a measurement ends when something is wrong")]

#[path = "../benches/generator/mod.rs"]
mod generator;

use std::hint::black_box;
use std::time::Duration;

use clatter::bytearray::{ByteArray, SensitiveByteArray};
use clatter::crypto::dh::X25519;
use clatter::traits::Dh;
use knockgate_core::book::{Book, DecoySeed, Order, Shape};
use knockgate_core::client::Keys;
use knockgate_core::envelope::Message;
use knockgate_core::gate::{LockoutScope, Service};
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::message::{Kind, Mode, Request};
use knockgate_core::profile::Profile;
use knockgate_core::replay::{Burnt, Lease, Used};
use knockgate_core::roster::FixedRoster;
use knockgate_core::{
    Action, Client, ClientId, Config, Decision, Effect, Gate, Instant, Now, Origin, Outcome, Peer, UnixTime,
    Verdict, Way,
};
use rand_core::Rng;

use generator::Generator;

/// Packets of one measurement, and how often it is repeated; the median counts.
const PACKETS: u32 = 2_000;
const JUNK: u32 = 100_000;
const RUNS: usize = 7;
/// Operations of a gate for one good knock of somebody who has knocked before: `es`, `ee`, `se`; beside them, the public half of
/// the next ephemeral key.
const DH_FOR_ONE: u32 = 3;

type Bench = Gate<FixedRoster<1>, Generator, 64, 8, 8, 8>;

fn main() {
    let mut rng = Generator(1);
    let mut bench = Knocks::new(&mut rng);
    let junk: Vec<Message> = (0..64).map(|_| std::array::from_fn(|_| byte(&mut rng))).collect();
    // In turns, so that whatever slows the machine down for a while slows down all three.
    let mut runs: Vec<Run> = (0..RUNS).map(|_| Run::of(&mut bench, &junk, &mut rng)).collect();

    println!("| one thread | µs each | a second |\n| --- | ---: | ---: |");
    row("good packet knock: opened, decided, granted, answered", &mut runs, |run| run.knock);
    row("the X25519 operations in it alone: three, and one new key", &mut runs, |run| run.bound);
    row("junk of the right size", &mut runs, |run| run.junk);
    println!("\nGood knocks reach {:.0} % of the X25519 bound.", 100.0 * median(&mut runs, Run::share));
}

/// Processor seconds for one of each.
struct Run {
    knock: f64,
    bound: f64,
    junk: f64,
}

impl Run {
    fn of(bench: &mut Knocks, junk: &[Message], rng: &mut Generator) -> Self {
        let knock = bench.knock(rng);
        let dh = dh(rng);
        Self { knock, bound: dh * f64::from(DH_FOR_ONE) + new_key(rng), junk: bench.junk(junk) }
    }

    fn share(&self) -> f64 {
        self.bound / self.knock
    }
}

fn row(what: &str, runs: &mut [Run], of: fn(&Run) -> f64) {
    let seconds = median(runs, of);
    println!("| {what} | {:.2} | {:.0} |", seconds * 1e6, 1.0 / seconds);
}

fn median(runs: &mut [Run], of: fn(&Run) -> f64) -> f64 {
    runs.sort_unstable_by(|one, two| of(one).total_cmp(&of(two)));
    of(&runs[runs.len() / 2])
}

/// Somebody who may do everything, and his gate.
struct Knocks {
    gate: Bench,
    keys: Keys,
    counter: u64,
}

impl Knocks {
    fn new(rng: &mut Generator) -> Self {
        let (gate, keys) = gate(rng);
        Self { gate, keys, counter: 0 }
    }

    fn knock(&mut self, rng: &mut Generator) -> f64 {
        let knocks: Vec<Message> = (0..PACKETS)
            .map(|_| {
                self.counter += 1;
                let request = Request { service: 1, ..Request::new(Kind::Open, self.counter) };
                self.keys.ask(&request, rng).unwrap().1
            })
            .collect();
        each(PACKETS, || {
            for (at, message) in (0..).zip(&knocks) {
                self.gate.handle_message(now(at), origin(), message).unwrap();
                assert_eq!(answer(&mut self.gate, now(at)), 1, "every knock is answered");
            }
        })
    }

    fn junk(&mut self, junk: &[Message]) -> f64 {
        each(JUNK, || {
            for message in junk.iter().cycle().take(JUNK as usize) {
                let _ = black_box(self.gate.handle_message(now(0), origin(), message));
            }
        })
    }
}

fn dh(rng: &mut Generator) -> f64 {
    let (secret, other) = (SensitiveByteArray::from_slice(&[7; 32]), Identity::generate(rng).public().0);
    each(PACKETS, || {
        for _ in 0..PACKETS {
            black_box(X25519::dh(black_box(&secret), black_box(&other)).unwrap());
        }
    })
}

fn new_key(rng: &mut Generator) -> f64 {
    each(PACKETS, || {
        for _ in 0..PACKETS {
            black_box(Identity::generate(rng).public());
        }
    })
}

/// Processor seconds that one of so many takes.
fn each(times: u32, work: impl FnOnce()) -> f64 {
    let begun = processor_time();
    work();
    (processor_time() - begun).as_secs_f64() / f64::from(times)
}

/// What this thread has had of a processor so far. Unlike a clock it does not count the time that others had.
fn processor_time() -> Duration {
    // The kernel brings the figure up to date when it looks for the next thread to run.
    std::thread::yield_now();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
}

/// Does what the gate asks; says how many answers there were.
fn answer(gate: &mut Bench, now: Now) -> u32 {
    let mut answers = 0;
    while let Some(action) = gate.poll_action(now) {
        match action {
            Action::Consult(asked) => {
                let effects = [Effect::Open { service: 1, seconds: asked.seconds }].into_iter().collect();
                gate.handle_decision(now, asked.ticket, Decision { verdict: Verdict::Commit, effects });
            }
            Action::Open { grant, .. } => gate.handle_opened(now, grant, Outcome::Done),
            Action::Answer { message, .. } => {
                black_box(message);
                answers += 1;
            }
            Action::Remember { .. } => panic!("the lease covers every counter"),
            Action::Watch { .. }
            | Action::Unwatch { .. }
            | Action::Close { .. }
            | Action::Converse { .. } => {
                panic!("nobody knocks a sequence, nothing ends, and there is no console")
            }
        }
    }
    while gate.poll_note().is_some() {}
    answers
}

fn gate(rng: &mut Generator) -> (Bench, Keys) {
    let shape = Shape::new(10, 3, 16, 10_000..=20_000).unwrap();
    let book = Book::generate(shape, DecoySeed::generate(rng), rng);
    let (secret, door_key, identity) =
        (SecretKey::generate(rng), DoorKey::generate(rng), Identity::generate(rng));
    let mut client = Client::new(ClientId(1), "somebody".parse().unwrap(), secret.public(), book.id());
    client.services.push(1).unwrap();
    let mut roster = FixedRoster::new();
    roster.add_client(client, Used::NOTHING, None).unwrap();
    roster.add_book(book.clone(), 0).unwrap();
    let keys = Keys::of(&Profile {
        client: "somebody".parse().unwrap(),
        address: "gate.example".try_into().unwrap(),
        central_port: 0,
        packet_ports: None,
        gate: GateId([7; 16]),
        gate_key: identity.public(),
        door_key: door_key.clone(),
        secret: Some(secret),
        services: heapless::Vec::new(),
        book: book.clone(),
    });
    let config = Config {
        gate: GateId([7; 16]),
        identity,
        door_keys: [door_key].into_iter().collect(),
        decoys: book.decoys(),
        mode: Mode::Connect,
        order: Order::Strict,
        hold: Duration::from_secs(10),
        strays: 2,
        lockout: Duration::from_secs(60),
        lockout_scope: LockoutScope::Source,
        max_age: None,
        console: None,
        burnt: Burnt::default(),
        statics: heapless::Vec::new(),
        services: [Service::new(1, Duration::from_secs(60), Duration::from_secs(3600))].into_iter().collect(),
    };
    let mut gate = Gate::new(config, roster, Generator(2));
    gate.set_lease(Some(Lease { after: 0, until: u64::MAX }));
    (gate, keys.unwrap())
}

fn now(micros: u64) -> Now {
    Now { instant: Instant::from_micros(micros), unix: Some(UnixTime::from_micros(1_700_000_000_000_000)) }
}

fn origin() -> Origin {
    Origin { peer: Peer(1), source: [192, 0, 2, 7].into(), way: Way::Datagram }
}

fn byte(rng: &mut Generator) -> u8 {
    let mut byte = [0];
    rng.fill_bytes(&mut byte);
    byte[0]
}
