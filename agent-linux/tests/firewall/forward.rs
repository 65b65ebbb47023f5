//! Services of an inner host.

use super::*;

pub(super) fn forwarded() {
    let lab = Lab::new();
    lab.forward();
    let _inner = Echo::start(&lab.inner, 22);
    let mut firewall = install(&lab, &forwarding_plan(&lab, ReturnPath::Routed));
    for family in 0..2 {
        let inner = address(&lab.inner, family);
        assert_eq!(dial(&lab.client, gate(&lab, family), 8022), Answer::Silence);
        let grant = Grant { ports: [8022].into(), service: 4, ..grant(1, client(&lab, family)) };
        firewall.open(&grant).expect("opens");
        let mut session = traffic::Session::open(&lab.client, gate(&lab, family), 8022);
        assert!(session.echoes());
        assert_eq!(session.peer_seen_by_server(), client(&lab, family));
        assert_eq!(dial(&lab.stranger, gate(&lab, family), 8022), Answer::Silence);
        for host in [&lab.client, &lab.stranger] {
            assert_eq!(dial(host, inner, 22), Answer::Silence, "nobody walks past the gate");
        }
        assert_eq!(dial(&lab.gate, inner, 22), Answer::Accepted, "but the gate may");
        firewall.close(&grant).expect("closes");
        assert_eq!(dial(&lab.client, gate(&lab, family), 8022), Answer::Silence);
        assert!(session.echoes(), "who is in stays in");
    }
}

pub(super) fn masqueraded() {
    let lab = Lab::new();
    lab.forward();
    let _inner = Echo::start(&lab.inner, 22);
    let _other = Echo::start(&lab.inner, 23);
    let mut firewall = install(&lab, &forwarding_plan(&lab, ReturnPath::Masquerade));
    for family in 0..2 {
        let grant = Grant { ports: [8022].into(), service: 4, ..grant(1, client(&lab, family)) };
        firewall.open(&grant).expect("opens");
        let inward: IpAddr = ["10.3.0.1", "fd03::1"][family].parse().expect("an address");
        let session = traffic::Session::open(&lab.client, gate(&lab, family), 8022);
        assert_eq!(session.peer_seen_by_server(), inward);
        let transit = traffic::Session::open(&lab.client, address(&lab.inner, family), 23);
        assert_eq!(transit.peer_seen_by_server(), client(&lab, family), "other traffic keeps its address");
    }
}

pub(super) fn forwarding_off() {
    let lab = Lab::new();
    lab.gate.on(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("our own namespace");
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "0").expect("our own namespace");
    });
    let error = lab.gate.on(|| Firewall::install(&forwarding_plan(&lab, ReturnPath::Routed)).err());
    let words = error.expect("refused").to_string();
    assert!(
        words.contains("inner-ssh") && words.contains("sysctl -w net.ipv6.conf.all.forwarding=1"),
        "{words}"
    );
    assert_eq!(lab.gate.on(Firewall::remove).expect("looks"), Removal::WasNotThere, "nothing half applied");
}
