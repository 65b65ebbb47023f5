//! The Knockgate gateway: a box with two Ethernet ports that hides what stands behind it.
//!
//! The outer port faces everybody, the inner one the machines to protect. This library is the gateway without a board: it
//! drives the same [`Gate`](knockgate_core::Gate) as the Linux agent over two smoltcp [devices](smoltcp::phy::Device). It
//! has no clock and no thread; its host calls [`Gateway::poll`] when a frame has come or the deadline of the last call has
//! passed.
//!
//! Where a frame enters, is checked and passes, in reading order:
//!
//! 1. `frame` reads what came in at the outer port,
//! 2. `front` is the gateway's own address: it decides which frames the TCP stack may see at all, so that strangers are
//!    met with silence instead of resets and unreachables; `packets` takes messages in datagrams and answers them,
//! 3. `connections` holds the sockets of the central port, the decoys and the console, made on demand from fixed pools,
//! 4. `works` carries what they hear to the core and the core's actions to the [`environment`] and the [`filter`],
//! 5. `bridge` lets everything else through or not: what was begun inside, and what a grant covers; `flows`, `fragments` and
//!    `dhcp` are its memory.
//!
//! What the [`environment`] is, in the same order: [`court`] asks the site's policies, [`audit`] writes down what has happened, and
//! [`console`] tells it to whoever may ask from afar.
//!
//! The heap is used while a gateway is made: every table has the size that [`limits`] gives it. Afterwards only a policy takes some,
//! for as long as it decides.
//!
//! Left out, and therefore dropped on the way in: a second VLAN tag, encrypted packets (IPsec), protocols other than TCP, UDP and
//! echoes, and datagrams to groups. Everything passes on the way out. The gateway's own network has no VLAN tag, and it answers at its
//! outer port alone, so nobody can knock from inside.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod audit;
pub mod board;
pub mod boot;
mod bridge;
pub mod calendar;
mod clock;
pub mod config;
mod connections;
pub mod console;
mod conversation;
pub mod court;
mod dhcp;
pub mod environment;
pub mod filter;
mod flows;
mod fragments;
mod frame;
mod front;
mod gateway;
mod groups;
mod heap;
mod jam;
mod json;
pub mod limits;
pub mod machine;
pub mod names;
mod packets;
pub mod refusals;
pub mod ring;
mod shut;
pub mod site;
mod stamp;
pub mod storage;
pub mod update;
mod watched;
mod works;

pub use config::{Config, ConfigError, GuardedService};
pub use environment::{Decide, Environment, Journal, Operate, Store};
pub use filter::{Filter, Target};
pub use gateway::{Gate, Gateway};
pub use shut::ShutGateway;
