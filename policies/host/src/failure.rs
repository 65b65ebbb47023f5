//! Why a policy failed to decide, and where.

use alloc::string::String;
use core::fmt;

use crate::StateError;

/// Why a policy failed. Every failure denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It used up its fuel.
    Fuel {
        /// What it had.
        limit: u64,
        /// Where it was.
        place: Option<Place>,
    },
    /// It was not done in time.
    Deadline {
        /// What it had of a processor, in milliseconds.
        limit_ms: u32,
        /// Where it was.
        place: Option<Place>,
    },
    /// It wanted more memory than it may have.
    Memory {
        /// What it wanted, in pages of 64 KiB.
        pages: u64,
        /// What it may have.
        limit: u64,
        /// Where it was.
        place: Option<Place>,
    },
    /// It wanted a larger table than it may have.
    Table {
        /// What it wanted, in elements.
        elements: u64,
        /// What it may have.
        limit: u64,
        /// Where it was.
        place: Option<Place>,
    },
    /// It did something that WebAssembly forbids.
    Trap {
        /// What it did.
        kind: TrapKind,
        /// Where it was.
        place: Option<Place>,
    },
    /// `decide` returned a number that is no verdict.
    Verdict(u32),
    /// What it wanted to keep could not be stored.
    State(StateError),
    /// The engine could not run it; nothing that the policy did. The text is the engine's own.
    Engine(String),
}

/// Where in a policy something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the function.
    pub function: u32,
    /// Its name, if the module has names.
    pub name: Option<String>,
    /// Byte offset in the module file, as disassemblers print it.
    pub offset: Option<u64>,
}

/// What a policy did that WebAssembly forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapKind {
    /// Its calls went too deep.
    StackOverflow,
    /// It used memory that it does not have, or gave the host a pointer there.
    MemoryOutOfBounds,
    /// It called through a place outside its table.
    TableOutOfBounds,
    /// It called through an empty place of its table.
    IndirectCallToNull,
    /// It called a function by the wrong type.
    BadSignature,
    /// Integer arithmetic overflowed.
    IntegerOverflow,
    /// It divided by zero.
    DivisionByZero,
    /// It converted a float that does not fit an integer.
    BadConversion,
    /// It ran into `unreachable`: a panic or an abort.
    Unreachable,
    /// It ended itself: its runtime called `exit`.
    Exit,
    /// Anything else.
    Other,
}

impl TrapKind {
    /// What happened, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            TrapKind::StackOverflow => "calls went too deep",
            TrapKind::MemoryOutOfBounds => "memory access out of bounds",
            TrapKind::TableOutOfBounds => "table access out of bounds",
            TrapKind::IndirectCallToNull => "call through an empty table place",
            TrapKind::BadSignature => "indirect call with the wrong type",
            TrapKind::IntegerOverflow => "integer overflow",
            TrapKind::DivisionByZero => "division by zero",
            TrapKind::BadConversion => "float does not fit the integer",
            TrapKind::Unreachable => "ran into `unreachable`, as a panic or an abort does",
            TrapKind::Exit => "ended itself, as `exit` and a fatal error of its runtime do",
            TrapKind::Other => "trap",
        }
    }
}

impl core::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Failure::Fuel { limit, place } => {
                write!(f, "used up its {limit} fuel")?;
                place
            }
            Failure::Deadline { limit_ms, place } => {
                write!(f, "was not done within {limit_ms} ms of processor time")?;
                place
            }
            Failure::Memory { pages, limit, place } => {
                write!(f, "wanted {pages} pages of memory and may have {limit}")?;
                place
            }
            Failure::Table { elements, limit, place } => {
                write!(f, "wanted a table of {elements} elements and may have {limit}")?;
                place
            }
            Failure::Trap { kind, place } => {
                f.write_str(kind.text())?;
                place
            }
            Failure::Verdict(code) => {
                return write!(f, "`decide` returned {}; return 0, 1 or 2", code.cast_signed());
            }
            Failure::State(error) => return write!(f, "its state was not stored: {error}"),
            Failure::Engine(text) => return write!(f, "the engine could not run it: {text}"),
        };
        match place {
            Some(place) => write!(f, " in {place}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function {}", self.function)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        match self.offset {
            Some(offset) => write!(f, " at byte {offset:#x}"),
            None => Ok(()),
        }
    }
}
