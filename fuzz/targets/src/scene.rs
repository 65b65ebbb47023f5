//! A gate with its clients, the same in every run.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::Duration;

use knockgate_core::book::{Book, DecoySeed, Decoys, Order, Shape};
use knockgate_core::envelope::{self, Direction, Inner, Message};
use knockgate_core::gate::{LockoutScope, Prefixes, Service};
use knockgate_core::handshake::Initiator;
use knockgate_core::key::{DoorKey, GateId, Identity};
use knockgate_core::limits::REQUEST_LEN;
use knockgate_core::message::{Answer, Mode};
use knockgate_core::replay::{Burnt, Used};
use knockgate_core::roster::{FixedRoster, FormerKey};
use knockgate_core::time::Instant;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId, Config, Gate, Now, UnixTime};
use rand_core::{TryCryptoRng, TryRng};

/// Small tables, so that a short script fills them.
pub(crate) type SmallGate = Gate<FixedRoster<3>, Numbers, 4, 2, 6, 4>;

const GATE: GateId = GateId([7; 16]);
/// When every run begins, in microseconds of Unix time.
pub(crate) const START: u64 = 1_800_000_000_000_000;
/// The gate's own clock at that time.
const BOOT: u64 = 1_000_000_000;
/// Carol's enrolment ends an hour after the start, and so does Bob's former key.
const HOUR: Duration = Duration::from_secs(3600);

/// Who sends a message, and with which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Has a book of her own, and a second factor.
    Alice,
    /// Shares a book with Carol. Is to confirm every packet knock.
    Bob,
    /// The same, with the key that he had before.
    FormerBob,
    /// Her enrolment ends.
    Carol,
    /// Has a door key and is on no roster.
    Stranger,
}

impl Sender {
    pub(crate) const ALL: [Self; 5] = [Self::Alice, Self::Bob, Self::FormerBob, Self::Carol, Self::Stranger];

    /// Who it is on the roster at that time.
    pub(crate) fn client(self, now: Now) -> Option<ClientId> {
        let in_time = now.unix.is_some_and(|unix| unix < end());
        match self {
            Self::Alice => Some(ALICE),
            Self::Bob => Some(BOB),
            Self::FormerBob => Some(BOB).filter(|_| in_time),
            Self::Carol => Some(CAROL),
            Self::Stranger => None,
        }
    }

    fn identity(self) -> &'static Identity {
        let [alice, bob, former, carol, stranger] = &scene().identities;
        match self {
            Self::Alice => alice,
            Self::Bob => bob,
            Self::FormerBob => former,
            Self::Carol => carol,
            Self::Stranger => stranger,
        }
    }
}

pub(crate) const ALICE: ClientId = ClientId(1);
pub(crate) const BOB: ClientId = ClientId(2);
pub(crate) const CAROL: ClientId = ClientId(3);
pub(crate) const CLIENTS: [ClientId; 3] = [ALICE, BOB, CAROL];

/// Two that share an IPv4 prefix, one in the clothes of IPv6, and two that share an IPv6 prefix.
pub(crate) const SOURCES: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)),
    IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 9, 9, 9, 9)),
];

/// A door key of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    InForce,
    Before,
}

/// What the gate and its clients have.
pub(crate) struct Scene {
    gate: Identity,
    door_keys: [DoorKey; 2],
    identities: [Identity; 5],
    ephemeral: Identity,
    pub(crate) books: [Book; 2],
    pub(crate) decoys: Decoys,
    totp: TotpSecret,
}

/// The one that all targets play in.
pub(crate) fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(Scene::make)
}

/// The end of Carol's enrolment and of Bob's former key.
pub(crate) fn end() -> UnixTime {
    UnixTime::from_micros(START).after(HOUR)
}

/// Both clocks, so long after the start.
pub(crate) fn at(micros: u64) -> Now {
    Now {
        instant: Instant::from_micros(BOOT.saturating_add(micros)),
        unix: Some(UnixTime::from_micros(START.saturating_add(micros))),
    }
}

impl Scene {
    fn make() -> Self {
        let mut rng = Numbers(1);
        let shape = Shape::new(40, 3, 16, 10_000..=20_000).expect("within the limits");
        let books = [(); 2].map(|()| Book::generate(shape, DecoySeed::from_bytes([3; 32]), &mut rng));
        Self {
            gate: Identity::generate(&mut rng),
            door_keys: [(); 2].map(|()| DoorKey::generate(&mut rng)),
            identities: [(); 5].map(|()| Identity::generate(&mut rng)),
            ephemeral: Identity::generate(&mut rng),
            decoys: books[0].decoys(),
            books,
            totp: TotpSecret::generate(&mut rng),
        }
    }

    pub(crate) fn door_key(&self, door: Door) -> &DoorKey {
        let [in_force, before] = &self.door_keys;
        match door {
            Door::InForce => in_force,
            Door::Before => before,
        }
    }

