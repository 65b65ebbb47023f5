//! A configuration that makes no sense makes no gateway.

use std::net::Ipv4Addr;

use knockgate_core::Instant;
use knockgate_core::message::Mode;
use knockgate_core::profile::PortRange;
use knockgate_core::roster::FixedRoster;
use knockgate_core::site::{Console, OuterAddress, PacketPorts};
use knockgate_gateway::{Config, ConfigError, Gateway};
use smoltcp::wire::EthernetAddress;

use crate::board::{Board, TestRng};
use crate::cable::Port;
use crate::world::{CENTRAL, CONSOLE, SSH, World, with_console};

fn refusal(config: Config) -> Option<ConfigError> {
    let (rng, roster) = (TestRng::new(1), FixedRoster::<1>::new());
    let now = Instant::from_micros(0);
    Gateway::new(Box::new(config), Port::default(), Port::default(), roster, rng, Board::generous(), now)
        .err()
}

fn console(config: &mut Config, port: u16) {
    with_console(config);
    config.console = Some(Console { service: CONSOLE, port });
}

fn ports(first: u16, last: u16) -> PacketPorts {
    PacketPorts::Listed([PortRange { first, last }].into_iter().collect())
}

#[test]
fn a_console_that_makes_sense_is_taken() {
    let mut config = World::new(Mode::Connect).config;
    with_console(&mut config);
    assert_eq!(refusal(config.clone()), None, "its service need not be guarded");
    let service = knockgate_gateway::GuardedService {
        id: CONSOLE,
        hosts: heapless::Vec::new(),
        ..config.services[0].clone()
    };
    config.services.push(service);
    assert_eq!(refusal(config), None, "and may be");
}

#[test]
fn every_wrong_figure_is_refused_and_named() {
    let good = World::new(Mode::Connect).config;
    assert_eq!(refusal(good.clone()), None);
    let decoy = good.gate.decoys.ports()[0];
    let v4 = |address, prefix, router| Some(OuterAddress { address, prefix, router });
    let (own, everybody) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::BROADCAST);
    type Change = Box<dyn Fn(&mut Config)>;
    let cases: [(u32, Change, ConfigError); 16] = [
        (1, Box::new(|c| c.hardware = EthernetAddress::BROADCAST), ConfigError::Hardware),
        (2, Box::new(|c| (c.ipv4, c.ipv6) = (None, None)), ConfigError::NoAddress),
        (3, Box::new(move |c| c.ipv4 = v4(own, 33, None)), ConfigError::Address(own.into())),
        (4, Box::new(move |c| c.ipv4 = v4(everybody, 24, None)), ConfigError::Address(everybody.into())),
        (5, Box::new(move |c| c.ipv4 = v4(own, 24, Some(everybody))), ConfigError::Address(everybody.into())),
        (6, Box::new(|c| c.central_port = Some(0)), ConfigError::CentralPort(0)),
        (7, Box::new(move |c| c.central_port = Some(decoy)), ConfigError::CentralPort(decoy)),
        (8, Box::new(|c| c.services.clear()), ConfigError::Service(SSH)),
        (9, Box::new(|c| c.gate.services.clear()), ConfigError::Service(SSH)),
        (
            10,
            Box::new(|c| {
                let twice = c.services[0].clone();
                c.services.push(twice);
            }),
            ConfigError::Service(SSH),
        ),
        (11, Box::new(|c| console(c, 0)), ConfigError::ConsolePort(0)),
        (12, Box::new(move |c| console(c, decoy)), ConfigError::ConsolePort(decoy)),
        (13, Box::new(|c| console(c, CENTRAL)), ConfigError::ConsolePort(CENTRAL)),
        (
            14,
            Box::new(|c| {
                console(c, 4_022);
                c.gate.console = Some(SSH);
            }),
            ConfigError::ConsoleService(CONSOLE),
        ),
        (
            15,
            Box::new(|c| c.packet_ports = ports(5, 4)),
            ConfigError::PacketPorts(PortRange { first: 5, last: 4 }),
        ),
        (
            16,
            Box::new(move |c| {
                c.gate.mode = Mode::Closed;
                c.packet_ports = ports(decoy, decoy);
            }),
            ConfigError::PacketPorts(PortRange { first: decoy, last: decoy }),
        ),
    ];
    for (case, change, expected) in cases {
        let mut config = good.clone();
        change(&mut config);
        assert_eq!(refusal(config), Some(expected), "case {case}");
        let words = expected.to_string();
        assert!(["give", "choose", "must"].iter().any(|remedy| words.contains(remedy)), "no remedy: {words}");
    }
}
