//! The laws that need no reference: kept from the first event to the last, across crashes.

use std::collections::{BTreeMap, BTreeSet};

use knockgate_core::message::Offer;
use knockgate_core::{Peer, Record};

/// What the host has on disk, and what has happened that must not happen again.
#[derive(Default)]
pub(crate) struct Laws {
    /// Durable: the highest counter of each client.
    pub(crate) counters: BTreeMap<u32, u64>,
    /// Durable: the first number of each book that was never offered.
    pub(crate) next: BTreeMap<[u8; 8], u32>,
    offered: BTreeSet<([u8; 8], u32)>,
    /// The questions for a number that were answered.
    used: BTreeSet<(u32, u64)>,
    /// Counters admitted since the gate was started.
    admitted: BTreeMap<u32, u64>,
    /// Who may be answered, once.
    open_questions: BTreeSet<u64>,
}

impl Laws {
    /// The gate has let a message in.
    pub(crate) fn admitted(&mut self, peer: Peer, client: u32, counter: u64) {
        let before = self.admitted.insert(client, counter);
        assert!(before < Some(counter), "a counter is admitted once, and never a lower one");
        assert!(
            !self.used.contains(&(client, counter)),
            "a question for a number that was answered is never let in again"
        );
        self.open_questions.insert(peer.0);
    }

    /// The host has made a record durable, whether or not the gate gets to know.
    pub(crate) fn stored(&mut self, record: Record) {
        let (Record::Offer { client, counter, .. } | Record::Counter { client, counter }) = record;
        let known = self.counters.entry(client.0).or_insert(0);
        *known = counter.max(*known);
        if let Record::Offer { book, next, .. } = record {
            let known = self.next.entry(book.0).or_insert(0);
            *known = next.max(*known);
        }
    }

    pub(crate) fn answered(&mut self, peer: Peer) {
        assert!(self.open_questions.remove(&peer.0), "only what was let in is answered, and once");
    }

    /// A client reads an offer.
    pub(crate) fn offered(&mut self, client: u32, counter: u64, offer: &Offer) {
        let Offer { book, number, .. } = *offer;
        assert!(self.offered.insert((book.0, number)), "number {number} was offered before");
        assert!(
            self.next.get(&book.0) > Some(&number),
            "number {number} is offered before it is stored as used"
        );
        self.settled(client, counter);
    }

    /// A client reads what became of its question for a number, good or bad.
    pub(crate) fn settled(&mut self, client: u32, counter: u64) {
        assert!(
            self.counters.get(&client) >= Some(&counter),
            "a question for a number is answered before its counter is stored"
        );
        self.used.insert((client, counter));
    }

    pub(crate) fn crashed(&mut self) {
        self.admitted.clear();
        self.open_questions.clear();
    }
}
