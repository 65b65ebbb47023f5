//! Where knocks come in: connections on decoys in `connect` mode, silently dropped probes in `closed` mode, packet knocks
//! that the guard has dropped or that a socket has taken. And how packet knocks are answered.

pub mod answer;
pub mod bound;
mod bpf;
pub mod decoy;
mod dual;
mod judge;
pub(crate) mod links;
pub mod nflog;
pub mod opener;
pub(crate) mod packet;
pub mod packet_sockets;
pub mod packets;
mod ports;
mod reports;
pub(crate) mod subscription;
mod sys;
mod trouble;
pub mod watch;

pub use packet::ProbeSeen;
pub use packets::{PacketSeen, parse_message};
