//! What a gateway needs from the board it runs on, beside two network cards, a clock and a generator of random numbers.
//!
//! The clock comes with every call of [`Gateway::poll`](crate::Gateway::poll), the generator is handed over once. The rest
//! stands here: one small trait for each thing, so that a board can take each from another source.

use knockgate_core::{Consultation, Decision, Note, Now, Outcome, Record};

/// Keeps what would allow a replay if it were forgotten: counters and used numbers.
pub trait Store {
    /// Makes `record` durable, in place of the earlier one of the same client and book.
    ///
    /// After [`Outcome::Done`] it must survive a power cut. While it is unknown whether it would, the answer is
    /// [`Outcome::Failed`]: the client is refused, and nothing opens.
    fn remember(&mut self, record: &Record) -> Outcome;
}

/// Decides what a complete knock may do.
pub trait Decide {
    /// The policy's decision. It runs between two frames, so it has a limit of its own.
    fn decide(&mut self, now: Now, question: &Consultation) -> Decision;
}

/// Keeps the audit log.
pub trait Journal {
    /// Writes down what has happened. Only what an enrolled client has caused is ever noted.
    fn note(&mut self, now: Now, note: &Note);
}

/// All of it.
pub trait Environment: Store + Decide + Journal {}

impl<T: Store + Decide + Journal> Environment for T {}
