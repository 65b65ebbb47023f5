//! The host's side of the interface: every import of a policy, bound to its [`Transaction`].

#[cfg(feature = "std")]
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use knockgate_policy_abi::Head;
use knockgate_policy_abi::interface::{ACT, EVENT, JOURNAL, MEMORY, STATE};
use knockgate_policy_abi::limits::{HOST_CALL_FUEL, Limits, MAX_LOG_BYTES};
use wasmtime::{
    AsContextMut, Caller, Engine, Error, ExternType, FuncType, ImportType, Linker, Memory, ResourceLimiter,
    Result, Trap, Val, ValType,
};

use crate::Transaction;
use crate::border::{self, Item, Signature, Value};

/// What an instance carries: its decision and its limits.
pub(crate) struct Call {
    pub(crate) transaction: Transaction,
    pub(crate) growth: Growth,
}

/// Limits on what may grow while a policy runs.
pub(crate) struct Growth {
    pub(crate) pages: u64,
    /// Pages of all memories: a module has one, a component may have several.
    pub(crate) pages_used: u64,
    pub(crate) table_elements: u64,
}

/// A policy wanted to grow beyond its limit. That ends the decision: code that goes on without the memory it asked for is
/// code that nobody tested.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GrowthRefused {
    Memory { pages: u64, limit: u64 },
    Table { elements: u64, limit: u64 },
}

impl core::error::Error for GrowthRefused {}

impl fmt::Display for GrowthRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GrowthRefused::Memory { pages, limit } => write!(f, "{pages} pages wanted, {limit} allowed"),
            GrowthRefused::Table { elements, limit } => {
                write!(f, "{elements} elements wanted, {limit} allowed")
            }
        }
    }
}

impl Growth {
    pub(crate) fn within(limits: &Limits) -> Self {
        Self { pages: limits.pages.into(), pages_used: 0, table_elements: limits.table_elements.into() }
    }
}

impl ResourceLimiter for Growth {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        const PAGE: usize = 64 * 1024;
        let more = desired.saturating_sub(current).div_ceil(PAGE) as u64;
        let pages = self.pages_used.saturating_add(more);
        if pages > self.pages {
            return Err(Error::new(GrowthRefused::Memory { pages, limit: self.pages }));
        }
        self.pages_used = pages;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let elements = desired as u64;
        if elements > self.table_elements {
            return Err(Error::new(GrowthRefused::Table { elements, limit: self.table_elements }));
        }
        Ok(true)
    }
}

type Guest<'a> = Caller<'a, Call>;

/// Binds everything that ABI 1.0 has.
pub(crate) fn link(engine: &Engine) -> Result<Linker<Call>> {
    let mut linker = Linker::new(engine);
    event(&mut linker)?;
    act(&mut linker)?;
    linker.func_wrap(JOURNAL, "log", |mut guest: Guest<'_>, level: u32, at: u32, length: u32| {
        charge(&mut guest)?;
        log(&mut guest, level, at, length)
    })?;
    linker.func_wrap(STATE, "load", |mut guest: Guest<'_>, key: u32| Ok(charge(&mut guest)?.load(key)))?;
    linker.func_wrap(STATE, "store", |mut guest: Guest<'_>, key: u32, value: u64| {
        Ok(charge(&mut guest)?.store(key, value))
    })?;
    Ok(linker)
}

fn event(linker: &mut Linker<Call>) -> Result<()> {
    linker.func_wrap(EVENT, "attr", |mut guest: Guest<'_>, key: u32| Ok(charge(&mut guest)?.attr(key)))?;
    linker.func_wrap(EVENT, "has", |mut guest: Guest<'_>, key: u32| Ok(charge(&mut guest)?.has(key)))?;
    linker.func_wrap(EVENT, "text", |mut guest: Guest<'_>, key: u32, offset: u32| {
        Ok(charge(&mut guest)?.text(key, offset))
    })?;
    linker.func_wrap(EVENT, "read-head", |mut guest: Guest<'_>, at: u32| {
        let head = charge(&mut guest)?.head();
        write_head(&mut guest, at, &head)
    })?;
    Ok(())
}

fn act(linker: &mut Linker<Call>) -> Result<()> {
    linker.func_wrap(ACT, "open", |mut guest: Guest<'_>, service: u32, seconds: u32| {
        Ok(charge(&mut guest)?.open(service, seconds))
    })?;
    linker.func_wrap(ACT, "open-prefix", |mut guest: Guest<'_>, service: u32, bits: u32, seconds: u32| {
        Ok(charge(&mut guest)?.open_prefix(service, bits, seconds))
    })?;
    linker.func_wrap(ACT, "extend", |mut guest: Guest<'_>, grant: u64, seconds: u32| {
        Ok(charge(&mut guest)?.extend(grant, seconds))
    })?;
    linker
        .func_wrap(ACT, "revoke", |mut guest: Guest<'_>, grant: u64| Ok(charge(&mut guest)?.revoke(grant)))?;
    linker.func_wrap(ACT, "lockout", |mut guest: Guest<'_>, seconds: u32| {
        Ok(charge(&mut guest)?.lockout(seconds))
    })?;
    linker.func_wrap(ACT, "start", |mut guest: Guest<'_>, unit: u32| Ok(charge(&mut guest)?.start(unit)))?;
    linker.func_wrap(ACT, "notify", |mut guest: Guest<'_>, channel: u32, code: u32| {
        Ok(charge(&mut guest)?.notify(channel, code))
    })?;
    Ok(())
}

