//! What is still to be written down, in the order in which it happened, each with its time.
//!
//! It waits until the gate has acted, so that no port waits for a log. And once somebody writes, the processor is his.

use std::time::SystemTime;

use knockgate_core::note::Note;
use knockgate_core::{ClientId, Peer};

use super::hearing::Settled;
use super::trails::Arrival;

/// One of them.
#[expect(
    clippy::large_enum_variant,
    reason = "in a box it would allocate before the port is open; here the memory is used again"
)]
pub(super) enum Entry {
    /// What the gate has noted.
    Note(Note),
    /// What policies have said about a knock.
    Case(Settled),
    /// A client's message has come.
    Heard(ClientId, Arrival),
    /// A client's message was answered.
    Answered(ClientId, Peer),
}

/// All of them. Its memory is used again and again.
#[derive(Default)]
pub(super) struct Ledger(Vec<(SystemTime, Entry)>);

impl Ledger {
    /// It has happened now.
    pub(super) fn push(&mut self, entry: Entry) {
        self.0.push((SystemTime::now(), entry));
    }

    /// Takes what is there; whoever has written it down gives the empty one back.
    pub(super) fn take(&mut self) -> Option<Vec<(SystemTime, Entry)>> {
        (!self.0.is_empty()).then(|| std::mem::take(&mut self.0))
    }

    /// Takes an emptied one back. What has come meanwhile stays.
    pub(super) fn give_back(&mut self, mut emptied: Vec<(SystemTime, Entry)>) {
        emptied.clear();
        emptied.append(&mut self.0);
        self.0 = emptied;
    }
}
