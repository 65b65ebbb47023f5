//! Which grants are in use, as conntrack sees it.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};

use knockgate_agent::firewall::{FlowTable, Flows, FlowsError};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::*;

pub(super) fn tcp_sessions() {
    let lab = Lab::new();
    let listener = lab.gate.on(|| TcpListener::bind("[::]:22").expect("the port is free"));
    let mut firewall = install(&lab, &plan());
    let mut table = lab.gate.on(|| FlowTable::open().expect("opens"));
    for family in 0..2 {
        let mine = grant(1, client(&lab, family));
        let others = [
            mine.clone(),
            Grant { ports: [WEB].into(), ..mine.clone() },
            Grant { protocol: Protocol::Udp, ..mine.clone() },
            grant(2, stranger(&lab, family)),
            Grant { source: gate(&lab, family), reach: Reach::Prefix([24, 64][family]), ..mine.clone() },
        ];
        firewall.open(&mine).expect("opens");
        assert_eq!(table.look(&others).expect("looks"), [Flows::None; 5]);
        for end in [End::Client, End::Gate, End::HalfOfTheClient, End::HalfOfTheGate] {
            let ours = traffic::connect(&lab.client, gate(&lab, family), SSH);
            let (theirs, _) = listener.accept().expect("somebody connects");
            let alive = [Flows::Alive, Flows::None, Flows::None, Flows::None, Flows::Alive];
            wait_until("the flow is seen", || table.look(&others).expect("looks") == alive);
            let _kept = end.of(ours, theirs);
            wait_until("the flow has ended", || table.look(&others).expect("looks") == [Flows::None; 5]);
        }
    }
    assert_eq!(table.look(&[]).expect("looks"), []);
}

/// Who says goodbye.
#[derive(Debug, Clone, Copy)]
enum End {
    Client,
    Gate,
    HalfOfTheClient,
    HalfOfTheGate,
}

impl End {
    /// What is left of the two ends.
    fn of(self, mut ours: TcpStream, mut theirs: TcpStream) -> Vec<TcpStream> {
        let read_to_end =
            |stream: &mut TcpStream| stream.read(&mut [0; 1]).expect("the other end says goodbye");
        match self {
            Self::Client => {
                drop(ours);
                assert_eq!(read_to_end(&mut theirs), 0);
                vec![theirs]
            }
            Self::Gate => {
                drop(theirs);
                assert_eq!(read_to_end(&mut ours), 0);
                vec![]
            }
            Self::HalfOfTheClient => {
                ours.shutdown(Shutdown::Write).expect("it is open");
                vec![ours, theirs]
            }
            Self::HalfOfTheGate => {
                theirs.shutdown(Shutdown::Write).expect("it is open");
                vec![ours, theirs]
            }
        }
    }
}

pub(super) fn udp_exchanges() {
    let lab = Lab::new();
    let media = lab.gate.on(|| traffic::udp(MEDIA));
    let mut firewall = install(&lab, &plan());
    let mut table = lab.gate.on(|| FlowTable::open().expect("opens"));
    for family in 0..2 {
        let (protocol, ports) = (Protocol::Udp, [MEDIA].into());
        let mine = [Grant { service: 3, protocol, ports, ..grant(1, client(&lab, family)) }];
        firewall.open(&mine[0]).expect("opens");
        let client = traffic::knocker(&lab.client, (gate(&lab, family), MEDIA).into());
        client.send(b"question").expect("sends");
        let (_, from) = media.recv_from(&mut [0; 64]).expect("it is asked");
        assert_eq!(table.look(&mine).expect("looks"), [Flows::None], "nobody has answered");
        media.send_to(b"answer", from).expect("sends");
        assert_eq!(traffic::receive_udp(&client), b"answer");
        assert_eq!(table.look(&mine).expect("looks"), [Flows::Alive]);
    }
}

pub(super) fn forgotten() {
    let lab = Lab::new();
    for kind in ["udp_timeout", "udp_timeout_stream"] {
        lab.gate.on(|| {
            std::fs::write(format!("/proc/sys/net/netfilter/nf_conntrack_{kind}"), "1")
                .expect("our own namespace");
        });
    }
    let media = lab.gate.on(|| traffic::udp(MEDIA));
    let mut firewall = install(&lab, &plan());
    let mut table = lab.gate.on(|| FlowTable::open().expect("opens"));
    let (protocol, ports) = (Protocol::Udp, [MEDIA].into());
    let mine = Grant { service: 3, protocol, ports, ..grant(1, client(&lab, 0)) };
    firewall.open(&mine).expect("opens");
    let client = traffic::knocker(&lab.client, (gate(&lab, 0), MEDIA).into());
    client.send(b"question").expect("sends");
    let (_, from) = media.recv_from(&mut [0; 64]).expect("it is asked");
    media.send_to(b"answer", from).expect("sends");
    wait_until("the flow has ended", || {
        table.look(std::slice::from_ref(&mine)).expect("looks") == [Flows::None]
    });
}

pub(super) fn forwarded_sessions() {
    let lab = Lab::new();
    lab.forward();
    let _inner = Echo::start(&lab.inner, 22);
    let mut firewall = install(&lab, &forwarding_plan(&lab, ReturnPath::Masquerade));
    let mut table = lab.gate.on(|| FlowTable::open().expect("opens"));
    for family in 0..2 {
        let outer = Grant { ports: [8022].into(), service: 4, ..grant(1, client(&lab, family)) };
        let inner = grant(2, client(&lab, family));
        firewall.open(&outer).expect("opens");
        let mut session = traffic::Session::open(&lab.client, gate(&lab, family), 8022);
        assert!(session.echoes());
        let found = table.look(&[outer.clone(), inner]).expect("looks");
        assert_eq!(found, [Flows::Alive, Flows::None], "by the port that the client dialled");
        drop(session);
        let outer = [outer];
        wait_until("the flow has ended", || table.look(&outer).expect("looks") == [Flows::None]);
    }
}

pub(super) fn powerless() {
    let lab = Lab::new();
    let refused = lab.gate.on(|| {
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
            .expect("anybody may give up power");
        FlowTable::open().expect("anybody may ask").look(&[grant(1, [10, 1, 0, 2].into())])
    });
    assert!(matches!(refused, Err(FlowsError::NotAllowed)), "{refused:?}");
}
