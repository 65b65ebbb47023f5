//! Grants to a whole prefix: only where the service allows it, and never to more than that.

use core::net::IpAddr;

use super::bench::*;
use crate::gate::Prefixes;
use crate::message::{Kind, Reach, Verdict};
use crate::refusal::Refusal;
use crate::{Effect, Network};

const NEIGHBOUR: &str = "192.0.2.200";

fn allowed(config: &mut Config) {
    config.services[0].prefixes = Some(Prefixes { v4: 24, v6: 64 });
}

/// The policy opens what was asked for, to whom it was asked for.
fn generous(bench: &mut Usual, bits: u8) {
    bench.script.judge = Judge::commit(&[Effect::OpenPrefix { service: SSH, bits, seconds: 60 }]);
}

fn ask(bench: &mut Usual, from: IpAddr) -> crate::message::Answer {
    bench.packet(ALICE, from, Kind::Open, |request| request.reach = Reach::Prefix)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_prefix_is_opened_where_the_service_allows_it_of_either_family() {
    for (from, bits, opened) in [(HOME, 24, "192.0.2.0/24"), (OFFICE, 64, "2001:db8::/64")] {
        let mut bench = bench_with(allowed);
        generous(&mut bench, bits);
        assert_eq!(ask(&mut bench, from).verdict, Verdict::Granted);
        assert_eq!(bench.consultations[0].prefix, Some(bits));
        assert_eq!(bench.actions()[2], std::format!("open 1 to {opened} for 60"));
    }
}

#[test]
fn a_prefix_that_nobody_asked_for_or_that_the_service_does_not_allow_is_not_offered_to_the_policy() {
    #[rustfmt::skip]
    let cases = [
        (1, Some(Prefixes { v4: 24, v6: 64 }), HOME, Reach::Address, None),
        (2, None, HOME, Reach::Prefix, None),
        (3, Some(Prefixes { v4: 32, v6: 64 }), HOME, Reach::Prefix, None),
        (4, Some(Prefixes { v4: 24, v6: 128 }), OFFICE, Reach::Prefix, None),
        (5, Some(Prefixes { v4: 32, v6: 64 }), OFFICE, Reach::Prefix, Some(64)),
        (6, Some(Prefixes { v4: 31, v6: 128 }), HOME, Reach::Prefix, Some(31)),
    ];
    for (case, prefixes, from, reach, offered) in cases {
        let mut bench = bench_with(|config| config.services[0].prefixes = prefixes);
        bench.packet(ALICE, from, Kind::Open, |request| request.reach = reach);
        assert_eq!(bench.consultations[0].prefix, offered, "case {case}");
        assert_eq!(bench.actions()[2], std::format!("open 1 to {from} for 60"), "case {case}");
    }
}

#[test]
fn the_policy_opens_no_other_prefix_than_the_services() {
    for (case, allow, from, bits) in [
        (1, true, HOME, 23),
        (2, true, HOME, 0),
        (3, true, HOME, 25),
        (4, true, OFFICE, 48),
        (5, true, OFFICE, 24),
        (6, false, HOME, 24),
        (7, false, OFFICE, 64),
    ] {
        let mut bench = bench_with(|config| {
            if allow {
                allowed(config)
            }
        });
        generous(&mut bench, bits);
        assert_eq!(refused(&ask(&mut bench, from)), Refusal::NotAllowed, "case {case}");
        assert_eq!(bench.gate.open_grants().count(), 0, "case {case}");
    }
}

#[test]
fn a_prefix_of_a_service_that_the_client_may_not_use_is_not_opened() {
    let mut bench = bench_with(|config| {
        config.services.iter_mut().for_each(|s| s.prefixes = Some(Prefixes { v4: 24, v6: 64 }))
    });
    bench.script.judge = Judge::commit(&[Effect::OpenPrefix { service: VAULT, bits: 24, seconds: 60 }]);
    assert_eq!(refused(&ask(&mut bench, HOME)), Refusal::NotAllowed);
}

#[test]
fn what_is_open_to_a_prefix_is_told_renewed_and_closed_from_anywhere_in_it() {
    let mut bench = bench_with(allowed);
    generous(&mut bench, 24);
    ask(&mut bench, HOME);
    let neighbour = address(NEIGHBOUR);
    assert_eq!(bench.status(ALICE, neighbour).open.len(), 1);
    assert!(bench.status(ALICE, address("192.0.3.1")).open.is_empty());

    bench.wait(seconds(30));
    let answer = bench.packet(ALICE, neighbour, Kind::Renew, |_| {});
    assert_eq!((answer.verdict, bench.left()), (Verdict::Granted, [60].to_vec()));
    assert_eq!(bench.consultations.last().unwrap().prefix, Some(24), "what is renewed is the prefix");
    assert_eq!(bench.gate.open_grants().count(), 1);

    assert_eq!(bench.packet(ALICE, neighbour, Kind::Close, |_| {}).verdict, Verdict::Closed);
    assert_eq!(bench.gate.open_grants().count(), 0);
}

#[test]
fn a_prefix_and_an_address_in_it_are_two_openings() {
    let mut bench = bench_with(allowed);
    bench.open_by_packet(ALICE, HOME);
    generous(&mut bench, 24);
    ask(&mut bench, HOME);
    let open: std::vec::Vec<Network> = bench.gate.open_grants().map(|grant| grant.to()).collect();
    assert_eq!(open, [Network::host(HOME), Network::of(HOME, 24)]);
    bench.actions();
    bench.revoke(crate::GrantId(2));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.0/24"]);
}

#[test]
fn two_clients_in_one_prefix_share_its_opening() {
    let mut bench = bench_with(allowed);
    generous(&mut bench, 24);
    for (who, from) in [(ALICE, HOME), (BOB, CAFE)] {
        bench.packet(who, from, Kind::Open, |request| request.reach = Reach::Prefix);
    }
    bench.actions();
    bench.revoke(crate::GrantId(1));
    assert_eq!(bench.actions(), ["open 1 to 192.0.2.0/24 for 60"], "handed over, not closed");
}

#[test]
fn the_policy_is_told_of_what_is_open_to_the_prefix_of_an_address() {
    let mut bench = bench_with(allowed);
    generous(&mut bench, 24);
    ask(&mut bench, HOME);
    bench.open_by_packet(BOB, address(NEIGHBOUR));
    assert_eq!(bench.consultations.last().unwrap().standing.grants.source, 1);
}

#[test]
fn a_sequence_can_open_a_prefix_too() {
    let mut bench = bench_with(allowed);
    generous(&mut bench, 24);
    bench.knock(ALICE, HOME, |request| request.reach = Reach::Prefix);
    assert_eq!(bench.consultations[0].prefix, Some(24));
    assert_eq!(bench.actions().last().unwrap(), "open 1 to 192.0.2.0/24 for 60");
}
