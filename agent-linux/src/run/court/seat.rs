//! Where a policy sits: its module, which a newer one may replace between two events, the numbers that it keeps, and what waits
//! for it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use knockgate_policy_host::{Cause, Decision, Event, InLine, Policy, StateStore};

use crate::audit::Opinion;
use crate::control::ModuleInForce;
use crate::run::policy::Loaded;

use super::docket::Docket;

/// Knocks that a policy which has failed to decide one in line is spared the next attempt: then even one that never can costs less
/// than a hundredth of a thread's way for each.
const SPARED: u32 = 1000;

/// A policy in use.
pub(in crate::run) struct Chair {
    name: Arc<str>,
    in_use: RwLock<Arc<InUse>>,
    state: Arc<dyn StateStore>,
}

/// A module, and how it decides in line, if it can.
struct InUse {
    policy: Arc<Policy>,
    /// Of its file; none if it is built in.
    sha256: Option<String>,
    in_line: Option<Mutex<InLine>>,
    /// Knocks that are left to its thread before it is tried in line again.
    spared: AtomicU32,
}

/// A policy and its queue; who has the turn there asks it: so its decisions are made one after the other.
pub(super) struct Seat<T> {
    pub(super) chair: Arc<Chair>,
    pub(super) docket: Docket<T>,
}

/// A module that is ready to decide in a chair where another one still does.
pub(in crate::run) struct Successor {
    chair: Arc<Chair>,
    in_use: Arc<InUse>,
}

/// It is not the policy's turn, or it needs longer.
pub(super) struct Later;

impl<T> Seat<T> {
    pub(super) fn new(chair: Arc<Chair>) -> Arc<Self> {
        Arc::new(Self { chair, docket: Docket::default() })
    }

    /// What the policy says, if it can say so at once; `None` if a new module has taken the place of the one that wanted to be asked.
    ///
    /// # Errors
    /// [`Later`]; nothing has happened then.
    pub(super) fn ask_at_once(&self, event: &Event) -> Result<Option<Opinion>, Later> {
        let in_use = self.chair.in_use();
        let in_line = in_use.in_line().ok_or(Later)?;
        let _turn = self.docket.turn().ok_or(Later)?;
        let Some(cause) = in_use.policy.asked_as(event.cause) else { return Ok(None) };
        let (begun, event) = (Instant::now(), Event { cause, ..event.clone() });
        let decided = in_line.lock().unwrap_or_else(PoisonError::into_inner).decide(&event, InLine::FUEL);
        let Some(said) = decided else {
            in_use.spared.store(SPARED, Ordering::Relaxed);
            return Err(Later);
        };
        Ok(Some(self.chair.opinion(cause, said, begun)))
    }
}

impl Chair {
    pub(in crate::run) fn new(loaded: Loaded, state: Arc<dyn StateStore>) -> Arc<Self> {
        let (name, in_use) = (loaded.policy.name().into(), InUse::new(loaded, &state));
        Arc::new(Self { name, in_use: RwLock::new(Arc::new(in_use)), state })
    }

    pub(in crate::run) fn name(&self) -> &str {
        &self.name
    }

    /// From the next event on, this one decides. A decision that is being made is not disturbed.
    pub(in crate::run) fn replace(self: &Arc<Self>, loaded: Loaded) {
        self.successor(loaded).take_over();
    }

    /// Makes everything ready for a module that shall decide later.
    pub(in crate::run) fn successor(self: &Arc<Self>, loaded: Loaded) -> Successor {
        let in_use = InUse::new(loaded, &self.state);
        if let Some(in_line) = &in_use.in_line {
            in_line.lock().unwrap_or_else(PoisonError::into_inner).prepare();
        }
        Successor { chair: Arc::clone(self), in_use: Arc::new(in_use) }
    }

