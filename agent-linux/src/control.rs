//! Looking into a running agent, and telling it what to do: its two Unix sockets, and what is said over them.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`protocol`] | one line of JSON for each request and each reply |
//! | [`status`] | what the agent says about itself |
//! | [`listing`], [`why`] | what is open, who is locked out, who is enrolled; what has become of a knock |
//! | [`sockets`] | where the two sockets are, and who can open them |
//! | [`server`] | takes requests in, as a task beside the gate |
//! | [`client`] | asks, for commands |
//!
//! Who may connect is said by the modes of the sockets; who asks for a change is looked at again, and written down. What a caller
//! sends, in whatever amount, costs the gate's thread nothing but the questions that it can answer, at a bounded rate.

mod callers;
mod client;
mod listing;
mod protocol;
mod server;
mod sockets;
mod status;
mod why;

pub(crate) use callers::Callers;
pub use client::{AskError, Client, ask};
pub use listing::{ClientSeen, LastKnock, LockedOut, OpenGrant};
pub use protocol::{Need, Reply, Request, VERSION};
pub use server::{Asked, Caller, Desk, serve};
pub(crate) use sockets::listen_for_reading;
pub use sockets::{Door, SocketError, Sockets};
pub use status::{
    BookLevel, Counts, Guarded, Hearing, Knocks, LeaseState, ModuleInForce, PolicyFigures, Status, Strangers,
};
pub use why::{Attempt, Memory, Passed, Step, Why};
