//! Finds the holds of one source without a look at the others.
//!
//! Most probes are strangers'. However many holds there are, one of them costs a hash and, on average, a look at less than one link.

use core::net::IpAddr;

use heapless::Vec;

use crate::source_hash::{Hashed, SourceHash};

/// The holds by source. Made anew whenever a hold comes or goes, which a handshake came before.
pub(super) struct Index<const N: usize> {
    hash: SourceHash,
    /// Where the chain of each place begins: a position in the table of holds, or [`END`]. Empty until there was a hold: filled at
    /// once, it would have the whole table of holds on the stack twice while a gate is made.
    heads: Vec<u16, N>,
    /// One for each hold, at the same position.
    links: Vec<Link, N>,
}

struct Link {
    source: Hashed,
    next: u16,
}

/// No position: the end of a chain.
const END: u16 = u16::MAX;

impl<const N: usize> Index<N> {
    /// Of no holds. `key` is random, so that nobody can choose an address that is in the chain of a holder's.
    pub(super) const fn new(key: [u8; 16]) -> Self {
        const { assert!(N < END as usize, "a position is 16 bits wide") };
        Self { hash: SourceHash::new(key), heads: Vec::new(), links: Vec::new() }
    }

    /// Of holds at these sources.
    pub(super) fn rebuild(&mut self, sources: impl Iterator<Item = IpAddr>) {
        self.heads.clear();
        // There is room for exactly so many.
        let _ = self.heads.resize(N, END);
        self.links.clear();
        for (position, source) in (0..).zip(sources) {
            let source = self.hash.of(source);
            let Some(head) = self.heads.get_mut(source.place(N)) else { return };
            let next = core::mem::replace(head, position);
            // There are as many links as places for holds.
            let _ = self.links.push(Link { source, next });
        }
    }

    /// Where the holds of `source` are.
    pub(super) fn of(&self, source: IpAddr) -> impl Iterator<Item = usize> {
        let source = self.hash.of(source);
        let link = |position: u16| Some((position, self.links.get(usize::from(position))?));
        let first = self.heads.get(source.place(N)).and_then(|&head| link(head));
        let chain = core::iter::successors(first, move |(_, last)| link(last.next));
        chain.filter(move |(_, link)| link.source == source).map(|(position, _)| usize::from(position))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn every_hold_is_found_by_its_source_and_by_no_other() {
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut index = Index::<64>::new([7; 16]);
        for holds in [64, 3, 0, 17] {
            // Two holds at every source, one of which has ended.
            let sources: Vec<IpAddr> = (0..holds).map(|at| address(at / 2)).collect();
            index.rebuild(sources.iter().copied());
            for source in (0..=255).map(address) {
                let mut found: Vec<usize> = index.of(source).collect();
                found.sort_unstable();
                let expected = sources.iter().enumerate().filter(|(_, known)| **known == source);
                assert_eq!(found, expected.map(|(at, _)| at).collect::<Vec<_>>(), "{holds} holds, {source}");
            }
        }
    }

    #[test]
    fn a_table_without_places_has_nobody() {
        let mut index = Index::<0>::new([7; 16]);
        index.rebuild([IpAddr::from([192, 0, 2, 1])].into_iter());
        assert_eq!(index.of(IpAddr::from([192, 0, 2, 1])).count(), 0);
    }
}
