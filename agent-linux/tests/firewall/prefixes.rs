//! Grants for a prefix: the neighbours of a client may come too.

use knockgate_agent::firewall::{Prefixes, SetName};

use super::*;
use crate::traffic::dial_from;

const NEIGHBOUR: [&str; 2] = ["10.1.0.77", "fd01::77"];
const OUTSIDE: [&str; 2] = ["10.1.0.200", "fd01::177"];
const BITS: [u8; 2] = [25, 120];
const NETWORK: [&str; 2] = ["10.1.0.0", "fd01::"];

pub(super) fn neighbours() {
    let lab = neighbourhood();
    let _services = [Echo::start(&lab.gate, SSH), Echo::start(&lab.gate, WEB)];
    let mut firewall = install(&lab, &wide_plan());
    for (family, bits) in BITS.into_iter().enumerate() {
        let to = gate(&lab, family);
        let from = |source: [&str; 2], port| dial_from(&lab.client, at(source, family), to, port);
        assert_eq!(from(NEIGHBOUR, SSH), Answer::Silence);

        firewall.open(&wide(1, &lab, family)).expect("opens");

        assert_eq!(from(NEIGHBOUR, SSH), Answer::Accepted);
        assert_eq!(from([lab.client.v4, lab.client.v6], SSH), Answer::Accepted, "the client itself");
        assert_eq!(from(OUTSIDE, SSH), Answer::Silence, "outside the prefix");
        assert_eq!(dial(&lab.stranger, to, SSH), Answer::Silence);
        assert_eq!(from(NEIGHBOUR, WEB), Answer::Silence, "another service");
        let found = firewall.grants().expect("reads");
        assert!(found.foreign.is_empty());
        let [grant] = &found.grants[..] else { panic!("one grant: {found:?}") };
        assert_eq!((grant.source, grant.reach), (at(NETWORK, family), Reach::Prefix(bits)));

        firewall.close(&wide(1, &lab, family)).expect("closes");
        firewall.close(&wide(1, &lab, family)).expect("closes what is closed");
        assert_eq!(from(NEIGHBOUR, SSH), Answer::Silence);
        assert!(firewall.grants().expect("reads").grants.is_empty());
    }
}

pub(super) fn prefix_grant_ends() {
    let lab = neighbourhood();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &wide_plan());
    for family in 0..2 {
        let short = Grant { timeout: Duration::from_millis(1500), ..wide(1, &lab, family) };
        firewall.open(&short).expect("opens");
        let meets = || dial_from(&lab.client, at(NEIGHBOUR, family), gate(&lab, family), SSH);
        assert_eq!(meets(), Answer::Accepted);
        wait_until("the door shuts", || meets() == Answer::Silence);
    }
}

pub(super) fn lengths_never_mix() {
    let lab = neighbourhood();
    let mut firewall = install(&lab, &wide_plan());
    let good = wide(1, &lab, 0);
    let cases = [
        Grant { reach: Reach::Prefix(24), ..good.clone() }, // 1 wider
        Grant { reach: Reach::Prefix(26), ..good.clone() }, // 2 narrower
        Grant { reach: Reach::Prefix(0), ..good.clone() },  // 3 everybody
        Grant { ports: [SSH, WEB].into(), ..good.clone() }, // 4 a port whose service has none
        Grant { protocol: Protocol::Udp, ..good.clone() },  // 5 of another protocol
        Grant { source: client(&lab, 1), ..good.clone() },  // 6 the other family's length
    ];
    for (number, case) in cases.iter().enumerate() {
        let refused = firewall.open(case);
        assert!(matches!(refused, Err(FirewallError::NoSuchPrefix { .. })), "{}", number + 1);
    }
    assert!(firewall.grants().expect("reads").grants.is_empty());
}

