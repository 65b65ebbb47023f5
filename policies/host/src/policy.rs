//! A loaded policy, ready to decide.

use alloc::string::String;
use alloc::sync::Arc;

use knockgate_policy_abi::limits::Limits;
use knockgate_policy_abi::{Capabilities, Cause, Causes, Manifest, interface};
use wasmtime::{Engine, InstancePre, Result, Store};

use crate::border;
use crate::imports::{Call, Growth};
#[cfg(feature = "compile")]
use crate::in_line::Fitness;
use crate::{Decision, EffectiveRights, Event, Failure, StateStore, Transaction};

/// A loaded policy.
pub struct Policy {
    name: String,
    title: String,
    code: Code,
    rights: Arc<EffectiveRights>,
    limits: Limits,
    causes: Causes,
    withheld: Capabilities,
    #[cfg(feature = "std")]
    ticker: Option<Arc<crate::ticker::Ticker>>,
    #[cfg(feature = "compile")]
    fitness: Fitness,
}

// One engine serves every thread of an agent.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Policy>();
    shared::<crate::PolicyEngine>();
};

/// What runs, linked and ready to be instantiated.
pub(crate) enum Code {
    Module(InstancePre<Call>),
    #[cfg(feature = "component")]
    Component(wasmtime::component::InstancePre<Call>),
}

pub(crate) struct Parts<'a> {
    pub(crate) name: String,
    pub(crate) code: Code,
    pub(crate) manifest: &'a Manifest<'a>,
    pub(crate) rights: Arc<EffectiveRights>,
    pub(crate) limits: Limits,
    #[cfg(feature = "std")]
    pub(crate) ticker: Option<Arc<crate::ticker::Ticker>>,
}

impl Policy {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        let Parts { manifest, rights, mut limits, .. } = parts;
        // What the author promises to need is held against him: a policy that runs away stops sooner.
        limits.fuel = manifest.fuel.unwrap_or(limits.fuel);
        limits.pages = manifest.pages.unwrap_or(limits.pages);
        Self {
            name: parts.name,
            title: title(manifest),
            code: parts.code,
            limits,
            causes: manifest.causes,
            withheld: manifest.capabilities.without(rights.capabilities()),
            rights,
            #[cfg(feature = "std")]
            ticker: parts.ticker,
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
        match &self.code {
            Code::Module(pre) => Some(pre),
            #[cfg(feature = "component")]
            Code::Component(_) => None,
        }
    }

    /// A decision about `event` that has not begun.
    pub(crate) fn transaction(&self, event: Event, state: &Arc<dyn StateStore>) -> Transaction {
        Transaction::new(event, Arc::clone(&self.rights), Arc::clone(state), self.limits)
    }

    /// The host's name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name and version by its own manifest.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether it wants to be asked about this.
    #[must_use]
    pub fn wants(&self, cause: Cause) -> bool {
        self.causes.has(cause)
    }

    /// The cause under which it is asked about something; `None` if it does not want to be. One that makes no difference between
    /// keeping and opening judges the one as the other.
    #[must_use]
    pub fn asked_as(&self, cause: Cause) -> Option<Cause> {
        let asked = match cause {
            Cause::Renew if !self.wants(Cause::Renew) => Cause::Packet,
            Cause::Sequence
            | Cause::Packet
            | Cause::Renew
            | Cause::Close
            | Cause::Expiry
            | Cause::Lockout
            | Cause::FailedAttempt
            | Cause::StartUp => cause,
        };
        self.wants(asked).then_some(asked)
    }

    /// What it may do here.
    #[must_use]
    pub fn rights(&self) -> &EffectiveRights {
        &self.rights
    }

    /// What its manifest asks for and it does not get: worth a line when it is loaded.
    #[must_use]
    pub fn withheld(&self) -> Capabilities {
        self.withheld
    }

    /// Its limits: the profile's, lowered by the manifest.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Decides about one event in a fresh instance. Never panics and never takes longer than the limits allow; whatever goes
    /// wrong denies. What the policy stored is committed to `state` before this returns.
    #[must_use]
    pub fn decide(&self, event: &Event, state: &Arc<dyn StateStore>) -> Decision {
        let mut store = self.store(event, state);
        let outcome = self.run(&mut store);
        self.finish(store, outcome)
    }

    /// Everything that a decision works with. By itself, so that its parts are not on the stack any more when the policy runs.
    #[inline(never)]
    fn store(&self, event: &Event, state: &Arc<dyn StateStore>) -> Store<Call> {
        let transaction = self.transaction(event.clone(), state);
        let growth = Growth::within(&self.limits);
        Store::new(self.code.engine(), Call { transaction, growth })
    }

    /// What came of it. By itself, as [`Policy::store`].
    #[inline(never)]
    fn finish(&self, store: Store<Call>, outcome: Result<u32>) -> Decision {
        let outcome =
            outcome.map_err(|error| Failure::from_error(&error, self.limits.fuel, self.limits.deadline_ms));
        let fuel = self.limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        store.into_data().transaction.finish(outcome, fuel)
    }

    fn run(&self, store: &mut Store<Call>) -> Result<u32> {
        store.limiter(|call| &mut call.growth);
        store.set_fuel(self.limits.fuel)?;
        #[cfg(feature = "std")]
        let _watch = self.arm(store);
        match &self.code {
            Code::Module(pre) => decide(pre, store),
            #[cfg(feature = "component")]
            Code::Component(pre) => crate::component::decide(pre, store),
        }
    }

    #[cfg(feature = "std")]
    fn arm(&self, store: &mut Store<Call>) -> Option<crate::ticker::Watch<'_>> {
        use crate::{spent::Spent, ticker::Ticker};
        use core::time::Duration;
        use wasmtime::UpdateDeadline;

        let (ticker, deadline) = (self.ticker.as_ref()?, self.limits.deadline_ms?);
        let watch = ticker.watch();
        let ticks = Ticker::ticks(deadline);
        let (spent, limit) = (Spent::nothing(), Duration::from_millis(deadline.into()));
        store.set_epoch_deadline(ticks);
        // The clock also ticks while this thread waits for a processor, which is not the policy's fault.
        store.epoch_deadline_callback(move |_| {
            let is_over = spent.so_far() >= limit;
            Ok(if is_over { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) })
        });
        Some(watch)
    }
}

impl Code {
    fn engine(&self) -> &Engine {
        match self {
            Code::Module(pre) => pre.module().engine(),
            #[cfg(feature = "component")]
            Code::Component(pre) => pre.engine(),
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

fn title(manifest: &Manifest<'_>) -> String {
    match manifest.version {
        "" => manifest.name.into(),
        version => alloc::format!("{} {version}", manifest.name),
    }
}

#[cfg(all(test, feature = "compile"))]
mod tests {
    use knockgate_policy_abi::HostKind;
    use knockgate_policy_abi::limits::SERVER;

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
