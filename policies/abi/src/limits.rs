//! Every limit of a policy, with its unit and reason.
//!
//! Two profiles: *edge* is what a microcontroller can carry, *server* what a Linux host can. A policy within the edge
//! profile runs on both with the same verdict, the same actions and the same fuel. The limits below the profiles are part
//! of the ABI and the same everywhere.

/// What one policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Name in messages.
    pub name: &'static str,
    /// Largest module, in bytes.
    pub module_bytes: usize,
    /// Most memory, in pages of 64 KiB.
    pub pages: u32,
    /// Most elements of a table.
    pub table_elements: u32,
    /// Fuel for one decision, start function included.
    pub fuel: u64,
    /// Most actions of one decision.
    pub actions: usize,
    /// Most numbers that a policy keeps between events.
    pub state_keys: usize,
    /// Stack for the policy's own frames, in bytes.
    pub stack_bytes: usize,
    /// Processor time of one decision, in milliseconds. None where no thread can watch it; fuel bounds it there.
    pub deadline_ms: Option<u32>,
}

/// A small gateway: a few hundred kB of memory, an interpreter at some 10 MHz worth of instructions.
pub const EDGE: Limits = Limits {
    name: "edge",
    // A policy in a small language is under 1 kB; 32 kB holds a table of networks and fits beside the firmware.
    module_bytes: 32 * 1024,
    // One page is already more than half of such a board's free memory.
    pages: 1,
    // Indirect calls of a small program; 4 bytes each on the gateway.
    table_elements: 256,
    // Under 100 ms of interpretation on the board: longer would delay other clients' knocks.
    fuel: 50_000,
    actions: 8,
    // Kept in the gateway's flash as one small record.
    state_keys: 16,
    // The firmware's own stack also carries the policy's frames.
    stack_bytes: 4096,
    deadline_ms: None,
};

/// A Linux host.
pub const SERVER: Limits = Limits {
    name: "server",
    // Go's runtime alone is about 2 MB.
    module_bytes: 4 * 1024 * 1024,
    // 16 MiB: a garbage-collected runtime's first heap.
    pages: 256,
    // Go and C++ put every function whose address is taken into the table.
    table_elements: 20_000,
    // About 10 ms of compiled code: no knock waits longer for somebody else's policy.
    fuel: 5_000_000,
    actions: 16,
    // Kept and synced by the host before a port opens, so the set stays small.
    state_keys: 1024,
    stack_bytes: 256 * 1024,
    deadline_ms: Some(20),
};

/// A Linux host that interprets.
pub const SERVER_INTERPRETED: Limits = Limits {
    // Twice what all the fuel lasts, as above: an interpreter takes some five times as long for it.
    deadline_ms: Some(100),
    ..SERVER
};

/// Fuel of a decision that a server makes in line, without a thread for it. As plain instructions it is gone sooner than somebody gets to a
/// thread and back, or interpreted in some 100 µs; a policy that does nothing but grow its memory or store under all its keys holds the gate for a fraction of a
/// millisecond. Most policies that bring no runtime along use less than a twentieth of it.
pub const IN_LINE_FUEL: u64 = 10_000;
/// Most memory of a policy that decides in line, in pages of 64 KiB: what the edge profile has, and as much again. Beyond the first one,
/// what is touched for the first time costs time and no fuel, some 20 µs a page.
pub const IN_LINE_PAGES: u32 = 2;
/// Largest module that decides in line, in bytes: an instance takes a copy of its data, and that costs no fuel either.
pub const IN_LINE_MODULE_BYTES: usize = 64 * 1024;

/// Most actions of one decision in any profile.
pub const MAX_ACTIONS: usize = 16;
/// Most different state keys that one decision writes.
pub const MAX_STATE_WRITES: usize = 16;
/// Different state keys that one decision loads and a record of it can tell.
pub const MAX_STATE_LOADS: usize = 32;
/// Lines of one decision that reach the operator; more are counted only.
pub const MAX_LOG_LINES: usize = 8;
/// Bytes of a line; the rest is cut off.
pub const MAX_LOG_BYTES: usize = 120;
/// Bytes of a text attribute; longer texts are cut off at a character.
pub const MAX_TEXT_BYTES: usize = 64;
/// Fuel that every call of a host function costs beside its instruction, so that calls are bounded like instructions: a
/// host call takes the time of some 20 instructions.
pub const HOST_CALL_FUEL: u64 = 20;
/// Longest lockout that a policy can ask for, in seconds: a day. A wrong policy must not shut somebody out for good.
pub const MAX_LOCKOUT_SECONDS: u32 = 86_400;
/// Widest IPv4 prefix for `open-prefix`, in bits: a carrier's pool, not a continent.
pub const MIN_PREFIX_V4: u32 = 16;
/// Widest IPv6 prefix for `open-prefix`, in bits: one site's allocation.
pub const MIN_PREFIX_V6: u32 = 48;
/// Longest manifest, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 2048;
/// Longest name of a policy, in bytes.
pub const MAX_NAME_BYTES: usize = 32;
/// Most parameters that a policy can be given.
pub const MAX_PARAMETERS: usize = 16;
/// Most values of one parameter: 85 networks, of three values each.
pub const MAX_PARAMETER_VALUES: usize = 255;

const _: () = assert!(EDGE.actions <= MAX_ACTIONS && SERVER.actions <= MAX_ACTIONS);