    /// Alice's code at that time.
    pub(crate) fn code(&self, now: Now) -> u32 {
        self.totp.code_at(now.unix.map_or(0, |unix| unix.as_micros() / 1_000_000 / 30))
    }

    pub(crate) fn gate(&self, burnt: Burnt, used: [Used; 3], cursors: [u32; 2]) -> Box<SmallGate> {
        let mut roster = FixedRoster::new();
        let added = "there is room for three clients and two books";
        for ((client, used), id) in self.clients().into_iter().zip(used).zip(CLIENTS) {
            let totp = Some(self.totp.clone()).filter(|_| id == ALICE);
            roster.add_client(client, used, totp).expect(added);
        }
        for (book, cursor) in self.books.iter().zip(cursors) {
            roster.add_book(book.clone(), cursor).expect(added);
        }
        Box::new(Gate::new(self.config(burnt), roster, Numbers(2)))
    }

    fn clients(&self) -> [Client; 3] {
        let [alice, bob, former, carol, _] = &self.identities;
        let client = |id: ClientId, name: &str, key: &Identity, book: &Book| Client {
            services: (1..=4).collect(),
            ..Client::new(id, name.parse().expect("a name"), key.public(), book.id())
        };
        let [own, shared] = &self.books;
        let former = Some(FormerKey { key: former.public(), until: end() });
        [
            client(ALICE, "alice", alice, own),
            Client { former, confirm: true, ..client(BOB, "bob", bob, shared) },
            Client { expires: Some(end()), ..client(CAROL, "carol", carol, shared) },
        ]
    }

    fn config(&self, burnt: Burnt) -> Config {
        Config {
            gate: GATE,
            identity: self.gate.clone(),
            door_keys: self.door_keys.iter().cloned().collect(),
            decoys: self.decoys.clone(),
            mode: Mode::Connect,
            order: Order::Strict,
            hold: Duration::from_secs(10),
            strays: 0,
            lockout: Duration::from_secs(60),
            lockout_scope: LockoutScope::Source,
            max_age: Some(Duration::from_secs(300)),
            console: Some(CONSOLE),
            burnt,
            statics: Default::default(),
            services: services().into_iter().collect(),
        }
    }

    /// A payload as `sender` sends it, and what reads the answer. The payload need not be a request.
    pub(crate) fn ask(
        &self,
        sender: Sender,
        door: Door,
        payload: &[u8; REQUEST_LEN],
    ) -> (Initiator, Message) {
        let identity = sender.identity();
        let started = Initiator::start(identity, self.ephemeral.clone(), self.gate.public(), GATE, payload);
        let (initiator, inner) = started.expect("the keys are good");
        (initiator, self.sealed(door, &inner))
    }

    /// Whatever is inside, under a door key of the gate.
    pub(crate) fn sealed(&self, door: Door, inner: &Inner) -> Message {
        let sealed = envelope::seal(self.door_key(door), GATE, Direction::Request, inner, &mut Numbers(3));
        sealed.expect("a key of the right length")
    }

    /// What is inside a message of a client.
    pub(crate) fn opened(&self, door: Door, message: &Message) -> Option<Inner> {
        envelope::open(self.door_key(door), GATE, Direction::Request, message)
    }

    /// The answer to a question that was sealed under `door`. `None` if it is not the gate's.
    pub(crate) fn answer(&self, initiator: &Initiator, door: Door, message: &Message) -> Option<Answer> {
        let inner = envelope::open(self.door_key(door), GATE, Direction::Answer, message)?;
        let payload = initiator.clone().finish(&inner).ok()?;
        Some(Answer::decode(&payload).expect("the gate writes answers that this version reads"))
    }
}

/// The plain one stands for the gate's console, too.
pub(crate) const CONSOLE: u16 = 1;

/// One plain, one to be confirmed, one with a second factor, one that follows its connections.
pub(crate) fn services() -> [Service; 4] {
    let service = |id| Service::new(id, Duration::from_secs(20), Duration::from_secs(7200));
    [
        Service { prefixes: Some(Prefixes { v4: 24, v6: 64 }), ..service(1) },
        Service { confirm: true, ..service(2) },
        Service { second_factor: true, ..service(3) },
        Service { follow: true, ..service(4) },
    ]
}

/// A generator whose numbers are the same in every run (SplitMix64). Not for keys of anybody.
#[derive(Clone)]
pub(crate) struct Numbers(pub(crate) u64);

impl TryRng for Numbers {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let [low, _] = self.halves();
        Ok(low)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let [low, high] = self.halves().map(u64::from);
        Ok(high << 32 | low)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

impl Numbers {
    fn halves(&mut self) -> [u32; 2] {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let [a, b, c, d, e, f, g, h] = z.to_le_bytes();
        [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
    }
}

impl TryCryptoRng for Numbers {}
