//! What the bridge lets through, frame by frame.

use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::message::{Kind, Mode};
use smoltcp::wire::IpProtocol;

use crate::knocker::Knocker;
use crate::raw::{self, EchoKind, Ends};
use crate::world::{GATEWAY_V4, GATEWAY_V6, Who, World, with_packets};

const FAMILIES: [IpAddr; 2] = [GATEWAY_V4, GATEWAY_V6];

/// A world in which Alice may reach the machine's ssh for a minute.
fn granted(family: IpAddr) -> World {
    let mut world = World::changed(Mode::Connect, with_packets);
    Knocker::new(&world, family).packet(&mut world, Kind::Open, 60, 1).expect("an answer");
    assert!(world.allows(Who::Alice, family, 22));
    world.mute();
    world
}

/// A world in which only the gateway speaks by itself.
pub(crate) fn quiet() -> World {
    let mut world = World::new(Mode::Connect);
    world.mute();
    world
}

fn back(ends: Ends) -> Ends {
    Ends { hardware: (ends.hardware.1, ends.hardware.0), from: ends.to, to: ends.from }
}

#[test]
fn nothing_but_address_talk_comes_in_uninvited() {
    for family in FAMILIES {
        let mut world = quiet();
        let ends = world.inwards(Who::Mallory, family, 40_000, 22);
        let plain = [
            (1, raw::tcp(ends, raw::SYN)),
            (2, raw::tcp(ends, raw::ACK)),
            (3, raw::tcp(ends, raw::SYN_ACK)),
            (4, raw::tcp(ends, raw::RST)),
            (5, raw::udp(ends)),
            (6, raw::echo_with(ends, EchoKind::Request, 7)),
            (7, raw::echo_with(ends, EchoKind::Reply, 7)),
            (8, raw::ip(ends, IpProtocol::Unknown(99), 64, &[0; 8])),
            // Redirect, with the hop limit of neighbour discovery.
            (9, raw::icmp(ends, 255, [137, 0], &[0; 36])),
            (10, raw::icmp(ends, 64, [5, 1], &[0; 32])),
            (
                11,
                raw::pieces(ends, IpProtocol::Udp, 1, &raw::udp_part(ends, &[0; 600]), &[(0, 304)]).remove(0),
            ),
            (12, [&ends.hardware.1.0[..], &ends.hardware.0.0, &[0, 46], &[0x42; 46]].concat()), // spanning tree
        ];
        for (case, frame) in plain {
            assert!(!world.passes(Who::Mallory, &frame), "case {case} in {family}");
            assert!(
                !world.passes(Who::Mallory, &raw::tagged(&frame, 5)),
                "case {case} in a VLAN in {family}"
            );
        }
    }
}

#[test]
fn whatever_is_sent_inside_goes_out_as_it_is() {
    for family in FAMILIES {
        let mut world = quiet();
        let ends = back(world.inwards(Who::Mallory, family, 40_000, 22));
        let part = raw::udp_part(ends, &[0; 600]);
        let mut frames = raw::pieces(ends, IpProtocol::Udp, 1, &part, &[(0, 304), (304, 608)]);
        frames.extend([raw::echo_with(ends, EchoKind::Request, 1), vec![0xff; 60], vec![0; 14], vec![1; 3]]);
        frames.push(raw::datagram(ends, &vec![0; 1500 - 60]));
        for frame in frames {
            assert!(world.passes(Who::Machine, &frame));
            if frame.len() >= 14 {
                assert!(world.passes(Who::Machine, &raw::tagged(&frame, 7)));
            }
        }
    }
}

#[test]
fn frames_of_full_size_pass_with_and_without_a_tag_and_longer_ones_do_not() {
    let mut world = quiet();
    let ends = back(world.inwards(Who::Mallory, GATEWAY_V4, 40_000, 22));
    let full = raw::datagram(ends, &vec![0; 1514 - 42]);
    let beyond = raw::datagram(ends, &vec![0; 1515 - 42]);
    #[rustfmt::skip]
    let cases = [
        (1, full.clone(),             true),
        (2, raw::tagged(&full, 5),    true),
        (3, beyond.clone(),           false),
        (4, raw::tagged(&beyond, 5),  false),
    ];
    for (case, frame, passes) in cases {
        assert_eq!(world.passes(Who::Machine, &frame), passes, "case {case}");
    }
}

