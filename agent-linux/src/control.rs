//! Looking into a running agent, and telling it what to do: its two Unix sockets, and what is said over them.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`protocol`] | one line of JSON for each request and each reply |
//! | [`status`] | what the agent says about itself |
//! | [`sockets`] | where the two sockets are, and who can open them |
//! | [`server`] | takes requests in, as a task beside the gate |
//! | [`client`] | asks, for commands |
//!
//! Who may connect is said by the modes of the sockets; who asks for a change is looked at again, and written down. What a caller
//! sends, in whatever amount, costs the gate's thread nothing but the questions that it can answer, at a bounded rate.

mod callers;
mod client;
mod protocol;
mod server;
mod sockets;
mod status;

pub use client::{AskError, Client, ask};
pub use protocol::{Need, Reply, Request, VERSION};
pub use server::{Asked, Caller, Desk, serve};
pub use sockets::{Door, SocketError, Sockets};
pub use status::{Counts, Guarded, Status};
