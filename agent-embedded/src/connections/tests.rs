use super::*;

use crate::frame::{Ends, Transport};
use crate::limits::SOCKET_BUFFER;

type Sockets = SocketSet<'static>;

fn pool() -> (Sockets, Pool<3>) {
    let mut sockets = SocketSet::new(vec![]);
    let pool = Pool::new(&mut sockets, SOCKET_BUFFER, 0);
    (sockets, pool)
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// The SYN from port `port` of 192.0.2.`last`.
fn syn(last: u8, port: u16) -> Segment<'static> {
    let (source, target) = (([192, 0, 2, last].into(), port), ([192, 0, 2, 1].into(), 62_201));
    Segment { ends: Ends { transport: Transport::Tcp, source, target }, step: Step::Begin, bytes: &[] }
}

fn set_stage(pool: &mut Pool<3>, last: u8, stage: Stage) {
    let source = IpAddr::from([192, 0, 2, last]);
    let connections = pool.slots.iter_mut().filter_map(|slot| slot.connection.as_mut());
    connections
        .filter(|connection| connection.source.0 == source)
        .for_each(|connection| connection.stage = stage);
}

/// Who has a place, ascending: the last byte of the address and the port.
fn places(pool: &Pool<3>) -> vec::Vec<(u8, u16)> {
    let last = |address| match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(_) => 0,
    };
    let connections = pool.slots.iter().filter_map(|slot| slot.connection);
    let mut places: vec::Vec<_> =
        connections.map(|connection| (last(connection.source.0), connection.source.1)).collect();
    places.sort_unstable();
    places
}

#[test]
fn the_oldest_stranger_makes_room() {
    let (mut sockets, mut pool) = pool();
    for last in 1..=4 {
        assert!(pool.listen(&mut sockets, at(last.into()), &syn(last, 1)));
    }
    assert_eq!(places(&pool), [(2, 1), (3, 1), (4, 1)]);
}

#[test]
fn the_source_with_the_most_connections_makes_room_first() {
    let (mut sockets, mut pool) = pool();
    for (last, port) in [(1, 1), (66, 1), (66, 2), (66, 3), (66, 4)] {
        pool.listen(&mut sockets, at(port.into()), &syn(last, port));
    }
    assert_eq!(places(&pool), [(1, 1), (66, 3), (66, 4)]);
}

#[test]
fn a_connection_that_is_not_complete_makes_room_for_one_of_the_same_standing_first() {
    let (mut sockets, mut pool) = pool();
    for last in 1..=3 {
        pool.listen(&mut sockets, at(last.into()), &syn(last, 1));
    }
    set_stage(&mut pool, 1, Stage::Open);
    set_stage(&mut pool, 2, Stage::Silent);
    pool.listen(&mut sockets, at(4), &syn(4, 1));
    assert_eq!(places(&pool), [(1, 1), (2, 1), (4, 1)]);
}

#[test]
fn whoever_was_recognised_is_never_pushed_out() {
    let (mut sockets, mut pool) = pool();
    for last in 1..=3 {
        pool.listen(&mut sockets, at(0), &syn(last, 1));
        let stages = [Stage::Talking, Stage::Known, Stage::Closing];
        set_stage(&mut pool, last, stages[usize::from(last) - 1]);
    }
    assert!(!pool.listen(&mut sockets, at(1), &syn(4, 1)));
    assert_eq!(places(&pool), [(1, 1), (2, 1), (3, 1)]);
}

#[test]
fn a_syn_that_comes_twice_takes_one_place() {
    let (mut sockets, mut pool) = pool();
    assert!(!pool.has(&sockets, &syn(1, 1)));
    pool.listen(&mut sockets, at(0), &syn(1, 1));
    assert!(pool.has(&sockets, &syn(1, 1)));
    assert!(!pool.has(&sockets, &syn(1, 2)));
}

#[test]
fn a_connection_that_is_never_complete_ends_by_itself() {
    let (mut sockets, mut pool) = pool();
    pool.listen(&mut sockets, at(0), &syn(1, 1));
    let due = pool.next().unwrap();
    assert_eq!(due, at(0).after(LINGER));
    pool.slots[0].connection.iter_mut().for_each(|connection| connection.until = at(0));
    pool.expire(&mut sockets, at(0));
    assert_eq!((places(&pool), pool.next()), (vec![], None));
}
