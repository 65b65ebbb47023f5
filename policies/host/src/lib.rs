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
//! Without the feature `engine` nothing is left that could run a module, and one policy decides as a function of the program
//! ([`NativePolicies`]).
//!
//! Without `std` it compiles for a microcontroller that runs modules compiled ahead (`precompiled`); there fuel alone bounds
//! the time.
#![cfg_attr(not(feature = "std"), no_std)]
// Allowed in `sys.rs`, and only there.
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(feature = "engine")]
mod border;
pub mod builtin;
#[cfg(feature = "component")]
mod component;
mod decision;
mod demands;
#[cfg(feature = "engine")]
mod engine;
mod event;
mod fact;
mod failure;
#[cfg(feature = "gate")]
pub mod gate;
#[cfg(feature = "engine")]
mod imports;
#[cfg(feature = "std")]
mod in_line;
#[cfg(feature = "component")]
mod inert;
#[cfg(feature = "compile")]
mod inspect;
mod load_error;
mod native;
#[cfg(feature = "engine")]
mod needs;
pub mod parameter;
mod policy;
#[cfg(feature = "pulley")]
pub mod precompiled;
mod profile;
#[cfg(feature = "record")]
pub mod record;
mod rights;
mod rights_file;
#[cfg(feature = "engine")]
mod sandbox;
#[cfg(feature = "second-engine")]
pub mod second;
#[cfg(feature = "engine")]
mod settings;
#[cfg(feature = "signature")]
pub mod signature;
#[cfg(feature = "signing")]
pub mod signing;
#[cfg(all(feature = "engine", feature = "std"))]
mod spent;
mod state;
#[cfg(feature = "pulley")]
mod sys;
#[cfg(all(feature = "engine", feature = "std"))]
mod ticker;
mod transaction;
#[cfg(feature = "engine")]
mod wasi;

pub use decision::{Action, Answer, Decision, LogLine, RefusedAct, Verdict};
#[cfg(feature = "engine")]
pub use engine::{EngineError, PolicyEngine};
pub use event::{Book, Client, Event, Grant, LocalTime, Request, Source, Text, text};
pub use fact::Fact;
pub use failure::{Failure, Place, TrapKind};
#[cfg(feature = "std")]
pub use in_line::InLine;
pub use load_error::LoadError;
pub use native::NativePolicies;
pub use parameter::{Parameter, ParameterError};
pub use policy::Policy;
pub use profile::{Execution, Profile};
pub use rights::{EffectiveRights, Rights, ServiceRight, Wasi};
pub use rights_file::RightsUnreadable;
#[cfg(feature = "std")]
pub use state::MemoryState;
pub use state::{StateError, StateStore};
pub use transaction::Transaction;

pub use knockgate_policy_abi::{
    Capabilities, Capability, Cause, HostKind, LogLevel, Manifest, ParameterKind, Refusal, Version,
};