    fn in_use(&self) -> Arc<InUse> {
        // What is behind the lock is one pointer: no panic leaves half of it.
        Arc::clone(&self.in_use.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What decides in it now.
    pub(super) fn module(&self) -> ModuleInForce {
        let in_use = self.in_use();
        ModuleInForce {
            policy: self.name().to_owned(),
            title: in_use.policy.title().to_owned(),
            sha256: in_use.sha256.clone(),
            shadow: false,
        }
    }

    /// Whether it wants to be asked about this.
    pub(super) fn wants(&self, cause: Cause) -> bool {
        self.in_use().policy.asked_as(cause).is_some()
    }

    /// What it says; `None` if it does not want to be asked about this.
    pub(super) fn ask(&self, event: &Event) -> Option<Opinion> {
        let policy = Arc::clone(&self.in_use().policy);
        let cause = policy.asked_as(event.cause)?;
        let (begun, event) = (Instant::now(), Event { cause, ..event.clone() });
        Some(self.opinion(cause, policy.decide(&event, &self.state), begun))
    }

    /// Made by the clock, so that the log can say how long it took.
    fn opinion(&self, cause: Cause, said: Decision, begun: Instant) -> Opinion {
        Opinion { policy: Arc::clone(&self.name), cause, said, took: begun.elapsed() }
    }

    /// Makes the instance for the next decision in line.
    pub(super) fn prepare(&self) {
        let in_use = self.in_use();
        if let Some(in_line) = &in_use.in_line {
            in_line.lock().unwrap_or_else(PoisonError::into_inner).prepare();
        }
    }
}

impl Successor {
    /// From the next event on, it decides. A decision that is being made is not disturbed.
    pub(in crate::run) fn take_over(self) {
        *self.chair.in_use.write().unwrap_or_else(PoisonError::into_inner) = self.in_use;
    }
}

impl InUse {
    fn new(loaded: Loaded, state: &Arc<dyn StateStore>) -> Self {
        let Loaded { policy, sha256 } = loaded;
        let policy = Arc::new(policy);
        let in_line = InLine::new(Arc::clone(&policy), Arc::clone(state)).map(Mutex::new);
        Self { policy, sha256, in_line, spared: AtomicU32::new(0) }
    }

    /// Unless it can never, or is spared this time.
    fn in_line(&self) -> Option<&Mutex<InLine>> {
        let in_line = self.in_line.as_ref()?;
        let left = |left: u32| left.checked_sub(1);
        let is_spared = self.spared.try_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok();
        (!is_spared).then_some(in_line)
    }
}

#[cfg(test)]
mod tests {
    use knockgate_policy_host::{Capabilities, HostKind, MemoryState, PolicyEngine, Profile, Rights};

    use super::*;

    #[test]
    fn a_policy_that_needs_longer_is_tried_once_in_a_thousand_knocks_and_a_new_module_at_once() {
        let endless = "(loop $again (br $again)) (unreachable)";
        let chair = Chair::new(policy(endless), Arc::new(MemoryState::default()));
        let seat = Seat::<()>::new(Arc::clone(&chair));
        let knock = Event::new(Cause::Packet, HostKind::Linux);
        let is_tried = || {
            assert!(seat.ask_at_once(&knock).is_err());
            assert!(seat.docket.turn().is_some(), "it is its thread's turn");
            chair.in_use().spared.load(Ordering::Relaxed) == SPARED
        };
        for knock in 0..2002 {
            assert_eq!(is_tried(), knock % 1001 == 0, "knock {knock}");
        }
        assert!(is_tried());
        chair.replace(policy(endless));
        assert!(is_tried());
        chair.replace(policy("(i32.const 1)"));
        for _ in 0..3 {
            assert!(seat.ask_at_once(&knock).is_ok_and(|said| said.is_some()));
        }
    }

    fn policy(body: &str) -> Loaded {
        let module = wat::parse_str(format!(
            r#"(module
              (@custom "knockgate.manifest" "abi=1.0\0aname=p\0acauses=packet\0a")
              (func (export "decide") (result i32) {body}))"#
        ));
        let engine = PolicyEngine::new(Profile::Server, Capabilities::ALL).unwrap();
        let policy = engine.load("p", &module.unwrap(), &Rights::default()).unwrap();
        Loaded { policy, sha256: None }
    }
}