pub(super) fn prefix_grants_survive() {
    let lab = neighbourhood();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &wide_plan());
    for family in 0..2 {
        firewall.open(&wide(10 + u32::try_from(family).expect("0 or 1"), &lab, family)).expect("opens");
    }
    firewall.open(&grant(1, client(&lab, 0))).expect("opens");
    let ids = |firewall: &mut Firewall| {
        let mut ids: Vec<_> = firewall.grants().expect("reads").grants.iter().map(|grant| grant.id).collect();
        ids.sort_unstable();
        ids
    };
    let mut firewall = install(&lab, &wide_plan());
    assert_eq!(ids(&mut firewall), [1, 10, 11]);
    assert_eq!(dial_from(&lab.client, at(NEIGHBOUR, 1), gate(&lab, 1), SSH), Answer::Accepted);

    // Shorter in one family: what was granted for the longer prefix must not become more.
    let mut shorter = wide_plan();
    shorter.services[0].prefix = Some(Prefixes { v4: Some(24), v6: Some(BITS[1]) });
    let mut firewall = install(&lab, &shorter);
    assert_eq!(ids(&mut firewall), [1, 11]);
    assert_eq!(dial_from(&lab.client, at(OUTSIDE, 0), gate(&lab, 0), SSH), Answer::Silence);

    let mut firewall = install(&lab, &plan());
    assert_eq!(ids(&mut firewall), [1], "the service opens to no prefix any more");
    assert_eq!(firewall.verify().expect("reads"), Integrity::Whole);
}

pub(super) fn foreign_prefixes() {
    let lab = neighbourhood();
    let mut firewall = install(&lab, &wide_plan());
    firewall.open(&wide(1, &lab, 0)).expect("opens");
    lab.gate.nft(
        "add element inet knockgate wide4 { 192.0.2.0 . tcp . 22 comment \"by hand\" timeout 1h }
         add element inet knockgate wide6 { 2001:db8:: . tcp . 22 timeout 1h comment \"kg1:1:2:3\" }
         add element inet knockgate grants4 { 192.0.2.1 . tcp . 22 timeout 1h comment \"kg1:1:2:3:25\" }",
    );
    let found = firewall.grants().expect("reads");
    let mut sets: Vec<_> = found.foreign.iter().map(|element| element.set).collect();
    sets.sort_unstable();
    assert_eq!(sets, [SetName::Grants4, SetName::Wide4, SetName::Wide6]);
    assert_eq!(found.grants.len(), 1);

    firewall.remove_foreign(&found.foreign).expect("shuts them");
    let found = firewall.grants().expect("reads");
    assert_eq!((found.grants.len(), found.foreign.len()), (1, 0));
}

pub(super) fn forwarded_to_neighbours() {
    let lab = neighbourhood();
    lab.forward();
    let _inner = Echo::start(&lab.inner, 22);
    let mut plan = forwarding_plan(&lab, ReturnPath::Routed);
    plan.services[1].prefix = Some(PREFIXES);
    let mut firewall = install(&lab, &plan);
    for family in 0..2 {
        let meets = |source| dial_from(&lab.client, at(source, family), gate(&lab, family), 8022);
        assert_eq!(meets(NEIGHBOUR), Answer::Silence);
        firewall.open(&Grant { ports: [8022].into(), service: 4, ..wide(1, &lab, family) }).expect("opens");
        assert_eq!(meets(NEIGHBOUR), Answer::Accepted);
        assert_eq!(meets(OUTSIDE), Answer::Silence);
    }
}

const PREFIXES: Prefixes = Prefixes { v4: Some(BITS[0]), v6: Some(BITS[1]) };

/// Ssh opens to prefixes, nothing else does.
fn wide_plan() -> Plan {
    let mut plan = plan();
    plan.services[0].prefix = Some(PREFIXES);
    plan
}

/// For the client and its neighbours; the source is any address of theirs.
fn wide(id: u32, lab: &Lab, family: usize) -> Grant {
    Grant { reach: Reach::Prefix(BITS[family]), ..grant(id, client(lab, family)) }
}

/// A client that has neighbours: more addresses of its own.
fn neighbourhood() -> Lab {
    let lab = Lab::new();
    for [v4, v6] in [NEIGHBOUR, OUTSIDE] {
        lab.client.ip(&format!("address add {v4}/24 dev eth0\naddress add {v6}/64 dev eth0 nodad\n"));
    }
    lab
}

fn at(addresses: [&str; 2], family: usize) -> IpAddr {
    addresses[family].parse().expect("an address")
}
