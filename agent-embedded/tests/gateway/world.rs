//! A gateway, two strangers outside it and a machine behind it.
//!
//! Time stands still while frames are under way, and then jumps to the next deadline.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use knockgate_core::book::{Book, DecoySeed, Order, Shape};
use knockgate_core::gate::{LockoutScope, Service};
use knockgate_core::key::{DoorKey, GateId, Identity, SecretKey};
use knockgate_core::message::Mode;
use knockgate_core::profile::{Profile, Protocol};
use knockgate_core::replay::{Burnt, Used};
use knockgate_core::roster::FixedRoster;
use knockgate_core::site::{Console, OuterAddress, PacketPorts};
use knockgate_core::{Client, ClientId, Instant, Now};
use knockgate_gateway::{Config, Gateway, GuardedService, Target};
use smoltcp::wire::EthernetAddress;

use crate::board::{Board, TestRng};
use crate::cable::{Cable, Faults, Port};
use crate::host::Host;
use crate::raw::Ends;
use crate::sys::watched;

/// The gateway's end of either cable.
pub(crate) const GATEWAY: usize = 0;
pub(crate) const GATEWAY_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
pub(crate) const GATEWAY_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const GATEWAY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
pub(crate) const CENTRAL: u16 = 62_201;
pub(crate) const SSH: u16 = 1;
/// The console's service and its port.
pub(crate) const CONSOLE: u16 = 2;
pub(crate) const CONSOLE_PORT: u16 = 4_022;
pub(crate) const HOLD: Duration = Duration::from_secs(30);
pub(crate) const LOCKOUT: Duration = Duration::from_secs(60);

/// Who stands where. Alice is enrolled and outside, Mallory a stranger outside, the machine inside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Alice,
    Mallory,
    Machine,
}

pub(crate) struct World {
    micros: u64,
    pub(crate) outside: Cable,
    pub(crate) inside: Cable,
    pub(crate) gateway: Gateway<Port, Port, FixedRoster<4>, TestRng, Board>,
    alice: Host,
    mallory: Host,
    machine: Host,
    pub(crate) profile: Profile,
    pub(crate) config: Config,
}

impl World {
    pub(crate) fn new(mode: Mode) -> Self {
        Self::with_faults(mode, Faults::default(), 0)
    }

    pub(crate) fn with_faults(mode: Mode, faults: Faults, seed: u64) -> Self {
        Self::built(mode, faults, seed, |_| {})
    }

    /// A world in which the gateway's configuration is another one.
    pub(crate) fn changed(mode: Mode, change: impl FnOnce(&mut Config)) -> Self {
        Self::built(mode, Faults::default(), 0, change)
    }

    pub(crate) fn built(mode: Mode, faults: Faults, seed: u64, change: impl FnOnce(&mut Config)) -> Self {
        let (mut outside, mut inside) = (Cable::new(faults, seed), Cable::new(faults, !seed));
        let (outer, inner) = (outside.plug(), inside.plug());
        let alice = Host::new(outside.plug(), 10);
        let mallory = Host::new(outside.plug(), 66);
        let machine = Host::new(inside.plug(), 100);
        let (mut config, roster, profile) = enrolled(mode, &machine);
        change(&mut config);
        let (rng, board) = (TestRng::new(seed), Board::generous());
        let (described, now) = (Box::new(config.clone()), Instant::from_micros(0));
        let gateway = Gateway::new(described, outer, inner, roster, rng, board, now).unwrap();
        Self { micros: 0, outside, inside, gateway, alice, mallory, machine, profile, config }
    }

    pub(crate) fn host(&mut self, who: Who) -> &mut Host {
        match who {
            Who::Alice => &mut self.alice,
            Who::Mallory => &mut self.mallory,
            Who::Machine => &mut self.machine,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { instant: Instant::from_micros(self.micros), unix: None }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// Lets everything happen until `done`; `false` if that is not so within `limit`.
    pub(crate) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.micros + micros(limit);
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            // `done` may have given somebody something to say.
            let (moved, next) = self.settle();
            if moved {
                continue;
            }
            if self.micros >= end {
                return false;
            }
            self.micros = next.unwrap_or(end).clamp(self.micros + 1, end);
        }
    }

