//! Both ways to knock: connections on decoys, and probes that meet silence.

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::*;

pub(super) fn hundred_decoys() {
    let lab = Lab::new();
    let decoys: Vec<u16> = (0..100).map(|n| 10_000 + n * 211).collect();
    let listener = lab.gate.on(|| decoy::listen(LISTENER).expect("the port is free"));
    let mut firewall = install(&lab, &Plan { decoys: decoys.clone(), ..plan() });
    for family in 0..2 {
        firewall.watch(client(&lab, family), MINUTE).expect("watches");
        for &port in &decoys {
            let knock = traffic::connect(&lab.client, gate(&lab, family), port);
            let (taken, _) = traffic::accept(&listener);
            let touched = decoy::touched(&taken).expect("conntrack knows");
            assert_eq!(touched, Some(DecoyTouched { source: client(&lab, family), port }));
            drop(knock);
        }
        firewall.unwatch(client(&lab, family)).expect("unwatches");
        firewall.unwatch(client(&lab, family)).expect("unwatches again");
        assert_eq!(dial(&lab.client, gate(&lab, family), decoys[0]), Answer::Refused);
    }
}

pub(super) fn decoys_are_the_holders() {
    let lab = Lab::new();
    let listener = lab.gate.on(|| decoy::listen(LISTENER).expect("the port is free"));
    let mut firewall = install(&lab, &plan());
    assert_eq!(dial(&lab.client, gate(&lab, 0), 10_001), Answer::Refused, "before the hold");
    let mapped =
        IpAddr::V6(lab.client.v4.parse::<std::net::Ipv4Addr>().expect("an address").to_ipv6_mapped());
    firewall.watch(mapped, Duration::from_millis(1500)).expect("watches v4 in v6 clothes");
    assert_eq!(dial(&lab.client, gate(&lab, 0), 10_001), Answer::Accepted);
    for family in 0..2 {
        assert_eq!(dial(&lab.stranger, gate(&lab, family), 10_001), Answer::Refused);
        for host in [&lab.client, &lab.stranger] {
            assert_eq!(
                dial(host, gate(&lab, family), LISTENER),
                Answer::Refused,
                "as a port without a listener"
            );
        }
    }
    assert_eq!(dial(&lab.client, gate(&lab, 0), 10_002), Answer::Refused, "no decoy");
    wait_until("the hold ends", || dial(&lab.client, gate(&lab, 0), 10_001) == Answer::Refused);

    let (taken, _) = traffic::accept(&listener);
    assert!(decoy::touched(&taken).expect("conntrack knows").is_some());
    let _own = traffic::connect(&lab.gate, "127.0.0.1".parse().expect("an address"), LISTENER);
    wait_until("the host's own connection is told apart", || {
        let (taken, _) = traffic::accept(&listener);
        decoy::touched(&taken).expect("conntrack knows").is_none()
    });
}

pub(super) fn decoys_for_all() {
    let lab = Lab::new();
    let listener = lab.gate.on(|| decoy::listen(LISTENER).expect("the port is free"));
    let always = Mode::Connect { listener: LISTENER, access: Access::Always };
    let _firewall = install(&lab, &Plan { mode: always, ..plan() });
    for family in 0..2 {
        for (host, source) in [(&lab.client, client(&lab, family)), (&lab.stranger, stranger(&lab, family))] {
            let _knock = traffic::connect(host, gate(&lab, family), 10_001);
            let (taken, _) = traffic::accept(&listener);
            let touched = decoy::touched(&taken).expect("conntrack knows");
            assert_eq!(touched, Some(DecoyTouched { source, port: 10_001 }));
        }
    }
}

pub(super) fn closed_holder() {
    let lab = Lab::new();
    let decoys: Vec<u16> = (0..100).map(|n| 10_000 + n * 211).collect();
    let mut log = lab.gate.on(|| ProbeLog::bind(GROUP).expect("the group is free"));
    let mut firewall = install(&lab, &Plan { decoys: decoys.clone(), mode: CLOSED, ..plan() });
    for family in 0..2 {
        let (source, destination) = (client(&lab, family), gate(&lab, family));
        firewall.watch(source, MINUTE).expect("watches");
        for &port in &decoys {
            send_syn(&lab.client, destination, port);
        }
        for &port in &decoys {
            let expected = ProbeSeen { source, destination, protocol: Protocol::Tcp, port, syn: true };
            assert_eq!(next_probe(&mut log), expected);
        }
        traffic::send_udp(&lab.client, destination, decoys[7], b"datagram");
        let expected =
            ProbeSeen { source, destination, protocol: Protocol::Udp, port: decoys[7], syn: false };
        assert_eq!(next_probe(&mut log), expected);

        assert_eq!(dial(&lab.client, destination, decoys[0]), Answer::Silence);
        assert_eq!(next_probe(&mut log).port, decoys[0]);
        firewall.unwatch(source).expect("unwatches");
        assert_eq!(dial(&lab.client, destination, decoys[0]), Answer::Refused, "as before");
    }
    assert_eq!(log.try_recv().expect("reads"), None);
    assert_eq!((log.lost(), log.unreadable()), (0, 0));
}

pub(super) fn closed_stranger() {
    let lab = Lab::new();
    let mut log = lab.gate.on(|| ProbeLog::bind(GROUP).expect("the group is free"));
    let mut firewall = install(&lab, &Plan { mode: CLOSED, ..plan() });
    firewall.watch(client(&lab, 0), MINUTE).expect("watches");
    for family in 0..2 {
        assert_eq!(dial(&lab.stranger, gate(&lab, family), 10_001), Answer::Refused);
    }
    assert_eq!(dial(&lab.client, gate(&lab, 1), 10_001), Answer::Refused, "the other family does not hold");
    assert_eq!(dial(&lab.client, gate(&lab, 0), 10_002), Answer::Refused, "no decoy");
    assert_eq!(log.try_recv().expect("reads"), None);
}

pub(super) fn one_reader() {
    let lab = Lab::new();
    let first = lab.gate.on(|| ProbeLog::bind(GROUP).expect("the group is free"));
    let second = lab.gate.on(|| ProbeLog::bind(GROUP).err());
    assert!(matches!(second, Some(NflogError::GroupTaken(GROUP))), "{second:?}");
    drop(first);
    wait_until("the group is free again", || lab.gate.on(|| ProbeLog::bind(GROUP).is_ok()));
}

pub(super) fn flood() {
    let lab = Lab::new();
    let mut log = lab.gate.on(|| ProbeLog::bind(GROUP).expect("the group is free"));
    let mut firewall = install(&lab, &Plan { mode: CLOSED, ..plan() });
    firewall.watch(client(&lab, 0), MINUTE).expect("watches");

    traffic::flood_udp(&lab.client, gate(&lab, 0), 10_001, 50_000);

    let read = std::iter::from_fn(|| log.try_recv().expect("reads")).count();
    assert!(log.lost() > 0 && read > 100 && read < 50_000, "{read} read, {} times lost", log.lost());
    send_syn(&lab.client, gate(&lab, 0), 10_001);
    assert!(next_probe(&mut log).syn, "and it goes on");
}

pub(super) fn powerless() {
    let lab = Lab::new();
    let (firewall, log) = lab.gate.on(|| {
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
            .expect("anybody may give up power");
        (Firewall::install(&plan()).err(), ProbeLog::bind(GROUP).err())
    });
    assert!(matches!(firewall, Some(FirewallError::NotAllowed)), "{firewall:?}");
    assert!(matches!(log, Some(NflogError::NotAllowed)), "{log:?}");
}
