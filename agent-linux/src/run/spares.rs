//! One number of each book in use is stored as used before anybody asks for it, so that its offer need not wait for the disk.
//!
//! The disk may count more numbers as used than were offered, never fewer: a crash loses one of each such book and offers
//! none twice. A clean stop gives them back. Rule: `docs/protocol.md`, section 6.1.

use std::collections::HashMap;

use knockgate_core::Record;
use knockgate_core::book::BookId;
use knockgate_core::replay::{Lease, Used};

/// What the disk counts as used up.
#[derive(Default)]
pub(super) struct Spares {
    /// Of each book from which this run has offered something: the first number that is not.
    stored: HashMap<BookId, u32>,
}

impl Spares {
    /// Whether a crash would forget nothing of `record`, although it was not stored: its number is, and its counter is in the
    /// lease in force.
    pub(super) fn cover(&self, record: &Record, lease: Option<Lease>) -> bool {
        let Record::Offer { used, book, next, .. } = record else { return false };
        let is_stored = self.stored.get(book).is_some_and(|stored| next <= stored);
        is_stored && lease.is_some_and(|lease| covers(lease, used))
    }

    /// `record` is durable.
    pub(super) fn stored(&mut self, record: &Record) {
        let Record::Offer { book, next, .. } = *record else { return };
        let stored = self.stored.entry(book).or_default();
        *stored = next.max(*stored);
    }

    /// The books of which numbers may be left that were not offered.
    pub(super) fn books(&self) -> impl Iterator<Item = BookId> {
        self.stored.keys().copied()
    }
}

/// The same with one more number used up, if the book of `count` numbers has another one.
pub(super) fn with_spare(record: Record, count: u32) -> Record {
    match record {
        Record::Offer { client, used, book, next } if next < count => {
            Record::Offer { client, used, book, next: next.saturating_add(1) }
        }
        Record::Offer { .. } | Record::Counter { .. } => record,
    }
}

/// The counter that was used last is `used.last`, unless some are far ahead. A code of the second factor is no counter.
fn covers(lease: Lease, used: &Used) -> bool {
    used.ahead.is_none() && used.code_step == 0 && lease.contains(used.last)
}

#[cfg(test)]
mod tests {
    use knockgate_core::ClientId;
    use knockgate_core::replay::Span;

    use super::*;

    const BOOK: BookId = BookId([1; 8]);
    const LEASE: Option<Lease> = Some(Lease { after: 100, until: 200 });
    const IN_LEASE: Used = Used { last: 150, ..Used::NOTHING };

    fn offer(next: u32, used: Used) -> Record {
        Record::Offer { client: ClientId(7), used, book: BOOK, next }
    }

    fn spares_up_to(next: u32) -> Spares {
        let mut spares = Spares::default();
        spares.stored(&offer(next, IN_LEASE));
        spares
    }

    #[test]
    fn a_number_needs_the_disk_unless_it_was_stored_ahead() {
        assert!(!Spares::default().cover(&offer(1, IN_LEASE), LEASE), "nothing was stored");
        let spares = spares_up_to(5);
        #[rustfmt::skip]
        let cases = [(1, 4, true), (2, 5, true), (3, 6, false)];
        for (case, next, covered) in cases {
            assert_eq!(spares.cover(&offer(next, IN_LEASE), LEASE), covered, "case {case}");
        }
        let other = Record::Offer { client: ClientId(7), used: IN_LEASE, book: BookId([2; 8]), next: 1 };
        assert!(!spares.cover(&other, LEASE), "another book");
    }

    #[test]
    fn what_no_lease_covers_needs_the_disk() {
        let far = Some(Span { first: 9_000, last: 9_000 });
        #[rustfmt::skip]
        let cases = [
            (1, IN_LEASE, None),
            (2, Used { last: 100, ..IN_LEASE }, LEASE),
            (3, Used { last: 201, ..IN_LEASE }, LEASE),
            (4, Used { ahead: far, ..IN_LEASE }, LEASE),
            (5, Used { code_step: 1, ..IN_LEASE }, LEASE),
        ];
        for (case, used, lease) in cases {
            assert!(!spares_up_to(5).cover(&offer(5, used), lease), "case {case}");
        }
        assert!(!spares_up_to(5).cover(&Record::Counter { client: ClientId(7), used: IN_LEASE }, LEASE));
    }

    #[test]
    fn what_was_stored_late_takes_nothing_back() {
        let mut spares = spares_up_to(5);
        spares.stored(&offer(4, IN_LEASE));
        assert!(spares.cover(&offer(5, IN_LEASE), LEASE));
    }

    #[test]
    fn a_book_has_no_spare_behind_its_last_number() {
        #[rustfmt::skip]
        let cases = [(1, 8, 9), (2, 9, 10), (3, 10, 10), (4, u32::MAX, u32::MAX)];
        for (case, next, stored) in cases {
            assert_eq!(with_spare(offer(next, IN_LEASE), 10), offer(stored, IN_LEASE), "case {case}");
        }
    }
}
