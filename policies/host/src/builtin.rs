//! Policies that are always there, compiled into the program: `policies/builtin`.
//!
//! Each is an ordinary module within the edge profile, with a manifest and parameters of its own, and runs in the sandbox
//! like any other.

/// A policy that is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name in a configuration and in its manifest.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its WebAssembly module.
    pub module: &'static [u8],
}

macro_rules! built_in {
    ($($name:literal, $summary:literal;)*) => {
        /// Every built-in policy, the one that needs no configuration first.
        pub const ALL: &[BuiltIn] = &[$(BuiltIn {
            name: $name,
            summary: $summary,
            module: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
        }),*];
    };
}

built_in! {
    "default", "Opens what was asked for, for as long as was asked, within the limits.";
    "office-hours", "Passes on what comes on the right days at the right hours and denies the rest.";
    "known-networks", "Passes on what comes from networks that it is given and denies the rest.";
    "second-factor", "Passes on what comes from networks that it is given or with a second factor and denies the rest.";
    "limit-per-client", "Opens as the default does, up to a number of open grants and of granted knocks a day.";
    "two-person", "Opens as the default does if another client has knocked for the same service just before.";
}

/// Opens what was asked for, for as long as was asked, within the limits: `policies/builtin/default.wat`.
pub const DEFAULT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm"));

/// The built-in policy of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    ALL.iter().find(|policy| policy.name == name)
}
