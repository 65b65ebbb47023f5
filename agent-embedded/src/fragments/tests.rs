use super::*;

use crate::frame::Content;

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn packet(last: u8) -> Packet<'static> {
    let (source, target) = ([198, 51, 100, last].into(), [192, 0, 2, 100].into());
    Packet { source, target, piece: None, is_extended: false, content: Content::Rest }
}

fn piece(id: u32, from: u16, to: u16) -> Piece {
    Piece { id, protocol: 17, from, to, rank: if from == 0 { Rank::First } else { Rank::Middle } }
}

/// A table in which the first 800 bytes of packet 1 have passed.
fn begun() -> Fragments {
    let mut fragments = Fragments::new();
    assert!(fragments.begin(at(0), None, &packet(1), &piece(1, 0, 800)));
    fragments
}

#[test]
fn a_piece_passes_after_the_first_one_of_the_same_packet_alone() {
    let later = piece(1, 800, 1600);
    #[rustfmt::skip]
    let cases = [
        (1, 0,  None,    packet(1), later,                            true),
        (2, 0,  None,    packet(2), later,                            false),
        (3, 0,  Some(5), packet(1), later,                            false),
        (4, 0,  None,    packet(1), Piece { id: 2, ..later },         false),
        (5, 0,  None,    packet(1), Piece { protocol: 6, ..later },   false),
        (6, 60, None,    packet(1), later,                            false), // too late
    ];
    for (case, now, tag, packet, piece, passes) in cases {
        assert_eq!(begun().lets_in(at(now), tag, &packet, &piece), passes, "case {case}");
    }
}

/// First byte, the one behind the last, and whether the piece passes.
type Pieces<'a> = &'a [(u16, u16, bool)];

#[test]
fn no_byte_comes_in_twice() {
    #[rustfmt::skip]
    let cases: [(u32, Pieces<'_>); 7] = [
        (1, &[(0, 800, false)]),
        (2, &[(792, 1600, false)]),
        (3, &[(800, 1600, true), (1600, 2400, true), (800, 1600, false)]),
        (4, &[(1600, 2400, true), (800, 1600, true), (2400, 3200, true), (1000, 3000, false)]), // a gap is filled
        (5, &[(1600, 2400, true), (800, 1608, false), (800, 1600, true)]),
        (6, &[(1000, 1200, true), (1400, 1600, true), (1800, 2000, true), (2200, 2400, false)]), // too many gaps
        (7, &[(1000, 1200, true), (1400, 1600, true), (1200, 1400, true), (1800, 2000, true), (2200, 2400, true)]),
    ];
    for (case, pieces) in cases {
        let mut fragments = begun();
        for &(from, to, passes) in pieces {
            let piece = piece(1, from, to);
            assert_eq!(fragments.lets_in(at(1), None, &packet(1), &piece), passes, "case {case}: {from}");
        }
    }
}

#[test]
fn a_second_first_piece_is_dropped() {
    assert!(!begun().begin(at(1), None, &packet(1), &piece(1, 0, 800)));
    assert!(begun().begin(at(60), None, &packet(1), &piece(1, 0, 800)), "its number is free again");
}

#[test]
fn only_the_last_piece_may_be_small() {
    for (case, rank, length, tiny) in [
        (1, Rank::First, SMALLEST_FRAGMENT - 8, true),
        (2, Rank::Middle, SMALLEST_FRAGMENT - 8, true),
        (3, Rank::First, SMALLEST_FRAGMENT, false),
        (4, Rank::Last, 1, false),
    ] {
        assert_eq!(is_tiny(&Piece { rank, ..piece(1, 0, length) }), tiny, "case {case}");
    }
}

#[test]
fn a_flood_from_one_address_does_not_push_out_the_packets_of_others() {
    let mut fragments = begun();
    for id in 0..1_000 {
        assert!(fragments.begin(at(1), None, &packet(66), &piece(id, 0, 800)));
    }
    assert_eq!(fragments.len(), FRAGMENTS);
    assert!(fragments.lets_in(at(2), None, &packet(1), &piece(1, 800, 1600)));
}
