//! What else arrives at a host, and whether it gets past the guard.

use std::net::{SocketAddr, SocketAddrV6};

use super::*;

pub(super) fn old_sessions() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut sessions: Vec<_> =
        (0..2).map(|family| traffic::Session::open(&lab.client, gate(&lab, family), SSH)).collect();
    assert!(sessions.iter_mut().all(traffic::Session::echoes));
    // What the gate itself sends, be it again, would make the session known to conntrack.
    wait_until("the gate has nothing to say", || lab.gate.on(traffic::all_is_acknowledged));

    let _firewall = install(&lab, &plan());

    assert!(
        sessions.iter_mut().all(traffic::Session::echoes),
        "the client speaks first after the guard is up"
    );
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Silence, "but no new one");
}

pub(super) fn side_doors() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let media = lab.gate.on(|| traffic::udp(MEDIA));
    let mut firewall = install(&lab, &plan());
    let (gates, _) = lab.gate.link_local_on("eth1");
    let (own, interface) = lab.client.link_local_on("eth0");
    let scoped = |address, port| SocketAddr::V6(SocketAddrV6::new(address, port, 0, interface));
    let all_nodes = "ff02::1".parse().expect("an address");
    let lan: [IpAddr; 3] =
        ["10.1.0.255", "255.255.255.255", "10.2.0.1"].map(|a| a.parse().expect("an address"));

    for target in lan {
        traffic::send_udp(&lab.client, target, MEDIA, b"side door");
    }
    traffic::send_udp_to(&lab.client, scoped(all_nodes, MEDIA), b"side door");
    assert_eq!(traffic::dial_at(&lab.client, scoped(gates, SSH)), Answer::Silence);
    assert_eq!(traffic::drain_udp(&media), 0);

    firewall.open(&grant(1, own.into())).expect("opens");
    assert_eq!(traffic::dial_at(&lab.client, scoped(gates, SSH)), Answer::Accepted);
    remove(&lab);
    traffic::send_udp(&lab.client, lan[0], MEDIA, b"broadcast");
    assert_eq!(traffic::receive_udp(&media), b"broadcast", "it would have come through");
}

pub(super) fn published_port() {
    let lab = Lab::new();
    lab.forward();
    let _web = Echo::start(&lab.inner, 8080);
    lab.gate.nft(
        "table ip engine {
            chain publish { type nat hook prerouting priority -100; tcp dport 80 dnat to 10.3.0.2:8080; }
        }",
    );
    assert_eq!(dial(&lab.stranger, gate(&lab, 0), WEB), Answer::Accepted);
    let mut firewall = install(&lab, &plan());
    assert_eq!(dial(&lab.stranger, gate(&lab, 0), WEB), Answer::Silence);

    firewall.open(&Grant { ports: [WEB].into(), ..grant(1, client(&lab, 0)) }).expect("opens");

    assert_eq!(dial(&lab.client, gate(&lab, 0), WEB), Answer::Accepted);
    assert_eq!(
        dial(&lab.client, lab.inner.v4.parse().expect("an address"), 8080),
        Answer::Accepted,
        "transit"
    );
    assert_eq!(dial(&lab.client, lab.inner.v4.parse().expect("an address"), SSH), Answer::Refused, "transit");
}

pub(super) fn named_interfaces() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &Plan { interfaces: vec!["eth2".into()], ..plan() });
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Accepted);
    assert_eq!(dial(&lab.stranger, gate(&lab, 0), SSH), Answer::Silence);
    assert_eq!(dial(&lab.gate, gate(&lab, 0), SSH), Answer::Accepted, "the host itself");

    reinstall(&lab, &mut firewall, &Plan { interfaces: vec!["eth*".into()], ..plan() });

    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Silence);
    assert_eq!(dial(&lab.gate, gate(&lab, 0), SSH), Answer::Accepted, "the host itself");
}
