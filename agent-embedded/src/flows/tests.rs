use super::*;

use Direction::{Inwards, Outwards};
use Stage::{Answered, Closed, Established, HalfClosed, Opening, Reset};
use Step::{Begin, Continue, Datagram, Finish};
use Transport::{Echo, Tcp, Udp};

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// Between port `port` of 198.51.100.`last` and port 22 of the machine inside.
fn flow_of(transport: Transport, last: u8, port: u16) -> Flow {
    let (source, target) = (([198, 51, 100, last].into(), port), ([192, 0, 2, 100].into(), 22));
    Flow::of(&Ends { transport, source, target }, None, Inwards)
}

fn flow(transport: Transport, port: u16) -> Flow {
    flow_of(transport, 1, port)
}

/// A flow that has come as far as these segments bring it.
fn grown(transport: Transport, segments: &[(Direction, Step)]) -> Flows {
    let mut flows = Flows::new(7);
    let [(first, _), rest @ ..] = segments else { panic!("nobody begins") };
    flows.begin(at(0), flow(transport, 1), *first);
    rest.iter().for_each(|(direction, step)| flows.take(at(0), &flow(transport, 1), *step, *direction));
    flows
}

#[test]
fn an_entry_is_as_small_as_the_limits_of_memory_want_it() {
    assert_eq!(size_of::<Entry>(), 48);
}

#[test]
fn a_flow_is_known_by_both_ends_its_transport_and_its_network() {
    let mut flows = Flows::new(7);
    let ends =
        Ends { transport: Tcp, source: ([198, 51, 100, 1].into(), 1), target: ([192, 0, 2, 100].into(), 22) };
    let back = Ends { source: ends.target, target: ends.source, ..ends };
    flows.begin(at(0), Flow::of(&ends, Some(5), Inwards), Inwards);
    #[rustfmt::skip]
    let cases = [
        (1, Flow::of(&ends, Some(5), Inwards),                                   true),
        (2, Flow::of(&back, Some(5), Outwards),                                  true),
        (3, Flow::of(&ends, Some(6), Inwards),                                   false),
        (4, Flow::of(&ends, None, Inwards),                                      false),
        (5, Flow::of(&ends, Some(5), Outwards),                                  false),
        (6, Flow::of(&Ends { transport: Udp, ..ends }, Some(5), Inwards),        false),
        (7, Flow::of(&Ends { source: (ends.source.0, 2), ..ends }, Some(5), Inwards), false),
        (8, Flow::of(&Ends { target: (ends.target.0, 2), ..ends }, Some(5), Inwards), false),
    ];
    for (case, flow, known) in cases {
        assert_eq!(flows.stage(at(1), &flow).is_some(), known, "case {case}");
    }
}

#[test]
fn addresses_come_out_of_the_table_as_they_went_in() {
    for text in ["192.0.2.100", "2001:db8:1:2:3:4:5:6", "fe80::1", "0.0.0.0", "::1"] {
        let address: IpAddr = text.parse().unwrap();
        assert_eq!(IpAddr::from(Address::from(address)), address);
    }
}

