//! What a gateway needs from the board it runs on, beside two network cards, a clock and a generator of random numbers.
//!
//! The clock comes with every call of [`Gateway::poll`](crate::Gateway::poll), the generator is handed over once. The rest
//! stands here: one small trait for each thing, so that a board can take each from another source.

use core::net::IpAddr;

use heapless::Vec;
use knockgate_core::channel::Channel;
use knockgate_core::limits::MAX_EFFECTS;
use knockgate_core::{
    ClientId, Consultation, Decision, Effect, Name, Note, Now, Outcome, Record, Standing, Subject,
};

/// Keeps what would allow a replay if it were forgotten: counters and used numbers.
pub trait Store {
    /// Makes `record` durable, in place of the earlier one of the same client and book.
    ///
    /// After [`Outcome::Done`] it must survive a power cut. While it is unknown whether it would, the answer is
    /// [`Outcome::Failed`]: the client is refused, and nothing opens.
    fn remember(&mut self, record: &Record) -> Outcome;
}

/// What shall come of something that nobody waited for.
pub type Reaction = (Subject, Vec<Effect, MAX_EFFECTS>);

/// Decides what a complete knock may do.
pub trait Decide {
    /// The policy's decision. It runs between two frames, so it has a limit of its own.
    fn decide(&mut self, now: Now, question: &Consultation) -> Decision;

    /// Whom and what `note` is about, if the policy wants to hear of it.
    fn wants(&self, note: &Note) -> Option<Subject>;

    /// Tells the policy what has happened, `name` being the client's; `standing` is that of the subject.
    fn react(&mut self, now: Now, note: &Note, standing: &Standing, name: Option<&Name>) -> Option<Reaction>;
}

/// Keeps the audit log.
pub trait Journal {
    /// Writes down what has happened. Only what an enrolled client has caused is ever noted.
    fn note(&mut self, now: Now, note: &Note, name: Option<&Name>);
}

/// The conversation is over: the connection shall be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over;

/// How the gateway is, for its console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Grants that are open.
    pub grants: usize,
    /// Connections that are remembered.
    pub flows: usize,
}

/// The console, spoken with from afar: one conversation at a time, over bytes that come and go in any pieces.
pub trait Operate {
    /// Somebody has come who may. Whoever was there before is gone.
    fn welcome(&mut self, now: Now, client: ClientId, source: IpAddr, channel: Channel);

    /// Takes bytes that have come, and returns how many it has taken.
    ///
    /// # Errors
    /// [`Over`] if they are not the other side's.
    fn hear(&mut self, now: Now, health: Health, bytes: &[u8]) -> Result<usize, Over>;

    /// Puts what is to be said next into `buffer`, and returns how many bytes that are; 0 if there is nothing to say.
    ///
    /// # Errors
    /// [`Over`] if nothing more will be said.
    fn say(&mut self, now: Now, buffer: &mut [u8]) -> Result<usize, Over>;

    /// The connection has ended.
    fn leave(&mut self);
}

/// All of it.
pub trait Environment: Store + Decide + Journal + Operate {}

impl<T: Store + Decide + Journal + Operate> Environment for T {}
