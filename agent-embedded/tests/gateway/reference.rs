//! The bridge against a naive model of it, and against bytes that mean nothing.
//!
//! The model knows no frames, no table sizes and no stages: it remembers everything that was ever said and decides by looking
//! through that.

use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::message::{Kind, Mode};
use proptest::prelude::*;

use crate::knocker::Knocker;
use crate::raw::{self, EchoKind, Ends};
use crate::world::{GATEWAY_V4, GATEWAY_V6, Who, World, with_packets};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Syn,
    SynAck,
    Ack,
    Datagram,
    Ping,
    Pong,
}

/// Between a port of somebody outside and a port of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    alice: bool,
    v6: bool,
    outer: u16,
    inner: u16,
    tag: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Say(Way, Said, Pair),
    Knock { v6: bool, seconds: u32 },
    Pass { seconds: u64 },
}

/// What has passed, when.
#[derive(Clone, Copy)]
struct Past {
    at: u64,
    way: Way,
    said: Said,
    pair: Pair,
}

#[derive(Default)]
struct Model {
    now: u64,
    past: Vec<Past>,
    /// To Alice at her address of that family, until when. Another knock shortens none.
    grants: Vec<(bool, u64)>,
}

/// How two ends speak: only what is of one kind is of one flow.
fn kind(said: Said) -> u8 {
    match said {
        Said::Syn | Said::SynAck | Said::Ack => 0,
        Said::Datagram => 1,
        Said::Ping | Said::Pong => 2,
    }
}

impl Model {
    /// Whether it comes out on the other side.
    fn say(&mut self, way: Way, said: Said, pair: Pair) -> bool {
        let passes = way == Way::Out || self.comes_in(said, pair);
        let counts = way == Way::In
            || self.is_begun(said, pair)
            || matches!(said, Said::Syn | Said::Datagram | Said::Ping);
        if passes && counts {
            self.past.push(Past { at: self.now, way, said, pair });
        }
        passes
    }

    /// All that is remembered of the flow: since the last silence that was too long.
    fn flow(&self, said: Said, pair: Pair) -> Vec<Past> {
        let all = self.past.iter().filter(|past| past.pair == pair && kind(past.said) == kind(said));
        let mut flow: Vec<Past> = Vec::new();
        for past in all {
            if past.at - flow.last().map_or(past.at, |last| last.at) >= patience(&flow) {
                flow.clear();
            }
            flow.push(*past);
        }
        if self.now - flow.last().map_or(self.now, |last| last.at) >= patience(&flow) {
            flow.clear();
        }
        flow
    }

    fn is_begun(&self, said: Said, pair: Pair) -> bool {
        !self.flow(said, pair).is_empty()
    }

    fn comes_in(&self, said: Said, pair: Pair) -> bool {
        let flow = self.flow(said, pair);
        let answered = flow.iter().any(|past| past.way == Way::Out);
        let only_asked = flow.first().is_some_and(|first| first.way == Way::Out)
            && flow.iter().all(|past| past.way == Way::Out);
        let granted = self.grants.iter().any(|&(v6, until)| pair.alice && pair.v6 == v6 && until > self.now);
        let granted = granted && pair.inner == 22 && kind(said) == 0;
        match said {
            Said::Ping => false,
            Said::Syn => granted || only_asked,
            Said::SynAck | Said::Ack | Said::Datagram | Said::Pong => granted || answered,
        }
    }
}

