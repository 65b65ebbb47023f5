//! `office-hours`, by the minute.

use knockgate_policy_host::{Cause, Event, LocalTime, Verdict};

use super::stage::knock;
use super::three::{Three, given};

const IN: Verdict = Verdict::Abstain;
const OUT: Verdict = Verdict::Deny;

/// Days, from, until as configured; empty for not given. Weekday and minute of a knock, and what becomes of it.
type Case = (&'static str, &'static str, &'static str, u8, u16, Verdict);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Nothing given: Monday to Friday, 8 to 18.
    ("", "", "", 1, 479, OUT),
    ("", "", "", 1, 480, IN),
    ("", "", "", 5, 1079, IN),
    ("", "", "", 5, 1080, OUT),
    ("", "", "", 6, 600, OUT),
    ("", "", "", 7, 600, OUT),
    ("", "", "", 1, 0, OUT),
    // What is not given keeps its default.
    ("sat", "", "", 6, 480, IN),
    ("sat", "", "", 5, 480, OUT),
    ("", "06:30", "", 1, 390, IN),
    ("", "06:30", "", 1, 389, OUT),
    ("", "", "20:00", 1, 1199, IN),
    ("", "", "20:00", 1, 1200, OUT),
    // The whole day.
    ("mon", "00:00", "24:00", 1, 0, IN),
    ("mon", "00:00", "24:00", 1, 1439, IN),
    ("mon", "00:00", "24:00", 2, 0, OUT),
    ("mon", "00:00", "24:00", 7, 1439, OUT),
    // Over midnight the morning belongs to the day before, over the week's end too.
    ("fri", "22:00", "06:00", 5, 1319, OUT),
    ("fri", "22:00", "06:00", 5, 1320, IN),
    ("fri", "22:00", "06:00", 5, 1439, IN),
    ("fri", "22:00", "06:00", 6, 0, IN),
    ("fri", "22:00", "06:00", 6, 359, IN),
    ("fri", "22:00", "06:00", 6, 360, OUT),
    ("fri", "22:00", "06:00", 5, 0, OUT),
    ("fri", "22:00", "06:00", 6, 1320, OUT),
    ("sun", "22:00", "06:00", 1, 359, IN),
    ("sun", "22:00", "06:00", 7, 359, OUT),
    ("fri-mon", "22:00", "06:00", 2, 100, IN),
    ("fri-mon", "22:00", "06:00", 3, 100, OUT),
    // One time twice: a day from there.
    ("mon", "08:00", "08:00", 1, 479, OUT),
    ("mon", "08:00", "08:00", 1, 480, IN),
    ("mon", "08:00", "08:00", 2, 479, IN),
    ("mon", "08:00", "08:00", 2, 480, OUT),
];

#[test]
fn the_right_time_is_passed_on_and_any_other_denied() {
    for (number, (days, from, until, weekday, minute, expected)) in CASES.iter().enumerate() {
        let parameters = [("days", *days), ("from", *from), ("until", *until)];
        let parameters: Vec<_> = parameters.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        let policy = Three::load("office-hours", &given(&parameters));

        let answer = policy.decide(&at(*weekday, *minute));

        assert_eq!(answer.verdict, *expected, "case {number}");
        let log: &[&str] = if *expected == OUT { &["outside office hours: denied"] } else { &[] };
        assert_eq!(answer.log, log, "case {number}");
    }
}

#[test]
fn without_a_clock_everything_is_denied() {
    let policy = Three::load("office-hours", &given(&[]));
    let answer = policy.decide(&Event { local: None, ..knock() });
    assert_eq!((answer.verdict, answer.log), (OUT, vec!["no clock: denied".to_owned()]));
}

#[test]
fn a_renewal_is_held_against_the_hours_too() {
    let policy = Three::load("office-hours", &given(&[]));
    let renewal = |minute| Event { cause: Cause::Renew, ..at(1, minute) };
    assert_eq!(policy.decide(&renewal(1079)).verdict, IN);
    assert_eq!(policy.decide(&renewal(1080)).verdict, OUT);
}

fn at(weekday: u8, minute: u16) -> Event {
    Event { local: Some(LocalTime { weekday, minute }), ..knock() }
}
