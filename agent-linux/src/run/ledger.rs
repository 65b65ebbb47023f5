//! What is still to be written down, in the order in which it happened.
//!
//! It waits until the gate has acted, so that no port waits for a log. And once somebody writes, the processor is his.

use knockgate_core::note::Note;

use super::hearing::Settled;

/// One of them.
pub(super) enum Entry {
    /// What the gate has noted.
    Note(Note),
    /// What policies have said about a knock.
    Case(Settled),
}

/// All of them. Its memory is used again and again.
#[derive(Default)]
pub(super) struct Ledger(Vec<Entry>);

impl Ledger {
    pub(super) fn push(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// Takes what is there; whoever has written it down gives the empty one back.
    pub(super) fn take(&mut self) -> Option<Vec<Entry>> {
        (!self.0.is_empty()).then(|| std::mem::take(&mut self.0))
    }

    /// Takes an emptied one back. What has come meanwhile stays.
    pub(super) fn give_back(&mut self, mut emptied: Vec<Entry>) {
        emptied.clear();
        emptied.append(&mut self.0);
        self.0 = emptied;
    }
}