#[test]
fn a_datagram_from_inside_invites_its_answer_and_no_other() {
    for family in FAMILIES {
        let mut world = quiet();
        let answer = world.inwards(Who::Mallory, family, 123, 40_000);
        let other = world.inwards(Who::Mallory, family, 124, 40_000);
        assert!(world.passes(Who::Machine, &raw::udp(back(answer))));
        #[rustfmt::skip]
        let cases = [
            (1, raw::udp(other),                     false),
            (2, raw::tcp(answer, raw::SYN),          false),
            (3, raw::tcp(answer, raw::ACK),          false),
            (4, raw::tagged(&raw::udp(answer), 5),   false),
            (5, raw::udp(answer),                    true),
        ];
        for (case, frame, passes) in cases {
            assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case} in {family}");
        }
        world.pass(Duration::from_secs(301));
        assert!(!world.passes(Who::Mallory, &raw::udp(answer)), "a silent flow is forgotten");
    }
}

#[test]
fn vlans_are_networks_apart() {
    for family in FAMILIES {
        let mut world = quiet();
        let answer = raw::udp(world.inwards(Who::Mallory, family, 123, 40_000));
        let question = raw::udp(back(world.inwards(Who::Mallory, family, 123, 40_000)));
        assert!(world.passes(Who::Machine, &raw::tagged(&question, 5)));
        #[rustfmt::skip]
        let cases = [
            (1, answer.clone(),                                 false),
            (2, raw::tagged(&answer, 6),                        false),
            (3, raw::tagged(&raw::tagged(&answer, 5), 5),       false),
            (4, raw::tagged(&answer, 0xe005),                   true), // another priority
        ];
        for (case, frame, passes) in cases {
            assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case} in {family}");
        }
    }
}

#[test]
fn only_who_has_asked_gets_an_echo() {
    for family in FAMILIES {
        let mut world = quiet();
        let ends = world.inwards(Who::Mallory, family, 0, 0);
        assert!(world.passes(Who::Machine, &raw::echo_with(back(ends), EchoKind::Request, 7)));
        #[rustfmt::skip]
        let cases = [
            (1, EchoKind::Reply,   8, false),
            (2, EchoKind::Request, 7, false),
            (3, EchoKind::Reply,   7, true),
            (4, EchoKind::Reply,   7, true),
        ];
        for (case, kind, number, passes) in cases {
            let frame = raw::echo_with(ends, kind, number);
            assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case} in {family}");
        }
        world.pass(Duration::from_secs(61));
        assert!(!world.passes(Who::Mallory, &raw::echo_with(ends, EchoKind::Reply, 7)));
    }
}

#[test]
fn trouble_comes_in_if_it_is_about_a_flow_and_to_whom_it_concerns() {
    for family in FAMILIES {
        let mut world = quiet();
        let answer = world.inwards(Who::Mallory, family, 123, 40_000);
        let question = raw::udp(back(answer));
        let stranger = raw::udp(back(world.inwards(Who::Mallory, family, 124, 40_000)));
        assert!(world.passes(Who::Machine, &question));
        // A router on the way says it, not who was asked.
        let mut router = world.inwards(Who::Alice, family, 0, 0);
        let kinds: &[[u8; 2]] = if family.is_ipv4() {
            &[[3, 4], [3, 3], [11, 0], [12, 0]]
        } else {
            &[[1, 4], [2, 0], [3, 0], [4, 0]]
        };
        let trouble = |ends, head, quoted: &[u8]| {
            raw::icmp(ends, 64, head, &[&[0, 0, 5, 0][..], &quoted[14..]].concat())
        };
        for &head in kinds {
            assert!(world.passes(Who::Mallory, &trouble(router, head, &question)), "{head:?} in {family}");
            assert!(!world.passes(Who::Mallory, &trouble(router, head, &stranger)), "{head:?} in {family}");
            assert!(!world.passes(Who::Mallory, &trouble(router, head, &question[..question.len() - 9])));
        }
        router.to.0 = world.inwards(Who::Alice, family, 0, 0).from.0;
        assert!(
            !world.passes(Who::Mallory, &trouble(router, kinds[0], &question)),
            "not to whom it concerns"
        );
    }
}

