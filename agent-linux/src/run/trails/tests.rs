use std::time::Duration;

use knockgate_core::book::BookId;
use knockgate_core::{GrantId, Network};

use super::*;

const ALICE: ClientId = ClientId(1);

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn packet(source: IpAddr) -> Note {
    Note::Packet { client: ALICE, source, kind: Kind::Open, service: 1 }
}

fn complete(source: IpAddr) -> Note {
    Note::KnockEnded {
        client: ALICE,
        source,
        book: BookId([1; 8]),
        number: 7,
        service: 1,
        end: KnockEnd::Complete,
        seen: std::iter::empty().collect(),
    }
}

fn ends(trails: &Trails) -> Vec<(IpAddr, End)> {
    trails.of_client(ALICE).map(|attempt| (attempt.source, attempt.end)).collect()
}

#[test]
fn two_knocks_at_once_are_told_apart_by_their_addresses() {
    let (mut trails, now) = (Trails::new(), SystemTime::now());
    trails.note(now, &packet(address(1)));
    trails.note(now, &packet(address(2)));
    trails.note(
        now,
        &Note::Refused { client: ALICE, source: address(1), service: Some(1), refusal: Refusal::NotAllowed },
    );
    trails.note(
        now,
        &Note::GrantOpened {
            grant: GrantId(7),
            client: ALICE,
            to: Network::host(address(2)),
            service: 1,
            lasts: Duration::from_secs(60),
        },
    );
    let expected = [
        (address(2), End::Opened { grant: 7, seconds: 60 }),
        (address(1), End::Refused(Refusal::NotAllowed)),
    ];
    assert_eq!(ends(&trails), expected);
}

#[test]
fn questions_of_state_push_no_knock_out_and_the_oldest_knock_goes_first() {
    let (mut trails, now) = (Trails::new(), SystemTime::now());
    for last in 1..=5 {
        trails.note(now, &packet(address(last)));
        trails.note(
            now,
            &Note::Refused {
                client: ALICE,
                source: address(last),
                service: Some(1),
                refusal: Refusal::Denied,
            },
        );
    }
    for peer in 0..100 {
        let (source, way, seal) = (address(9), Way::Datagram, Seal::InForce);
        trails.heard(now, ALICE, Arrival { peer: Peer(peer), source, way, seal });
        trails.answered(ALICE, Peer(peer));
    }
    let kept: Vec<_> = ends(&trails).into_iter().map(|(source, _)| source).collect();
    assert_eq!(kept, [address(9), address(5), address(4), address(3)]);
}

#[test]
fn a_complete_sequence_is_told_what_refused_it_whatever_its_client_has_asked_since() {
    let (mut trails, now) = (Trails::new(), SystemTime::now());
    let (source, refusal) = (address(1), Refusal::Unavailable);
    trails.note(now, &complete(source));
    let arrival = Arrival { peer: Peer(1), source, way: Way::Datagram, seal: Seal::InForce };
    trails.heard(now, ALICE, arrival);
    trails.note(now, &Note::SequenceRefused { client: ALICE, source, service: 1, refusal });
    assert_eq!(ends(&trails), [(source, End::Pending), (source, End::Refused(refusal))]);

    let phone = ClientId::of_static(&"phone".parse().unwrap());
    trails.note(now, &Note::StaticKnock { client: phone, source, service: 1 });
    trails.note(now, &Note::SequenceRefused { client: phone, source, service: 1, refusal });
    let told: Vec<_> = trails.of_client(phone).map(|attempt| attempt.end).collect();
    assert_eq!(told, [End::Refused(refusal)]);
}

#[test]
fn whoever_knocked_longest_ago_makes_room() {
    let (mut trails, start) = (Trails::new(), SystemTime::now());
    let full = u32::try_from(MOST_CLIENTS + SPARE_CLIENTS).unwrap();
    for (number, seconds) in (1..=full + 1).zip(0..) {
        let note =
            Note::Packet { client: ClientId(number), source: address(1), kind: Kind::Open, service: 1 };
        trails.note(start + Duration::from_secs(seconds), &note);
    }
    assert_eq!(trails.clients.len(), MOST_CLIENTS + 1);
    let first_kept = u32::try_from(SPARE_CLIENTS).unwrap() + 1;
    let is_kept = |number| trails.of_client(ClientId(number)).next().is_some();
    assert!(!is_kept(first_kept - 1) && is_kept(first_kept) && is_kept(full + 1));
}

#[test]
fn a_flood_washes_out_its_own_ring_and_says_how_much_and_one_address_takes_one_place() {
    let mut trails = Trails::new();
    let why = Ignored::Refused(Refusal::UnknownClient);
    trails.silent(None, address(1), why, None);
    let allocations = allocation_counter::measure(|| {
        (0..1_000).for_each(|_| trails.unsealed(None, address(2)));
        for number in 0..300_u32 {
            trails.unsealed(None, IpAddr::from(number.to_be_bytes()));
        }
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(trails.washed_out(), 301 - u64::try_from(PLACES).unwrap());
    assert_eq!(trails.silenced(|one| one.source == address(2)), []);
    let kept = trails.silenced(|one| one.source == address(1));
    assert_eq!(kept, [Silenced { source: address(1), why, client: None, last: None, times: 1 }]);
    (0..9).for_each(|_| trails.silent(None, address(1), why, None));
    assert_eq!(trails.silenced(|one| one.source == address(1))[0].times, 10);
}
