//! What a client gets for its knock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knockgate_core::message::{Kind, Mode, Verdict};
use knockgate_core::note::{CloseReason, KnockEnd};
use knockgate_core::{Note, Outcome, Record, Refusal};

use crate::knocker::{Knocker, touch};
use crate::world::{GATEWAY_V4, GATEWAY_V6, LOCKOUT, SSH, Who, World};

const FAMILIES: [IpAddr; 2] = [GATEWAY_V4, GATEWAY_V6];

fn other(family: IpAddr) -> IpAddr {
    if family == GATEWAY_V4 { GATEWAY_V6 } else { GATEWAY_V4 }
}

#[test]
fn a_knock_opens_the_asked_service_to_the_knocker_alone_and_it_closes_on_time() {
    for family in FAMILIES {
        let mut world = World::new(Mode::Connect);
        let mut alice = Knocker::new(&world, family);
        assert!(!world.allows(Who::Alice, family, 22), "shut to everybody");

        alice.knock(&mut world, 20);
        let opened = world.elapsed();

        #[rustfmt::skip]
        let cases = [
            (1, Who::Alice,   family,        22, true),
            (2, Who::Alice,   family,        23, false),
            (3, Who::Alice,   other(family), 22, false),
            (4, Who::Mallory, family,        22, false),
        ];
        for (case, who, family, port, allowed) in cases {
            assert_eq!(world.allows(who, family, port), allowed, "case {case} towards {family}");
        }
        let answer = alice.status(&mut world);
        assert_eq!(answer.verdict, Verdict::Granted);
        assert_eq!(answer.open.iter().map(|open| open.service).collect::<Vec<_>>(), [SSH]);

        assert!(world.run_until(Duration::from_secs(60), |world| !world.allows(Who::Alice, family, 22)));
        let lasted = world.elapsed() - opened;
        assert!(lasted <= Duration::from_secs(20), "it lasted {lasted:?}");
        assert!(lasted >= Duration::from_millis(19_900), "it lasted {lasted:?}");
        let closed = |note: &Note| matches!(note, Note::GrantClosed { reason: CloseReason::Expired, .. });
        assert!(world.gateway.environment().notes.iter().any(closed), "the audit log knows");
    }
}

#[test]
fn closed_mode_opens_without_a_single_frame_in_reply_to_a_probe() {
    for family in FAMILIES {
        let mut world = World::new(Mode::Closed);
        let mut alice = Knocker::new(&world, family);
        let offer = alice.offered(&mut world, 20);
        let ports = alice.ports(&world, offer);
        // The exchange itself ends with a few acknowledgements.
        world.pass(Duration::from_millis(50));
        let mark = world.mark();

        alice.probe_all(&mut world, &ports, offer.gap_ms);

        assert_eq!(world.said_since(mark), Vec::<&[u8]>::new());
        assert!(world.allows(Who::Alice, family, 22));
        assert!(!world.allows(Who::Mallory, family, 22));
        assert_eq!(alice.status(&mut world).verdict, Verdict::Granted);
    }
}

#[test]
fn a_wrong_port_ends_the_attempt_and_locks_the_holder_out() {
    for family in FAMILIES {
        let mut world = World::new(Mode::Connect);
        let mut alice = Knocker::new(&world, family);
        let offer = alice.offered(&mut world, 20);
        let ports = alice.ports(&world, offer);
        let decoys = world.config.gate.decoys.clone();
        let wrong = *decoys.ports().iter().find(|port| !ports.contains(port)).unwrap();

        assert!(alice.connect_all(&mut world, &[ports[0], wrong]), "a wrong port looks like a right one");
        assert!(
            !touch(&mut world, Who::Alice, SocketAddr::new(family, ports[1])),
            "then the decoys are gone"
        );

        assert!(!world.allows(Who::Alice, family, 22));
        let asked =
            |answer: Option<knockgate_core::message::Answer>| answer.and_then(|answer| answer.refusal());
        assert_eq!(asked(alice.ask(&mut world, Kind::NextNumber, 0)), Some(Refusal::LockedOut));
        let ended = Note::KnockEnded {
            client: knockgate_core::ClientId(1),
            source: world.host(Who::Alice).address_towards(family),
            book: offer.book,
            number: offer.number,
            service: SSH,
            end: KnockEnd::Failed(Refusal::WrongPort),
            seen: [ports[0], wrong].into_iter().collect(),
        };
        assert!(world.gateway.environment().notes.contains(&ended));

        world.pass(LOCKOUT);
        alice.knock(&mut world, 20);
        assert!(world.allows(Who::Alice, family, 22), "afterwards he may try again");
    }
}

#[test]
fn a_policy_that_denies_opens_nothing() {
    let mut world = World::new(Mode::Connect);
    world.gateway.environment_mut().verdict = knockgate_core::Verdict::Deny;
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    alice.knock(&mut world, 20);
    assert_eq!(alice.status(&mut world).refusal(), Some(Refusal::Denied));
    assert_eq!(world.gateway.environment().asked, 1);
    assert!(!world.allows(Who::Alice, GATEWAY_V4, 22));
}

#[test]
fn a_number_that_cannot_be_stored_is_never_offered() {
    let mut world = World::new(Mode::Connect);
    world.gateway.environment_mut().store = Outcome::Failed;
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    let answer = alice.ask(&mut world, Kind::NextNumber, 20).unwrap();
    assert_eq!((answer.refusal(), answer.offer), (Some(Refusal::Unavailable), None));
}

#[test]
fn a_number_is_stored_as_used_before_it_is_offered_and_never_offered_again() {
    let mut world = World::new(Mode::Connect);
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    let numbers: Vec<u32> = (0..3).map(|_| alice.offered(&mut world, 20).number).collect();
    assert_eq!(numbers, [0, 1, 2]);
    let stored = world.gateway.environment().stored.iter().filter_map(|record| match record {
        Record::Offer { next, .. } => Some(*next),
        Record::Counter { .. } => None,
    });
    assert_eq!(stored.collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn an_operator_who_takes_a_grant_back_closes_it_at_once() {
    let mut world = World::new(Mode::Connect);
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    alice.knock(&mut world, 20);
    let grant = world.gateway.gate().open_grants().next().unwrap().id();
    let now = world.now();
    world.gateway.gate_mut().revoke(now, grant);
    world.run_until(Duration::ZERO, |_| true);
    assert!(!world.allows(Who::Alice, GATEWAY_V4, 22));
}

#[test]
fn a_client_that_uses_its_port_again_is_served_at_once() {
    let mut world = World::new(Mode::Connect);
    let mut alice = Knocker::new(&world, GATEWAY_V4);
    let port = world.host(Who::Alice).next_port;
    for _ in 0..3 {
        world.host(Who::Alice).next_port = port;
        assert!(alice.ask(&mut world, Kind::Status, 0).is_some());
    }
    assert_eq!(world.elapsed(), Duration::ZERO);
}
