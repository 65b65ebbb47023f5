//! By which way packets are heard.

use knockgate_agent::capture::watch::{Means, Via, Wanted, WantedPackets, Watch, WatchError};
use knockgate_agent::firewall::{Firewall, Mode, Packets, Plan, PortRange, Protocol, Statics};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::netns::Lab;
use crate::scene::*;

pub(super) fn powerless() {
    let lab = Lab::new();
    let mut watch = lab.gate.on(|| {
        give_up(CapabilitySet::NET_RAW);
        Watch::open(&wanted()).expect("NFLOG needs other power")
    });
    let Means::Nflog { why, .. } = watch.means() else { panic!("{}", watch.means()) };
    assert!(why.contains("CAP_NET_RAW"), "{why}");
    let mut firewall = lab.gate.on(|| Firewall::install(&plan(watch.means())).expect("installs"));
    for (family, client) in [(0, "10.1.0.2"), (1, "fd01::2")] {
        let to = gates(family);
        firewall
            .watch(client.parse().expect("an address"), std::time::Duration::from_secs(60))
            .expect("watches");
        send_udp(&lab.client, to, KNOCK_PORT, &[1; 200]);
        send_udp(&lab.client, to, KNOCK_PORT, &[1; 199]);
        send_udp(&lab.client, to, UDP_STEP, b"");
        send_syn(&lab.client, to, TCP_STEP);
        send_syn(&lab.client, to, DECOY);
        let heard = hear_from(&mut watch, &lab.client, to);
        assert_eq!(heard.len(), 4, "{heard:?}");
        assert!(heard.contains(&Heard::Knock((to, KNOCK_PORT).into(), 1)));
        for (protocol, port) in [(Protocol::Udp, UDP_STEP), (Protocol::Tcp, TCP_STEP), (Protocol::Tcp, DECOY)]
        {
            let is_it = |heard: &&Heard| matches!(heard, Heard::Probe(seen) if (seen.protocol, seen.port) == (protocol, port));
            assert_eq!(heard.iter().filter(is_it).count(), 1, "{port}: {heard:?}");
        }
    }
    assert_eq!(watch.counts(), Default::default());
}

pub(super) fn by_choice() {
    let lab = Lab::new();
    let chosen = Wanted { via: Via::Nflog, packets: WantedPackets::Anywhere { except: vec![] }, ..wanted() };
    let mut watch = lab.gate.on(|| Watch::open(&chosen).expect("root may"));
    let report = watch.means().packets();
    let plan = Plan { packets: Packets::WatchedAnywhere { report }, ..plan(watch.means()) };
    let _firewall = lab.gate.on(|| Firewall::install(&plan).expect("installs"));
    let service = lab.gate.on(|| std::net::UdpSocket::bind(("10.1.0.1", UDP_STEP)).expect("it is free"));
    service.set_nonblocking(true).expect("a socket can be");

    // As long as a knock: a step is never one.
    send_udp(&lab.client, gates(0), UDP_STEP, &[1; 200]);

    let heard = hear_from(&mut watch, &lab.client, gates(0));
    assert!(matches!(heard[..], [Heard::Probe(seen)] if seen.port == UDP_STEP), "{heard:?}");
    assert_eq!(service.recv(&mut [0; 300]).ok(), Some(200), "and the host has it, too");
}

pub(super) fn refused() {
    let lab = Lab::new();
    let chosen = Wanted { via: Via::PacketSockets, ..wanted() };
    let refused = lab.gate.on(|| {
        give_up(CapabilitySet::NET_RAW);
        Watch::open(&chosen).err()
    });
    let words = refused.expect("it may not").to_string();
    assert!(words.contains("CAP_NET_RAW") && words.contains("via = \"auto\""), "{words}");

    let odd = (1..=u16::MAX).step_by(2).map(|port| port..=port).collect();
    let many = Wanted { packets: WantedPackets::Ports(odd), ..chosen };
    let refused = lab.gate.on(|| Watch::open(&many).err());
    assert!(matches!(refused, Some(WatchError::PacketSockets(_))));
    let auto = lab.gate.on(|| Watch::open(&Wanted { via: Via::Auto, ..many }).expect("NFLOG takes any"));
    assert!(matches!(auto.means(), Means::Nflog { why, .. } if why.contains("4096")), "{}", auto.means());
}

pub(super) fn nothing() {
    let lab = Lab::new();
    let sockets = |name: &str| {
        let table = std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).expect("Linux has it");
        table.lines().count()
    };
    lab.gate.on(|| {
        let before = sockets("packet");
        let mut watch = Watch::open(&Wanted::default()).expect("nothing can be refused");
        assert_eq!((watch.means(), watch.fds().len(), sockets("packet")), (&Means::Nothing, 0, before));
        assert_eq!(watch.read(64, &mut |_| panic!("nothing is there")).expect("reads").packets, 0);
        let watch = Watch::open(&wanted()).expect("root may");
        assert_eq!((watch.fds().len(), sockets("packet")), (3, before + 2));
    });
}

fn plan(means: &Means) -> Plan {
    Plan {
        interfaces: vec![],
        services: vec![],
        decoys: vec![DECOY],
        mode: Mode::Closed { report: means.probes() },
        packets: Packets::Watched { ports: vec![PortRange::one(KNOCK_PORT)], report: means.packets() },
        statics: Statics { ports: wanted().statics, report: means.statics() },
    }
}

/// For the calling thread.
fn give_up(power: CapabilitySet) {
    let mut sets = rustix::thread::capabilities(None).expect("a thread knows its own");
    sets.effective.remove(power);
    sets.permitted.remove(power);
    let CapabilitySets { effective, permitted, .. } = sets;
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
        .expect("anybody may give up power");
}
