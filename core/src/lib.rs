//! The knock state machine of Knockgate: bytes and time go in, actions come out.
//!
//! This crate has no socket, no clock, no heap and no thread. A *host* (the Linux daemon, the gateway firmware, a test)
//! tells it what happened through the `handle_*` methods of [`Gate`] and asks through the `poll_*` methods what it shall
//! do next. The same crate holds the client's half of the protocol, so that both ends are one implementation.
//!
//! Where a packet enters, is checked and leads to an open port, in reading order:
//!
//! 1. [`envelope`] throws away what was not sealed under the door key,
//! 2. [`handshake`] turns a sealed message into an authentic one (Noise IK),
//! 3. [`replay`] admits each counter once and makes it fresh,
//! 4. [`gate`] decides what a fresh request may do: a packet knock, a [`hold`] on a knock number, or an answer,
//! 5. [`attempt`] follows the sequence of a holder through his probes,
//! 6. the policy is consulted by [`Ticket`], and only then a [`grant`] is opened and, later, closed.
//!
//! Two things stand before the gate, for hosts that want them: [`budget`] says what strangers may cost, and [`static_sequence`]
//! follows those who have no key at all.
//!
//! The byte-exact protocol is `docs/protocol.md`; section numbers in comments refer to it.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod action;
pub mod address;
pub mod attempt;
pub mod board;
pub mod book;
pub mod budget;
pub mod channel;
pub mod client;
pub mod console;
pub mod envelope;
pub mod file;
pub mod gate;
pub mod grant;
pub mod handshake;
pub mod happening;
pub mod hold;
pub mod key;
pub mod limits;
pub mod lockout;
pub mod message;
pub mod note;
pub mod profile;
pub mod refusal;
pub mod replay;
pub mod roster;
pub mod site;
mod source_hash;
pub mod static_sequence;
#[cfg(test)]
mod testing;
pub mod text_form;
pub mod time;
pub mod totp;

pub use action::{
    Action, Bearer, Cause, Census, Consultation, Decision, Effect, GrantId, Origin, Outcome, Peer, Record,
    Standing, Subject, Ticket, Verdict, Way,
};
pub use address::Network;
pub use gate::{Config, Gate, Probe, ProbeKind};
pub use grant::{Flows, Grant};
pub use happening::{Happening, Occasion};
pub use note::Note;
pub use refusal::{Refusal, Refusals};
pub use roster::{Client, ClientId, Name, Roster};
pub use time::{Instant, Now, UnixTime};
