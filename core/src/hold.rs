//! Holds: the time-limited right of one client at one address to apply one knock number.
//!
//! There is at most one hold for a client, for a book and for an address: an address that two clients held at once
//! would make their probes indistinguishable. A hold stays in its place after it has ended, so that the client can ask what
//! became of it, until another one needs the place. Rule: `docs/protocol.md`, section 6.4.

mod index;

use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;

use crate::action::HoldId;
use crate::attempt::Attempt;
use crate::book::BookId;
use crate::gate::Openings;
use crate::key::PublicKey;
use crate::limits::{DEFAULT_HOLD, RESULT_AGE};
use crate::message::Reach;
use crate::refusal::Refusal;
use crate::roster::ClientId;
use crate::time::Instant;

use index::Index;

/// How far a hold has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The number is being stored as used.
    Storing,
    /// The decoys shall be shown to the holder.
    WatchDue,
    /// The host is showing them.
    Watching,
    /// The holder may knock.
    Held,
    /// Every port was knocked; the policy shall be asked.
    ConsultDue,
    /// The policy is thinking.
    Consulting,
    /// The policy has agreed; openings are under way.
    Opening(Openings),
    /// It was granted.
    Granted,
    /// It failed.
    Failed(Refusal),
}

impl Phase {
    /// The number can still be knocked, or is about to be.
    pub(crate) fn is_active(self) -> bool {
        match self {
            Self::Storing | Self::WatchDue | Self::Watching | Self::Held => true,
            Self::ConsultDue | Self::Consulting | Self::Opening(_) => false,
            Self::Granted | Self::Failed(_) => false,
        }
    }

    /// The sequence was complete, and what follows from it is not settled yet.
    pub(crate) fn is_deciding(self) -> bool {
        match self {
            Self::ConsultDue | Self::Consulting | Self::Opening(_) => true,
            Self::Storing | Self::WatchDue | Self::Watching | Self::Held => false,
            Self::Granted | Self::Failed(_) => false,
        }
    }

    /// Nothing more will happen.
    pub(crate) fn has_ended(self) -> bool {
        !self.is_active() && !self.is_deciding()
    }
}

pub(crate) struct Hold {
    pub(crate) id: HoldId,
    pub(crate) client: ClientId,
    pub(crate) key: PublicKey,
    pub(crate) source: IpAddr,
    pub(crate) book: BookId,
    pub(crate) number: u32,
    pub(crate) attempt: Attempt,
    pub(crate) strays: u8,
    pub(crate) service: u16,
    pub(crate) seconds: u32,
    pub(crate) reach: Reach,
    pub(crate) second_factor: bool,
    pub(crate) phase: Phase,
    /// When the present phase ends by itself.
    pub(crate) until: Instant,
}

impl Hold {
    /// Ends the hold and keeps the result for a while.
    pub(crate) fn end(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        self.until = now.after(RESULT_AGE);
    }
}

/// At most `N` holds.
pub(crate) struct Holds<const N: usize> {
    entries: Vec<Hold, N>,
    /// Of the entries by source, always in step with them.
    index: Index<N>,
    next_id: u32,
}

/// There is no place for another hold; the first one to be free is so after this time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPlace(pub(crate) Duration);

impl<const N: usize> Holds<N> {
    /// No holds. `key` is random, so that nobody can choose an address that costs more to look for.
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self { entries: Vec::new(), index: Index::new(key), next_id: 0 }
    }

    pub(crate) fn next_id(&mut self) -> HoldId {
        self.next_id = self.next_id.wrapping_add(1);
        HoldId(self.next_id)
    }

    /// Makes sure that the next [`Holds::add`] for `client` finds a place: the one that it has, a free one, or that of the
    /// result that is oldest.
    pub(crate) fn make_room(&mut self, now: Instant, client: ClientId) -> Result<(), NoPlace> {
        if !self.entries.is_full() || self.entries.iter().any(|hold| hold.client == client) {
            return Ok(());
        }
        let oldest = self.entries.iter().enumerate().filter(|(_, hold)| hold.phase.has_ended());
        if let Some(at) = oldest.min_by_key(|(_, hold)| hold.until).map(|(at, _)| at) {
            self.entries.swap_remove(at);
            self.reindex();
            return Ok(());
        }
        let wait = self.entries.iter().map(|hold| hold.until.left(now)).min();
        Err(NoPlace(wait.unwrap_or(DEFAULT_HOLD)))
    }

    /// Adds a hold in place of any earlier one of the same client.
    pub(crate) fn add(&mut self, hold: Hold) {
        self.entries.retain(|earlier| earlier.client != hold.client);
        // `make_room` was called: there is a place, unless the table has none at all.
        let _ = self.entries.push(hold);
        self.reindex();
    }

    pub(crate) fn by_id(&mut self, id: HoldId) -> Option<&mut Hold> {
        self.entries.iter_mut().find(|hold| hold.id == id)
    }

    pub(crate) fn of_client(&mut self, client: ClientId) -> Option<&mut Hold> {
        self.entries.iter_mut().find(|hold| hold.client == client)
    }

    /// The hold under which `source` may knock now. It costs the same however many holds there are.
    pub(crate) fn held_at(&mut self, now: Instant, source: IpAddr) -> Option<&mut Hold> {
        let is_held = |hold: &Hold| hold.source == source && hold.phase == Phase::Held && hold.until > now;
        let at = self.index.of(source).find(|&at| self.entries.get(at).is_some_and(is_held))?;
        self.entries.get_mut(at)
    }

    /// How long another client still blocks this book or this address.
    pub(crate) fn blocked(
        &self,
        now: Instant,
        client: ClientId,
        book: BookId,
        source: IpAddr,
    ) -> Option<Duration> {
        self.entries
            .iter()
            .filter(|hold| hold.client != client && hold.phase.is_active() && hold.until > now)
            .filter(|hold| hold.book == book || hold.source == source)
            .map(|hold| hold.until.left(now))
            .max()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hold> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Hold> {
        self.entries.iter_mut()
    }

    /// Forgets results that nobody asked for in time.
    pub(crate) fn forget(&mut self, now: Instant) {
        let before = self.entries.len();
        self.entries.retain(|hold| !hold.phase.has_ended() || hold.until > now);
        if self.entries.len() < before {
            self.reindex();
        }
    }

    fn reindex(&mut self) {
        self.index.rebuild(self.entries.iter().map(|hold| hold.source));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.iter().map(|hold| hold.until).min()
    }
}
