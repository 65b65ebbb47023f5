//! Where knocks come in: connections on decoys in `connect` mode, silently dropped probes in `closed` mode.

pub mod decoy;
pub mod nflog;
mod packet;

pub use packet::ProbeSeen;
