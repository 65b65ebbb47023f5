//! `limit-per-client`: how many grants are open, and how many knocks of a day were granted.

use knockgate_policy_host::{Capabilities, Capability, Cause, Event, LocalTime, Rights, Verdict};

use super::OPEN;
use super::stage::{knock, rights};
use super::three::{Said, Three, given};

const DAY: u64 = 86_400;
const HOUR: i32 = 3600;
/// Monday, 2026-01-05, 00:00 UTC.
const MONDAY: u64 = 1_767_571_200;

#[test]
fn a_client_has_so_many_grants_open_and_no_more() {
    let cases = [
        (None, 0, true),
        (None, 1, false),
        (Some("1"), 0, true),
        (Some("1"), 1, false),
        (Some("3"), 2, true),
        (Some("3"), 3, false),
        (Some("3"), 4, false),
        (Some("0"), 0, false),
        (Some("18446744073709551615"), u32::MAX, true),
    ];
    for (number, (open, grants, expected)) in cases.into_iter().enumerate() {
        let parameters: Vec<_> = open.map(|count| ("open", count)).into_iter().collect();
        let policy = Three::load("limit-per-client", &given(&parameters));
        let mut event = knock();
        event.client.as_mut().unwrap().grants = grants;

        let answer = policy.decide(&event);

        assert_opens(&answer, expected, "as many grants are open as may be: denied", number);
        assert_eq!(policy.kept(), 0, "nothing is counted that nobody asks for");
    }
}

#[test]
fn what_is_open_is_renewed_however_much_is_open_or_was_granted() {
    let policy = Three::load("limit-per-client", &given(&[("per-day", "1")]));
    assert_eq!(policy.decide(&at(7, MONDAY, 0)).verdict, Verdict::Commit);
    let mut renewal = Event { cause: Cause::Renew, ..at(7, MONDAY, 0) };
    renewal.client.as_mut().unwrap().grants = 1;

    for _ in 0..3 {
        assert_eq!(policy.decide(&renewal).actions, [OPEN]);
    }
    assert_eq!(policy.decide(&at(7, MONDAY, 0)).verdict, Verdict::Deny, "and nothing was forgotten");
}

#[test]
fn a_client_is_granted_so_many_knocks_on_a_day_of_the_gate() {
    // Client, time, hours ahead of UTC, whether it opens; with two a day.
    let steps = [
        (7, MONDAY, 0, true),
        (7, MONDAY + 1, 0, true),
        (7, MONDAY + 2, 0, false),
        (8, MONDAY + 3, 0, true), // each client for itself
        (7, MONDAY + DAY - 1, 0, false),
        (7, MONDAY + DAY, 0, true), // the next day
        (7, MONDAY + DAY, 0, true),
        (7, MONDAY + DAY, 0, false),
        (8, MONDAY + 7 * DAY, 0, true), // the same weekday, a week later
        (8, MONDAY + 7 * DAY, 0, true),
        (8, MONDAY + 7 * DAY, 0, false),
    ];
    let policy = Three::load("limit-per-client", &given(&[("per-day", "2")]));
    for (number, (client, time, offset, expected)) in steps.into_iter().enumerate() {
        let answer = policy.decide(&at(client, time, offset));
        assert_opens(&answer, expected, "as many knocks were granted today as may be: denied", number);
    }
    assert_eq!(policy.kept(), 2, "one number for each client");
}

#[test]
fn the_day_begins_at_midnight_where_the_gate_is() {
    for hours in [-12, -11, -5, -1, 0, 1, 9, 12, 13, 14] {
        for day in 0..8 {
            let midnight = (MONDAY + day * DAY).saturating_add_signed(-i64::from(hours * HOUR));
            let policy = Three::load("limit-per-client", &given(&[("per-day", "1")]));
            let mut opens = |time: u64| policy.decide(&at(7, time, hours * HOUR)).verdict == Verdict::Commit;

            let got =
                [midnight - DAY, midnight - 1, midnight, midnight + DAY - 1, midnight + DAY].map(&mut opens);

            assert_eq!(got, [true, false, true, false, true], "{hours} hours ahead, day {day}");
        }
    }
}

#[test]
fn a_refused_knock_is_not_counted() {
    let policy = Three::load("limit-per-client", &given(&[("per-day", "1")]));
    let mut foreign = at(7, MONDAY, 0);
    foreign.request.as_mut().unwrap().service = 3;
    let mut busy = at(7, MONDAY, 0);
    busy.client.as_mut().unwrap().grants = 1;

    assert_eq!(policy.decide(&foreign).verdict, Verdict::Deny);
    assert_eq!(policy.decide(&busy).verdict, Verdict::Deny);
    assert_eq!(policy.kept(), 0);
    assert_eq!(policy.decide(&at(7, MONDAY, 0)).verdict, Verdict::Commit);
}

#[test]
fn where_no_more_clients_can_be_counted_new_ones_are_denied() {
    let policy = Three::load("limit-per-client", &given(&[("per-day", "9")]));
    for client in 1..=16 {
        assert_eq!(policy.decide(&at(client, MONDAY, 0)).verdict, Verdict::Commit, "client {client}");
    }
    assert_opens(&policy.decide(&at(17, MONDAY, 0)), false, "cannot count today: denied", 17);
    assert_eq!(policy.decide(&at(16, MONDAY, 0)).verdict, Verdict::Commit, "those that are counted go on");
}

#[test]
fn without_a_clock_or_the_right_to_count_a_limit_by_day_denies() {
    let by_day = given(&[("per-day", "9")]);
    let policy = Three::load("limit-per-client", &by_day);
    for (number, (time, local)) in
        [(None, None), (Some(MONDAY), None), (None, at(7, MONDAY, 0).local)].into_iter().enumerate()
    {
        let answer = policy.decide(&Event { time, local, ..knock() });
        assert_opens(&answer, false, "no clock, so no count of today: denied", number);
    }
    let no_state = Capabilities::of(&[Capability::Open, Capability::Log]);
    let policy = Three::load("limit-per-client", &Rights { capabilities: no_state, ..by_day });
    assert_opens(&policy.decide(&at(7, MONDAY, 0)), false, "cannot count today: denied", 0);

    let policy = Three::load("limit-per-client", &Rights { capabilities: no_state, ..rights() });
    assert_eq!(policy.decide(&Event { time: None, local: None, ..knock() }).actions, [OPEN]);
}

#[test]
fn whoever_has_not_proved_who_he_is_has_no_limit_of_his_own_and_is_denied() {
    for parameters in [&[][..], &[("open", "9"), ("per-day", "9")]] {
        let policy = Three::load("limit-per-client", &given(parameters));
        let answer = policy.decide(&Event { client: None, ..knock() });
        assert_opens(&answer, false, "nobody has proved who he is: denied", parameters.len());
    }
}

fn assert_opens(answer: &Said, expected: bool, otherwise: &str, number: usize) {
    let expected = if expected {
        Said { verdict: Verdict::Commit, actions: vec![OPEN], log: vec![] }
    } else {
        Said { verdict: Verdict::Deny, actions: vec![], log: vec![otherwise.to_owned()] }
    };
    assert_eq!(*answer, expected, "case {number}");
}

fn at(client: u32, time: u64, offset: i32) -> Event {
    let mut event = Event { time: Some(time), local: Some(LocalTime::at(time, offset)), ..knock() };
    event.client.as_mut().unwrap().id = client;
    event
}
