//! Components: policies in languages whose tools make nothing smaller. A server takes them, a gateway does not.
//!
//! A component imports the interfaces of `policy.wit` by name and exports `decide`; its manifest is a custom section at the
//! outermost level. It is bound to the same [`crate::Transaction`] as a module and has the same fuel, deadline and memory. What
//! else it imports is answered by `inert.rs`, where the configuration allows it.

use alloc::string::String;

use knockgate_policy_abi::interface::{self, ACT, EVENT, JOURNAL, STATE};
use knockgate_policy_abi::limits::{HOST_CALL_FUEL, Limits, MAX_LOG_BYTES};
use knockgate_policy_abi::{Head, Manifest};
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{
    Component, ComponentType, InstancePre, Linker, LinkerInstance, Lower, Type, WasmStr,
};
use wasmtime::{Engine, Result, Store, StoreContextMut};

use crate::border::{Answer, Rules};
use crate::imports::{Call, take};
use crate::needs::Needs;
use crate::{LoadError, Transaction, inert};

/// Most bytes that one call of the host may hand over. A line for the operator has at most 120; the rest is for a language
/// that pads.
const CALL_BYTES: usize = 64 * 1024;
/// Most resources that a component may hold: streams and the like of an operating system that is not there.
const HANDLES: usize = 256;
/// Most memories of all modules of a component. What they have together is held against the limit on memory.
pub(crate) const MEMORIES: u32 = 4;
/// Most tables of all modules of a component. Its adapters have one each.
pub(crate) const TABLES: u32 = 8;
/// Most modules of a component that are there at a time.
pub(crate) const MODULES: u32 = 16;

type Guest<'a> = StoreContextMut<'a, Call>;

/// Binds everything that ABI 1.0 has.
pub(crate) fn link(engine: &Engine) -> Result<Linker<Call>> {
    let mut linker = Linker::new(engine);
    event(&mut linker.instance(EVENT)?)?;
    act(&mut linker.instance(ACT)?)?;
    linker.instance(JOURNAL)?.func_wrap("log", log)?;
    let mut state = linker.instance(STATE)?;
    state.func_wrap("load", |mut guest: Guest<'_>, (key,)| Ok((charge(&mut guest)?.load(key),)))?;
    state.func_wrap("store", |mut guest: Guest<'_>, (key, value)| {
        Ok((charge(&mut guest)?.store(key, value),))
    })?;
    Ok(linker)
}

fn event(event: &mut LinkerInstance<'_, Call>) -> Result<()> {
    event.func_wrap("attr", |mut guest: Guest<'_>, (key,)| Ok((charge(&mut guest)?.attr(key),)))?;
    event.func_wrap("has", |mut guest: Guest<'_>, (key,)| Ok((charge(&mut guest)?.has(key),)))?;
    event.func_wrap("text", |mut guest: Guest<'_>, (key, offset)| {
        Ok((charge(&mut guest)?.text(key, offset),))
    })?;
    event.func_wrap("read-head", |mut guest: Guest<'_>, ()| Ok((Record::from(charge(&mut guest)?.head()),)))
}

fn act(act: &mut LinkerInstance<'_, Call>) -> Result<()> {
    act.func_wrap("open", |mut guest: Guest<'_>, (service, seconds)| {
        Ok((charge(&mut guest)?.open(service, seconds),))
    })?;
    act.func_wrap("open-prefix", |mut guest: Guest<'_>, (service, bits, seconds)| {
        Ok((charge(&mut guest)?.open_prefix(service, bits, seconds),))
    })?;
    act.func_wrap("extend", |mut guest: Guest<'_>, (grant, seconds)| {
        Ok((charge(&mut guest)?.extend(grant, seconds),))
    })?;
    act.func_wrap("revoke", |mut guest: Guest<'_>, (grant,)| Ok((charge(&mut guest)?.revoke(grant),)))?;
    act.func_wrap("lockout", |mut guest: Guest<'_>, (seconds,)| Ok((charge(&mut guest)?.lockout(seconds),)))?;
    act.func_wrap("start", |mut guest: Guest<'_>, (unit,)| Ok((charge(&mut guest)?.start(unit),)))?;
    act.func_wrap("notify", |mut guest: Guest<'_>, (channel, code)| {
        Ok((charge(&mut guest)?.notify(channel, code),))
    })
}

/// Takes the price of a host call, which is that of a module's.
fn charge<'a>(guest: &'a mut Guest<'_>) -> Result<&'a mut Transaction> {
    take(&mut *guest, HOST_CALL_FUEL)?;
    Ok(&mut guest.data_mut().transaction)
}

fn log(mut guest: Guest<'_>, (level, message): (u32, WasmStr)) -> Result<()> {
    if !charge(&mut guest)?.wants_log() {
        return Ok(());
    }
    let message = message.to_str(&guest)?;
    let mut line = heapless::Vec::<u8, MAX_LOG_BYTES>::new();
    // What goes beyond the room is cut off there.
    let _ = line.extend_from_slice(message.as_bytes().get(..MAX_LOG_BYTES).unwrap_or(message.as_bytes()));
    guest.data_mut().transaction.log(level, &line);
    Ok(())
}

/// `head` of `policy.wit`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Record {
    time: u64,
    client: u64,
    #[component(name = "address-high")]
    address_high: u64,
    #[component(name = "address-low")]
    address_low: u64,
    cause: u32,
    service: u32,
    seconds: u32,
    failures: u32,
    grants: u32,
    bits: u32,
}