#[test]
fn a_flow_comes_as_far_as_its_segments_bring_it() {
    let (syn, ack, end, reset) = (Begin, Continue, Finish, Step::Reset);
    type Spoken<'a> = &'a [(Direction, Step)];
    #[rustfmt::skip]
    let cases: [(u32, Transport, Spoken<'_>, Stage); 18] = [
        (1, Tcp, &[(Inwards, syn)], Opening(Inwards)),
        (2, Tcp, &[(Inwards, syn), (Inwards, ack)], Opening(Inwards)),
        (3, Tcp, &[(Inwards, syn), (Outwards, ack)], Answered(Inwards)),
        (4, Tcp, &[(Inwards, syn), (Outwards, ack), (Inwards, syn)], Answered(Inwards)),
        (5, Tcp, &[(Inwards, syn), (Outwards, ack), (Inwards, ack)], Established),
        (6, Tcp, &[(Outwards, syn), (Inwards, ack), (Outwards, ack)], Established),
        (7, Tcp, &[(Outwards, syn), (Inwards, syn), (Outwards, ack)], Established), // both at once
        (8, Tcp, &[(Inwards, syn), (Outwards, reset)], Reset),
        (9, Tcp, &[(Inwards, syn), (Outwards, ack), (Inwards, ack), (Inwards, end)], HalfClosed(Inwards)),
        (10, Tcp, &[(Inwards, syn), (Outwards, ack), (Inwards, end), (Outwards, ack)], HalfClosed(Inwards)),
        (11, Tcp, &[(Inwards, syn), (Outwards, ack), (Inwards, end), (Outwards, end)], Closed),
        (12, Tcp, &[(Inwards, syn), (Outwards, end), (Inwards, end), (Outwards, ack)], Closed),
        (13, Tcp, &[(Inwards, syn), (Outwards, ack), (Inwards, reset), (Inwards, ack)], Reset),
        (14, Tcp, &[(Inwards, syn), (Outwards, ack), (Inwards, reset), (Outwards, ack)], Established), // it was forged
        (15, Udp, &[(Inwards, Datagram), (Inwards, Datagram)], Opening(Inwards)),
        (16, Udp, &[(Inwards, Datagram), (Outwards, Datagram)], Established),
        (17, Echo, &[(Outwards, syn)], Opening(Outwards)),
        (18, Echo, &[(Outwards, syn), (Inwards, ack)], Established),
    ];
    for (case, transport, spoken, stage) in cases {
        let flows = grown(transport, spoken);
        assert_eq!(flows.stage(at(1), &flow(transport, 1)), Some(stage), "case {case}");
    }
}

#[test]
fn a_flow_is_forgotten_after_the_silence_that_its_stage_allows() {
    let (syn, ack, end) = ((Inwards, Begin), (Outwards, Continue), (Inwards, Finish));
    let established = [syn, ack, (Inwards, Continue)];
    type Spoken<'a> = &'a [(Direction, Step)];
    #[rustfmt::skip]
    let cases: [(u32, Transport, Spoken<'_>, Duration); 8] = [
        (1, Tcp, &[syn], FLOW_OPENING),
        (2, Tcp, &[syn, ack], FLOW_OPENING),
        (3, Tcp, &established, FLOW_TCP_IDLE),
        (4, Tcp, &[syn, ack, end], FLOW_HALF_CLOSED),
        (5, Tcp, &[syn, ack, end, (Outwards, Finish)], FLOW_CLOSING),
        (6, Tcp, &[syn, (Outwards, Step::Reset)], FLOW_CLOSING),
        (7, Udp, &[(Inwards, Datagram), (Outwards, Datagram)], FLOW_UDP_IDLE),
        (8, Echo, &[(Outwards, Begin), (Inwards, Continue)], FLOW_ECHO_IDLE),
    ];
    for (case, transport, spoken, idle) in cases {
        let flows = grown(transport, spoken);
        let flow = flow(transport, 1);
        // An eighth of a second, and what rounding adds.
        let grain = Duration::from_millis(300);
        assert!(flows.stage(at(0).after(idle), &flow).is_some(), "case {case}: too early");
        assert!(flows.stage(at(0).after(idle + grain), &flow).is_none(), "case {case}: too late");
    }
}

#[test]
fn nobody_outside_keeps_alive_what_is_over() {
    let mut flows = grown(Tcp, &[(Inwards, Begin), (Outwards, Step::Reset)]);
    for second in 0..FLOW_CLOSING.as_secs() {
        flows.take(at(second), &flow(Tcp, 1), Continue, Inwards);
    }
    assert_eq!(flows.stage(at(FLOW_CLOSING.as_secs() + 1), &flow(Tcp, 1)), None);
}

/// One of `many` addresses.
fn last(port: u16, many: u16) -> u8 {
    u8::try_from(port % many).unwrap()
}

fn filled(transport: Transport, direction: Direction) -> Flows {
    let mut flows = Flows::new(7);
    for (second, port) in (0..).zip(1..).take(FLOWS) {
        flows.begin(at(second / 100), flow_of(transport, last(port, 200), port), direction);
    }
    flows
}

#[test]
fn a_full_table_gives_up_the_flow_that_has_been_silent_longest() {
    let mut flows = filled(Udp, Outwards);
    for port in (2..).take(FLOWS - 1) {
        flows.take(at(6), &flow_of(Udp, last(port, 200), port), Datagram, Outwards);
    }
    flows.begin(at(7), flow_of(Udp, 250, 50_000), Outwards);
    assert_eq!((flows.count(at(7)), flows.entries.capacity()), (FLOWS, FLOWS), "memory is constant");
    assert!(flows.stage(at(7), &flow_of(Udp, 1, 1)).is_none());
    assert!(flows.stage(at(7), &flow_of(Udp, 2, 2)).is_some());
    assert!(flows.stage(at(7), &flow_of(Udp, 250, 50_000)).is_some());
}

#[test]
fn what_somebody_outside_only_begins_gives_way_before_what_goes_on() {
    let mut flows = filled(Udp, Outwards);
    for port in (1_000..).take(4 * FLOWS) {
        flows.begin(at(7), flow_of(Tcp, last(port, 200), port), Inwards);
    }
    let lost = (1..).take(FLOWS).filter(|&port| {
        let flow = flow_of(Udp, last(port, 200), port);
        flows.stage(at(7), &flow).is_none()
    });
    assert_eq!(lost.count(), 1, "the first newcomer takes a place, the others take that of the one before");
}

#[test]
fn an_address_outside_that_has_more_than_its_share_makes_room_for_itself() {
    let mut flows = Flows::new(7);
    for port in (1..).take(FLOWS) {
        let address = if usize::from(port) <= FLOWS_PER_SOURCE { 66 } else { last(port, 50) };
        flows.begin(at(u64::from(address == 66)), flow_of(Udp, address, port), Inwards);
        flows.take(at(1), &flow_of(Udp, address, port), Datagram, Outwards);
    }
    for port in 10_000..11_000 {
        flows.begin(at(2), flow_of(Udp, 66, port), Inwards);
    }
    let others = (1..).take(FLOWS).skip(FLOWS_PER_SOURCE);
    for port in others {
        assert!(flows.stage(at(2), &flow_of(Udp, last(port, 50), port)).is_some(), "port {port}");
    }
}

#[test]
fn places_are_used_again_and_again() {
    let mut flows = Flows::new(7);
    for round in 0..20 {
        let now = |offset: u64| at(round * 1_000 + offset);
        for port in (1..).take(FLOWS) {
            flows.begin(now(0), flow(Udp, port), Inwards);
        }
        assert_eq!(flows.count(now(1)), FLOWS, "round {round}");
        flows.sweep(now(100));
        flows.sweep(now(100));
        assert_eq!(flows.count(now(100)), 0);
        assert!((1..).take(FLOWS).all(|port| flows.stage(now(100), &flow(Udp, port)).is_none()));
    }
    assert_eq!((flows.entries.len(), flows.entries.capacity()), (FLOWS, FLOWS));
}

#[test]
fn only_what_both_sides_still_use_counts_as_alive() {
    let established = [(Inwards, Begin), (Outwards, Continue), (Inwards, Continue)];
    let alive = |flows: &Flows, now| flows.alive(now).count();
    assert_eq!(alive(&grown(Tcp, &established[..2]), at(1)), 0);
    let mut flows = grown(Tcp, &established);
    let found: Vec<_> = flows.alive(at(1)).collect();
    assert_eq!(found, [(Tcp, ([192, 0, 2, 100].into(), 22), [198, 51, 100, 1].into())]);
    flows.take(at(1), &flow(Tcp, 1), Finish, Outwards);
    assert_eq!(alive(&flows, at(1)), 0);
}
