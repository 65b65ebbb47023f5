use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::*;
use crate::firewall::elements::Tag;
use crate::firewall::plan::{Protocol, Statics};
use crate::firewall::reach::Reach;

const CLOSED: Mode = Mode::Closed { report: Report::Nflog { group: 62 } };
const KNOCKS: Report = Report::Nflog { group: 63 };

#[test]
fn connect_mode_looks_like_this() {
    let plan = Plan { interfaces: vec!["eth0".into(), "wg*".into()], ..plan(connect(Access::Holder)) };
    golden("connect", include_str!("../golden/connect.nft"), &script(&plan, &[], Before::KeepSets));
}

#[test]
fn decoys_for_everybody_look_like_this() {
    let always = script(&plan(connect(Access::Always)), &[], Before::KeepSets);
    golden("always", include_str!("../golden/always.nft"), &always);
}

#[test]
fn closed_mode_looks_like_this() {
    let closed = script(&plan(CLOSED), &[], Before::KeepSets);
    golden("closed", include_str!("../golden/closed.nft"), &closed);
}

#[test]
fn a_forwarded_service_looks_like_this() {
    let forward = Forward {
        v4: Some((Ipv4Addr::new(10, 0, 0, 5), 22)),
        v6: Some((Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5), 22)),
        return_path: ReturnPath::Masquerade,
    };
    let plc = Service {
        id: 7,
        name: "plc".into(),
        protocol: Protocol::Tcp,
        ports: vec![8022],
        forward: Some(forward),
        prefix: Some(Prefixes { v4: Some(20), v6: None }),
    };
    let plan = Plan { services: vec![plc], decoys: vec![], ..plan(CLOSED) };
    golden("forward", include_str!("../golden/forward.nft"), &script(&plan, &[], Before::KeepSets));
}

#[test]
fn watched_packet_knocks_look_like_this() {
    let range = |first, last| PortRange { first, last };
    let ports = vec![range(62_201, 62_201), range(40_000, 40_100), range(40_050, 40_200)];
    let plan = Plan { packets: Packets::Watched { ports, report: KNOCKS }, ..plan(CLOSED) };
    golden("packets", include_str!("../golden/packets.nft"), &script(&plan, &[], Before::KeepSets));
}

#[test]
fn packet_knocks_anywhere_and_prefixes_look_like_this() {
    let mut plan = Plan { packets: Packets::WatchedAnywhere { report: KNOCKS }, ..plan(CLOSED) };
    plan.services[0].prefix = Some(Prefixes { v4: Some(24), v6: Some(64) });
    plan.services[1].prefix = Some(Prefixes { v4: None, v6: Some(56) });
    golden("anywhere", include_str!("../golden/anywhere.nft"), &script(&plan, &[], Before::KeepSets));
}

#[test]
fn without_reports_the_rules_drop_the_same() {
    let ports = vec![PortRange::one(62_201)];
    let plan = Plan {
        packets: Packets::Watched { ports, report: Report::Unneeded },
        statics: Statics { ports: steps(), report: Report::Unneeded },
        ..plan(Mode::Closed { report: Report::Unneeded })
    };
    golden("silent", include_str!("../golden/silent.nft"), &script(&plan, &[], Before::KeepSets));
}

#[test]
fn steps_of_static_sequences_are_reported_and_not_dropped() {
    let statics = Statics { ports: steps(), report: Report::Nflog { group: 64 } };
    let packets = Packets::WatchedAnywhere { report: KNOCKS };
    let plan = Plan { packets, statics, ..plan(CLOSED) };
    golden("statics", include_str!("../golden/statics.nft"), &script(&plan, &[], Before::KeepSets));
}

#[test]
fn bound_ports_are_none_of_the_guards_business() {
    let bound = Packets::Bound { ports: vec![PortRange::one(62_201)] };
    let plan = plan(connect(Access::Holder));
    let with = Plan { packets: bound, ..plan.clone() };
    assert_eq!(script(&with, &[], Before::KeepSets), script(&plan, &[], Before::KeepSets));
}

#[test]
fn ranges_that_touch_are_one() {
    let cases: [(&[(u16, u16)], &str); 5] = [
        (&[(9, 9)], "{ 9 }"),                                      // 1
        (&[(5, 9), (1, 3)], "{ 1-3, 5-9 }"),                       // 2
        (&[(5, 9), (1, 4)], "{ 1-9 }"),                            // 3
        (&[(1, 65_535), (7, 8), (65_535, 65_535)], "{ 1-65535 }"), // 4
        (&[(1, 9), (3, 4), (9, 12)], "{ 1-12 }"),                  // 5
    ];
    for (number, (ports, expected)) in cases.iter().enumerate() {
        let ports: Vec<_> = ports.iter().map(|&(first, last)| PortRange { first, last }).collect();
        assert_eq!(ranges(&ports), *expected, "{}", number + 1);
    }
}

#[test]
fn a_table_of_another_shape_is_replaced_and_its_grants_are_not() {
    let peer = |last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let grant = |source, remaining, comment: Option<String>| KernelElement {
        key: Key::Grant { source, protocol: Protocol::Tcp, port: 22 },
        timeout: Some(Duration::from_secs(60)),
        remaining,
        comment,
    };
    let tag = Tag { grant: 9, client: 4, service: 1, reach: Reach::Address }.to_string();
    let network = "2001:db8::".parse().expect("an address");
    let wide = KernelElement {
        key: Key::Wide { network, protocol: Protocol::Udp, port: 5004 },
        ..grant(peer(5), Some(Duration::from_secs(9)), Some("kg1:10:4:2:64".to_owned()))
    };
    let old = [
        wide,
        grant(peer(1), Some(Duration::from_millis(30_500)), Some(tag.clone())),
        grant(peer(2), None, Some(tag.clone())), // no deadline: not ours any more
        grant(peer(3), Some(Duration::from_secs(30)), None), // somebody else's
        grant(peer(4), Some(Duration::ZERO), Some(tag)), // over
    ];
    let sessions = [
        Session { peer: peer(8), peer_port: 50_000, port: 22 },
        Session { peer: "fd00::8".parse().expect("an address"), peer_port: 50_001, port: 22 },
    ];
    let replaced = script(&plan(connect(Access::Holder)), &sessions, Before::Replace(&old));
    golden("replace", include_str!("../golden/replace.nft"), &replaced);
}

fn steps() -> Vec<(Protocol, u16)> {
    vec![(Protocol::Tcp, 7000), (Protocol::Udp, 8000), (Protocol::Tcp, 9000)]
}

fn connect(access: Access) -> Mode {
    Mode::Connect { listener: 40_000, access }
}

fn plan(mode: Mode) -> Plan {
    let service = |id, name: &str, protocol, ports| Service {
        id,
        name: name.to_owned(),
        protocol,
        ports,
        forward: None,
        prefix: None,
    };
    Plan {
        interfaces: vec![],
        services: vec![
            service(1, "ssh", Protocol::Tcp, vec![22]),
            service(2, "media", Protocol::Udp, vec![5004, 5005]),
        ],
        decoys: vec![10_007, 10_001, 10_007],
        mode,
        packets: Packets::Off,
        statics: Statics::none(),
    }
}

/// `KNOCKGATE_BLESS=1 cargo test` writes the golden files anew; the diff is then for a person to judge.
fn golden(name: &str, expected: &str, actual: &str) {
    if std::env::var_os("KNOCKGATE_BLESS").is_some() {
        let path = format!("{}/src/firewall/golden/{name}.nft", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, actual).expect("the golden file is writable");
        return;
    }
    assert_eq!(actual, expected, "golden/{name}.nft");
}
