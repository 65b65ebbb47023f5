//! Where a policy sits: its module, which a newer one may replace between two events, the numbers that it keeps, and what waits
//! for it.

use std::sync::{Arc, PoisonError, RwLock};

use knockgate_policy_host::{Cause, Event, Policy, StateStore};

use super::case::Opinion;
use super::docket::Docket;

/// A policy in use.
pub(in crate::run) struct Chair {
    name: String,
    policy: RwLock<Arc<Policy>>,
    state: Arc<dyn StateStore>,
}

/// A policy and its queue, which one thread works off: so its decisions are made one after the other.
pub(super) struct Seat<T> {
    pub(super) chair: Arc<Chair>,
    pub(super) docket: Docket<T>,
}

impl<T> Seat<T> {
    pub(super) fn new(chair: Arc<Chair>) -> Arc<Self> {
        Arc::new(Self { chair, docket: Docket::default() })
    }
}

impl Chair {
    pub(in crate::run) fn new(policy: Policy, state: Arc<dyn StateStore>) -> Arc<Self> {
        let name = policy.name().to_owned();
        Arc::new(Self { name, policy: RwLock::new(Arc::new(policy)), state })
    }

    pub(in crate::run) fn name(&self) -> &str {
        &self.name
    }

    /// From the next event on, this one decides. A decision that is being made is not disturbed.
    pub(in crate::run) fn replace(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    fn policy(&self) -> Arc<Policy> {
        // What is behind the lock is one pointer: no panic leaves half of it.
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it wants to be asked about this.
    pub(super) fn wants(&self, cause: Cause) -> bool {
        self.policy().asked_as(cause).is_some()
    }

    /// What it says; `None` if it does not want to be asked about this.
    pub(super) fn ask(&self, event: &Event) -> Option<Opinion> {
        let policy = self.policy();
        let event = Event { cause: policy.asked_as(event.cause)?, ..event.clone() };
        Some(Opinion::of(&self.name, &event, |event| policy.decide(event, &self.state)))
    }
}
