use core::net::Ipv4Addr;
use std::vec;
use std::vec::Vec;

use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

#[test]
fn a_budget_is_used_up_at_once_and_comes_back_one_by_one() {
    let mut budget = budget(64);
    let granted = |budget: &mut Budget<Vec<Bucket>>, millis: u64, tries: u32| {
        (0..tries).filter(|_| budget.take(at(millis), HOME)).count()
    };
    #[rustfmt::skip]
    let cases = [
        (1, 0,      40, 32),
        (2, 62,     5,  0),
        (3, 63,     5,  1),
        (4, 1_063,  40, 16),
        (5, 9_000,  40, 32),
    ];
    for (case, millis, tries, expected) in cases {
        assert_eq!(granted(&mut budget, millis, tries), expected, "case {case}");
    }
}

#[test]
fn one_prefix_uses_up_its_own_budget_alone() {
    let mut budget = budget(64);
    let prefix = |text: &str| text.parse::<IpAddr>().unwrap();
    while budget.take(at(0), prefix("192.0.2.1")) {}
    while budget.take(at(0), prefix("2001:db8::1")) {}
    #[rustfmt::skip]
    let cases = [
        (1, "192.0.2.1",          false),
        (2, "::ffff:192.0.2.1",   false),
        (3, "192.0.2.2",          true),
        (4, "2001:db8::ffff:2",   false),
        (5, "2001:db8:0:1::1",    true),
    ];
    for (case, source, granted) in cases {
        assert_eq!(budget.take(at(0), prefix(source)), granted, "case {case}");
    }
}

#[test]
fn a_flood_over_a_million_prefixes_takes_nobodys_budget_away() {
    let mut budget = budget(512);
    let mut knocks = 0;
    for stranger in 0..1_000_000_u32 {
        let micros = u64::from(stranger) * 6;
        budget.take(Instant::from_micros(micros), IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + stranger)));
        if stranger % 25_000 == 0 {
            assert!(budget.take(Instant::from_micros(micros), HOME), "knock {knocks}");
            knocks += 1;
        }
    }
    assert_eq!(knocks, 40);
}

#[test]
fn whoever_has_used_most_is_kept_when_the_table_is_full() {
    let mut budget = budget(1);
    while budget.take(at(0), HOME) {}
    for stranger in 0..1000 {
        let stranger = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + stranger));
        assert!(budget.take(at(0), stranger));
    }
    assert!(!budget.take(at(0), HOME), "a flood does not fill a budget that was used up");
}

#[test]
fn a_table_without_places_gives_nobody_anything() {
    assert!(!budget(0).take(at(0), HOME));
}

fn budget(buckets: usize) -> Budget<Vec<Bucket>> {
    Budget::new(vec![Bucket::default(); buckets], [7; 16])
}

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1000)
}
