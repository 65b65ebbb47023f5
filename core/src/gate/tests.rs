//! The laws of the gate, one sentence each, told by a scripted host.

mod bench;

mod confirm;
mod console;
mod exchange;
mod factor;
mod follow;
mod grants;
mod holds;
mod keys;
mod lease;
mod lockout;
mod operator;
mod packet;
mod policy;
mod prefix;
mod probes;
mod reaction;
mod reconfigure;
mod statics;
mod status;
mod tables;
mod timeouts;
