//! What a stranger costs the core: a probe of a decoy, a probe of a port of a static sequence, a look at his budget.
//!
//! Every probe comes from another source, and the tables are full. `cargo bench -p knockgate-core --bench probe`
#![allow(clippy::unwrap_used, reason = "a measurement ends when something is wrong")]

mod generator;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use knockgate_core::book::{Book, DecoySeed, Order, Shape};
use knockgate_core::budget::{self, Budget};
use knockgate_core::client::Keys;
use knockgate_core::gate::{LockoutScope, Service};
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::limits::MAX_DECOYS;
use knockgate_core::message::{Kind, Mode, Request};
use knockgate_core::profile::Profile;
use knockgate_core::replay::{Burnt, Used};
use knockgate_core::roster::FixedRoster;
use knockgate_core::static_sequence::{self, StaticSequence, StaticWatch, Step, Transport};
use knockgate_core::{
    Action, Client, ClientId, Config, Gate, Instant, Now, Origin, Outcome, Peer, Probe, ProbeKind, UnixTime,
    Way,
};
use rand_core::Rng;

use generator::Generator;

/// Buckets of eight attempts, and of eight prefixes.
const BUCKETS: usize = 8192;
/// Sources that fill them: eight for each place.
const FULL: usize = 8 * 8 * BUCKETS;
const GATE: GateId = GateId([7; 16]);
const HOLD: Duration = Duration::from_secs(60);

type Bench = Gate<FixedRoster<256>, Generator, 4, 256, 4, 4>;

criterion_group!(benches, decoys, static_sequences, budgets);
criterion_main!(benches);

fn decoys(criterion: &mut Criterion) {
    for (holds, name) in
        [(0, "probe of an unknown source, no holds"), (256, "probe of an unknown source, 256 holds")]
    {
        let (mut gate, mut rng) = (gate(holds), Generator(3));
        let port = *gate.config().decoys.ports().first().unwrap();
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let probe = Probe { source: stranger(&mut rng), port, kind: ProbeKind::Attempted };
                gate.handle_probe(now(), black_box(probe));
            });
        });
    }
}

fn static_sequences(criterion: &mut Criterion) {
    let steps = [7000, 8000, 9000].map(|port| Step { transport: Transport::Tcp, port });
    let sequence = StaticSequence::new(&steps, HOLD).unwrap();
    let table = vec![static_sequence::Bucket::default(); BUCKETS];
    let mut watch = StaticWatch::new([sequence].into_iter().collect(), table, [7; 16]);
    let mut rng = Generator(3);
    for _ in 0..FULL {
        watch.handle_probe(now().instant, stranger(&mut rng), steps[0]);
    }
    criterion.bench_function("static probe of an unknown source, full table", |bencher| {
        bencher.iter(|| watch.handle_probe(now().instant, stranger(&mut rng), black_box(steps[0])));
    });
}

fn budgets(criterion: &mut Criterion) {
    let mut budget = Budget::new(vec![budget::Bucket::default(); BUCKETS], [7; 16]);
    let mut rng = Generator(3);
    for _ in 0..FULL {
        budget.take(now().instant, stranger(&mut rng));
    }
    criterion.bench_function("budget", |bencher| {
        bencher.iter(|| budget.take(now().instant, black_box(stranger(&mut rng))));
    });
}

fn stranger(rng: &mut Generator) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(rng.next_u32() | 0x8000_0000))
}

/// A gate at which so many clients hold a number, each at an address of its own.
#[expect(
    clippy::large_stack_frames,
    reason = "a program on a computer, which moves the gate to the heap once"
)]
fn gate(holds: u32) -> Box<Bench> {
    let mut rng = Generator(1);
    let most = u16::try_from(MAX_DECOYS).unwrap();
    let (shape, seed) = (Shape::new(10, 3, most, 10_000..=20_000).unwrap(), DecoySeed::generate(&mut rng));
    let (identity, door_key) = (Identity::generate(&mut rng), DoorKey::generate(&mut rng));
    let mut roster = FixedRoster::new();
    let mut clients = Vec::new();
    let mut decoys = Book::generate(shape, seed.clone(), &mut rng).decoys();
    for id in 1..=holds {
        let book = Book::generate(shape, seed.clone(), &mut rng);
        decoys = book.decoys();
        let secret = SecretKey::generate(&mut rng);
        let name = format!("client-{id}").parse().unwrap();
        let mut client = Client::new(ClientId(id), name, secret.public(), book.id());
        client.services.push(1).unwrap();
        roster.add_client(client, Used::NOTHING, None).unwrap();
        roster.add_book(book.clone(), 0).unwrap();
        clients.push(Keys::of(&profile(&identity, &door_key, secret, book)).unwrap());
    }
    let config = Config {
        gate: GATE,
        identity,
        door_keys: [door_key].into_iter().collect(),
        decoys,
        mode: Mode::Closed,
        order: Order::Strict,
        hold: HOLD,
        strays: 2,
        lockout: HOLD,
        lockout_scope: LockoutScope::Source,
        max_age: None,
        burnt: Burnt::default(),
        services: [Service::new(1, HOLD, HOLD)].into_iter().collect(),
        statics: heapless::Vec::new(),
        console: None,
    };
    let mut gate = Box::new(Gate::new(config, roster, Generator(2)));
    for (keys, at) in clients.iter().zip(1..) {
        hold(&mut gate, keys, IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + at)), &mut rng);
    }
    gate
}

fn profile(identity: &Identity, door_key: &DoorKey, secret: SecretKey, book: Book) -> Profile {
    Profile {
        client: "somebody".parse().unwrap(),
        address: "gate.example".try_into().unwrap(),
        central_port: 0,
        packet_ports: None,
        gate: GATE,
        gate_key: identity.public(),
        door_key: door_key.clone(),
        secret: Some(secret),
        services: heapless::Vec::new(),
        book,
    }
}

/// A client asks for a number, and may knock it from now on.
fn hold(gate: &mut Bench, keys: &Keys, source: IpAddr, rng: &mut Generator) {
    let request = Request { service: 1, ..Request::new(Kind::NextNumber, 1) };
    let (_, message) = keys.ask(&request, rng).unwrap();
    gate.handle_message(now(), Origin { peer: Peer(1), source, way: Way::Connection }, &message).unwrap();
    let mut offered = false;
    while let Some(action) = gate.poll_action(now()) {
        match action {
            Action::Remember { exchange, .. } => gate.handle_stored(now(), exchange, Outcome::Done),
            Action::Watch { hold, .. } => {
                gate.handle_watched(now(), hold, Outcome::Done);
                offered = true;
            }
            Action::Answer { .. } => {}
            Action::Unwatch { .. }
            | Action::Consult(_)
            | Action::Open { .. }
            | Action::Close { .. }
            | Action::Converse { .. } => panic!("nobody has knocked"),
        }
    }
    while gate.poll_note().is_some() {}
    assert!(offered, "every client holds a number");
}

fn now() -> Now {
    Now { instant: Instant::from_micros(1), unix: Some(UnixTime::from_micros(1_700_000_000_000_000)) }
}
