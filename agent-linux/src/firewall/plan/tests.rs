use super::*;

fn plan() -> Plan {
    let ssh = Service {
        id: 1,
        name: "ssh".into(),
        protocol: Protocol::Tcp,
        ports: vec![22],
        forward: None,
        prefix: None,
    };
    Plan {
        interfaces: vec![],
        services: vec![ssh],
        decoys: vec![10_001],
        mode: Mode::Connect { listener: 40_000, access: Access::Holder },
        packets: Packets::Off,
        statics: Statics::none(),
    }
}

#[test]
fn a_plain_plan_passes() {
    assert_eq!(plan().check(), Ok(()));
}

#[test]
fn interface_names_that_could_leave_their_quotes_are_refused() {
    for name in ["", "*", "a\"b", "a b", "a/b", "sixteen-letters-", "eth*0", "a\\", "ä", "a\n", "lo"] {
        assert!(Plan { interfaces: vec![name.into()], ..plan() }.check().is_err(), "{name:?}");
    }
    for name in ["eth0", "wg*", "br-0a1b2c3d4e5f", "eth0.100", "lan@x"] {
        assert!(Plan { interfaces: vec![name.into()], ..plan() }.check().is_ok(), "{name:?}");
    }
}

#[test]
fn every_port_has_one_owner() {
    let mut twice = plan();
    twice.services.push(Service { id: 2, ..twice.services[0].clone() });
    assert_eq!(twice.check(), Err(PlanError::PortTwice("ssh".into(), Protocol::Tcp, 22)));
    assert_eq!(Plan { decoys: vec![22], ..plan() }.check(), Err(PlanError::DecoyInUse(22)));
    assert_eq!(Plan { decoys: vec![40_000], ..plan() }.check(), Err(PlanError::DecoyInUse(40_000)));
    assert_eq!(Plan { decoys: vec![0], ..plan() }.check(), Err(PlanError::DecoyZero));
}

#[test]
fn a_forwarded_service_has_one_port_and_a_target() {
    let forward = |v4| Some(Forward { v4, v6: None, return_path: ReturnPath::Routed });
    let inner = Some((Ipv4Addr::new(10, 0, 0, 5), 22));
    let with = |ports: Vec<u16>, forward| {
        let mut plan = plan();
        plan.services[0] = Service { ports, forward, ..plan.services[0].clone() };
        plan.check()
    };
    assert_eq!(with(vec![22], forward(inner)), Ok(()));
    assert!(with(vec![22, 23], forward(inner)).is_err());
    assert!(with(vec![22], forward(None)).is_err());
    assert!(with(vec![22], forward(Some((Ipv4Addr::new(10, 0, 0, 5), 0)))).is_err());
    for nowhere in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(224, 0, 0, 1)] {
        assert!(with(vec![22], forward(Some((nowhere, 22)))).is_err(), "{nowhere}");
    }
}

#[test]
fn port_counts_stay_in_their_limits() {
    for (number, ports) in [vec![], vec![0], (1..=17).collect()].into_iter().enumerate() {
        let mut plan = plan();
        plan.services[0].ports = ports;
        assert!(plan.check().is_err(), "{}", number + 1);
    }
}

#[test]
fn packet_knocks_have_ports_of_their_own() {
    let on = |first, last| vec![PortRange { first, last }];
    let media = Service { protocol: Protocol::Udp, ports: vec![5004], ..plan().services[0].clone() };
    let ports = vec![(Protocol::Udp, 7000), (Protocol::Tcp, 7001)];
    let statics = Statics { ports, report: Report::Unneeded };
    let mode = Mode::Closed { report: Report::Unneeded };
    let plan = Plan { services: vec![media], mode, statics, ..plan() };
    let guarded = |port| Err(PlanError::PacketPortGuarded("ssh".into(), port));
    let cases = [
        (on(62_201, 62_201), Ok(())),                                    // 1
        (on(1, 65_535), guarded(5004)),                                  // 2
        (on(5000, 5004), guarded(5004)),                                 // 3
        (on(5005, 5005), Ok(())),                                        // 4
        (vec![], Err(PlanError::NoPacketPorts)),                         // 5
        (on(0, 9), Err(PlanError::PacketPorts(on(0, 9)[0]))),            // 6
        (on(9, 8), Err(PlanError::PacketPorts(on(9, 8)[0]))),            // 7
        (on(10_000, 10_002), Err(PlanError::PacketPortIsDecoy(10_001))), // 8
        (on(6999, 7000), Err(PlanError::PacketPortIsStatic(7000))),      // 9
        (on(7001, 7001), Ok(())),                                        // 10
    ];
    for (number, (ports, expected)) in cases.into_iter().enumerate() {
        let bound = Packets::Bound { ports: ports.clone() };
        for packets in [bound, Packets::Watched { ports, report: Report::Unneeded }] {
            let plan = Plan { packets, ..plan.clone() };
            assert_eq!(plan.check(), expected, "{}", number + 1);
        }
    }
}

#[test]
fn a_group_has_one_reader() {
    let nflog = |group| Report::Nflog { group };
    let cases = [
        ([nflog(1), nflog(2), nflog(3)], Ok(())),                         // 1
        ([nflog(1), nflog(1), nflog(3)], Err(PlanError::GroupTwice(1))),  // 2
        ([nflog(1), nflog(3), nflog(3)], Err(PlanError::GroupTwice(3))),  // 3
        ([nflog(3), nflog(2), nflog(3)], Err(PlanError::GroupTwice(3))),  // 4
        ([Report::Unneeded, Report::Unneeded, Report::Unneeded], Ok(())), // 5
    ];
    for (number, ([probes, packets, steps], expected)) in cases.into_iter().enumerate() {
        let plan = Plan {
            mode: Mode::Closed { report: probes },
            packets: Packets::WatchedAnywhere { report: packets },
            statics: Statics { ports: vec![(Protocol::Tcp, 7000)], report: steps },
            ..plan()
        };
        assert_eq!(plan.check(), expected, "{}", number + 1);
    }
}

#[test]
fn a_step_of_a_static_sequence_has_a_port() {
    let statics = Statics { ports: vec![(Protocol::Udp, 0)], report: Report::Unneeded };
    assert_eq!(Plan { statics, ..plan() }.check(), Err(PlanError::StaticZero));
}

#[test]
fn prefixes_are_neither_everybody_nor_longer_than_an_address() {
    let with = |v4, v6| {
        let mut plan = plan();
        plan.services[0].prefix = Some(Prefixes { v4, v6 });
        plan.check()
    };
    for (v4, v6) in [(Some(1), Some(1)), (Some(32), Some(128)), (None, Some(64)), (None, None)] {
        assert_eq!(with(v4, v6), Ok(()), "{v4:?} {v6:?}");
    }
    for (v4, v6) in [(Some(0), None), (Some(33), None), (None, Some(0)), (Some(24), Some(129))] {
        assert!(with(v4, v6).is_err(), "{v4:?} {v6:?}");
    }
}
