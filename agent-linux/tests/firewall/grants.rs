//! Opening and closing doors.

use super::*;

pub(super) fn silent_until_granted() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &plan());
    for family in 0..2 {
        assert_eq!(dial(&lab.client, gate(&lab, family), SSH), Answer::Silence);

        firewall.open(&grant(1, client(&lab, family))).expect("opens");

        assert_eq!(dial(&lab.client, gate(&lab, family), SSH), Answer::Accepted);
        assert_eq!(dial(&lab.stranger, gate(&lab, family), SSH), Answer::Silence);
    }
    assert_eq!(dial(&lab.client, gate(&lab, 0), 81), Answer::Refused, "unguarded ports are as before");
}

pub(super) fn grant_is_narrow() {
    let lab = Lab::new();
    let _services = [Echo::start(&lab.gate, SSH), Echo::start(&lab.gate, WEB)];
    let media = lab.gate.on(|| traffic::udp(MEDIA));
    let mut firewall = install(&lab, &plan());
    firewall.open(&grant(1, client(&lab, 0))).expect("opens");

    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Accepted);
    assert_eq!(dial(&lab.client, gate(&lab, 0), WEB), Answer::Silence, "another port");
    assert_eq!(dial(&lab.client, gate(&lab, 1), SSH), Answer::Silence, "another family");
    assert_eq!(dial(&lab.stranger, gate(&lab, 0), SSH), Answer::Silence, "another source");

    let tcp_on_the_udp_port =
        Grant { ports: [MEDIA].into(), protocol: Protocol::Tcp, ..grant(2, client(&lab, 0)) };
    firewall.open(&tcp_on_the_udp_port).expect("opens");
    traffic::send_udp(&lab.client, gate(&lab, 0), MEDIA, b"tcp grant");
    firewall.open(&Grant { id: 3, protocol: Protocol::Udp, ..tcp_on_the_udp_port }).expect("opens");
    traffic::send_udp(&lab.client, gate(&lab, 0), MEDIA, b"udp grant");
    assert_eq!(traffic::receive_udp(&media), b"udp grant", "the first datagram was dropped");
}

pub(super) fn grant_ends() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &plan());
    let began = Instant::now();
    let short = Duration::from_millis(1500);
    firewall.open(&Grant { timeout: short, ..grant(1, client(&lab, 0)) }).expect("opens");
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Accepted);
    drop(firewall);

    wait_until("the door shuts", || {
        // One lost in a busy machine is not yet a door that is shut.
        (0..2).all(|_| dial(&lab.client, gate(&lab, 0), SSH) == Answer::Silence)
    });

    assert!(began.elapsed() >= short, "not before its time");
    assert!(began.elapsed() < short + Duration::from_secs(5), "and not long after");
}

pub(super) fn open_again() {
    let lab = Lab::new();
    let mut firewall = install(&lab, &plan());
    let short = Grant { timeout: Duration::from_secs(5), ..grant(1, client(&lab, 0)) };
    let remaining = |firewall: &mut Firewall| firewall.grants().expect("reads").grants[0].remaining;
    firewall.open(&short).expect("opens");
    assert!(remaining(&mut firewall) <= Duration::from_secs(5));

    firewall.open(&grant(1, client(&lab, 0))).expect("opens");
    assert!(remaining(&mut firewall) > Duration::from_secs(50), "later");
    let early = remaining(&mut firewall);
    wait_until("time passes", || remaining(&mut firewall) < early);
    let before = remaining(&mut firewall);
    firewall.open(&grant(1, client(&lab, 0))).expect("opens");
    assert!(remaining(&mut firewall) > before, "the same timeout starts anew");
    firewall.open(&short).expect("opens");
    assert!(remaining(&mut firewall) <= Duration::from_secs(5), "earlier");

    let renamed = Grant { id: 9, ..grant(1, client(&lab, 0)) };
    firewall.close(&short).expect("closes");
    firewall.open(&renamed).expect("opens");
    assert_eq!(firewall.grants().expect("reads").grants[0].id, 9, "the name is the new one's");
}

pub(super) fn close_twice() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &plan());
    let grant = grant(1, client(&lab, 1));
    firewall.close(&grant).expect("nothing is open");
    firewall.open(&grant).expect("opens");
    let mut session = traffic::Session::open(&lab.client, gate(&lab, 1), SSH);

    firewall.close(&grant).expect("closes");
    firewall.close(&grant).expect("closes what is closed");

    assert_eq!(dial(&lab.client, gate(&lab, 1), SSH), Answer::Silence);
    assert!(session.echoes(), "who is in stays in");
}

pub(super) fn renamed_door() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &plan());
    let long = grant(1, client(&lab, 0));
    let short = Grant { id: 2, client: 2, timeout: Duration::from_secs(30), ..long.clone() };
    firewall.open(&long).expect("opens");
    firewall.open(&short).expect("opens");

    let grants = firewall.grants().expect("reads").grants;
    assert_eq!(grants.iter().map(|grant| (grant.id, grant.client)).collect::<Vec<_>>(), [(2, 2)]);
    assert!(grants[0].remaining <= Duration::from_secs(30), "with its own deadline");
    firewall.close(&short).expect("closes");
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Silence);
}

pub(super) fn sixteen_ports() {
    let lab = Lab::new();
    let ports: Vec<u16> = (7000..7016).collect();
    let wide = Service { ports: ports.clone(), ..service(5, "wide", Protocol::Tcp, 1) };
    let mut firewall = install(&lab, &Plan { services: vec![wide], ..plan() });
    let mut mixed = ports.clone();
    mixed.reverse();
    mixed[15] = 7015; // 7015 twice, 7000 not at all
    let ports_of =
        |ports: Vec<u16>| Grant { ports: ports.into_iter().collect(), ..grant(1, client(&lab, 1)) };
    firewall.open(&ports_of(mixed)).expect("opens");

    let found = firewall.grants().expect("reads").grants;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].ports, ports[1..], "each once, ascending");
    assert_eq!(dial(&lab.client, gate(&lab, 1), 7000), Answer::Silence);
    assert_eq!(dial(&lab.client, gate(&lab, 1), 7015), Answer::Refused, "let through; nobody listens");
    firewall.close(&ports_of(ports)).expect("closes");
    assert!(firewall.grants().expect("reads").grants.is_empty());
}

pub(super) fn endless_grants() {
    let lab = Lab::new();
    let mut firewall = install(&lab, &plan());
    let good = grant(1, client(&lab, 0));
    let cases = [
        Grant { timeout: Duration::ZERO, ..good.clone() }, // 1
        Grant { timeout: Duration::from_micros(999), ..good.clone() }, // 2
        Grant { timeout: Duration::MAX, ..good.clone() },  // 3
        Grant { ports: heapless::Vec::new(), ..good.clone() }, // 4
    ];
    for (number, case) in cases.iter().enumerate() {
        assert!(matches!(firewall.open(case), Err(FirewallError::EmptyGrant { .. })), "{}", number + 1);
    }
    assert!(firewall.grants().expect("reads").grants.is_empty());
}
