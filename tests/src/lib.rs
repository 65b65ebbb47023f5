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
//! A gateway's lab differs at the right end: a gateway has 10.77.1.2, and behind it the inner host has 10.77.1.10 in the same
//! subnet, with the router as its way to everybody:
//!
//! ```text
//!  ... net 10.77.1.1 ── outer port, box with the gateway 10.77.1.2, inner port ── 10.77.1.10 inner
//! ```
//!
//! Sockets belong to the namespace in which they were made, so a test enters a host with [`Host::inside`] and uses
//! plain sockets; programs are started there with [`Host::command`].

pub mod authenticators;
pub mod capture;
pub mod clients;
pub mod clocks;
pub mod counted;
pub mod forgery;
pub mod gates;
pub mod gateways;
pub mod harness;
pub mod installed;
pub mod knockd;
pub mod network;
pub mod packets;
pub mod peers;
pub mod pings;
pub mod programs;
pub mod sandbox;
pub mod scenarios;
pub mod scenes;
pub mod scrapes;
pub mod sequences;
pub mod terminals;
pub mod tracing;
pub mod waiting;
pub mod workshop;

pub use network::{Family, Host, Lab};