#[test]
fn a_flow_from_outside_counts_only_once_it_was_answered_and_a_new_beginning_takes_a_grant() {
    for family in FAMILIES {
        let mut world = granted(family);
        let ends = world.inwards(Who::Alice, family, 40_000, 22);
        let early = world.inwards(Who::Alice, family, 40_001, 22);
        for (from, frame) in [
            (Who::Alice, raw::tcp(ends, raw::SYN)),
            (Who::Machine, raw::tcp(back(ends), raw::SYN_ACK)),
            (Who::Alice, raw::tcp(ends, raw::ACK)),
            (Who::Alice, raw::tcp(early, raw::SYN)),
        ] {
            assert!(world.passes(from, &frame));
        }
        let other = world.inwards(Who::Mallory, family, 40_000, 22);
        assert!(!world.passes(Who::Mallory, &raw::tcp(other, raw::SYN)), "a grant is for one source");
        world.pass(Duration::from_secs(61));
        assert!(!world.allows(Who::Alice, family, 22));
        #[rustfmt::skip]
        let cases = [
            (1, raw::tcp(early, raw::ACK),  false), // nobody has answered
            (2, raw::tcp(early, raw::SYN),  false),
            (3, raw::tcp(ends, raw::SYN),   false),
            (4, raw::tcp(ends, raw::ACK),   true),
            (5, raw::tcp(ends, raw::RST),   true), // it may be forged
        ];
        for (case, frame, passes) in cases {
            assert_eq!(world.passes(Who::Alice, &frame), passes, "case {case} in {family}");
        }
        assert!(world.passes(Who::Machine, &raw::tcp(back(ends), raw::ACK)), "the machine goes on");
        world.pass(Duration::from_secs(3_600));
        assert!(world.passes(Who::Alice, &raw::tcp(ends, raw::ACK)), "and so does the flow");
        assert!(world.passes(Who::Machine, &raw::tcp(back(ends), raw::RST)));
        world.pass(Duration::from_secs(62));
        assert!(!world.passes(Who::Alice, &raw::tcp(ends, raw::ACK)), "over");
    }
}

#[test]
fn what_nobody_has_answered_ends_with_its_grant() {
    for family in FAMILIES {
        let mut world = World::changed(Mode::Connect, with_packets);
        Knocker::new(&world, family).packet(&mut world, Kind::Open, 10, 1).expect("an answer");
        world.mute();
        let ends = world.inwards(Who::Alice, family, 40_000, 22);
        assert!(world.passes(Who::Alice, &raw::tcp(ends, raw::SYN)));
        world.pass(Duration::from_secs(11));
        assert!(!world.passes(Who::Alice, &raw::tcp(ends, raw::ACK)));
        assert!(world.passes(Who::Machine, &raw::tcp(back(ends), raw::SYN_ACK)));
        assert!(world.passes(Who::Alice, &raw::tcp(ends, raw::ACK)), "it was begun in time");
    }
}

#[test]
fn a_port_may_be_used_again_after_the_end() {
    let mut world = quiet();
    let ends = world.inwards(Who::Mallory, GATEWAY_V4, 443, 40_000);
    let say = |world: &mut World, flags| assert!(world.passes(Who::Machine, &raw::tcp(back(ends), flags)));
    let hear = |world: &mut World, flags| world.passes(Who::Mallory, &raw::tcp(ends, flags));
    say(&mut world, raw::SYN);
    assert!(hear(&mut world, raw::SYN_ACK));
    say(&mut world, raw::FIN_ACK);
    assert!(hear(&mut world, raw::FIN_ACK));
    say(&mut world, raw::ACK);
    assert!(!hear(&mut world, raw::SYN), "a new one is not begun from outside");
    say(&mut world, raw::SYN);
    assert!(hear(&mut world, raw::SYN_ACK));
    say(&mut world, raw::ACK);
    world.pass(Duration::from_secs(3_600));
    assert!(hear(&mut world, raw::ACK), "it is an established one");
}

