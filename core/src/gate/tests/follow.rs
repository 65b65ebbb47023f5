//! Grants that live as long as the connections through them.

use super::bench::*;
use super::grants::closings;
use crate::action::GrantId;
use crate::grant::Flows;
use crate::limits::{FOLLOW_AHEAD, FOLLOW_GRACE};
use crate::message::Kind;
use crate::note::CloseReason;
use crate::{ClientId, Network, Note};

fn following(config: &mut Config) {
    config.services.iter_mut().for_each(|service| service.follow = true);
}

/// Alice has SSH for a minute, an hour at most, and it follows.
fn opened() -> Usual {
    let mut bench = bench_with(following);
    bench.open_by_packet(ALICE, HOME);
    bench.actions();
    bench
}

/// The host looks at every grant that follows.
fn look(bench: &mut Usual, flows: Flows) {
    let followed: std::vec::Vec<GrantId> = bench.gate.followed().map(|grant| grant.id()).collect();
    for grant in followed {
        let now = bench.now();
        bench.gate.handle_flows(now, grant, flows);
        bench.turn();
    }
}

#[test]
fn a_grant_in_use_is_prolonged_by_little_shortly_before_it_ends() {
    let mut bench = opened();
    bench.wait(seconds(50));
    look(&mut bench, Flows::Alive);
    assert_eq!((bench.actions().len(), bench.left()), (0, [10].to_vec()));
    bench.wait(seconds(3));
    look(&mut bench, Flows::Alive);
    assert_eq!(bench.actions(), ["open 1 to 192.0.2.1 for 15"]);
    assert_eq!(bench.left(), [FOLLOW_AHEAD.as_secs()]);
}

#[test]
fn until_the_first_connection_a_grant_lasts_as_long_as_was_promised() {
    let mut bench = opened();
    for _ in 0..59 {
        look(&mut bench, Flows::None);
        bench.wait(seconds(1));
    }
    assert_eq!((bench.actions().len(), bench.left()), (0, [1].to_vec()));
}

#[test]
fn a_grant_ends_soon_after_its_last_connection() {
    let mut bench = opened();
    look(&mut bench, Flows::Alive);
    bench.wait(seconds(10));
    look(&mut bench, Flows::None);
    assert_eq!(bench.left(), [FOLLOW_GRACE.as_secs()]);
    bench.notes.clear();
    bench.wait(FOLLOW_GRACE);
    assert_eq!(bench.open(), []);
    assert_eq!(closings(&bench.notes), [(1, CloseReason::Expired)]);
}

#[test]
fn the_last_connection_never_lengthens_a_grant() {
    let mut bench = opened();
    bench.wait(seconds(52));
    look(&mut bench, Flows::Alive);
    bench.wait(seconds(6));
    look(&mut bench, Flows::None);
    assert_eq!(bench.left(), [2]);
}

#[test]
fn who_connects_again_in_time_keeps_the_grant() {
    let mut bench = opened();
    look(&mut bench, Flows::Alive);
    look(&mut bench, Flows::None);
    bench.wait(seconds(2));
    look(&mut bench, Flows::Alive);
    assert_eq!(bench.left(), [FOLLOW_AHEAD.as_secs()]);
}

#[test]
fn a_grant_is_never_prolonged_beyond_the_services_limit() {
    let mut bench = opened();
    for _ in 0..3599 {
        look(&mut bench, Flows::Alive);
        bench.wait(seconds(1));
    }
    assert_eq!(bench.left(), [1]);
    bench.wait(seconds(1));
    assert_eq!(bench.open(), []);
}

#[test]
fn nobody_is_told_of_a_prolongation() {
    let mut bench = opened();
    bench.notes.clear();
    for _ in 0..300 {
        look(&mut bench, Flows::Alive);
        bench.wait(seconds(1));
    }
    assert_eq!(bench.notes, []);
    bench.packet(ALICE, HOME, Kind::Renew, |_| {});
    assert!(bench.notes.iter().any(|note| matches!(note, Note::GrantOpened { .. })), "of a renewal he is");
}

#[test]
fn a_grant_whose_host_no_longer_looks_ends_by_itself() {
    let mut bench = opened();
    for _ in 0..100 {
        look(&mut bench, Flows::Alive);
        bench.wait(seconds(1));
    }
    bench.wait(FOLLOW_AHEAD);
    assert_eq!(bench.open(), []);
}

#[test]
fn a_prolongation_that_failed_leaves_the_grant_as_it_was_and_is_tried_again() {
    let mut bench = opened();
    bench.wait(seconds(55));
    bench.script.open = BADLY;
    look(&mut bench, Flows::Alive);
    assert_eq!(bench.left(), [5]);
    bench.script.open = WELL;
    look(&mut bench, Flows::Alive);
    assert_eq!(bench.left(), [FOLLOW_AHEAD.as_secs()]);
}

#[test]
fn what_the_host_says_of_a_grant_that_is_being_closed_or_gone_changes_nothing() {
    let mut bench = opened();
    bench.script.close = Do::Wait;
    bench.revoke(GrantId(1));
    bench.actions();
    let now = bench.now();
    for grant in [1, 9] {
        bench.gate.handle_flows(now, GrantId(grant), Flows::Alive);
    }
    bench.turn();
    assert_eq!(bench.actions(), [""; 0]);
}

#[test]
fn only_grants_of_services_that_follow_are_looked_at() {
    let mut bench = bench_with(|config| config.services[0].follow = true);
    bench.open_by_packet(ALICE, HOME);
    bench.packet(ALICE, HOME, Kind::Open, |request| request.service = WEB);
    let followed: std::vec::Vec<u16> = bench.gate.followed().map(|grant| grant.service()).collect();
    assert_eq!(followed, [SSH]);
}

#[test]
fn a_grant_of_an_earlier_run_follows_again() {
    let mut bench = bench_with(following);
    let now = bench.now();
    bench.gate.adopt_grant(now, GrantId(40), ClientId(1), Network::host(HOME), SSH, seconds(5));
    look(&mut bench, Flows::Alive);
    assert_eq!(bench.left(), [FOLLOW_AHEAD.as_secs()]);
}

#[test]
fn of_two_grants_that_share_an_opening_the_one_in_use_keeps_it_open() {
    let mut bench = opened();
    bench.open_by_packet(BOB, HOME);
    bench.wait(seconds(55));
    let now = bench.now();
    bench.gate.handle_flows(now, GrantId(1), Flows::Alive);
    bench.turn();
    bench.actions();
    bench.wait(seconds(5));
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    assert!(!bench.actions().iter().any(|action| action.starts_with("close")));
}
