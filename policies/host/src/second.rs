//! A second opinion: an independent engine that must decide alike.
//!
//! wasmi shares no code with the first engine but the [`Transaction`], so a policy that both decide alike is decided by the
//! rules and not by a peculiarity of one of them. It is for tests: slower, without a deadline, and its fuel is counted in
//! other units, of which it gets plenty. It runs core modules only, no components.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use knockgate_policy_abi::interface::{self, ACT, EVENT, JOURNAL, STATE};
use knockgate_policy_abi::limits::{HOST_CALL_FUEL, Limits, MAX_LOG_BYTES};
use knockgate_policy_abi::{Capabilities, Manifest};
use wasmi::errors::{ErrorKind, InstantiationError};
use wasmi::{
    Caller, Config, Engine, Error, ExternType, FuncType, ImportType, Instance, Linker, Module, Store,
    StoreLimits, StoreLimitsBuilder, TrapCode, Val, ValType,
};

use crate::border::{self, Answer, Item, Rules, Signature, Value};
use crate::inspect::Kind;
use crate::wasi::{self, Outcome};
use crate::{
    Decision, EffectiveRights, Event, Failure, LoadError, Profile, Rights, StateStore, Transaction, TrapKind,
    demands, inspect,
};

/// Fuel of this engine for one of the first's: it counts its own instructions, of which an operator may need several.
const FUEL_FACTOR: u64 = 10;

/// A policy under the second engine.
pub struct SecondPolicy {
    name: String,
    engine: Engine,
    module: Module,
    linker: Linker<Call>,
    rights: Arc<EffectiveRights>,
    limits: Limits,
}

struct Call {
    transaction: Transaction,
    growth: StoreLimits,
}

impl SecondPolicy {
    /// Loads a policy from the bytes of its module, by the same rules as [`crate::PolicyEngine::load`]. `name` is the host's
    /// name for it.
    ///
    /// # Errors
    /// As there. Components are refused.
    pub fn load(
        name: &str,
        bytes: &[u8],
        rights: &Rights,
        profile: Profile,
        supported: Capabilities,
    ) -> Result<Self, LoadError> {
        let mut limits = profile.limits();
        let found = inspect::inspect(bytes, &limits)?;
        if found.kind == Kind::Component {
            return Err(LoadError::Component);
        }
        let manifest = Manifest::parse(&found.manifest)?;
        demands::check(&manifest, &limits, supported)?;
        found.needs.check(&manifest, &limits)?;
        limits.fuel = manifest.fuel.unwrap_or(limits.fuel);
        limits.pages = manifest.pages.unwrap_or(limits.pages);

        let engine = Engine::new(&config());
        let module = Module::new(&engine, bytes).map_err(|error| refused(&error))?;
        let rules = Rules { manifest: &manifest, wasi: rights.wasi, profile };
        check_exports(&module)?;
        Ok(Self {
            name: name.into(),
            linker: linker(&engine, &module, rules)?,
            engine,
            module,
            rights: demands::rights(&manifest, rights, supported)?,
            limits,
        })
    }

    /// The host's name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Decides as [`crate::Policy::decide`] does. Fuel is in this engine's units, and a failure names no place.
    #[must_use]
    pub fn decide(&self, event: &Event, state: &Arc<dyn StateStore>) -> Decision {
        let transaction =
            Transaction::new(event.clone(), Arc::clone(&self.rights), Arc::clone(state), self.limits);
        let mut store = Store::new(&self.engine, Call { transaction, growth: growth(&self.limits) });
        store.limiter(|call| &mut call.growth);
        let fuel = self.limits.fuel.saturating_mul(FUEL_FACTOR);
        let outcome =
            store.set_fuel(fuel).and_then(|()| self.run(&mut store)).map_err(|error| self.failure(&error));
        let used = fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        store.into_data().transaction.finish(outcome, used)
    }

    fn run(&self, store: &mut Store<Call>) -> Result<u32, Error> {
        let instance: Instance = self.linker.instantiate_and_start(&mut *store, &self.module)?;
        if instance.get_func(&*store, border::INITIALIZE).is_some() {
            instance.get_typed_func::<(), ()>(&*store, border::INITIALIZE)?.call(&mut *store, ())?;
        }
        instance.get_typed_func::<(), u32>(&*store, interface::DECIDE)?.call(store, ())
    }