    /// Lets `time` pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.micros + micros(time);
        self.run_until(time, |world| world.micros >= end);
    }

    /// Carries frames until none is under way. Returns whether there was any, and the next deadline of anybody.
    fn settle(&mut self) -> (bool, Option<u64>) {
        let mut any = false;
        let time = smoltcp::time::Instant::from_micros(i64::try_from(self.micros).unwrap());
        loop {
            let hosts = [&mut self.alice, &mut self.mallory, &mut self.machine];
            let of_hosts = hosts.into_iter().filter_map(|host| host.poll(time)).min();
            let of_gateway = self.poll_gateway().map(Instant::as_micros);
            let moved = [self.outside.carry(), self.inside.carry()];
            let waiting = [self.outside.waiting_at(GATEWAY), self.inside.waiting_at(GATEWAY)];
            if (moved, waiting) == ([false, false], [0, 0]) {
                let of_hosts = of_hosts.map(|at| u64::try_from(at.total_micros()).unwrap());
                return (any, [of_hosts, of_gateway].into_iter().flatten().min());
            }
            any = true;
        }
    }

    /// From now on tests speak for all hosts.
    pub(crate) fn mute(&mut self) {
        [&mut self.alice, &mut self.mallory, &mut self.machine].into_iter().for_each(Host::mute);
    }

    /// One turn of the gateway, in which it takes nothing from the heap.
    pub(crate) fn poll_gateway(&mut self) -> Option<Instant> {
        let now = self.now();
        let (next, taken) = watched(|| self.gateway.poll(now));
        assert_eq!(taken, 0, "the heap is used while a gateway is made and never afterwards");
        next
    }

    /// Whether a frame that `from` sends comes out of the gateway's other port as it is.
    pub(crate) fn passes(&mut self, from: Who, frame: &[u8]) -> bool {
        let log = |world: &Self| match from {
            Who::Machine => world.outside.log.len(),
            Who::Alice | Who::Mallory => world.inside.log.len(),
        };
        let mark = log(self);
        self.host(from).port.send(frame.to_vec());
        self.run_until(Duration::ZERO, |_| true);
        let log = match from {
            Who::Machine => &self.outside.log,
            Who::Alice | Who::Mallory => &self.inside.log,
        };
        log.iter().skip(mark).any(|(end, sent)| *end == GATEWAY && sent == frame)
    }

    /// From `who`'s port `from` to the machine's port `to`.
    pub(crate) fn inwards(&mut self, who: Who, family: IpAddr, from: u16, to: u16) -> Ends {
        let sender = self.host(who);
        let (hardware, address) = (sender.hardware, sender.address_towards(family));
        let machine = &self.machine;
        Ends {
            hardware: (hardware, machine.hardware),
            from: (address, from),
            to: (machine.address_towards(family), to),
        }
    }

    /// From `who`'s port `from` to the gateway's port `to`.
    pub(crate) fn towards_gateway(&mut self, who: Who, gateway: IpAddr, from: u16, to: u16) -> Ends {
        let sender = self.host(who);
        let from = (sender.address_towards(gateway), from);
        Ends { hardware: (sender.hardware, GATEWAY_MAC), from, to: (gateway, to) }
    }

    /// Whether `who` may reach `port` of the machine, in the family of `family`.
    pub(crate) fn allows(&mut self, who: Who, family: IpAddr, port: u16) -> bool {
        let source = self.host(who).address_towards(family);
        let address = self.machine.address_towards(family);
        self.gateway.filter().allows(
            self.now().instant,
            source,
            Target { protocol: Protocol::Tcp, address, port },
        )
    }

    /// What the gateway itself has sent outwards since `mark`, apart from ARP and neighbour discovery.
    pub(crate) fn said_since(&self, mark: usize) -> Vec<&[u8]> {
        let frames = self.outside.log.iter().skip(mark).filter(|(from, _)| *from == GATEWAY);
        frames
            .map(|(_, frame)| frame.as_slice())
            .filter(|frame| !crate::raw::is_address_talk(frame))
            .collect()
    }

    pub(crate) fn mark(&self) -> usize {
        self.outside.log.len()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap()
}

/// Lets the gateway have a console.
pub(crate) fn with_console(config: &mut Config) {
    config.console = Some(Console { service: CONSOLE, port: CONSOLE_PORT });
    config.gate.console = Some(CONSOLE);
    let service = Service::new(CONSOLE, Duration::from_secs(60), Duration::from_secs(3600));
    config.gate.services.push(service).unwrap();
}

/// Lets packet knocks come in anywhere.
pub(crate) fn with_packets(config: &mut Config) {
    config.packet_ports = PacketPorts::Any;
}

/// A gateway's configuration with one guarded service and one client.
fn enrolled(mode: Mode, machine: &Host) -> (Config, FixedRoster<4>, Profile) {
    let mut rng = TestRng::new(7);
    let identity = Identity::generate(&mut rng);
    let (door_key, secret) = (DoorKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let shape = Shape::new(1000, 6, 100, 10_000..=32_767).unwrap();
    let book = Book::generate(shape, DecoySeed::generate(&mut rng), &mut rng);
    let (gate, name) = (GateId([5; 16]), "alice".parse().unwrap());

    let mut roster = FixedRoster::new();
    let services = [SSH, CONSOLE].into_iter().collect();
    let client = Client { services, ..Client::new(ClientId(1), name, secret.public(), book.id()) };
    roster.add_client(client.clone(), Used::NOTHING, None).unwrap();
    roster.add_book(book.clone(), 0).unwrap();

    let config = Config {
        gate: knockgate_core::Config {
            gate,
            identity: identity.clone(),
            door_keys: [door_key.clone()].into_iter().collect(),
            decoys: book.decoys(),
            mode,
            order: Order::Strict,
            hold: HOLD,
            strays: 2,
            lockout: LOCKOUT,
            lockout_scope: LockoutScope::Source,
            max_age: None,
            console: None,
            burnt: Burnt::default(),
            statics: Default::default(),
            services: [Service::new(SSH, Duration::from_secs(60), Duration::from_secs(3600))]
                .into_iter()
                .collect(),
        },
        hardware: GATEWAY_MAC,
        ipv4: Some(OuterAddress { address: Ipv4Addr::new(192, 0, 2, 1), prefix: 24, router: None }),
        ipv6: Some(OuterAddress {
            address: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
            prefix: 64,
            router: None,
        }),
        central_port: Some(CENTRAL),
        packet_ports: PacketPorts::Off,
        console: None,
        services: [GuardedService {
            id: SSH,
            protocol: Protocol::Tcp,
            ports: [22].into_iter().collect(),
            hosts: [machine.v4.into(), machine.v6.into()].into_iter().collect(),
        }]
        .into_iter()
        .collect(),
    };
    let profile = Profile {
        client: client.name,
        address: "gate.example".try_into().unwrap(),
        central_port: CENTRAL,
        packet_ports: None,
        gate,
        gate_key: identity.public(),
        door_key,
        secret: Some(secret),
        services: heapless::Vec::new(),
        book,
    };
    (config, roster, profile)
}
