//! The interface as a core module sees it: names and signatures of imports and of the one export.
//!
//! This is the canonical lowering of `policy.wit`; a test compares the two. A text argument is pointer and length, a record
//! result is a pointer to where the host writes it.

use crate::Capability;

/// Module name of the `event` interface.
pub const EVENT: &str = "knockgate:policy/event@1.0.0";
/// Module name of the `act` interface.
pub const ACT: &str = "knockgate:policy/act@1.0.0";
/// Module name of the `journal` interface.
pub const JOURNAL: &str = "knockgate:policy/journal@1.0.0";
/// Module name of the `state` interface.
pub const STATE: &str = "knockgate:policy/state@1.0.0";

/// What every interface name of this package starts with, whatever its version.
pub const PACKAGE: &str = "knockgate:policy/";
/// Name of the function that every policy exports: `() -> i32`.
pub const DECIDE: &str = "decide";
/// Name under which a policy exports its memory. Needed only by a policy that imports a function with a pointer.
pub const MEMORY: &str = "memory";
/// Name of the custom section that holds the manifest.
pub const MANIFEST_SECTION: &str = "knockgate.manifest";

/// A type at the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
}

/// One imported function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The interface, with its version.
    pub module: &'static str,
    /// The function's name in it.
    pub name: &'static str,
    /// Its parameters.
    pub params: &'static [Type],
    /// Its result, if any.
    pub result: Option<Type>,
    /// Whether the host reads or writes the guest's memory in it.
    pub uses_memory: bool,
    /// What a policy needs to have any effect with it.
    pub needs: Option<Capability>,
}

use Type::{I32, I64};

const fn pure(module: &'static str, name: &'static str, params: &'static [Type], result: Type) -> Function {
    Function { module, name, params, result: Some(result), uses_memory: false, needs: None }
}

const fn act(name: &'static str, params: &'static [Type], needs: Capability) -> Function {
    Function { module: ACT, name, params, result: Some(I32), uses_memory: false, needs: Some(needs) }
}

/// Every function of ABI 1.0, in the order of `policy.wit`.
pub const FUNCTIONS: &[Function] = &[
    pure(EVENT, "attr", &[I32], I64),
    pure(EVENT, "has", &[I32], I32),
    pure(EVENT, "text", &[I32, I32], I64),
    Function {
        module: EVENT,
        name: "read-head",
        params: &[I32],
        result: None,
        uses_memory: true,
        needs: None,
    },
    act("open", &[I32, I32], Capability::Open),
    act("open-prefix", &[I32, I32, I32], Capability::OpenPrefix),
    act("extend", &[I64, I32], Capability::Extend),
    act("revoke", &[I64], Capability::Revoke),
    act("lockout", &[I32], Capability::Lockout),
    act("start", &[I32], Capability::Start),
    act("notify", &[I32, I32], Capability::Notify),
    Function {
        module: JOURNAL,
        name: "log",
        params: &[I32, I32, I32],
        result: None,
        uses_memory: true,
        needs: Some(Capability::Log),
    },
    Function { needs: Some(Capability::State), ..pure(STATE, "load", &[I32], I64) },
    Function { needs: Some(Capability::State), ..pure(STATE, "store", &[I32, I64], I32) },
];

/// The function of that name, if ABI 1.0 has it.
#[must_use]
pub fn find(module: &str, name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.module == module && function.name == name)
}

/// Whether ABI 1.0 has this interface.
#[must_use]
pub fn knows(module: &str) -> bool {
    [EVENT, ACT, JOURNAL, STATE].contains(&module)
}