    /// The engine does not say how far something wanted to grow, so the limit stands for it. What wants to grow beyond what
    /// WebAssembly itself allows is told so by this engine, as by none of the others: it asks the limits last.
    fn failure(&self, error: &Error) -> Failure {
        if error.i32_exit_status().is_some() {
            return Failure::Trap { kind: TrapKind::Exit, place: None };
        }
        if let ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) = error.kind() {
            return Failure::Trap { kind: TrapKind::TableOutOfBounds, place: None };
        }
        let Some(code) = error.as_trap_code() else { return Failure::Engine(alloc::format!("{error}")) };
        let kind = match code {
            TrapCode::OutOfFuel => return Failure::Fuel { limit: self.limits.fuel, place: None },
            TrapCode::GrowthOperationLimited => {
                let limit = self.limits.pages.into();
                return Failure::Memory { pages: limit, limit, place: None };
            }
            TrapCode::UnreachableCodeReached => TrapKind::Unreachable,
            TrapCode::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
            TrapCode::TableOutOfBounds => TrapKind::TableOutOfBounds,
            TrapCode::IndirectCallToNull => TrapKind::IndirectCallToNull,
            TrapCode::IntegerDivisionByZero => TrapKind::DivisionByZero,
            TrapCode::IntegerOverflow => TrapKind::IntegerOverflow,
            TrapCode::BadConversionToInteger => TrapKind::BadConversion,
            TrapCode::StackOverflow => TrapKind::StackOverflow,
            TrapCode::BadSignature => TrapKind::BadSignature,
            // The engine's list is open.
            _ => TrapKind::Other,
        };
        Failure::Trap { kind, place: None }
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .ignore_custom_sections(true)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        // As deep as the first engine's stack lets an ordinary program go.
        .set_max_recursion_depth(10_000);
    config
}

fn growth(limits: &Limits) -> StoreLimits {
    const PAGE: usize = 64 * 1024;
    let bytes = usize::try_from(limits.pages).unwrap_or(1).saturating_mul(PAGE);
    StoreLimitsBuilder::new()
        .memory_size(bytes)
        .table_elements(usize::try_from(limits.table_elements).unwrap_or(0))
        .trap_on_grow_failure(true)
        .build()
}

fn check_exports(module: &Module) -> Result<(), LoadError> {
    let pointer = module.imports().find(|import| border::uses_memory(import.module(), import.name()));
    border::check_exports(
        |name| module.get_export(name).map(|ty| item(&ty)),
        pointer.as_ref().map(ImportType::name),
    )
}

fn item(ty: &ExternType) -> Item {
    match ty {
        ExternType::Func(ty) => Item::Function(Signature {
            params: ty.params().iter().map(value).collect(),
            results: ty.results().iter().map(value).collect(),
        }),
        ExternType::Memory(_) => Item::Memory,
        ExternType::Global(_) | ExternType::Table(_) => Item::Other,
    }
}

const fn value(ty: &ValType) -> Value {
    match ty {
        ValType::I32 => Value::I32,
        ValType::I64 => Value::I64,
        ValType::F32 => Value::F32,
        ValType::F64 => Value::F64,
        ValType::V128 | ValType::FuncRef | ValType::ExternRef => Value::Other,
    }
}

fn refused(error: &Error) -> LoadError {
    LoadError::Engine(alloc::format!("{error}"))
}

type Guest<'a> = Caller<'a, Call>;

fn linker(engine: &Engine, module: &Module, rules: Rules<'_>) -> Result<Linker<Call>, LoadError> {
    let mut linker = link(engine).map_err(|error| refused(&error))?;
    linker.allow_shadowing(true);
    for import in module.imports() {
        let ty = import.ty();
        let answer = rules.answer(import.module(), import.name(), &item(ty))?;
        match (answer, ty.func()) {
            (Answer::NotHere, Some(ty)) => answer_not_here(&mut linker, &import, ty),
            (Answer::Wasi, Some(ty)) => answer_wasi(&mut linker, &import, ty),
            (Answer::Interface, _) | (_, None) => Ok(()),
        }
        .map_err(|error| refused(&error))?;
    }
    Ok(linker)
}

