//! Makes site images as the agent's tools do.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use knockgate_core::book::{Book, DecoySeed, Order, Shape};
use knockgate_core::client::Keys;
use knockgate_core::gate::{LockoutScope, Service};
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::message::Mode;
use knockgate_core::profile::{Profile, Protocol};
use knockgate_core::site::{Draft, Head, OuterAddress, PacketPorts, SiteClient, SiteService};
use knockgate_core::{Client, ClientId, Name, UnixTime};
use knockgate_policy_host::precompiled::{Target, precompile};
use knockgate_policy_host::{Capabilities, Rights, ServiceRight, builtin};

use crate::stage::chip::Noise;
use crate::stage::signer::Signer;

pub(crate) const SSH: u16 = 1;
pub(crate) const GATE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const MACHINE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);

/// A site that can still be changed.
pub(crate) struct SiteDraft {
    pub(crate) head: Head,
    pub(crate) services: Vec<SiteService>,
    pub(crate) clients: Vec<SiteClient>,
    pub(crate) books: Vec<Book>,
    /// Name, rights, compiled file.
    pub(crate) policies: Vec<(Name, Vec<u8>, Vec<u8>)>,
    secrets: Vec<SecretKey>,
}

impl SiteDraft {
    /// The site "office" with so many clients and the default policy.
    pub(crate) fn new(serial: u32, clients: usize) -> Self {
        let mut rng = Noise(77);
        let (identity, door_key) = (SecretKey::generate(&mut rng), DoorKey::generate(&mut rng));
        let shape = Shape::new(1000, 6, 100, 10_000..=32_767).unwrap();
        let decoy_seed = DecoySeed::generate(&mut rng);
        let mut site = Self {
            head: head(serial, identity, door_key, decoy_seed.clone(), shape),
            services: vec![ssh()],
            clients: Vec::new(),
            books: Vec::new(),
            policies: vec![("default".parse().unwrap(), rights().encode(), compiled(builtin::DEFAULT))],
            secrets: Vec::new(),
        };
        for number in 0..clients {
            let book = Book::generate(shape, decoy_seed.clone(), &mut rng);
            let secret = SecretKey::generate(&mut rng);
            let id = ClientId(u32::try_from(number + 1).unwrap());
            let name = format!("client-{}", number + 1).parse().unwrap();
            let services = [SSH].into_iter().collect();
            let client = Client { services, ..Client::new(id, name, secret.public(), book.id()) };
            site.clients.push(SiteClient { client, totp: None });
            site.books.push(book);
            site.secrets.push(secret);
        }
        site
    }

    /// The image, not signed.
    pub(crate) fn image(&self) -> Vec<u8> {
        let policies: Vec<(Name, &[u8], &[u8])> = self
            .policies
            .iter()
            .map(|(name, rights, code)| (name.clone(), rights.as_slice(), code.as_slice()))
            .collect();
        let draft = Draft {
            head: &self.head,
            services: &self.services,
            clients: &self.clients,
            books: &self.books,
            policies: &policies,
        };
        let mut buffer = vec![0; 512 * 1024];
        draft.write(&mut buffer).unwrap().to_vec()
    }

    pub(crate) fn signed(&self, signer: &Signer) -> Vec<u8> {
        signer.sign(&self.image())
    }

    /// The keys of the client of that number, counted from 0.
    pub(crate) fn keys(&self, client: usize) -> Keys {
        let Head { gate, identity, door_keys, .. } = &self.head;
        let profile = Profile {
            client: self.clients[client].client.name.clone(),
            address: "gate.example".try_into().unwrap(),
            central_port: 0,
            packet_ports: None,
            gate: *gate,
            gate_key: Identity::new(identity.clone()).public(),
            door_key: door_keys[0].clone(),
            secret: Some(self.secrets[client].clone()),
            services: heapless::Vec::new(),
            book: self.books[client].clone(),
        };
        Keys::of(&profile).unwrap()
    }
}

fn head(serial: u32, identity: SecretKey, door_key: DoorKey, decoy_seed: DecoySeed, shape: Shape) -> Head {
    Head {
        serial,
        made: UnixTime::from_micros(1_790_000_000_000_000),
        name: "office".parse().unwrap(),
        gate: GateId([5; 16]),
        identity,
        door_keys: [door_key].into_iter().collect(),
        decoy_seed,
        shape,
        mode: Mode::Connect,
        order: Order::Strict,
        hold_ms: 10_000,
        strays: 2,
        lockout_s: 60,
        lockout_scope: LockoutScope::Source,
        max_age_ms: None,
        ipv4: Some(OuterAddress { address: GATE, prefix: 24, router: None }),
        ipv6: None,
        central_port: None,
        packet_ports: PacketPorts::Any,
        console: None,
    }
}

fn ssh() -> SiteService {
    SiteService {
        service: Service::new(SSH, Duration::from_secs(60), Duration::from_secs(3600)),
        name: "ssh".parse().unwrap(),
        protocol: Protocol::Tcp,
        ports: [22].into_iter().collect(),
        hosts: [IpAddr::from(MACHINE)].into_iter().collect(),
    }
}

fn rights() -> Rights {
    Rights {
        services: vec![ServiceRight { service: SSH, max_seconds: 3600 }],
        capabilities: Capabilities::GATEWAY,
        max_seconds: 3600,
        ..Rights::default()
    }
}

/// Compiled for a gateway whose pointers are those of this machine.
pub(crate) fn compiled(module: &[u8]) -> Vec<u8> {
    precompile(module, Target::Wide).unwrap()
}
