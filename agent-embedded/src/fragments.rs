//! Packets from outside that come in pieces.
//!
//! Only the first piece says what the packet is. So it must hold the whole header of what it carries and is judged like a whole
//! packet; the others pass after it, as long as no piece lies on bytes that another one has brought. Nothing is put together
//! here and nothing kept: pieces that come before their first one are lost, and so is a packet whose sender makes its pieces
//! absurdly small. Source: RFC 1858, RFC 5722, RFC 7112.

use core::net::IpAddr;

use heapless::Vec;
use knockgate_core::Instant;

use crate::frame::{Packet, Piece, Rank};
use crate::limits::{FRAGMENT_WAIT, FRAGMENTS, FRAGMENTS_PER_SOURCE, SMALLEST_FRAGMENT, STRETCHES};

/// What all pieces of a packet have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    source: IpAddr,
    target: IpAddr,
    protocol: u8,
    id: u32,
    tag: Option<u16>,
}

/// Bytes without a gap, from the first to before the second.
type Stretch = (u16, u16);

/// A packet whose first piece has passed.
struct Entry {
    name: Name,
    until: Instant,
    /// What has passed, in any order.
    passed: Vec<Stretch, STRETCHES>,
}

/// The packets whose first piece has passed, the oldest first.
pub(crate) struct Fragments(Vec<Entry, FRAGMENTS>);

/// Whether a piece is so small that it only serves to hide something.
pub(crate) fn is_tiny(piece: &Piece) -> bool {
    match piece.rank {
        Rank::First | Rank::Middle => piece.len() < SMALLEST_FRAGMENT,
        Rank::Last => false,
    }
}

impl Fragments {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether a piece that is not the first one may pass.
    pub(crate) fn lets_in(
        &mut self,
        now: Instant,
        tag: Option<u16>,
        packet: &Packet<'_>,
        piece: &Piece,
    ) -> bool {
        let name = Name::of(tag, packet, piece);
        let known = self.0.iter_mut().find(|entry| entry.name == name && entry.until > now);
        known.is_some_and(|entry| entry.lets_in((piece.from, piece.to)))
    }

    /// Whether a first piece, which was judged and may pass, is not on top of one that has passed.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        tag: Option<u16>,
        packet: &Packet<'_>,
        piece: &Piece,
    ) -> bool {
        let name = Name::of(tag, packet, piece);
        self.0.retain(|entry| entry.until > now);
        if self.0.iter().any(|entry| entry.name == name) {
            return false;
        }
        if self.0.is_full() {
            self.make_room(packet.source);
        }
        let passed = Vec::from_iter([(piece.from, piece.to)]);
        self.0.push(Entry { name, until: now.after(FRAGMENT_WAIT), passed }).is_ok()
    }

    fn make_room(&mut self, source: IpAddr) {
        let of_same = |entry: &Entry| entry.name.source == source;
        let is_greedy = self.0.iter().filter(|entry| of_same(entry)).count() >= FRAGMENTS_PER_SOURCE;
        let oldest = self.0.iter().position(|entry| !is_greedy || of_same(entry));
        // In place, so that the oldest stay in front.
        oldest.into_iter().for_each(|at| drop(self.0.remove(at)));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Name {
    fn of(tag: Option<u16>, packet: &Packet<'_>, piece: &Piece) -> Self {
        let &Packet { source, target, .. } = packet;
        let &Piece { id, protocol, .. } = piece;
        Self { source, target, protocol, id, tag }
    }
}

impl Entry {
    fn lets_in(&mut self, (from, to): Stretch) -> bool {
        if self.passed.iter().any(|passed| from < passed.1 && passed.0 < to) {
            return false;
        }
        let before = self.passed.iter().position(|passed| passed.1 == from);
        let after = self.passed.iter().position(|passed| passed.0 == to);
        match (before, after) {
            (Some(before), Some(after)) => {
                let end = self.passed.get(after).map_or(to, |after| after.1);
                self.passed.get_mut(before).into_iter().for_each(|passed| passed.1 = end);
                self.passed.swap_remove(after);
            }
            (Some(at), None) => self.passed.get_mut(at).into_iter().for_each(|passed| passed.1 = to),
            (None, Some(at)) => self.passed.get_mut(at).into_iter().for_each(|passed| passed.0 = from),
            (None, None) => return self.passed.push((from, to)).is_ok(),
        }
        true
    }
}

#[cfg(test)]
#[path = "fragments/tests.rs"]
mod tests;
