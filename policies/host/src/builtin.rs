//! Policies that are always there, compiled into the program.

/// Opens what was asked for, for as long as was asked, within the limits: `policies/builtin/default.wat`.
pub const DEFAULT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm"));
