//! Policies that nobody wrote, on every engine: random modules, as any bytes describe them, must be decided alike.
//!
//! wasm-smith makes a valid module of the bytes, of the WebAssembly that a policy may use and nothing else. Cranelift decides
//! what counts, Pulley is what a gateway runs, wasmi shares no code with either. All refuse a module or all load it; then
//! verdict, acts, refusals, log and what was loaded and stored agree, or it fails in the same way.
//!
//! What may differ, and ends the comparison: how deep calls go, because frames have other sizes. Between Cranelift and wasmi
//! also when the fuel ends, because each counts its own instructions; and growth beyond what the module itself
//! declares or 32 bits can address: wasmi answers that it failed without asking the host, which on the others ends the policy.
//! And a division by zero of wasmi alone: its 2.0.0 gets some of the `select`s wrong with which wasm-smith keeps divisors from
//! zero (`corpus/policy_engines/wasmi-divides-by-zero`).
//! Cranelift and Pulley use the same fuel to the unit.
//!
//! NaNs. WebAssembly leaves open which NaN an operation makes, and a program can look. The first engine's compiler makes every
//! one the canonical, so Cranelift and Pulley agree by themselves; wasmi hands out the processor's. Therefore wasm-smith
//! writes the canonical one into the module after every operation that can make one. What is never compared thus is a policy
//! in which a NaN's bits decide, which only wasmi would decide otherwise, and which no host runs.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arbitrary::Unstructured;
use knockgate_policy_abi::interface::{FUNCTIONS, Function, Type};
use knockgate_policy_abi::manifest_section;
use knockgate_policy_host::second::SecondPolicy;
use knockgate_policy_host::{
    Capabilities, Decision, Failure, LoadError, Policy, PolicyEngine, Profile, StateError, StateStore,
    TrapKind,
};
use wasm_smith::{Config, Module};

use crate::policy_event;
use crate::tape::Tape;

/// What became of an input.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It describes no module: too few bytes.
    NoModule,
    /// All engines refuse it, the first for this reason.
    Refused(LoadError),
    /// All decide alike; this is the first engine's.
    Decided(Box<Decision>),
    /// Something ended on one engine that may go on on another.
    Incomparable,
}

/// Random modules on every engine.
pub fn policy_engines(data: &[u8]) {
    if let Err(difference) = compare(data) {
        panic!("{difference}");
    }
}

/// Runs what the bytes describe.
///
/// # Errors
/// How the engines differ.
pub fn compare(data: &[u8]) -> Result<Outcome, String> {
    let mut tape = Tape::new(data);
    let (event, rights) = (policy_event::event(&mut tape), policy_event::rights(&mut tape));
    let Some(module) = module(tape) else { return Ok(Outcome::NoModule) };
    let cranelift = CRANELIFT.load("random", &module, &rights);
    let pulley = PULLEY.load("random", &module, &rights);
    let wasmi = SecondPolicy::load("random", &module, &rights, Profile::Edge, Capabilities::ALL);
    let (cranelift, pulley, wasmi) = match (cranelift, pulley, wasmi) {
        (Ok(cranelift), Ok(pulley), Ok(wasmi)) => (cranelift, pulley, wasmi),
        (Err(reason), Err(same), Err(_)) if reason == same => return Ok(Outcome::Refused(reason)),
        (cranelift, pulley, wasmi) => {
            let refusals = (cranelift.err(), pulley.err(), wasmi.err());
            return Err(format!("one engine loads what another refuses: {refusals:?}"));
        }
    };
    let run = |policy: &Policy| with_state(|state| policy.decide(&event, state));
    let (first, gateway) = (run(&cranelift), run(&pulley));
    if one_ended(&first.0, &gateway.0, is_stack) {
        return Ok(Outcome::Incomparable);
    }
    if first != gateway {
        return Err(format!("Cranelift: {first:?}\nPulley: {gateway:?}"));
    }
    let second = with_state(|state| wasmi.decide(&event, state));
    if one_ended(&first.0, &second.0, may_differ) || is_excused(&first.0, &second.0) {
        return Ok(Outcome::Incomparable);
    }
    if plain(&first) != plain(&second) {
        return Err(format!("Cranelift: {first:?}\nwasmi: {second:?}"));
    }
    Ok(Outcome::Decided(Box::new(first.0)))
}

/// The module that the bytes describe, as it is loaded: to look at what the engines disagree about.
pub fn module_of(data: &[u8]) -> Option<Vec<u8>> {
    let mut tape = Tape::new(data);
    let (_event, _rights) = (policy_event::event(&mut tape), policy_event::rights(&mut tape));
    module(tape)
}

static CRANELIFT: LazyLock<PolicyEngine> = LazyLock::new(|| {
    PolicyEngine::new(Profile::Edge, Capabilities::ALL).expect("the host has memory for an engine")
});
static PULLEY: LazyLock<PolicyEngine> = LazyLock::new(|| {
    PolicyEngine::on_pulley(Profile::Edge, Capabilities::ALL).expect("the host has memory for an engine")
});

/// What a decision did, and what it stored.
type Made = (Decision, Vec<(u32, u64)>);

