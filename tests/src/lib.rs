//! The lab: real network namespaces on one machine, with a real gate and real clients in them.
//!
//! A test program calls [`sandbox::enter`] first. That moves it into namespaces of its own, so nothing that a test
//! does touches the machine and nothing outlives the program. Each test then builds its own [`Lab`]:
//!
//! ```text
//!   client 10.77.2.2 ──┐
//!  visitor 10.77.3.2 ──┼── net (routes, IPv4 and IPv6) ── 10.77.1.2 gate 10.78.0.1 ── 10.78.0.2 inner
//! stranger 10.77.4.2 ──┘
//! ```
//!
//! Sockets belong to the namespace in which they were made, so a test enters a host with [`Host::inside`] and uses
//! plain sockets; programs are started there with [`Host::command`].

pub mod capture;
pub mod clients;
pub mod clocks;
pub mod gates;
pub mod harness;
pub mod network;
pub mod packets;
pub mod peers;
pub mod programs;
pub mod sandbox;
pub mod scenes;
pub mod tracing;
pub mod waiting;

pub use network::{Family, Host, Lab};
