//! Who has which address: ARP, neighbour discovery and multicast groups.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use smoltcp::wire::EthernetAddress;

use crate::raw::{self, Ends};
use crate::rules::quiet;
use crate::world::{GATEWAY_MAC, GATEWAY_V4, GATEWAY_V6, Who, World};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);

#[test]
fn neighbours_routers_and_switches_are_heard_inside_if_they_say_what_they_may() {
    let mut world = quiet();
    let ends = world.inwards(Who::Mallory, GATEWAY_V6, 0, 0);
    let (mallory, machine) = (ends.from.0, ends.to.0);
    let to_all = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
    let on_link = |from: IpAddr| Ends {
        hardware: (ends.hardware.0, to_all),
        from: (from, 0),
        to: (ALL_NODES.into(), 0),
    };
    let octets = |address: IpAddr| match address {
        IpAddr::V6(v6) => v6.octets(),
        IpAddr::V4(_) => panic!("no IPv6 address"),
    };
    let about = |address: IpAddr| [&[0; 4][..], &octets(address), &[1, 1, 2, 0, 0, 0, 0, 66]].concat();
    let from_gateway = Ends { from: (GATEWAY_V6, 0), ..ends };
    let own_card = Ends { hardware: (GATEWAY_MAC, ends.hardware.1), ..ends };
    #[rustfmt::skip]
    let cases = [
        (1, raw::icmp(on_link(mallory), 255, [135, 0], &about(machine)),           true),
        (2, raw::icmp(on_link("::".parse().unwrap()), 255, [135, 0], &about(machine)), true), // is it free?
        (3, raw::icmp(ends, 255, [136, 0], &about(mallory)),                       true),
        (4, raw::icmp(ends, 64, [136, 0], &about(mallory)),                        false),
        (5, raw::icmp(on_link(ROUTER.into()), 255, [134, 0], &[0; 12]),            true),
        (6, raw::icmp(on_link(mallory), 255, [134, 0], &[0; 12]),                  false), // from no link-local address
        (7, raw::icmp(on_link(ROUTER.into()), 1, [130, 0], &[0; 20]),              true), // who listens?
        (8, raw::icmp(on_link(ROUTER.into()), 64, [130, 0], &[0; 20]),             false),
        (9, raw::icmp(from_gateway, 255, [136, 0], &about(GATEWAY_V6)),            false), // forged
        (10, raw::icmp(own_card, 255, [136, 0], &about(mallory)),                  false),
    ];
    for (case, frame, passes) in cases {
        assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case}");
    }
}

#[test]
fn arp_is_heard_inside_unless_it_speaks_in_the_gateways_name() {
    let mut world = quiet();
    let ends = world.inwards(Who::Mallory, GATEWAY_V4, 0, 0);
    let (mallory, card) = (ends.from.0, ends.hardware.0);
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => panic!("no IPv4 address"),
    };
    let arp = |card: EthernetAddress, hardware: EthernetAddress, sender: IpAddr, operation: u8| {
        let head = [0, 1, 8, 0, 6, 4, 0, operation];
        let to = [&EthernetAddress::BROADCAST.0[..], &card.0, &[8, 6]].concat();
        [&to[..], &head, &hardware.0, &octets(sender), &[0; 6], &octets(ends.to.0)].concat()
    };
    #[rustfmt::skip]
    let cases = [
        (1, arp(card, card, mallory, 1),                            true),
        (2, arp(card, card, mallory, 2),                            true),
        (3, arp(card, card, Ipv4Addr::UNSPECIFIED.into(), 1),       true), // is it free?
        (4, arp(card, card, GATEWAY_V4, 1),                         false),
        (5, arp(card, GATEWAY_MAC, mallory, 1),                     false),
        (6, arp(GATEWAY_MAC, card, mallory, 1),                     false),
        (7, arp(card, EthernetAddress::BROADCAST, mallory, 1),      false),
        (8, arp(card, card, mallory, 8),                            false),
    ];
    for (case, frame, passes) in cases {
        assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case}");
    }
}

#[test]
fn a_switch_that_asks_hears_where_the_gateway_can_be_asked_for() {
    let mut world = quiet();
    let ends = world.inwards(Who::Mallory, GATEWAY_V6, 0, 0);
    let to_all = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
    let query =
        Ends { hardware: (ends.hardware.0, to_all), from: (ROUTER.into(), 0), to: (ALL_NODES.into(), 0) };
    let query = raw::icmp(query, 1, [130, 0], &[0; 20]);
    let own = ["ff02::1:ff00:1", "ff02::1:ff00:1"].map(|group| group.parse::<Ipv6Addr>().unwrap());
    let reports = |world: &World, mark| {
        let frames = world.outside.log.iter().skip(mark).filter_map(|(_, frame)| raw::reported_groups(frame));
        frames.collect::<Vec<_>>()
    };
    world.pass(Duration::from_secs(5));
    assert_eq!(reports(&world, 0), [own], "at the start");
    let mark = world.mark();
    for _ in 0..100 {
        world.host(Who::Mallory).port.send(query.clone());
    }
    world.run_until(Duration::ZERO, |_| true);
    assert_eq!(reports(&world, mark), [own], "once, however often it asks");
    world.pass(Duration::from_secs(5));
    assert!(reports(&world, mark).len() <= 2);
}

#[test]
fn nobody_outside_speaks_in_the_name_of_a_guarded_machine() {
    let mut world = quiet();
    let v4 = world.inwards(Who::Mallory, GATEWAY_V4, 123, 40_000);
    let v6 = world.inwards(Who::Mallory, GATEWAY_V6, 123, 40_000);
    let ((IpAddr::V4(machine), IpAddr::V6(machine_v6)), IpAddr::V4(mallory)) =
        ((v4.to.0, v6.to.0), v4.from.0)
    else {
        panic!("the families are known")
    };
    let card = v4.hardware.0;
    let arp = |sender: Ipv4Addr, target: Ipv4Addr| {
        let head = [0, 1, 8, 0, 6, 4, 0, 2];
        let to = [&EthernetAddress::BROADCAST.0[..], &card.0, &[8, 6]].concat();
        [&to[..], &head, &card.0, &sender.octets(), &[0; 6], &target.octets()].concat()
    };
    let about = [&[0; 4][..], &machine_v6.octets(), &[2, 1, 2, 0, 0, 0, 0, 66]].concat();
    let in_its_name = Ends { from: (machine_v6.into(), 0), ..v6 };
    let neighbour = Ipv4Addr::new(192, 0, 2, 101);
    // Two machines inside speak with each other, and a switch lets the gateway hear it.
    let between =
        Ends { hardware: (v4.hardware.1, card), from: (neighbour.into(), 5), to: (machine.into(), 5) };
    assert!(world.passes(Who::Machine, &raw::udp(between)));
    let answer = Ends { hardware: (card, v4.hardware.1), from: between.to, to: between.from };
    #[rustfmt::skip]
    let cases = [
        (1, arp(machine, neighbour),                      false),
        (2, arp(mallory, machine),                        true),
        (3, raw::icmp(v6, 255, [136, 0], &about),         false),
        (4, raw::icmp(v6, 255, [135, 0], &about),         true), // who has it?
        (5, raw::icmp(in_its_name, 255, [135, 0], &about), false),
        (6, raw::udp(answer),                             false),
    ];
    for (case, frame, passes) in cases {
        assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case}");
    }
}