fn answer_not_here(linker: &mut Linker<Call>, import: &ImportType<'_>, ty: &FuncType) -> Result<(), Error> {
    let answers = number_or_zero(ty, border::NOT_HERE);
    linker.func_new(import.module(), import.name(), ty.clone(), move |mut guest, _params, results| {
        take(&mut guest, HOST_CALL_FUEL)?;
        results.clone_from_slice(&answers);
        Ok(())
    })?;
    Ok(())
}

fn answer_wasi(linker: &mut Linker<Call>, import: &ImportType<'_>, ty: &FuncType) -> Result<(), Error> {
    let (name, answers_as) = (String::from(import.name()), ty.clone());
    linker.func_new(import.module(), import.name(), ty.clone(), move |mut guest, params, results| {
        let params: Vec<u64> = params.iter().map(bits).collect();
        take(&mut guest, wasi::cost(&name, &params))?;
        let memory = guest.get_export(interface::MEMORY).and_then(wasmi::Extern::into_memory);
        let bytes = memory.map_or(&mut [][..], |memory| memory.data_mut(&mut guest));
        match wasi::call(&name, &params, bytes) {
            Outcome::Errno(errno) => {
                results.clone_from_slice(&number_or_zero(&answers_as, errno.cast_signed()));
                Ok(())
            }
            Outcome::Exit => Err(Error::i32_exit(0)),
            Outcome::OutOfBounds => Err(out_of_bounds()),
        }
    })?;
    Ok(())
}

fn bits(value: &Val) -> u64 {
    match value {
        Val::I32(number) => number.cast_unsigned().into(),
        Val::I64(number) => number.cast_unsigned(),
        _ => 0,
    }
}

fn number_or_zero(ty: &FuncType, number: i32) -> Vec<Val> {
    let answer = |result: &ValType| match result {
        ValType::I32 => Val::I32(number),
        other => Val::default_for_ty(*other),
    };
    ty.results().iter().map(answer).collect()
}

macro_rules! bind {
    ($linker:ident, $module:ident, $name:literal, |$on:ident $(, $param:ident: $type:ty)*| $answer:expr) => {
        $linker.func_wrap($module, $name, |mut guest: Guest<'_> $(, $param: $type)*| {
            take(&mut guest, HOST_CALL_FUEL)?;
            let $on = &mut guest.data_mut().transaction;
            Ok::<_, Error>($answer)
        })?;
    };
}

fn link(engine: &Engine) -> Result<Linker<Call>, Error> {
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
    linker.func_wrap(EVENT, "read-head", read_head)?;
    linker.func_wrap(JOURNAL, "log", log)?;
    Ok(linker)
}

fn take(guest: &mut Guest<'_>, fuel: u64) -> Result<(), Error> {
    let Some(left) = guest.get_fuel()?.checked_sub(fuel.saturating_mul(FUEL_FACTOR)) else {
        guest.set_fuel(0)?;
        return Err(trap(TrapCode::OutOfFuel));
    };
    guest.set_fuel(left)
}

fn read_head(mut guest: Guest<'_>, at: u32) -> Result<(), Error> {
    take(&mut guest, HOST_CALL_FUEL)?;
    let bytes = guest.data().transaction.head().encode();
    let at = usize::try_from(at).map_err(|_| out_of_bounds())?;
    memory(&guest)?.write(&mut guest, at, &bytes).map_err(|_| out_of_bounds())
}

fn log(mut guest: Guest<'_>, level: u32, at: u32, length: u32) -> Result<(), Error> {
    take(&mut guest, HOST_CALL_FUEL)?;
    let (Ok(at), Ok(length)) = (usize::try_from(at), usize::try_from(length)) else {
        return Err(out_of_bounds());
    };
    let (bytes, call) = memory(&guest)?.data_and_store_mut(&mut guest);
    let message = bytes.get(at..).and_then(|rest| rest.get(..length)).ok_or_else(out_of_bounds)?;
    if call.transaction.wants_log() {
        call.transaction.log(level, message.get(..MAX_LOG_BYTES).unwrap_or(message));
    }
    Ok(())
}

fn memory(guest: &Guest<'_>) -> Result<wasmi::Memory, Error> {
    guest.get_export(interface::MEMORY).and_then(wasmi::Extern::into_memory).ok_or_else(out_of_bounds)
}

fn out_of_bounds() -> Error {
    trap(TrapCode::MemoryOutOfBounds)
}

fn trap(code: TrapCode) -> Error {
    code.into()
}
