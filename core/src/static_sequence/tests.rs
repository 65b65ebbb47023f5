use core::net::Ipv4Addr;
use std::boxed::Box;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const CAFE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const WITHIN: u64 = 10;

#[test]
fn probes_are_judged_by_their_place_in_the_sequence() {
    // The sequence is 1 to 4; 8 and 9 are watched too. `!` stands behind the probe that completes it.
    #[rustfmt::skip]
    let cases = [
        ( 1, "in order",                           "1 2 3 4!"),
        ( 2, "every packet twice",                 "1 1 2 2 3 3 4!"),
        ( 3, "the first two swapped",              "2 1 3 4!"),
        ( 4, "the middle two swapped",             "1 3 2 4!"),
        ( 5, "the last two swapped",               "1 2 4 3!"),
        ( 6, "the first lost, all sent again",     "2 3 4 1 2 3 4!"),
        ( 7, "the second lost, all sent again",    "1 3 4 1 2 3 4!"),
        ( 8, "the third lost, all sent again",     "1 2 4 1 2 3!"),
        ( 9, "the last lost, all sent again",      "1 2 3 1 2 3 4!"),
        (10, "two foreign probes",                 "1 9 2 8 3 4!"),
        (11, "a third foreign probe",              "1 9 2 8 3 9 4"),
        (12, "the same foreign probe three times", "1 2 3 9 9 9 4"),
        (13, "void, then from the beginning",      "1 9 9 9 1 2 3 4!"),
        (14, "backwards",                          "4 3 2 1"),
        (15, "without the first",                  "2 3 4"),
        (16, "only the first again and again",     "1 1 1 1 1 1 1 1"),
        (17, "a scan that meets decoys between",   "1 8 2 9 8 3 4"),
        (18, "two times",                          "1 2 3 4! 1 2 3 4!"),
        (19, "the last of it is repeated",         "1 2 3 4! 4 3"),
    ];
    for (case, what, probes) in cases {
        let mut watch = watch(&[&[1, 2, 3, 4]], 1);
        let done = probes.split_whitespace().map(|probe| {
            let port = probe.trim_end_matches('!').parse().unwrap();
            let completed = watch.handle_probe(at(0), HOME, udp(port)).is_some();
            std::format!("{port}{}", if completed { "!" } else { "" })
        });
        assert_eq!(done.collect::<Vec<_>>().join(" "), probes, "case {case}: {what}");
    }
}

#[test]
fn a_port_counts_only_by_its_own_transport() {
    let steps = [tcp(7), udp(7), tcp(8)];
    let sequence = StaticSequence::new(&steps, Duration::from_secs(WITHIN)).unwrap();
    let mut watch = StaticWatch::new([sequence].into_iter().collect(), vec![Bucket::default()], [7; 16]);
    for (step, completes) in [(tcp(7), false), (tcp(7), false), (udp(7), false), (tcp(8), true)] {
        assert_eq!(watch.handle_probe(at(0), HOME, step).is_some(), completes, "{step:?}");
    }
    for step in [tcp(7), udp(7), udp(8)] {
        assert_eq!(watch.handle_probe(at(0), HOME, step), None, "8/udp is no step");
    }
}

#[test]
fn the_time_runs_from_the_first_step_to_the_last() {
    let millis = |millis: u64| Instant::from_micros(millis * 1000);
    let cases = [(1, 9_000, 10_000, true), (2, 9_000, 10_001, false), (3, 10_001, 10_001, false)];
    for (case, second, third, opens) in cases {
        let mut watch = watch(&[&[1, 2, 3]], 1);
        watch.handle_probe(millis(0), HOME, udp(1));
        watch.handle_probe(millis(second), HOME, udp(2));
        assert_eq!(watch.handle_probe(millis(third), HOME, udp(3)).is_some(), opens, "case {case}");
    }
}

