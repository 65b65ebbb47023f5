//! What the engine says when a policy fails, as a [`Failure`].

use alloc::string::String;

use wasmtime::{Error, Trap, WasmBacktrace};

use crate::failure::{Failure, Place, TrapKind};
use crate::imports::GrowthRefused;

impl Failure {
    /// Reads the engine's error.
    pub(crate) fn from_error(error: &Error, fuel: u64, deadline_ms: Option<u32>) -> Self {
        let place = place(error);
        if let Some(refused) = error.downcast_ref::<GrowthRefused>() {
            return match *refused {
                GrowthRefused::Memory { pages, limit } => Failure::Memory { pages, limit, place },
                GrowthRefused::Table { elements, limit } => Failure::Table { elements, limit, place },
            };
        }
        #[cfg(feature = "std")]
        if error.downcast_ref::<crate::imports::Exited>().is_some() {
            return Failure::Trap { kind: TrapKind::Exit, place };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Failure::Fuel { limit: fuel, place },
            Some(Trap::Interrupt) => Failure::Deadline { limit_ms: deadline_ms.unwrap_or(0), place },
            Some(trap) => Failure::Trap { kind: TrapKind::from_trap(*trap), place },
            None => Failure::Engine(alloc::format!("{error:#}")),
        }
    }
}

fn place(error: &Error) -> Option<Place> {
    let frame = error.downcast_ref::<WasmBacktrace>()?.frames().first()?;
    Some(Place {
        function: frame.func_index(),
        name: frame.func_name().map(String::from),
        offset: frame.module_offset().and_then(|offset| u64::try_from(offset).ok()),
    })
}

impl TrapKind {
    fn from_trap(trap: Trap) -> Self {
        match trap {
            Trap::StackOverflow => TrapKind::StackOverflow,
            Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
            Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
            Trap::IndirectCallToNull => TrapKind::IndirectCallToNull,
            Trap::BadSignature => TrapKind::BadSignature,
            Trap::IntegerOverflow => TrapKind::IntegerOverflow,
            Trap::IntegerDivisionByZero => TrapKind::DivisionByZero,
            Trap::BadConversionToInteger => TrapKind::BadConversion,
            Trap::UnreachableCodeReached => TrapKind::Unreachable,
            // The engine's list is open; the others belong to features that no policy may use.
            _ => TrapKind::Other,
        }
    }
}
