//! A policy's code in the engine: a fresh instance for every event, bounded by fuel, memory and the clock.

use alloc::sync::Arc;

use knockgate_policy_abi::interface;
use knockgate_policy_abi::limits::Limits;
use wasmtime::{Engine, InstancePre, Result, Store};

use crate::border;
use crate::imports::{Call, Growth};
#[cfg(feature = "compile")]
use crate::in_line::Fitness;
use crate::{Decision, Event, Failure, Policy, StateStore};

/// A policy's code, and who watches it.
pub(crate) struct Sandbox {
    guest: Guest,
    #[cfg(feature = "std")]
    ticker: Option<Arc<crate::ticker::Ticker>>,
    #[cfg(feature = "compile")]
    fitness: Fitness,
}

/// What runs, linked and ready to be instantiated.
pub(crate) enum Guest {
    Module(InstancePre<Call>),
    #[cfg(feature = "component")]
    Component(wasmtime::component::InstancePre<Call>),
}

impl Sandbox {
    pub(crate) fn new(
        guest: Guest,
        #[cfg(feature = "std")] ticker: Option<Arc<crate::ticker::Ticker>>,
    ) -> Self {
        Self {
            guest,
            #[cfg(feature = "std")]
            ticker,
            #[cfg(feature = "compile")]
            fitness: Fitness::Unfit,
        }
    }

    #[cfg(feature = "compile")]
    pub(crate) fn with_fitness(self, fitness: Fitness) -> Self {
        Self { fitness, ..self }
    }

    /// How it can decide in line.
    #[cfg(feature = "compile")]
    pub(crate) fn fitness(&self) -> Fitness {
        self.fitness
    }

    /// What its instances are made of, unless it is a component.
    #[cfg(feature = "compile")]
    pub(crate) fn module(&self) -> Option<&InstancePre<Call>> {
        match &self.guest {
            Guest::Module(pre) => Some(pre),
            #[cfg(feature = "component")]
            Guest::Component(_) => None,
        }
    }

    /// Decides in a fresh instance. Whatever goes wrong denies.
    pub(crate) fn decide(&self, policy: &Policy, event: &Event, state: &Arc<dyn StateStore>) -> Decision {
        let mut store = self.store(policy, event, state);
        let outcome = self.run(&mut store, policy.limits());
        finish(store, outcome, policy.limits())
    }

    /// Everything that a decision works with. By itself, so that its parts are not on the stack any more when the policy runs.
    #[inline(never)]
    fn store(&self, policy: &Policy, event: &Event, state: &Arc<dyn StateStore>) -> Store<Call> {
        let transaction = policy.transaction(event.clone(), state);
        Store::new(self.guest.engine(), Call { transaction, growth: Growth::within(policy.limits()) })
    }

    fn run(&self, store: &mut Store<Call>, limits: &Limits) -> Result<u32> {
        store.limiter(|call| &mut call.growth);
        store.set_fuel(limits.fuel)?;
        #[cfg(feature = "std")]
        let _watch = self.arm(store, limits);
        match &self.guest {
            Guest::Module(pre) => decide(pre, store),
            #[cfg(feature = "component")]
            Guest::Component(pre) => crate::component::decide(pre, store),
        }
    }

    #[cfg(feature = "std")]
    fn arm(&self, store: &mut Store<Call>, limits: &Limits) -> Option<crate::ticker::Watch<'_>> {
        use crate::{spent::Spent, ticker::Ticker};
        use core::time::Duration;
        use wasmtime::UpdateDeadline;

        let (ticker, deadline) = (self.ticker.as_ref()?, limits.deadline_ms?);
        let watch = ticker.watch();
        let (spent, limit) = (Spent::nothing(), Duration::from_millis(deadline.into()));
        store.set_epoch_deadline(Ticker::ticks(deadline));
        // The clock also ticks while this thread waits for a processor, which is not the policy's fault.
        store.epoch_deadline_callback(move |_| {
            let is_over = spent.so_far() >= limit;
            Ok(if is_over { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        Some(watch)
    }
}

/// What came of it. By itself, as [`Sandbox::store`].
#[inline(never)]
fn finish(store: Store<Call>, outcome: Result<u32>, limits: &Limits) -> Decision {
    let outcome = outcome.map_err(|error| Failure::from_error(&error, limits.fuel, limits.deadline_ms));
    let fuel = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    store.into_data().transaction.finish(outcome, fuel)
}

impl Guest {
    fn engine(&self) -> &Engine {
        match self {
            Guest::Module(pre) => pre.module().engine(),
            #[cfg(feature = "component")]
            Guest::Component(pre) => pre.engine(),
        }
    }
}

fn decide(pre: &InstancePre<Call>, store: &mut Store<Call>) -> Result<u32> {
    let instance = pre.instantiate(&mut *store)?;
    // Languages with constructors before `main` put them there. It counts as part of the decision.
    if let Some(prepare) = instance.get_func(&mut *store, border::INITIALIZE) {
        prepare.typed::<(), ()>(&mut *store)?.call(&mut *store, ())?;
    }
    let decide = instance.get_typed_func::<(), u32>(&mut *store, interface::DECIDE)?;
    decide.call(store, ())
}

#[cfg(all(test, feature = "compile"))]
mod tests {
    use knockgate_policy_abi::limits::SERVER;
    use knockgate_policy_abi::{Capabilities, Cause, HostKind};

    use super::*;
    use crate::{MemoryState, PolicyEngine, Profile, Rights, Verdict};

    const ENDLESS: &str = r#"(module
        (@custom "knockgate.manifest" "abi=1.0\0aname=endless\0a")
        (func (export "decide") (result i32) (loop $again (br $again)) (unreachable)))"#;

    #[test]
    fn the_clock_stops_what_fuel_would_not_and_does_so_again() {
        let limits = Limits { fuel: u64::MAX / 2, ..SERVER };
        let engine = PolicyEngine::with_limits(Profile::Server, limits, Capabilities::ALL).unwrap();
        let module = wat::parse_str(ENDLESS).unwrap();
        let policy = engine.load("endless", &module, &Rights::default()).unwrap();
        let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
        let event = Event::new(Cause::Sequence, HostKind::Linux);

        for _ in 0..3 {
            let decision = policy.decide(&event, &state);
            assert_eq!(decision.verdict, Verdict::Deny);
            assert!(
                matches!(decision.failure, Some(Failure::Deadline { limit_ms: 20, .. })),
                "{:?}",
                decision.failure
            );
        }
    }
}