/// Takes the price of a host call, so that calls are bounded like instructions.
fn charge<'a>(guest: &'a mut Guest<'_>) -> Result<&'a mut Transaction> {
    take(&mut *guest, HOST_CALL_FUEL)?;
    Ok(&mut guest.data_mut().transaction)
}

/// Takes fuel, all of it when there is not enough.
pub(crate) fn take(mut store: impl AsContextMut, fuel: u64) -> Result<()> {
    let mut store = store.as_context_mut();
    let Some(left) = store.get_fuel()?.checked_sub(fuel) else {
        store.set_fuel(0)?;
        return Err(Error::new(Trap::OutOfFuel));
    };
    store.set_fuel(left)
}

fn write_head(guest: &mut Guest<'_>, at: u32, head: &Head) -> Result<()> {
    let memory = memory(guest)?.data_mut(guest);
    let place = usize::try_from(at).ok().and_then(|at| memory.get_mut(at..)?.get_mut(..Head::SIZE));
    place.ok_or_else(out_of_bounds)?.copy_from_slice(&head.encode());
    Ok(())
}

/// The pointer is checked in full, even for lines that nobody will read: the same policy traps on every host.
fn log(guest: &mut Guest<'_>, level: u32, at: u32, length: u32) -> Result<()> {
    let (memory, call) = memory(guest)?.data_and_store_mut(guest);
    let (Ok(at), Ok(length)) = (usize::try_from(at), usize::try_from(length)) else {
        return Err(out_of_bounds());
    };
    let message = memory.get(at..).and_then(|rest| rest.get(..length)).ok_or_else(out_of_bounds)?;
    if call.transaction.wants_log() {
        call.transaction.log(level, message.get(..MAX_LOG_BYTES).unwrap_or(message));
    }
    Ok(())
}

fn memory(guest: &mut Guest<'_>) -> Result<Memory> {
    // Checked when the policy was loaded; a start function runs before exports matter, and they are there by then too.
    guest.get_export(MEMORY).and_then(wasmtime::Extern::into_memory).ok_or_else(out_of_bounds)
}

fn out_of_bounds() -> Error {
    Error::new(Trap::MemoryOutOfBounds)
}

/// Binds a function of an interface that this host lacks and the policy can do without.
pub(crate) fn answer_not_here(
    linker: &mut Linker<Call>,
    import: &ImportType<'_>,
    ty: &FuncType,
) -> Result<()> {
    let answers = number_or_zero(ty, border::NOT_HERE);
    linker.func_new(import.module(), import.name(), ty.clone(), move |mut guest, _params, results| {
        charge(&mut guest)?;
        results.clone_from_slice(&answers);
        Ok(())
    })?;
    Ok(())
}

/// Binds a function of the operating system that is not there.
#[cfg(feature = "std")]
pub(crate) fn answer_wasi(linker: &mut Linker<Call>, import: &ImportType<'_>, ty: &FuncType) -> Result<()> {
    use crate::wasi::{self, Outcome};
    let (name, answers_as) = (String::from(import.name()), ty.clone());
    linker.func_new(import.module(), import.name(), ty.clone(), move |mut guest, params, results| {
        let params: Vec<u64> = params.iter().map(bits).collect();
        take(&mut guest, wasi::cost(&name, &params))?;
        let memory = guest.get_export(MEMORY).and_then(wasmtime::Extern::into_memory);
        let bytes = memory.map_or(&mut [][..], |memory| memory.data_mut(&mut guest));
        match wasi::call(&name, &params, bytes) {
            Outcome::Errno(errno) => {
                results.clone_from_slice(&number_or_zero(&answers_as, errno.cast_signed()));
                Ok(())
            }
            Outcome::Exit => Err(Error::new(Exited)),
            Outcome::OutOfBounds => Err(out_of_bounds()),
        }
    })?;
    Ok(())
}

/// The policy called `exit`.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the program ended itself")]
pub(crate) struct Exited;

/// A parameter as it lies in a register.
#[cfg(feature = "std")]
fn bits(value: &Val) -> u64 {
    match value {
        Val::I32(number) => number.cast_unsigned().into(),
        Val::I64(number) => number.cast_unsigned(),
        _ => 0,
    }
}

/// `number` as an i32, and 0 as anything else.
fn number_or_zero(ty: &FuncType, number: i32) -> Vec<Val> {
    let answer = |result| match result {
        ValType::I32 => Val::I32(number),
        ValType::I64 => Val::I64(0),
        ValType::F32 => Val::F32(0),
        ValType::F64 => Val::F64(0),
        ValType::V128 => Val::V128(0.into()),
        ValType::Ref(_) => Val::FuncRef(None),
    };
    ty.results().map(answer).collect()
}

/// What the engine says about an import or export.
pub(crate) fn item(ty: &ExternType) -> Item {
    match ty {
        ExternType::Func(ty) => Item::Function(Signature {
            params: ty.params().map(|param| value(&param)).collect(),
            results: ty.results().map(|result| value(&result)).collect(),
        }),
        ExternType::Memory(_) => Item::Memory,
        ExternType::Global(_) | ExternType::Table(_) | ExternType::Tag(_) => Item::Other,
    }
}

const fn value(ty: &ValType) -> Value {
    match ty {
        ValType::I32 => Value::I32,
        ValType::I64 => Value::I64,
        ValType::F32 => Value::F32,
        ValType::F64 => Value::F64,
        ValType::V128 | ValType::Ref(_) => Value::Other,
    }
}
