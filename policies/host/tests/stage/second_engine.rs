//! A second opinion: the same [`Transaction`] under an independent engine.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]
#![allow(unreachable_pub, reason = "included by the tests that compare")]

use std::sync::Arc;

use knockgate_policy_abi::interface::{ACT, EVENT, JOURNAL, STATE};
use knockgate_policy_host::{
    Capabilities, Decision, EffectiveRights, Event, Failure, Manifest, Profile, Rights, StateStore,
    Transaction, TrapKind,
};
use wasmi::{Caller, Config, Engine, Error, Extern, Linker, Module, Store, StoreLimits, StoreLimitsBuilder};

struct Call {
    transaction: Transaction,
    limits: StoreLimits,
}

/// Decides like `Policy::decide`. Fuel is counted differently and a failure is not told apart: any is a trap.
pub fn decide(
    module: &[u8],
    manifest: &str,
    rights: &Rights,
    event: &Event,
    state: &Arc<dyn StateStore>,
) -> Decision {
    let limits = Profile::Edge.limits();
    let manifest = Manifest::parse(manifest.as_bytes()).unwrap();
    let rights = EffectiveRights::new(&manifest, rights, Capabilities::ALL).unwrap();
    let transaction = Transaction::new(event.clone(), Arc::new(rights), Arc::clone(state), limits);

    let engine = Engine::new(Config::default().consume_fuel(true));
    let module = Module::new(&engine, module).unwrap();
    let growth = StoreLimitsBuilder::new().memory_size(64 * 1024).trap_on_grow_failure(true).build();
    let mut store = Store::new(&engine, Call { transaction, limits: growth });
    store.limiter(|call| &mut call.limits);
    store.set_fuel(limits.fuel * 10).unwrap();

    let outcome = linker(&engine)
        .instantiate_and_start(&mut store, &module)
        .and_then(|instance| instance.get_typed_func::<(), u32>(&store, "decide"))
        .and_then(|decide| decide.call(&mut store, ()));
    let failed = |_| Failure::Trap { kind: TrapKind::Other, place: None };
    store.into_data().transaction.finish(outcome.map_err(failed), 0)
}

macro_rules! bind {
    ($linker:ident, $module:ident, $name:literal, |$on:ident $(, $param:ident: $type:ty)*| $answer:expr) => {
        $linker
            .func_wrap($module, $name, |mut caller: Caller<'_, Call> $(, $param: $type)*| {
                let $on = &mut caller.data_mut().transaction;
                $answer
            })
            .unwrap();
    };
}

fn linker(engine: &Engine) -> Linker<Call> {
    let mut linker = Linker::new(engine);
    bind!(linker, EVENT, "attr", |on, key: u32| on.attr(key));
    bind!(linker, EVENT, "has", |on, key: u32| on.has(key));
    bind!(linker, EVENT, "text", |on, key: u32, offset: u32| on.text(key, offset));
    bind!(linker, ACT, "open", |on, service: u32, seconds: u32| on.open(service, seconds));
    bind!(linker, ACT, "open-prefix", |on, service: u32, bits: u32, seconds: u32| {
        on.open_prefix(service, bits, seconds)
    });
    bind!(linker, ACT, "extend", |on, grant: u64, seconds: u32| on.extend(grant, seconds));
    bind!(linker, ACT, "revoke", |on, grant: u64| on.revoke(grant));
    bind!(linker, ACT, "lockout", |on, seconds: u32| on.lockout(seconds));
    bind!(linker, ACT, "start", |on, unit: u32| on.start(unit));
    bind!(linker, ACT, "notify", |on, channel: u32, code: u32| on.notify(channel, code));
    bind!(linker, STATE, "load", |on, key: u32| on.load(key));
    bind!(linker, STATE, "store", |on, key: u32, value: u64| on.store(key, value));
    linker.func_wrap(EVENT, "read-head", read_head).unwrap();
    linker.func_wrap(JOURNAL, "log", log).unwrap();
    linker
}

fn read_head(mut caller: Caller<'_, Call>, at: u32) -> Result<(), Error> {
    let bytes = caller.data().transaction.head().encode();
    let memory = memory(&caller)?;
    memory.write(&mut caller, at as usize, &bytes).map_err(|error| Error::new(error.to_string()))
}

fn log(mut caller: Caller<'_, Call>, level: u32, at: u32, length: u32) -> Result<(), Error> {
    let mut bytes = vec![0; length as usize];
    memory(&caller)?.read(&caller, at as usize, &mut bytes).map_err(|error| Error::new(error.to_string()))?;
    let transaction = &mut caller.data_mut().transaction;
    if transaction.wants_log() {
        transaction.log(level, &bytes);
    }
    Ok(())
}

fn memory(caller: &Caller<'_, Call>) -> Result<wasmi::Memory, Error> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or_else(|| Error::new("no memory".to_owned()))
}
