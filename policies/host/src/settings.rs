//! The engine's settings, in one place: what a gateway's precompiler and its firmware must have in common.
//!
//! [`shared`] is everything that reaches into compiled code or the meaning of a policy; whoever compiles for a gateway uses it
//! too. [`host`] adds what only a process with threads and virtual memory has.

use core::num::NonZeroUsize;

#[cfg(feature = "compile")]
use knockgate_policy_abi::limits::EDGE;
use knockgate_policy_abi::limits::Limits;
use wasmtime::Config;

#[cfg(any(feature = "component", all(feature = "compile", feature = "pulley")))]
use crate::Profile;

/// Settings on which compiler and runtime must agree.
pub(crate) fn shared(limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        // The same event costs the same fuel everywhere.
        .consume_fuel(true)
        // No signal handlers in a daemon or a firmware: checks are compiled in.
        .signals_based_traps(false)
        .memory_init_cow(false)
        .memory_reservation(0)
        .memory_reservation_for_growth(0)
        .memory_guard_size(0)
        .max_wasm_stack(limits.stack_bytes)
        // A failure names one place: where it happened.
        .wasm_backtrace_max_frames(NonZeroUsize::new(1))
        .generate_address_map(true);
    language(&mut config);
    #[cfg(feature = "pulley")]
    same_release(&mut config);
    #[cfg(feature = "compile")]
    config.cranelift_nan_canonicalization(true).cranelift_opt_level(effort(limits));
    config
}

/// By itself the engine takes what any release of the same major version compiled.
#[cfg(feature = "pulley")]
fn same_release(config: &mut Config) {
    let version = crate::precompiled::ENGINE_VERSION.into();
    config
        .module_version(wasmtime::ModuleVersionStrategy::Custom(version))
        .expect("the engine's version has less than 256 bytes");
}

/// How hard the compiler tries. Where a module may be a whole language runtime, trying harder makes every reload take several
/// times as long; what decisions gain by it is not measured. Fuel is counted before anything is optimised, so that it is the
/// same either way: `tests/conformance` holds both profiles to it.
#[cfg(feature = "compile")]
const fn effort(limits: &Limits) -> wasmtime::OptLevel {
    if limits.module_bytes > EDGE.module_bytes { wasmtime::OptLevel::None } else { wasmtime::OptLevel::Speed }
}

/// The WebAssembly that a policy may use; `inspect.rs` refuses the rest by name. Reference types are on by default, and cut
/// down to functions because the engine is built without a garbage collector; so are threads and exceptions absent.
fn language(config: &mut Config) {
    config
        .concurrency_support(false)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_extended_const(true)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false);
    // A gateway is built without components, and refuses what was compiled by an engine that has them.
    #[cfg(feature = "component")]
    config.wasm_component_model(false);
}

/// Adds components, where the profile has them. JavaScript's runtime is compiled with tail calls; `inspect.rs` still refuses
/// them in modules, which shall run on a gateway too.
#[cfg(feature = "component")]
pub(crate) fn components(config: &mut Config, profile: Profile) {
    let has_components = profile == Profile::Server;
    config
        .wasm_component_model(has_components)
        .wasm_tail_call(has_components)
        // What the engine itself puts between the parts of a component copies from one memory to another.
        .wasm_multi_memory(has_components);
}

/// Compiles to byte code, for pointers of which width `target` says.
#[cfg(all(feature = "compile", feature = "pulley"))]
#[cfg_attr(not(feature = "component"), expect(unused_variables))]
pub(crate) fn interpreted(limits: &Limits, profile: Profile, target: &str) -> wasmtime::Result<Config> {
    let mut config = shared(limits);
    #[cfg(feature = "component")]
    components(&mut config, profile);
    config.target(target)?;
    Ok(config)
}

/// Adds what a process has: a deadline by the clock and pooled instances.
#[cfg(feature = "std")]
pub(crate) fn host(config: &mut Config, limits: &Limits) {
    // Epoch checks are part of the compiled code, so a profile without a deadline must not have them.
    config.epoch_interruption(limits.deadline_ms.is_some());
    // The pool gives every memory its whole room at once.
    config.memory_reservation(memory_bytes(limits).try_into().unwrap_or(u64::MAX));
    config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool(limits)));
}

/// Room for every decision that can run at once. Memory is address space only until a policy touches it.
#[cfg(feature = "std")]
fn pool(limits: &Limits) -> wasmtime::PoolingAllocationConfig {
    /// Decisions at a time, and for each policy in use the one that is ready for its next: far more than a host has processors.
    const INSTANCES: u32 = 32;
    /// Memory that is wiped by writing zeros instead of asking the kernel: a small policy's all of it.
    const KEPT_BYTES: usize = 64 * 1024;
    let mut pool = wasmtime::PoolingAllocationConfig::new();
    pool.total_core_instances(INSTANCES)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .max_memory_size(memory_bytes(limits))
        .table_elements(usize::try_from(limits.table_elements).unwrap_or(0))
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_BYTES);
    #[cfg(feature = "component")]
    pool_of_components(&mut pool, INSTANCES);
    pool
}

/// A component is several modules, each with a table and a memory of its own.
#[cfg(feature = "component")]
fn pool_of_components(pool: &mut wasmtime::PoolingAllocationConfig, instances: u32) {
    use crate::component::{MEMORIES, MODULES, TABLES};
    /// Memories of all decisions at a time: modules have one each, and a few components may run beside them.
    const ALL_MEMORIES: u32 = 64;
    pool.total_component_instances(instances)
        .max_core_instances_per_component(MODULES)
        .total_memories(ALL_MEMORIES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .total_core_instances(instances * MODULES)
        .total_tables(instances * TABLES);
}

#[cfg(feature = "std")]
fn memory_bytes(limits: &Limits) -> usize {
    const PAGE: usize = 64 * 1024;
    usize::try_from(limits.pages).unwrap_or(1).saturating_mul(PAGE)
}