/// Seconds of silence that end a flow.
fn patience(flow: &[Past]) -> u64 {
    let Some(first) = flow.first() else { return u64::MAX };
    let begun = first.way;
    let answer = flow.iter().position(|past| past.way != begun);
    match (kind(first.said), answer) {
        (_, None) => 30,
        (0, Some(at)) => {
            let settled = flow.iter().skip(at).any(|past| past.way == begun && past.said != Said::Syn);
            if settled { 7_440 } else { 30 }
        }
        (1, Some(_)) => 300,
        (_, Some(_)) => 60,
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    // Few, so that events are about the same flow again and again.
    let tag = prop_oneof![7 => Just(None), 1 => Just(Some(5))];
    let inner = prop_oneof![7 => Just(22_u16), 1 => Just(23)];
    let pair = (prop::bool::weighted(0.8), any::<bool>(), 1_000..1_002_u16, inner, tag);
    let pair = pair.prop_map(|(alice, v6, outer, inner, tag)| Pair { alice, v6, outer, inner, tag });
    let way = prop_oneof![2 => Just(Way::In), 1 => Just(Way::Out)];
    let said = prop_oneof![
        Just(Said::Syn),
        Just(Said::SynAck),
        Just(Said::Ack),
        Just(Said::Datagram),
        Just(Said::Ping),
        Just(Said::Pong)
    ];
    // One second apart from the moments at which something ends.
    let pauses = prop_oneof![
        Just(1),
        Just(11),
        Just(28),
        Just(32),
        Just(58),
        Just(62),
        Just(298),
        Just(302),
        Just(7_500)
    ];
    let event = prop_oneof![
        12 => (way, said, pair).prop_map(|(way, said, pair)| Event::Say(way, said, pair)),
        1 => (any::<bool>(), 5..90_u32).prop_map(|(v6, seconds)| Event::Knock { v6, seconds }),
        2 => pauses.prop_map(|seconds| Event::Pass { seconds }),
    ];
    prop::collection::vec(event, 1..60)
}

fn family(v6: bool) -> IpAddr {
    if v6 { GATEWAY_V6 } else { GATEWAY_V4 }
}

fn frame(world: &mut World, way: Way, said: Said, pair: Pair) -> Vec<u8> {
    let who = if pair.alice { Who::Alice } else { Who::Mallory };
    let ends = world.inwards(who, family(pair.v6), pair.outer, pair.inner);
    let ends = match way {
        Way::In => ends,
        Way::Out => Ends { hardware: (ends.hardware.1, ends.hardware.0), from: ends.to, to: ends.from },
    };
    // An echo has one number for both ends.
    let number = pair.outer * 2 + u16::from(pair.inner == 22);
    let frame = match said {
        Said::Syn => raw::tcp(ends, raw::SYN),
        Said::SynAck => raw::tcp(ends, raw::SYN_ACK),
        Said::Ack => raw::tcp(ends, raw::ACK),
        Said::Datagram => raw::udp(ends),
        Said::Ping => raw::echo_with(ends, EchoKind::Request, number),
        Said::Pong => raw::echo_with(ends, EchoKind::Reply, number),
    };
    pair.tag.map_or(frame.clone(), |tag| raw::tagged(&frame, tag))
}

fn quiet() -> World {
    let mut world = World::changed(Mode::Connect, with_packets);
    world.mute();
    world
}

/// Alice is mute here, so her datagrams do not reach a program: that it worked is seen at the filter.
fn knock(world: &mut World, alice: Knocker, v6: bool, seconds: u32) -> Knocker {
    let mut alice = alice.towards(family(v6));
    let ends = world.towards_gateway(Who::Alice, family(v6), 40_000, 1);
    alice.packet_between(world, Kind::Open, seconds, ends);
    assert!(world.allows(Who::Alice, family(v6), 22));
    alice
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_bridge_lets_through_what_the_model_lets_through(events in events()) {
        let (mut world, mut model) = (quiet(), Model::default());
        let mut alice = Knocker::new(&world, GATEWAY_V4);
        for (number, event) in events.iter().enumerate() {
            match *event {
                Event::Say(way, said, pair) => {
                    let from = match (way, pair.alice) {
                        (Way::Out, _) => Who::Machine,
                        (Way::In, true) => Who::Alice,
                        (Way::In, false) => Who::Mallory,
                    };
                    let frame = frame(&mut world, way, said, pair);
                    let passes = world.passes(from, &frame);
                    prop_assert_eq!(passes, model.say(way, said, pair), "event {} of {:?}", number, events);
                }
                Event::Knock { v6, seconds } => {
                    alice = knock(&mut world, alice, v6, seconds);
                    model.grants.push((v6, model.now + u64::from(seconds)));
                }
                Event::Pass { seconds } => {
                    world.pass(Duration::from_secs(seconds));
                    model.now += seconds;
                }
            }
        }
    }

    #[test]
    fn bytes_that_mean_nothing_harm_nobody_and_stay_outside(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..30),
        kinds in prop::collection::vec(prop::sample::select(vec![0x0800_u16, 0x86dd, 0x8100, 0x88a8, 0x0026]), 30),
        towards_gateway in any::<bool>(),
    ) {
        let mut world = quiet();
        let ends = world.inwards(Who::Mallory, GATEWAY_V4, 0, 0);
        let own = world.towards_gateway(Who::Mallory, GATEWAY_V4, 0, 0);
        let mark = world.mark();
        for (bytes, kind) in frames.iter().zip(kinds) {
            let (to, from) = (if towards_gateway { own.hardware.1 } else { ends.hardware.1 }, ends.hardware.0);
            let frame = [&to.0[..], &from.0, &kind.to_be_bytes(), bytes].concat();
            prop_assert!(!world.passes(Who::Mallory, &frame));
            prop_assert!(!world.passes(Who::Mallory, bytes));
        }
        prop_assert_eq!(world.said_since(mark).len(), 0);
        prop_assert!(world.inside.log.is_empty());
    }

    #[test]
    fn a_frame_that_was_damaged_on_the_way_is_no_other_one(at in 14..62_usize, bit in 0..8_u8, inwards in any::<bool>()) {
        let mut world = quiet();
        let ends = world.inwards(Who::Mallory, GATEWAY_V4, 40_000, 22);
        let mut frame = if inwards { raw::tcp(ends, raw::SYN) } else { raw::udp(ends) };
        let at = at % frame.len();
        frame[at] ^= 1 << bit;
        prop_assert!(!world.passes(Who::Mallory, &frame), "byte {}", at);
    }
}
