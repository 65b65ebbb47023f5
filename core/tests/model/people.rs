//! Who there is: three clients with their books, made once for all cases.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::Duration;

use knockgate_core::book::{Book, DecoySeed, Decoys, Order, Shape};
use knockgate_core::client::Keys;
use knockgate_core::gate::{Config, LockoutScope, Service, StaticDoor};
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::message::Mode;
use knockgate_core::profile::Profile;
use knockgate_core::replay::Burnt;
use knockgate_core::{Client, ClientId};
use rand_core::{TryCryptoRng, TryRng};

use crate::event::Rules;
use crate::reference::statics::{DOORS, doors};
use crate::reference::{is_there, times};

/// Knocks in a book: few enough that some cases use one up.
pub(crate) const BOOK: u32 = 12;

/// Two that differ in the last bit, and two of one IPv6 subnet.
pub(crate) const ADDRESSES: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 9, 9, 9, 9)),
];

/// Places of the gate for static sequences and their undecided knocks: one of each from everywhere, so none is ever too many.
pub(crate) const STATICS: usize = DOORS.len() * ADDRESSES.len();

/// A client as the world and the reference know it.
pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    /// Which of [`People::books`].
    pub(crate) book: usize,
}

pub(crate) struct People {
    pub(crate) clients: [Person; 3],
    pub(crate) books: [Book; 2],
    pub(crate) decoys: Decoys,
    /// The ports of every number of every book.
    pub(crate) sequences: [Vec<Vec<u16>>; 2],
    identity: Identity,
    door_key: DoorKey,
}

impl People {
    pub(crate) fn all() -> &'static Self {
        static ALL: OnceLock<People> = OnceLock::new();
        ALL.get_or_init(Self::make)
    }

    fn make() -> Self {
        let mut rng = Numbers(1);
        let shape = Shape::new(BOOK, 3, 16, 10_000..=20_000).expect("within the limits");
        let seed = DecoySeed::from_bytes([3; 32]);
        let books = [(); 2].map(|()| Book::generate(shape, seed.clone(), &mut rng));
        let decoys = books[0].decoys();
        let identity = Identity::generate(&mut rng);
        let door_key = DoorKey::generate(&mut rng);
        let clients = [(1, 0), (2, 1), (3, 1)].map(|(id, book): (u32, usize)| {
            let secret = SecretKey::generate(&mut rng);
            let name = format!("client-{id}").parse().expect("a name");
            let mut client = Client::new(ClientId(id), name, secret.public(), books[book].id());
            client.services = [1, 2].into_iter().collect();
            let keys = Keys::of(&profile(&identity, &door_key, secret, &books[book]));
            let keys = keys.expect("a profile with its secret");
            Person { client, keys, book }
        });
        let sequences = [0, 1].map(|book: usize| {
            (0..BOOK).filter_map(|n| books[book].sequence(n, &decoys)).map(|ports| ports.to_vec()).collect()
        });
        Self { clients, books, decoys, sequences, identity, door_key }
    }

    pub(crate) fn config(&self, rules: Rules, burnt: Burnt) -> Config<STATICS> {
        let service = |id: u16| {
            let confirm = rules.confirm && id == 1;
            let (open, max) = times(rules, id);
            Service { confirm, ..Service::new(id, Duration::from_secs(open), Duration::from_secs(max)) }
        };
        Config {
            gate: GATE,
            identity: self.identity.clone(),
            door_keys: [self.door_key.clone()].into_iter().collect(),
            decoys: self.decoys.clone(),
            mode: if rules.closed { Mode::Closed } else { Mode::Connect },
            order: if rules.any_order { Order::Any } else { Order::Strict },
            hold: Duration::from_secs(10),
            strays: 2,
            lockout: Duration::from_secs(60),
            lockout_scope: if rules.global { LockoutScope::Everybody } else { LockoutScope::Source },
            max_age: None,
            console: None,
            burnt,
            statics: doors(rules).into_iter().map(|at| door(DOORS[at])).collect(),
            services: (1..=3).filter(|id| is_there(rules, *id)).map(service).collect(),
        }
    }
}

fn door((name, service, seconds): (&str, u16, u32)) -> StaticDoor {
    let name = name.parse().expect("a name");
    StaticDoor { name, service, seconds: Some(seconds).filter(|&seconds| seconds > 0) }
}

const GATE: GateId = GateId([7; 16]);

fn profile(identity: &Identity, door_key: &DoorKey, secret: SecretKey, book: &Book) -> Profile {
    Profile {
        client: "somebody".parse().expect("a name"),
        address: "gate.example".try_into().expect("short"),
        central_port: 62_201,
        packet_ports: None,
        gate: GATE,
        gate_key: identity.public(),
        door_key: door_key.clone(),
        secret: Some(secret),
        services: heapless::Vec::new(),
        book: book.clone(),
    }
}

/// A generator whose numbers are the same in every run (SplitMix64). Not for keys of anybody.
#[derive(Clone)]
pub(crate) struct Numbers(pub(crate) u64);

impl TryRng for Numbers {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|wide| (wide >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Numbers {}