#[test]
fn an_attempt_that_is_over_leaves_nothing_behind() {
    let mut watch = watch(&[&[1, 2, 3]], 1);
    for (seconds, port) in [(0, 1), (0, 9), (0, 9), (20, 1), (20, 9), (20, 9), (20, 2)] {
        assert_eq!(watch.handle_probe(at(seconds), HOME, udp(port)), None);
    }
    assert_eq!(watch.handle_probe(at(20), HOME, udp(3)), Some(0));
}

#[test]
fn every_source_goes_its_own_way() {
    let mut watch = watch(&[&[1, 2, 3]], 1);
    for (source, port, completed) in [
        (HOME, 1, None),
        (CAFE, 2, None),
        (CAFE, 9, None),
        (HOME, 2, None),
        (CAFE, 9, None),
        (CAFE, 9, None),
        (CAFE, 3, None),
        (HOME, 3, Some(0)),
    ] {
        assert_eq!(watch.handle_probe(at(0), source, udp(port)), completed, "{source} {port}");
    }
}

#[test]
fn a_stranger_who_walks_through_the_ports_disturbs_nobody() {
    let mut watch = watch(&[&[1, 2, 3]], 1);
    for port in [1, 2, 3] {
        for strange in (1..=9).chain([1, 2]) {
            watch.handle_probe(at(0), CAFE, udp(strange));
        }
        assert_eq!(watch.handle_probe(at(0), HOME, udp(port)).is_some(), port == 3);
    }
}

#[test]
fn a_v4_mapped_address_is_the_ipv4_address() {
    let mut watch = watch(&[&[1, 2, 3]], 64);
    watch.handle_probe(at(0), HOME, udp(1));
    watch.handle_probe(at(0), "::ffff:192.0.2.1".parse().unwrap(), udp(2));
    assert_eq!(watch.handle_probe(at(0), HOME, udp(3)), Some(0));
}

#[test]
fn sequences_that_share_ports_are_followed_side_by_side() {
    let mut watch = watch(&[&[1, 2, 3], &[1, 2, 4], &[2, 1, 3]], 1);
    watch.handle_probe(at(0), HOME, udp(1));
    watch.handle_probe(at(0), HOME, udp(2));
    assert_eq!(watch.handle_probe(at(0), HOME, udp(4)), Some(1));
    assert_eq!(watch.handle_probe(at(0), HOME, udp(3)), Some(0), "the first of two that it completes");
    assert_eq!(watch.handle_probe(at(0), HOME, udp(3)), None, "both are gone");
}

#[test]
fn a_flood_of_beginners_cannot_push_out_whoever_is_at_the_second_step() {
    let mut watch = watch(&[&[1, 2, 3]], 8192);
    assert_eq!(watch.handle_probe(at(0), HOME, udp(1)), None);
    assert_eq!(watch.handle_probe(at(0), HOME, udp(2)), None);
    flood(&mut watch, 0..200_000);
    assert_eq!(watch.handle_probe(at(1), HOME, udp(3)), Some(0));
}

#[test]
fn a_full_table_still_takes_a_beginner_and_keeps_it_for_some_packets() {
    let mut watch = watch(&[&[1, 2, 3]], 8192);
    flood(&mut watch, 0..200_000);
    assert_eq!(watch.handle_probe(at(0), HOME, udp(1)), None);
    flood(&mut watch, 200_000..200_016);
    assert_eq!(watch.handle_probe(at(0), HOME, udp(2)), None);
    flood(&mut watch, 300_000..500_000);
    assert_eq!(watch.handle_probe(at(0), HOME, udp(3)), Some(0));
}

#[test]
fn attempts_that_are_over_give_way_first() {
    let mut watch = watch(&[&[1, 2, 3]], 1);
    // Seven who are further, and who are over.
    for last in 1..8 {
        for port in [1, 2] {
            watch.handle_probe(at(0), IpAddr::from([198, 51, 100, last]), udp(port));
        }
    }
    watch.handle_probe(at(11), HOME, udp(1));
    for last in 1..8 {
        watch.handle_probe(at(11), IpAddr::from([203, 0, 113, last]), udp(1));
    }
    watch.handle_probe(at(11), HOME, udp(2));
    assert_eq!(watch.handle_probe(at(11), HOME, udp(3)), Some(0));
}

