//! The laws that need no reference: kept from the first event to the last, across crashes.

use std::collections::{BTreeMap, BTreeSet};

use knockgate_core::message::Offer;
use knockgate_core::replay::{Burnt, Lease, Used};
use knockgate_core::{ClientId, Peer, Record};

/// What the host has on disk, and what has happened that must not happen again.
#[derive(Default)]
pub(crate) struct Laws {
    /// Durable: what each client has used up.
    pub(crate) counters: BTreeMap<u32, Used>,
    /// Durable: what may be admitted from memory alone.
    pub(crate) lease: Option<Lease>,
    /// Durable: the leases of unclean stops.
    pub(crate) burnt: Burnt,
    /// Durable: the first number of each book that was never offered.
    pub(crate) next: BTreeMap<[u8; 8], u32>,
    offered: BTreeSet<([u8; 8], u32)>,
    /// The questions from which something has followed: an answer, a question to the policy, a closing.
    used: BTreeSet<(u32, u64)>,
    /// Counters admitted since the gate was started.
    admitted: BTreeSet<(u32, u64)>,
    /// Who may be answered, once.
    open_questions: BTreeSet<u64>,
}

impl Laws {
    /// The gate has let a message in.
    pub(crate) fn admitted(&mut self, peer: Peer, client: u32, counter: u64) {
        assert!(self.admitted.insert((client, counter)), "a counter is admitted once");
        assert!(!self.has_followed(client, counter), "what was acted upon is never let in again");
        self.open_questions.insert(peer.0);
    }

    /// The host has made a record durable, whether or not the gate gets to know.
    pub(crate) fn stored(&mut self, record: Record) {
        let (Record::Offer { client, used, .. } | Record::Counter { client, used }) = record;
        self.used_up(client, used);
        if let Record::Offer { book, next, .. } = record {
            let known = self.next.entry(book.0).or_insert(0);
            *known = next.max(*known);
        }
    }

    pub(crate) fn used_up(&mut self, client: ClientId, used: Used) {
        let known = self.counters.entry(client.0).or_insert(Used::NOTHING);
        *known = used.merged(*known);
    }

    /// Whether anything has followed from a question.
    pub(crate) fn has_followed(&self, client: u32, counter: u64) -> bool {
        self.used.contains(&(client, counter))
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

    /// Something follows from a question: it must not be possible to forget, in whatever crash, that it was used.
    pub(crate) fn settled(&mut self, client: u32, counter: u64) {
        let is_stored = self.counters.get(&client).is_some_and(|used| covers(used, counter));
        let is_leased = self.lease.is_some_and(|lease| lease.contains(counter));
        assert!(is_stored || is_leased, "counter {counter} is acted upon and can be forgotten");
        self.used.insert((client, counter));
    }

    pub(crate) fn crashed(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.burnt.add(lease);
        }
        self.stopped();
    }

    pub(crate) fn stopped(&mut self) {
        self.admitted.clear();
        self.open_questions.clear();
    }
}

/// Whether `counter` is used up.
pub(crate) fn covers(used: &Used, counter: u64) -> bool {
    counter <= used.last || used.ahead.is_some_and(|ahead| ahead.first <= counter && counter <= ahead.last)
}
