//! The laws of the gate, one sentence each, told by a scripted host.

mod bench;

mod exchange;
mod grants;
mod holds;
mod lockout;
mod policy;
mod probes;
mod status;
mod tables;
mod timeouts;
