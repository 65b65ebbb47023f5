//! Instances that are there before their events, and what is left of them afterwards.

use alloc::sync::Arc;

use knockgate_policy_abi::interface;
use knockgate_policy_abi::limits::{IN_LINE_FUEL, IN_LINE_MODULE_BYTES, IN_LINE_PAGES, Limits};
use knockgate_policy_abi::{Cause, HostKind};
use wasmtime::{Error, Result, Store, TypedFunc};

use crate::border;
use crate::imports::{Call, Growth, GrowthRefused};
use crate::inspect::Inspected;
use crate::policy::Code;
use crate::sandbox::Sandbox;
use crate::{Decision, Event, Failure, Policy, StateStore};

/// Far enough away that the engine's clock never reaches it, and no overflow however long that runs.
const NEVER: u64 = u64::MAX / 2;

/// A policy with the instance for its next decision, once that is made.
pub(super) struct Instances {
    policy: Arc<Policy>,
    state: Arc<dyn StateStore>,
    ready: Option<Instance>,
    /// What the last decision was made in. It is taken apart when nobody waits.
    spent: Option<Instance>,
}

/// What one decision is made in.
struct Instance {
    store: Store<Call>,
    initialize: Option<TypedFunc<(), ()>>,
    decide: TypedFunc<(), u32>,
    /// What it cost to make it: the engine copies data by instructions. It is part of the decision's.
    fuel: u64,
}

/// How a policy can decide in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// Not at all: it is a component, or so large that its instances take longer than its decisions.
    Unfit,
    /// In an instance that was there before the event.
    Ahead,
    /// In one that is made for the event: it has a start function, which may ask about that.
    OnDemand,
}

impl Fitness {
    pub(crate) fn of(module: &[u8], found: &Inspected) -> Self {
        if module.len() > IN_LINE_MODULE_BYTES || found.needs.pages > IN_LINE_PAGES.into() {
            return Self::Unfit;
        }
        if found.starts { Self::OnDemand } else { Self::Ahead }
    }
}

impl Instances {
    /// `None` if it is unfit.
    pub(super) fn of(policy: Arc<Policy>, state: Arc<dyn StateStore>) -> Option<Self> {
        let fitness = sandbox(&policy)?.fitness();
        (fitness != Fitness::Unfit).then_some(Self { policy, state, ready: None, spent: None })
    }

    pub(super) fn prepare(&mut self) {
        // First, so that the pool never holds more of a policy than it has to.
        self.spent = None;
        let is_ahead = sandbox(&self.policy).is_some_and(|sandbox| sandbox.fitness() == Fitness::Ahead);
        if self.ready.is_none() && is_ahead {
            self.ready = self.instance(nothing_yet(), self.policy.limits().fuel.min(IN_LINE_FUEL));
        }
    }

    /// `None` if so much fuel is not enough, or if something has to be stored.
    pub(super) fn decide(&mut self, event: &Event, fuel: u64) -> Option<Decision> {
        self.spent = None;
        let fuel = fuel.min(self.policy.limits().fuel);
        let mut instance = self.ready.take().or_else(|| self.instance(event.clone(), fuel))?;
        instance.store.data_mut().transaction.set_event(event);
        instance.store.set_fuel(fuel.checked_sub(instance.fuel)?).ok()?;
        let outcome = instance.run();
        let decision = self.finish(&mut instance.store, outcome, fuel);
        self.spent = Some(instance);
        decision
    }

    /// `None` if there is no room for it, or something goes wrong that [`Policy::decide`] will name.
    fn instance(&self, event: Event, fuel: u64) -> Option<Instance> {
        let (pre, limits) = (sandbox(&self.policy)?.module()?, self.limits());
        let transaction = self.policy.transaction(event, &self.state);
        let mut store =
            Store::new(pre.module().engine(), Call { transaction, growth: Growth::within(&limits) });
        store.limiter(|call| &mut call.growth);
        store.set_epoch_deadline(NEVER);
        store.set_fuel(fuel).ok()?;
        let instance = pre.instantiate(&mut store).ok()?;
        let initialize = instance.get_func(&mut store, border::INITIALIZE);
        Some(Instance {
            initialize: initialize.map(|prepare| prepare.typed(&store)).transpose().ok()?,
            decide: instance.get_typed_func(&mut store, interface::DECIDE).ok()?,
            fuel: fuel.saturating_sub(store.get_fuel().ok()?),
            store,
        })
    }

    fn limits(&self) -> Limits {
        let limits = *self.policy.limits();
        Limits { pages: limits.pages.min(IN_LINE_PAGES), ..limits }
    }

    fn finish(&self, store: &mut Store<Call>, outcome: Result<u32>, given: u64) -> Option<Decision> {
        let blank = self.policy.transaction(nothing_yet(), &self.state);
        let transaction = core::mem::replace(&mut store.data_mut().transaction, blank);
        let limits = self.policy.limits();
        // Of a policy that ends with its last fuel nobody knows whether it needed more: the engine looks at loops and calls only.
        let left = store.get_fuel().ok()?;
        let was_too_little = left == 0 && given < limits.fuel;
        let needs_more =
            was_too_little || outcome.as_ref().is_err_and(|error| grows_beyond_line(error, limits));
        if needs_more || transaction.would_store(outcome.as_ref().ok().copied()) {
            return None;
        }
        let outcome = outcome.map_err(|error| Failure::from_error(&error, limits.fuel, limits.deadline_ms));
        Some(transaction.finish(outcome, given.saturating_sub(left)))
    }
}

fn sandbox(policy: &Policy) -> Option<&Sandbox> {
    match policy.code() {
        Code::Sandboxed(sandbox) => Some(sandbox),
        Code::Native(_) => None,
    }
}

/// Whether it wanted memory that it may have elsewhere.
fn grows_beyond_line(error: &Error, limits: &Limits) -> bool {
    match error.downcast_ref::<GrowthRefused>() {
        Some(GrowthRefused::Memory { limit, .. }) => *limit < limits.pages.into(),
        Some(GrowthRefused::Table { .. }) | None => false,
    }
}

impl Instance {
    fn run(&mut self) -> Result<u32> {
        // Languages with constructors before `main` put them there. It counts as part of the decision.
        if let Some(initialize) = &self.initialize {
            initialize.call(&mut self.store, ())?;
        }
        self.decide.call(&mut self.store, ())
    }
}

/// Stands where the event will, and no policy ever sees it.
const fn nothing_yet() -> Event {
    Event::new(Cause::StartUp, HostKind::Linux)
}
