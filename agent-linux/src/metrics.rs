//! Figures for Prometheus, over HTTP on a loopback address or a Unix socket.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`listener`] | the socket, opened before the agent gives up any right |
//! | [`server`] | takes requests in, as a task beside the gate; answers one path |
//! | [`figures`] | which figures there are: what a status has, and no more |
//! | [`exposition`] | their text |
//!
//! Whoever asks, however often and however slowly, costs the gate's thread one question a second at most. No label comes from the
//! wire: they are names of the configuration and words of the program.

mod exposition;
mod figures;
mod listener;
mod server;

pub use listener::{Listener, ListenerError};
pub use server::serve;
