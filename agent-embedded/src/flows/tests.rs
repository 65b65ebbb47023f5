use super::*;

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn outer(port: u16) -> (IpAddr, u16) {
    ([198, 51, 100, 1].into(), port)
}

fn inner() -> (IpAddr, u16) {
    ([192, 0, 2, 100].into(), 22)
}

fn inwards(protocol: Protocol, port: u16, step: Step) -> Segment {
    Segment { protocol, source: outer(port), target: inner(), step, intact: true }
}

fn outwards(protocol: Protocol, port: u16, step: Step) -> Segment {
    Segment { protocol, source: inner(), target: outer(port), step, intact: true }
}

use Direction::{Inwards, Outwards};
use Protocol::{Tcp, Udp};
use Step::{Begin, Continue, End};

#[test]
fn a_flow_is_known_both_ways_by_both_ends() {
    let mut flows = Flows::new();
    flows.begin(at(0), &inwards(Tcp, 1, Begin), Inwards);
    #[rustfmt::skip]
    let cases = [
        (1, inwards(Tcp, 1, Continue),  Inwards,  true),
        (2, outwards(Tcp, 1, Continue), Outwards, true),
        (3, inwards(Tcp, 2, Continue),  Inwards,  false),
        (4, inwards(Udp, 1, Begin),     Inwards,  false),
        (5, inwards(Tcp, 1, Continue),  Outwards, false),
    ];
    for (case, segment, direction, known) in cases {
        assert_eq!(flows.knows(at(1), &segment, direction), known, "case {case}");
    }
}

#[test]
fn a_flow_is_forgotten_after_the_silence_that_its_stage_allows() {
    let begin = |protocol| {
        let mut flows = Flows::new();
        flows.begin(at(0), &inwards(protocol, 1, Begin), Inwards);
        flows
    };
    /// Whether it is there until `idle` after second `from`, and no longer.
    fn lasts(flows: &mut Flows, protocol: Protocol, from: u64, idle: Duration) -> bool {
        let end = at(from).after(idle);
        flows.entries.iter().all(|entry| entry.until == end)
            && !flows.knows(end, &outwards(protocol, 1, Begin), Outwards)
    }
    for protocol in [Tcp, Udp] {
        let mut flows = begin(protocol);
        assert!(lasts(&mut flows, protocol, 0, FLOW_OPENING), "unanswered");
    }
    for (protocol, idle) in [(Tcp, FLOW_TCP_IDLE), (Udp, FLOW_UDP_IDLE)] {
        let mut flows = begin(protocol);
        assert!(flows.knows(at(1), &outwards(protocol, 1, Begin), Outwards));
        assert!(lasts(&mut flows, protocol, 1, idle), "established");
    }
    let mut flows = begin(Tcp);
    assert!(flows.knows(at(1), &outwards(Tcp, 1, Continue), Outwards));
    assert!(flows.knows(at(2), &inwards(Tcp, 1, End), Inwards));
    assert!(flows.knows(at(3), &inwards(Tcp, 1, Continue), Inwards));
    assert!(lasts(&mut flows, Tcp, 2, FLOW_CLOSING), "ended");
}

#[test]
fn a_full_table_gives_up_the_flow_that_has_been_silent_longest() {
    let mut flows = Flows::new();
    let ports = (1..).take(FLOWS);
    ports.clone().for_each(|port| flows.begin(at(0), &outwards(Udp, port, Begin), Outwards));
    for port in ports.skip(1) {
        assert!(flows.knows(at(1), &outwards(Udp, port, Begin), Outwards));
    }
    flows.begin(at(2), &outwards(Udp, 50_000, Begin), Outwards);
    assert_eq!(flows.entries.len(), FLOWS);
    assert!(!flows.knows(at(2), &outwards(Udp, 1, Begin), Outwards));
    assert!(flows.knows(at(2), &outwards(Udp, 2, Begin), Outwards));
    assert_eq!(flows.entries.capacity(), FLOWS, "memory is constant");
}
