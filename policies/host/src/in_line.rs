//! Decisions in line: made at once by whoever has the event, on his own thread, in an instance that was there before it.
//!
//! A thread of its own costs a small policy several times what it takes to decide, and a clock that watches it is one more thread to
//! wake. In line neither is needed: fuel and memory alone bound the time, to a fraction of a millisecond whatever it does. What
//! needs more is not decided here, and nothing of the attempt is left, so it can be decided by [`Policy::decide`] as if nobody had
//! tried. What is decided here is the same as there: verdict, actions, lines, fuel.
//!
//! Nobody is kept waiting for a disk either: a decision that has to store something is not made in line.

#[cfg(feature = "compile")]
mod instances;

#[cfg(feature = "compile")]
use alloc::boxed::Box;
use alloc::sync::Arc;

use knockgate_policy_abi::limits::IN_LINE_FUEL;

use crate::native::{self, Decide};
use crate::policy::Code;
use crate::{Decision, Event, Policy, StateStore};

#[cfg(feature = "compile")]
pub(crate) use instances::Fitness;

/// A policy that decides in line, with what its next decision is made in once [`InLine::prepare`] has made it.
pub struct InLine(Way);

enum Way {
    Native {
        decide: Decide,
        policy: Arc<Policy>,
        state: Arc<dyn StateStore>,
    },
    #[cfg(feature = "compile")]
    Sandboxed(Box<instances::Instances>),
}

impl InLine {
    /// What a decision in line may cost.
    pub const FUEL: u64 = IN_LINE_FUEL;

    /// `None` if the policy is none for it: a component, or a module so large that its instances take longer than its decisions.
    #[must_use]
    pub fn new(policy: Arc<Policy>, state: Arc<dyn StateStore>) -> Option<Self> {
        match policy.code() {
            Code::Native(decide) => Some(Self(Way::Native { decide: *decide, policy, state })),
            #[cfg(feature = "compile")]
            Code::Sandboxed(_) => {
                instances::Instances::of(policy, state).map(|of| Self(Way::Sandboxed(Box::new(of))))
            }
            #[cfg(all(feature = "engine", not(feature = "compile")))]
            Code::Sandboxed(_) => None,
        }
    }

    /// Makes what the next decision is made in, if it is not there. Who waits for a decision should not wait for this.
    pub fn prepare(&mut self) {
        match &mut self.0 {
            Way::Native { .. } => {}
            #[cfg(feature = "compile")]
            Way::Sandboxed(instances) => instances.prepare(),
        }
    }

    /// Decides with less than so much fuel. `None` if that is not enough, or if something has to be stored; then nothing has
    /// happened. Allocates nothing if everything is prepared and the policy does not fail.
    #[must_use]
    #[cfg_attr(not(feature = "compile"), expect(unused_variables, reason = "what is native costs none"))]
    pub fn decide(&mut self, event: &Event, fuel: u64) -> Option<Decision> {
        match &mut self.0 {
            Way::Native { decide, policy, state } => {
                native::run_without_store(*decide, policy.transaction(event.clone(), state))
            }
            #[cfg(feature = "compile")]
            Way::Sandboxed(instances) => instances.decide(event, fuel),
        }
    }
}
