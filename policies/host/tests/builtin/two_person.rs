//! `two-person`: who gets in after whom.

use knockgate_policy_host::{Action, Capabilities, Capability, Cause, Event, Rights, Verdict};

use super::OPEN;
use super::stage::{knock, rights};
use super::three::{Said, Three, given};

const NOON: u64 = 1_767_607_200;
const ANNA: u32 = 7;
const BEN: u32 = 8;
const CARA: u32 = u32::MAX;
const SSH: u16 = 1;
const WEB: u16 = 2;

/// Seconds after noon, who, what for, and whether it opens.
type Step = (u64, u32, u16, bool);

/// How long a knock stands, as configured; then a story.
#[rustfmt::skip]
const STORIES: &[(&str, &str, &[Step])] = &[
    ("the first waits, the second is in, the first comes again", "", &[(0, ANNA, SSH, false), (20, BEN, SSH, true), (30, ANNA, SSH, true)]),
    ("nobody is two persons", "", &[(0, ANNA, SSH, false), (1, ANNA, SSH, false), (2, ANNA, SSH, false)]),
    ("a knock stands for a minute", "", &[(0, ANNA, SSH, false), (60, BEN, SSH, true)]),
    ("and no longer", "", &[(0, ANNA, SSH, false), (61, BEN, SSH, false), (62, ANNA, SSH, true)]),
    ("or for as long as configured", "5m", &[(0, ANNA, SSH, false), (300, BEN, SSH, true), (601, ANNA, SSH, false)]),
    ("not at all", "0", &[(0, ANNA, SSH, false), (0, BEN, SSH, true), (1, ANNA, SSH, false)]),
    ("one knock is for one service", "", &[(0, ANNA, SSH, false), (1, BEN, WEB, false), (2, ANNA, WEB, true), (3, BEN, SSH, true)]),
    ("a third counts like a second", "", &[(0, ANNA, SSH, false), (50, BEN, SSH, true), (100, CARA, SSH, true), (150, ANNA, SSH, true)]),
    ("a late second begins anew", "", &[(0, ANNA, SSH, false), (100, BEN, SSH, false), (150, CARA, SSH, true)]),
    ("knocking twice does not spoil it", "", &[(0, ANNA, SSH, false), (10, ANNA, SSH, false), (69, BEN, SSH, true), (70, BEN, SSH, false), (71, ANNA, SSH, true)]),
];

#[test]
fn a_client_gets_in_after_another_one() {
    for (story, within, steps) in STORIES {
        let parameters: Vec<_> =
            Some(("within", *within)).filter(|(_, text)| !text.is_empty()).into_iter().collect();
        let policy = Three::load("two-person", &given(&parameters));
        for (number, (time, who, service, expected)) in steps.iter().enumerate() {
            let answer = policy.decide(&at(NOON + time, *who, *service));
            assert_eq!(answer, said(*expected, *service), "{story}: step {number}");
        }
    }
}

#[test]
fn a_renewal_needs_a_second_person_too_and_stands_for_none() {
    let policy = Three::load("two-person", &given(&[]));
    let renewal = |time, who| Event { cause: Cause::Renew, ..at(time, who, SSH) };
    assert_eq!(policy.decide(&at(NOON, ANNA, SSH)), said(false, SSH));

    let alone = denied("a renewal for which nobody else has knocked just now: denied");
    assert_eq!(policy.decide(&renewal(NOON + 1, ANNA)), alone);
    assert_eq!(policy.decide(&renewal(NOON + 2, BEN)), said(true, SSH));
    assert_eq!(policy.decide(&renewal(NOON + 3, ANNA)), alone, "ben has only renewed");
}

#[test]
fn a_knock_from_before_the_clock_was_set_back_does_not_count() {
    let policy = Three::load("two-person", &given(&[]));
    assert_eq!(policy.decide(&at(NOON, ANNA, SSH)), said(false, SSH));
    assert_eq!(policy.decide(&at(NOON - 1, BEN, SSH)), said(false, SSH));
}

#[test]
fn the_time_may_outgrow_its_half_of_the_number() {
    let policy = Three::load("two-person", &given(&[]));
    let last = u64::from(u32::MAX);
    assert_eq!(policy.decide(&at(last, ANNA, SSH)), said(false, SSH));
    assert_eq!(policy.decide(&at(last + 30, BEN, SSH)), said(true, SSH));
    assert_eq!(policy.decide(&at(last + 91, ANNA, SSH)), said(false, SSH));
}

#[test]
fn what_cannot_be_opened_is_not_remembered() {
    let policy = Three::load("two-person", &given(&[]));
    assert_eq!(policy.decide(&at(NOON, ANNA, SSH)), said(false, SSH));
    let mut too_wide = at(NOON + 1, BEN, SSH);
    too_wide.request.as_mut().unwrap().prefix = Some(8);

    assert_eq!(policy.decide(&too_wide).verdict, Verdict::Deny);
    assert_eq!(policy.decide(&at(NOON + 2, ANNA, SSH)), said(false, SSH), "ben has not knocked");
}

#[test]
fn where_no_more_can_be_remembered_it_denies() {
    let no_state = Capabilities::of(&[Capability::Open, Capability::Log]);
    let policy = Three::load("two-person", &Rights { capabilities: no_state, ..rights() });
    assert_eq!(policy.decide(&at(NOON, ANNA, SSH)), denied("cannot remember this knock: denied"));

    let policy = Three::load("two-person", &given(&[]));
    for service in 1..=16 {
        assert_eq!(policy.decide(&at(NOON, ANNA, service)), said(false, service));
    }
    assert_eq!(policy.decide(&at(NOON, ANNA, 17)), denied("cannot remember this knock: denied"));
    assert_eq!(policy.decide(&at(NOON, BEN, SSH)), said(true, SSH), "what is remembered goes on");
}

#[test]
fn without_a_clock_or_a_client_it_denies() {
    let policy = Three::load("two-person", &given(&[]));
    assert_eq!(
        policy.decide(&Event { time: None, ..knock() }),
        denied("no clock, so no time between two knocks: denied")
    );
    assert_eq!(
        policy.decide(&Event { client: None, ..knock() }),
        denied("nobody has proved who he is: denied")
    );
    assert_eq!(policy.kept(), 0);
}

fn at(time: u64, client: u32, service: u16) -> Event {
    let mut event = Event { time: Some(time), ..knock() };
    event.client.as_mut().unwrap().id = client;
    event.request.as_mut().unwrap().service = service;
    event
}

fn said(opens: bool, service: u16) -> Said {
    let open = if service == SSH { OPEN } else { Action::Open { service, seconds: 60 } };
    match opens {
        true => Said { verdict: Verdict::Commit, actions: vec![open], log: vec![] },
        // Committed, for it is to be remembered.
        false => Said {
            verdict: Verdict::Commit,
            actions: vec![],
            log: vec!["waits for a second person: not opened yet".to_owned()],
        },
    }
}

fn denied(line: &str) -> Said {
    Said { verdict: Verdict::Deny, actions: vec![], log: vec![line.to_owned()] }
}