impl From<Head> for Record {
    fn from(head: Head) -> Self {
        let Head { time, client, address_high, address_low, cause, service, seconds, failures, grants, bits } =
            head;
        Self { time, client, address_high, address_low, cause, service, seconds, failures, grants, bits }
    }
}

/// Binds a component to `linker` and whatever else it imports to nothing.
pub(crate) fn bind(
    linker: &Linker<Call>,
    component: &Component,
    rules: Rules<'_>,
) -> core::result::Result<InstancePre<Call>, LoadError> {
    let mut linker = linker.clone();
    linker.allow_shadowing(true);
    let (ty, engine) = (component.component_type(), component.engine());
    check_decide(ty.get_export(engine, interface::DECIDE).map(|export| export.ty))?;
    for (name, import) in ty.imports(engine) {
        match import.ty {
            ComponentItem::ComponentInstance(instance) => {
                bind_instance(&mut linker, engine, name, &instance, rules)?;
            }
            // Types stand beside what uses them.
            ComponentItem::Type(_) => {}
            ComponentItem::ComponentFunc(_)
            | ComponentItem::CoreFunc(_)
            | ComponentItem::Module(_)
            | ComponentItem::Component(_)
            | ComponentItem::Resource(_) => return Err(LoadError::unknown_import(name, name)),
        }
    }
    linker.instantiate_pre(component).map_err(|error| LoadError::Engine(alloc::format!("{error:#}")))
}

fn bind_instance(
    linker: &mut Linker<Call>,
    engine: &Engine,
    interface: &str,
    instance: &ComponentInstance,
    rules: Rules<'_>,
) -> core::result::Result<(), LoadError> {
    let refused = |error: wasmtime::Error| LoadError::Engine(alloc::format!("{error:#}"));
    for (name, export) in instance.exports(engine) {
        let is_function = matches!(export.ty, ComponentItem::ComponentFunc(_));
        if is_function && interface::find(interface, name).is_some() {
            continue;
        }
        if matches!(export.ty, ComponentItem::Type(_)) {
            continue;
        }
        let number = match rules.answer_unknown(interface, name)? {
            Answer::NotHere => crate::border::NOT_HERE,
            Answer::Wasi | Answer::Interface => 0,
        };
        let mut place = linker.instance(interface).map_err(refused)?;
        inert::bind(&mut place, name, &export.ty, number).map_err(refused)?;
    }
    Ok(())
}

fn check_decide(export: Option<ComponentItem>) -> core::result::Result<(), LoadError> {
    let Some(item) = export else { return Err(LoadError::NoDecide) };
    let ComponentItem::ComponentFunc(ty) = item else { return Err(LoadError::DecideIsNoFunction) };
    let is_right = ty.params().len() == 0 && ty.results().eq([Type::U32]) && !ty.async_();
    if is_right { Ok(()) } else { Err(LoadError::DecideType(words(&ty))) }
}

fn words(ty: &ComponentFunc) -> String {
    if ty.async_() {
        return "async func".into();
    }
    alloc::format!("func with {} parameters and {} results", ty.params().len(), ty.results().len())
}

/// `None` when it wants modules of others.
fn needs_of(component: &Component) -> Option<Needs> {
    let needs = component.resources_required()?;
    Some(Needs {
        memories: needs.num_memories,
        pages: needs.max_initial_memory_size.unwrap_or(0),
        tables: needs.num_tables,
        table_elements: needs.max_initial_table_size.unwrap_or(0),
    })
}

/// Decides in a fresh instance.
pub(crate) fn decide(pre: &InstancePre<Call>, store: &mut Store<Call>) -> Result<u32> {
    store.set_hostcall_fuel(CALL_BYTES);
    store.set_max_component_handles(HANDLES);
    let instance = pre.instantiate(&mut *store)?;
    let decide = instance.get_typed_func::<(), (u32,)>(&mut *store, interface::DECIDE)?;
    let (verdict,) = decide.call(store, ())?;
    Ok(verdict)
}

/// Holds what a component declares against the profile and its manifest.
pub(crate) fn check(
    manifest: &Manifest<'_>,
    component: &Component,
    limits: &Limits,
) -> core::result::Result<(), LoadError> {
    let needs = needs_of(component).ok_or(LoadError::OpenComponent)?;
    needs.check_component(manifest, limits)
}
