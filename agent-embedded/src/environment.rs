//! What a gateway needs beside two network cards, a clock and a generator of random numbers.
//!
//! The clock comes with every call of [`Gateway::poll`](crate::Gateway::poll), the generator is handed over once. The rest
//! stands here: one small trait for each thing, so that a board can take each from another source.

use core::net::IpAddr;

use heapless::Vec;
use knockgate_core::channel::Channel;
use knockgate_core::limits::MAX_GATEWAY_POLICIES;
use knockgate_core::{
    ClientId, Consultation, Decision, Effect, Happening, Name, Note, Now, Occasion, Outcome, Record, Standing,
};
use knockgate_policy_host::Profile;

/// Keeps what would allow a replay if it were forgotten: counters and used numbers.
pub trait Store {
    /// Makes `record` durable, in place of the earlier one of the same client and book.
    ///
    /// After [`Outcome::Done`] it must survive a power cut. While it is unknown whether it would, the answer is
    /// [`Outcome::Failed`]: the client is refused, and nothing opens.
    fn remember(&mut self, record: &Record) -> Outcome;
}

/// What all policies together may want of one event that nobody waits for: as much as the edge profile gives each of them.
pub const MAX_REACTION: usize = MAX_GATEWAY_POLICIES * Profile::Edge.limits().actions;

/// What shall come of something that nobody waited for.
pub type Reaction = Vec<Effect, MAX_REACTION>;

/// Decides what a complete knock may do.
pub trait Decide {
    /// The policies' decision. They run between two frames, so they have limits of their own.
    fn decide(&mut self, now: Now, question: &Consultation) -> Decision;

    /// Whether a policy wants to hear of such things.
    fn wants(&self, occasion: Occasion) -> bool;

    /// Tells the policies what has happened, `name` being the client's; `standing` is that of whom it is about. What comes of
    /// it may be carried out on [`Happening::answerable`].
    fn react(
        &mut self,
        now: Now,
        happening: &Happening,
        standing: &Standing,
        name: Option<&Name>,
    ) -> Reaction;
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
