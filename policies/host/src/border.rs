//! What a module imports and exports, held against the interface, whatever engine reads it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use knockgate_policy_abi::interface::{self, Function, Type};
use knockgate_policy_abi::{Manifest, Refusal};

use crate::{LoadError, Profile, Wasi, wasi};

/// What a name of a module stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Function(Signature),
    Memory,
    Other,
}

/// A function's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) params: Vec<Value>,
    pub(crate) results: Vec<Value>,
}

/// A type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    I32,
    I64,
    F32,
    F64,
    /// What no function of the interface takes.
    Other,
}

/// Who answers an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The interface, which every linker has already.
    Interface,
    /// Nobody: the policy can do without, and is told "not on this host".
    NotHere,
    /// The operating system that is not there.
    Wasi,
}

/// What decides about imports beside the interface.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) manifest: &'a Manifest<'a>,
    pub(crate) wasi: Wasi,
    pub(crate) profile: Profile,
}

impl Rules<'_> {
    /// Who answers an import, if somebody does.
    pub(crate) fn answer(&self, interface: &str, name: &str, item: &Item) -> Result<Answer, LoadError> {
        let Item::Function(found) = item else {
            return Err(LoadError::ImportsNoFunction { interface: interface.into(), name: name.into() });
        };
        match interface::find(interface, name) {
            Some(known) if found.is(known) => Ok(Answer::Interface),
            Some(known) => Err(LoadError::ImportType {
                interface: interface.into(),
                name: name.into(),
                expected: type_text(known),
            }),
            None => self.answer_unknown(interface, name),
        }
    }

    /// Who answers what the interface does not have.
    pub(crate) fn answer_unknown(&self, interface: &str, name: &str) -> Result<Answer, LoadError> {
        if !interface::knows(interface) && self.manifest.optional.has(interface) {
            return Ok(Answer::NotHere);
        }
        if !wasi::is_wasi(interface) {
            return Err(LoadError::unknown_import(interface, name));
        }
        match (self.profile, self.wasi) {
            (Profile::Server, Wasi::Inert) => Ok(Answer::Wasi),
            (Profile::Server, Wasi::None) => {
                Err(LoadError::WasiNotGranted { interface: interface.into(), name: name.into() })
            }
            (Profile::Edge, Wasi::None | Wasi::Inert) => Err(wasi_on_edge(interface, name)),
        }
    }
}

/// Why a gateway refuses what a server may have.
pub(crate) fn wasi_on_edge(interface: &str, name: &str) -> LoadError {
    LoadError::WasiOnEdge { interface: interface.into(), name: name.into() }
}

/// Checks what a module exports. `pointer` is an import that works on memory, if there is one.
pub(crate) fn check_exports(
    find: impl Fn(&str) -> Option<Item>,
    pointer: Option<&str>,
) -> Result<(), LoadError> {
    match find(interface::DECIDE) {
        Some(Item::Function(ty)) if ty.params.is_empty() && ty.results == [Value::I32] => {}
        Some(Item::Function(ty)) => return Err(LoadError::DecideType(alloc::format!("{ty}"))),
        Some(Item::Memory | Item::Other) => return Err(LoadError::DecideIsNoFunction),
        None => return Err(LoadError::NoDecide),
    }
    match find(INITIALIZE) {
        Some(Item::Function(ty)) if !(ty.params.is_empty() && ty.results.is_empty()) => {
            return Err(LoadError::InitializeType(alloc::format!("{ty}")));
        }
        Some(Item::Function(_) | Item::Memory | Item::Other) | None => {}
    }
    match pointer {
        Some(import) if find(interface::MEMORY) != Some(Item::Memory) => {
            Err(LoadError::NoMemory(import.into()))
        }
        _ => Ok(()),
    }
}

/// What a module runs before `decide`, if it exports such a function: constructors, the start of a runtime.
pub(crate) const INITIALIZE: &str = "_initialize";

/// Whether an import works on the module's memory. WASI's do not count: a module without memory finds out when it calls them.
pub(crate) fn uses_memory(interface: &str, name: &str) -> bool {
    interface::find(interface, name).is_some_and(|known| known.uses_memory)
}

/// What a function answers that this host lacks: "not on this host" as an i32, and 0 as anything else, which is how an absent
/// attribute looks.
pub(crate) const NOT_HERE: i32 = Refusal::NotOnThisHost.code();

impl Signature {
    /// Whether a policy declares a function as it is.
    fn is(&self, known: &Function) -> bool {
        let values = |types: &[Type]| types.iter().map(|ty| Value::from(*ty)).collect::<Vec<_>>();
        self.params == values(known.params) && self.results == values(known.result.as_slice())
    }
}

impl From<Type> for Value {
    fn from(ty: Type) -> Self {
        match ty {
            Type::I32 => Value::I32,
            Type::I64 => Value::I64,
        }
    }
}

/// A function's type in words: `(i32, i32) -> i64`.
fn type_text(function: &Function) -> String {
    let values = |types: &[Type]| types.iter().map(|ty| Value::from(*ty)).collect();
    let (params, results) = (values(function.params), values(function.result.as_slice()));
    alloc::format!("{}", Signature { params, results })
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |values: &[Value]| values.iter().map(|value| value.word()).collect::<Vec<_>>().join(", ");
        let results = if self.results.is_empty() { "nothing".into() } else { words(&self.results) };
        write!(f, "({}) -> {results}", words(&self.params))
    }
}

impl Value {
    const fn word(self) -> &'static str {
        match self {
            Value::I32 => "i32",
            Value::I64 => "i64",
            Value::F32 => "f32",
            Value::F64 => "f64",
            Value::Other => "a reference",
        }
    }
}
