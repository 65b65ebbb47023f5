//! The newest records, as many as there is room for. The oldest make room, and how many were lost can always be told.

use alloc::boxed::Box;
use alloc::vec;

/// Bytes of a record's length, which stands in front of it.
const LENGTH: usize = 2;

/// Lines of text, numbered from 1 on.
///
/// They lie one behind the other from the first byte on, so each is in one piece. Moving what is kept to the front costs a few
/// microseconds for each kilobyte, and happens only when somebody who is enrolled has done something.
pub struct Ring {
    bytes: Box<[u8]>,
    used: usize,
    kept: u64,
    next: u64,
}

impl Ring {
    /// An empty ring of so many bytes, taken from the heap once.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes].into_boxed_slice(), used: 0, kept: 0, next: 1 }
    }

    /// The number of the next record.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Keeps a record. One that is longer than the whole ring is lost like the oldest ones.
    pub fn push(&mut self, line: &str) {
        self.next = self.next.saturating_add(1);
        self.kept = self.kept.saturating_add(1);
        self.make_room(LENGTH.saturating_add(line.len()));
        let Ok(length) = u16::try_from(line.len()) else { return self.clear() };
        let Some(free) = self.bytes.get_mut(self.used..) else { return self.clear() };
        let Some((head, rest)) = free.split_first_chunk_mut::<LENGTH>() else { return self.clear() };
        let Some(place) = rest.get_mut(..line.len()) else { return self.clear() };
        *head = length.to_le_bytes();
        place.copy_from_slice(line.as_bytes());
        self.used += LENGTH + line.len();
    }

    fn make_room(&mut self, wanted: usize) {
        let free = self.bytes.len() - self.used;
        let mut gone = 0;
        while wanted > free + gone {
            let Some((line, _)) = self.bytes.get(gone..self.used).and_then(first) else { break };
            gone += LENGTH + line.len();
            self.kept = self.kept.saturating_sub(1);
        }
        self.bytes.copy_within(gone..self.used, 0);
        self.used -= gone;
    }

    fn clear(&mut self) {
        (self.used, self.kept) = (0, 0);
    }

    /// How many records there were behind number `after` that are gone.
    #[must_use]
    pub fn lost(&self, after: u64) -> u64 {
        let last_gone = self.next.saturating_sub(self.kept).saturating_sub(1);
        last_gone.saturating_sub(after)
    }

    /// The records behind number `after` that are still there, each with its number.
    pub fn after(&self, after: u64) -> impl Iterator<Item = (u64, &str)> {
        let mut rest = self.bytes.get(..self.used).unwrap_or_default();
        let lines = core::iter::from_fn(move || {
            let (line, behind) = first(rest)?;
            rest = behind;
            Some(line)
        });
        (self.next.saturating_sub(self.kept)..).zip(lines).filter(move |(number, _)| *number > after)
    }
}

/// The first record of some, and the others.
fn first(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let (line, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((core::str::from_utf8(line).unwrap_or_default(), rest))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn all(ring: &Ring, after: u64) -> Vec<(u64, String)> {
        ring.after(after).map(|(number, line)| (number, line.to_string())).collect()
    }

    #[test]
    fn records_are_numbered_from_one_and_told_behind_a_number() {
        let mut ring = Ring::new(64);
        ["one", "two", "three"].iter().for_each(|line| ring.push(line));
        assert_eq!(all(&ring, 1), [(2, "two".to_string()), (3, "three".to_string())]);
        assert_eq!((all(&ring, 3).len(), all(&ring, 999).len(), ring.lost(0)), (0, 0, 0));
    }

    #[test]
    fn the_oldest_make_room_and_are_counted_as_lost() {
        let mut ring = Ring::new(16);
        ["aaaa", "bbbb", "cccc"].iter().for_each(|line| ring.push(line));
        assert_eq!(all(&ring, 0), [(2, "bbbb".to_string()), (3, "cccc".to_string())]);
        assert_eq!([0, 1, 2, 3, 9].map(|after| ring.lost(after)), [1, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_longer_than_the_ring_is_lost_and_has_its_number() {
        let mut ring = Ring::new(16);
        ["aaaa", "much longer than sixteen", "b"].iter().for_each(|line| ring.push(line));
        assert_eq!(all(&ring, 0), [(3, "b".to_string())]);
        assert_eq!(ring.lost(0), 2);
    }

    proptest! {
        #[test]
        fn a_ring_is_the_end_of_all_that_was_pushed(
            room in 0_usize..200, lines in prop::collection::vec("[a-zü]{0,40}", 0..60), after in 0_u64..70,
        ) {
            let (mut ring, mut model) = (Ring::new(room), VecDeque::new());
            for (number, line) in (1_u64..).zip(&lines) {
                ring.push(line);
                model.push_back((number, line.clone()));
                while model.iter().map(|(_, line)| line.len() + LENGTH).sum::<usize>() > room {
                    model.pop_front();
                }
            }
            let told: Vec<_> = model.iter().filter(|(number, _)| *number > after).cloned().collect();
            let lost = lines.len() as u64 - model.len() as u64;
            prop_assert_eq!(all(&ring, after), told);
            prop_assert_eq!(ring.lost(after), lost.saturating_sub(after));
            prop_assert_eq!(ring.next(), lines.len() as u64 + 1);
        }
    }
}
