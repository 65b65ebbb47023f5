//! Runs policies: the sandbox between a WebAssembly module that decides and a host that acts.
//!
//! A policy sees one event, pulls what it needs, queues what it wants done and returns a verdict. Nothing of it happens
//! unless the verdict is *commit*: a trap, exhausted fuel, a missed deadline, refused memory or any unknown answer denies and
//! says which policy failed where. Every event gets a fresh instance, so one decision cannot leave anything behind for the
//! next but what it stores through the `state` interface.
//!
//! Rights are what the manifest asks for *and* the configuration grants *and* the host supports; [`Transaction`] checks every
//! act against them, whatever engine runs the code. What this crate does not do: read files, carry out actions, verify
//! signatures, order several policies. Rule: `docs/policies.md`.
//!
//! Without `std` it compiles for a microcontroller that runs modules compiled ahead (`precompiled`); there fuel alone bounds
//! the time.
#![cfg_attr(not(feature = "std"), no_std)]
// Allowed in `sys.rs`, and only there.
#![deny(unsafe_code)]

extern crate alloc;

mod border;
pub mod builtin;
#[cfg(feature = "component")]
mod component;
mod decision;
mod demands;
mod engine;
mod event;
mod fact;
mod failure;
#[cfg(feature = "gate")]
pub mod gate;
mod imports;
#[cfg(feature = "compile")]
mod in_line;
#[cfg(feature = "component")]
mod inert;
#[cfg(feature = "compile")]
mod inspect;
mod load_error;
mod needs;
pub mod parameter;
mod policy;
#[cfg(feature = "pulley")]
pub mod precompiled;
#[cfg(feature = "record")]
pub mod record;
mod rights;
mod rights_file;
#[cfg(feature = "second-engine")]
pub mod second;
mod settings;
#[cfg(feature = "signature")]
pub mod signature;
#[cfg(feature = "signing")]
pub mod signing;
#[cfg(feature = "std")]
mod spent;
mod state;
#[cfg(feature = "pulley")]
mod sys;
#[cfg(feature = "std")]
mod ticker;
mod transaction;
mod wasi;

pub use decision::{Action, Answer, Decision, LogLine, RefusedAct, Verdict};
#[cfg(all(feature = "compile", feature = "pulley"))]
pub use engine::Execution;
pub use engine::{EngineError, PolicyEngine, Profile};
pub use event::{Book, Client, Event, Grant, LocalTime, Request, Source, Text, text};
pub use fact::Fact;
pub use failure::{Failure, Place, TrapKind};
#[cfg(feature = "compile")]
pub use in_line::InLine;
pub use load_error::LoadError;
pub use parameter::{Parameter, ParameterError};
pub use policy::Policy;
pub use rights::{EffectiveRights, Rights, ServiceRight};
pub use rights_file::RightsUnreadable;
#[cfg(feature = "std")]
pub use state::MemoryState;
pub use state::{StateError, StateStore};
pub use transaction::Transaction;
pub use wasi::Wasi;

pub use knockgate_policy_abi::{
    Capabilities, Capability, Cause, HostKind, LogLevel, Manifest, ParameterKind, Refusal, Version,
};