#[test]
fn a_table_without_places_follows_nobody() {
    let mut watch = watch(&[&[1, 2, 3]], 0);
    assert!([1, 2, 3].iter().all(|&port| watch.handle_probe(at(0), HOME, udp(port)).is_none()));
}

#[test]
fn the_clock_of_the_table_may_begin_anew_in_the_middle_of_an_attempt() {
    let mut watch = watch(&[&[1, 2, 3]], 1);
    let end = (1_u64 << 32) * 1000;
    for (micros, port, completed) in
        [(end - 2_000_000, 1, None), (end + 1_000_000, 2, None), (end + 7_999_000, 3, Some(0))]
    {
        assert_eq!(watch.handle_probe(Instant::from_micros(micros), HOME, udp(port)), completed);
    }
}

#[test]
fn as_many_sequences_as_there_may_be_each_as_long_as_it_may_be() {
    let ports: Vec<Vec<u16>> = (0..16).map(|at| (1000 + at * 100..).take(MAX_SEQUENCE).collect()).collect();
    let sequences: Vec<&[u16]> = ports.iter().map(Vec::as_slice).collect();
    let mut watch = watch(&sequences, 64);
    for (at_place, sequence) in sequences.iter().enumerate() {
        let last = sequence.iter().map(|&port| watch.handle_probe(at(0), HOME, udp(port))).last();
        assert_eq!(last, Some(Some(at_place)));
    }
}

#[test]
fn a_bad_sequence_is_refused_with_what_to_do() {
    let seconds = Duration::from_secs;
    let long: Vec<u16> = (1..=17).collect();
    #[rustfmt::skip]
    let cases: [(u32, &[u16], Duration, &str); 8] = [
        (1, &[1, 2],       seconds(10), "2 ports; a sequence has 3 to 16"),
        (2, &[],           seconds(10), "0 ports; a sequence has 3 to 16"),
        (3, &long,         seconds(10), "17 ports; a sequence has 3 to 16"),
        (4, &[1, 0, 2],    seconds(10), "port 0; ports are 1 to 65535"),
        (5, &[1, 2, 1, 3], seconds(10), "1/udp comes twice; use every port once"),
        (6, &[1, 2, 3],    seconds(61), "61s from the first port to the last; allow 1 to 60 seconds"),
        (7, &[1, 2, 3],    Duration::from_millis(999), "999ms from the first port to the last; allow 1 to 60 seconds"),
        (8, &[1, 2, 3],    Duration::MAX, "18446744073709551615.999999999s from the first port to the last; allow 1 to 60 seconds"),
    ];
    for (case, ports, within, said) in cases {
        let steps: Vec<Step> = ports.iter().map(|&port| udp(port)).collect();
        let refused = StaticSequence::new(&steps, within).map_err(|error| error.to_string());
        assert_eq!(refused, Err(said.to_string()), "case {case}");
    }
    assert!(StaticSequence::new(&[tcp(1), udp(1), tcp(2)], seconds(60)).is_ok());
}

type Watch = StaticWatch<Box<[Bucket]>>;

fn watch(sequences: &[&[u16]], buckets: usize) -> Watch {
    let sequence = |ports: &&[u16]| {
        let steps: Vec<Step> = ports.iter().map(|&port| udp(port)).collect();
        StaticSequence::new(&steps, Duration::from_secs(WITHIN)).unwrap()
    };
    let table = vec![Bucket::default(); buckets].into_boxed_slice();
    StaticWatch::new(sequences.iter().map(sequence).collect(), table, [7; 16])
}

/// So many sources touch the first port, once each.
fn flood(watch: &mut Watch, sources: core::ops::Range<u32>) {
    for source in sources {
        let source = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + source));
        assert_eq!(watch.handle_probe(at(0), source, udp(1)), None);
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn udp(port: u16) -> Step {
    Step { transport: Transport::Udp, port }
}

fn tcp(port: u16) -> Step {
    Step { transport: Transport::Tcp, port }
}
