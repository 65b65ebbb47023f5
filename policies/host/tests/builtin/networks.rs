//! `known-networks` and `second-factor`: which addresses lie in which networks.

use std::net::IpAddr;

use knockgate_policy_host::{Event, Parameter, Rights, Source, Verdict};

use super::stage::{knock, rights};
use super::three::{Three, given};

/// Networks, an address, and whether it is in one of them.
#[rustfmt::skip]
const CASES: &[(&str, &str, bool)] = &[
    ("192.0.2.0/24", "192.0.2.0", true),
    ("192.0.2.0/24", "192.0.2.255", true),
    ("192.0.2.0/24", "192.0.3.0", false),
    ("192.0.2.0/24", "192.0.1.255", false),
    ("192.0.2.7", "192.0.2.7", true),
    ("192.0.2.7", "192.0.2.6", false),
    ("0.0.0.0/0", "255.255.255.255", true),
    ("0.0.0.0/0", "2001:db8::1", false),
    ("128.0.0.0/1", "128.0.0.1", true),
    ("128.0.0.0/1", "127.255.255.255", false),
    // One address, written in two ways.
    ("192.0.2.0/24", "::ffff:192.0.2.9", true),
    ("::ffff:192.0.2.0/120", "192.0.2.9", true),
    ("::ffff:0.0.0.0/96", "10.1.2.3", true),
    // The same bits elsewhere are another address.
    ("192.0.2.0/24", "::192.0.2.9", false),
    ("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
    ("2001:db8::/32", "2001:db9::", false),
    ("2001:db8:0:1::/64", "2001:db8:0:1:ffff:ffff:ffff:ffff", true),
    ("2001:db8:0:1::/64", "2001:db8:0:2::", false),
    ("2001:db8:0:1:8000::/65", "2001:db8:0:1:8000::1", true),
    ("2001:db8:0:1:8000::/65", "2001:db8:0:1:7fff::1", false),
    ("2001:db8:0:1:8000::/65", "2001:db8:0:2:8000::1", false),
    ("2001:db8::1", "2001:db8::1", true),
    ("2001:db8::1", "2001:db8::2", false),
    ("::/0", "2001:db8::1", true),
    ("::/0", "192.0.2.7", true),
    // Any of several.
    ("10.0.0.0/8 2001:db8::/32 192.0.2.0/24", "192.0.2.1", true),
    ("10.0.0.0/8 2001:db8::/32 192.0.2.0/24", "2001:db8::1", true),
    ("10.0.0.0/8 2001:db8::/32 192.0.2.0/24", "198.51.100.1", false),
];

#[test]
fn known_networks_passes_on_what_comes_from_them_and_denies_the_rest() {
    for (number, (networks, address, known)) in CASES.iter().enumerate() {
        let policy = Three::load("known-networks", &given(&[("networks", networks)]));
        let answer = policy.decide(&from(address, Factor::Missing));
        assert_eq!(answer.verdict, verdict(*known), "case {number}: {address} in {networks}");
        let log: &[&str] = if *known { &[] } else { &["from an unknown network: denied"] };
        assert_eq!(answer.log, log, "case {number}");
    }
}

#[test]
fn second_factor_wants_one_from_everywhere_else() {
    for (number, (networks, address, known)) in CASES.iter().enumerate() {
        let policy = Three::load("second-factor", &given(&[("networks", networks)]));
        let answer = policy.decide(&from(address, Factor::Missing));
        assert_eq!(answer.verdict, verdict(*known), "case {number}: {address} in {networks}");
        let line = "from an unknown network without a second factor: denied";
        let log: &[&str] = if *known { &[] } else { &[line] };
        assert_eq!(answer.log, log, "case {number}");
        assert_eq!(policy.decide(&from(address, Factor::Shown)).verdict, Verdict::Abstain, "case {number}");
    }
}

#[test]
fn without_networks_nothing_is_known() {
    let known = Three::load("known-networks", &given(&[]));
    let answer = known.decide(&knock());
    assert_eq!(
        (answer.verdict, answer.log),
        (Verdict::Deny, vec!["no networks are given: denied".to_owned()])
    );

    let factor = Three::load("second-factor", &given(&[]));
    assert_eq!(factor.decide(&from("192.0.2.7", Factor::Missing)).verdict, Verdict::Deny);
    assert_eq!(factor.decide(&from("192.0.2.7", Factor::Shown)).verdict, Verdict::Abstain);
}

#[test]
fn without_a_source_nothing_is_known() {
    for name in ["known-networks", "second-factor"] {
        let policy = Three::load(name, &given(&[("networks", "::/0")]));
        assert_eq!(policy.decide(&Event { source: None, ..knock() }).verdict, Verdict::Deny, "{name}");
    }
}

#[test]
fn the_longest_list_of_networks_is_within_the_fuel() {
    let networks: Vec<String> = (0..85).map(|number| format!("10.{number}.0.0/16")).collect();
    let rights = Rights { parameters: vec![Parameter::new("networks", networks)], ..rights() };
    for name in ["known-networks", "second-factor"] {
        let policy = Three::load(name, &rights);
        assert_eq!(policy.decide(&from("10.84.0.1", Factor::Missing)).verdict, Verdict::Abstain, "{name}");
        assert_eq!(policy.decide(&from("10.85.0.1", Factor::Missing)).verdict, Verdict::Deny, "{name}");
    }
}

fn verdict(known: bool) -> Verdict {
    if known { Verdict::Abstain } else { Verdict::Deny }
}

#[derive(PartialEq)]
enum Factor {
    Missing,
    Shown,
}

fn from(address: &str, factor: Factor) -> Event {
    let mut event = knock();
    let address: IpAddr = address.parse().unwrap();
    event.source = Some(Source { address, prefix: 32, failures: 0, grants: 0 });
    event.client.as_mut().unwrap().second_factor = factor == Factor::Shown;
    event
}