fn with_state(decide: impl FnOnce(&Arc<dyn StateStore>) -> Decision) -> Made {
    let kept = Arc::new(Kept::default());
    let state: Arc<dyn StateStore> = Arc::<Kept>::clone(&kept);
    let decision = decide(&state);
    let stored = kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (decision, stored)
}

/// A store in which every eighth key has a number, and which remembers what it was given.
#[derive(Default)]
struct Kept(Mutex<Vec<(u32, u64)>>);

impl StateStore for Kept {
    fn load(&self, key: u32) -> u64 {
        if key.is_multiple_of(8) { u64::from(key) + 3 } else { 0 }
    }

    fn len(&self) -> usize {
        12
    }

    fn commit(&self, writes: &[(u32, u64)]) -> Result<(), StateError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(writes);
        Ok(())
    }
}

fn one_ended(one: &Decision, other: &Decision, ended: fn(&Failure) -> bool) -> bool {
    [one, other].into_iter().any(|decision| decision.failure.as_ref().is_some_and(ended))
}

fn is_stack(failure: &Failure) -> bool {
    matches!(failure, Failure::Trap { kind: TrapKind::StackOverflow, .. })
}

fn may_differ(failure: &Failure) -> bool {
    is_stack(failure) || matches!(failure, Failure::Fuel { .. } | Failure::Deadline { .. })
}

/// The first engine ended what grew, and wasmi went on; or wasmi divided by zero and the first did not.
fn is_excused(first: &Decision, second: &Decision) -> bool {
    let grew = |decision: &Decision| {
        matches!(decision.failure, Some(Failure::Memory { .. } | Failure::Table { .. }))
    };
    let divided = |decision: &Decision| {
        matches!(decision.failure, Some(Failure::Trap { kind: TrapKind::DivisionByZero, .. }))
    };
    (grew(first) && !grew(second)) || (divided(second) && !divided(first))
}

/// Without what only the first engine can tell: fuel in its units, the place of a failure, how far something wanted to grow.
fn plain((decision, stored): &Made) -> Made {
    let mut decision = decision.clone();
    decision.fuel = 0;
    decision.failure = decision.failure.map(|failure| match failure {
        Failure::Trap { kind, .. } => Failure::Trap { kind, place: None },
        Failure::Memory { .. } | Failure::Table { .. } => Failure::Memory { pages: 0, limit: 0, place: None },
        // The text is the engine's own.
        Failure::Engine(_) => Failure::Engine(String::new()),
        Failure::Fuel { .. } | Failure::Deadline { .. } | Failure::Verdict(_) | Failure::State(_) => failure,
    });
    (decision, stored.clone())
}

fn module(mut tape: Tape<'_>) -> Option<Vec<u8>> {
    let (config, manifest) = (config(&mut tape), policy_event::manifest(&mut tape));
    let mut module = Module::new(config, &mut Unstructured::new(tape.rest())).ok()?.to_bytes();
    module.extend(manifest_section(manifest));
    Some(module)
}

/// What wasm-smith may use: the features of `LANGUAGE` in the host's inspection, and sizes around the edge profile's.
fn config(tape: &mut Tape<'_>) -> Config {
    let has_memory = !tape.one_in(8);
    Config {
        available_imports: tape.some(|_| IMPORTS.clone()),
        exports: Some(if has_memory { WITH_MEMORY.clone() } else { WITHOUT_MEMORY.clone() }),
        // The one that is exported is added to these.
        max_memories: usize::from(!has_memory),
        max_memory32_bytes: 2 * 65_536,
        min_tables: u32::from(tape.flag()),
        max_tables: 1,
        max_table_elements: 260,
        // Else most modules end at their first address.
        disallow_traps: !tape.one_in(3),
        allow_start_export: tape.one_in(4),
        canonicalize_nans: true,
        bulk_memory_enabled: true,
        extended_const_enabled: true,
        multi_value_enabled: true,
        // They bring `externref`, which is refused.
        reference_types_enabled: tape.one_in(8),
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        max_types: 10,
        max_funcs: 24,
        max_globals: 6,
        max_elements: 12,
        max_element_segments: 4,
        max_data_segments: 4,
        ..Config::default()
    }
}

static IMPORTS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let imports: String = FUNCTIONS.iter().map(import).collect();
    wat::parse_str(format!("(module {imports})")).expect("the interface is a module")
});
static WITH_MEMORY: LazyLock<Vec<u8>> = LazyLock::new(|| exports("(memory (export \"memory\") 1)"));
static WITHOUT_MEMORY: LazyLock<Vec<u8>> = LazyLock::new(|| exports(""));

fn exports(more: &str) -> Vec<u8> {
    let decide = "(func (export \"decide\") (result i32) unreachable)";
    wat::parse_str(format!("(module {decide} {more})")).expect("the exports are a module")
}

fn import(function: &Function) -> String {
    let word = |ty: &Type| match ty {
        Type::I32 => " i32",
        Type::I64 => " i64",
    };
    let params: String = function.params.iter().map(word).collect();
    let results: String = function.result.iter().map(word).collect();
    let Function { module, name, .. } = function;
    format!("(import {module:?} {name:?} (func (param{params}) (result{results})))")
}