#[test]
fn a_late_segment_from_inside_invites_nobody() {
    let mut world = quiet();
    let ends = world.inwards(Who::Mallory, GATEWAY_V4, 40_000, 22);
    assert!(world.passes(Who::Machine, &raw::tcp(back(ends), raw::ACK)));
    assert!(!world.passes(Who::Mallory, &raw::tcp(ends, raw::ACK)));
}

#[test]
fn fragments_pass_after_their_first_one_if_it_may() {
    for family in FAMILIES {
        let mut world = quiet();
        let answer = world.inwards(Who::Mallory, family, 123, 40_000);
        assert!(world.passes(Who::Machine, &raw::udp(back(answer))));
        let part = raw::udp_part(answer, &[7; 1_592]);
        let cut = |id, cuts: &[_]| raw::pieces(answer, IpProtocol::Udp, id, &part, cuts);
        let whole = cut(1, &[(0, 800), (800, 1600)]);
        #[rustfmt::skip]
        let cases = [
            (1, whole[1].clone(),                  false), // its first one has not come
            (2, whole[0].clone(),                  true),
            (3, whole[0].clone(),                  false), // again
            (4, raw::tagged(&whole[1], 5),         false),
            (5, cut(1, &[(792, 1600)]).remove(0),  false), // on top of the first
            (6, cut(2, &[(800, 1600)]).remove(0),  false), // another packet's
            (7, whole[1].clone(),                  true),
            (8, whole[1].clone(),                  false),
            (9, cut(3, &[(0, 8)]).remove(0),       false), // tiny
            (10, cut(3, &[(8, 1600)]).remove(0),   false),
        ];
        for (case, frame, passes) in cases {
            assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case} in {family}");
        }
        let uninvited = world.inwards(Who::Mallory, family, 124, 40_000);
        let part = raw::udp_part(uninvited, &[7; 1_592]);
        for frame in raw::pieces(uninvited, IpProtocol::Udp, 9, &part, &[(0, 800), (800, 1600)]) {
            assert!(!world.passes(Who::Mallory, &frame));
        }
    }
}

#[test]
fn extension_headers_are_looked_behind_and_odd_ones_are_not_let_in() {
    let mut world = quiet();
    let answer = world.inwards(Who::Mallory, GATEWAY_V6, 123, 40_000);
    assert!(world.passes(Who::Machine, &raw::udp(back(answer))));
    let part = raw::udp_part(answer, &[1]);
    let options = |next: u8| vec![next, 0, 1, 4, 0, 0, 0, 0];
    #[rustfmt::skip]
    let cases = [
        (1, IpProtocol::HopByHop,  options(17),                             true),
        (2, IpProtocol::Ipv6Opts,  options(17),                             true),
        (3, IpProtocol::HopByHop,  [options(60), options(17)].concat(),     true),
        (4, IpProtocol::Ipv6Opts,  [options(0), options(17)].concat(),      false),
        (5, IpProtocol::Ipv6Route, vec![17, 0, 0, 0, 0, 0, 0, 0],           true),
        (6, IpProtocol::Ipv6Route, vec![17, 0, 0, 1, 0, 0, 0, 0],           false), // not at its end yet
        (7, IpProtocol::Ipv6Opts,  options(60).repeat(100),                 false),
        (8, IpProtocol::Unknown(51), vec![17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], false), // authentication
    ];
    for (case, first, headers, passes) in cases {
        let frame = raw::ip(answer, first, 64, &[&headers[..], &part].concat());
        assert_eq!(world.passes(Who::Mallory, &frame), passes, "case {case}");
    }
}

#[test]
fn an_ipv4_address_in_an_ipv6_packet_passes_for_nobody() {
    let mut world = quiet();
    let answer = world.inwards(Who::Mallory, GATEWAY_V4, 123, 40_000);
    assert!(world.passes(Who::Machine, &raw::udp(back(answer))));
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => IpAddr::V6(v6),
    };
    let disguised = Ends {
        from: (mapped(answer.from.0), answer.from.1),
        to: (mapped(answer.to.0), answer.to.1),
        ..answer
    };
    assert!(!world.passes(Who::Mallory, &raw::udp(disguised)));
    assert!(world.passes(Who::Mallory, &raw::udp(answer)));
}
