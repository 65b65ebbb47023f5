//! A configuration that makes no sense makes no gateway.

use std::net::Ipv4Addr;

use knockgate_core::Instant;
use knockgate_core::message::Mode;
use knockgate_core::roster::FixedRoster;
use knockgate_gateway::{Config, ConfigError, Gateway, OuterAddress};
use smoltcp::wire::EthernetAddress;

use crate::board::{Board, TestRng};
use crate::cable::Port;
use crate::world::{SSH, World};

fn refusal(config: Config) -> Option<ConfigError> {
    let (rng, roster) = (TestRng::new(1), FixedRoster::<1>::new());
    let now = Instant::from_micros(0);
    Gateway::new(config, Port::default(), Port::default(), roster, rng, Board::generous(), now).err()
}

#[test]
fn every_wrong_figure_is_refused_and_named() {
    let good = World::new(Mode::Connect).config;
    assert_eq!(refusal(good.clone()), None);
    let decoy = good.gate.decoys.ports()[0];
    let v4 = |address, prefix, router| Some(OuterAddress { address, prefix, router });
    let (own, everybody) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::BROADCAST);
    type Change = Box<dyn Fn(&mut Config)>;
    let cases: [(u32, Change, ConfigError); 10] = [
        (1, Box::new(|c| c.hardware = EthernetAddress::BROADCAST), ConfigError::Hardware),
        (2, Box::new(|c| (c.ipv4, c.ipv6) = (None, None)), ConfigError::NoAddress),
        (3, Box::new(move |c| c.ipv4 = v4(own, 33, None)), ConfigError::Address(own.into())),
        (4, Box::new(move |c| c.ipv4 = v4(everybody, 24, None)), ConfigError::Address(everybody.into())),
        (5, Box::new(move |c| c.ipv4 = v4(own, 24, Some(everybody))), ConfigError::Address(everybody.into())),
        (6, Box::new(|c| c.central_port = 0), ConfigError::CentralPort(0)),
        (7, Box::new(move |c| c.central_port = decoy), ConfigError::CentralPort(decoy)),
        (8, Box::new(|c| c.services.clear()), ConfigError::Service(SSH)),
        (9, Box::new(|c| c.gate.services.clear()), ConfigError::Service(SSH)),
        (
            10,
            Box::new(|c| {
                let twice = c.services[0].clone();
                c.services.push(twice).unwrap();
            }),
            ConfigError::Service(SSH),
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
