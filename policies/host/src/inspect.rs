//! Looks at the bytes before the compiler sees them: is it a module or a component, does it use only what a policy may use, where is
//! its manifest, how much does it need.

use alloc::string::ToString;
use alloc::vec::Vec;

use knockgate_policy_abi::interface::MANIFEST_SECTION;
use knockgate_policy_abi::limits::Limits;
use wasmparser::{BinaryReaderError, Parser, Payload, Validator, WasmFeatures};

use crate::LoadError;
use crate::needs::Needs;

/// The WebAssembly that a policy may use: the same on every host. Not `externref`, which [`WasmFeatures::MVP`] would add to
/// reference types: it needs a garbage collector, and the engine is built without one.
const LANGUAGE: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::EXTENDED_CONST);

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Module,
    Component,
}

/// What a module or component says about itself.
pub(crate) struct Inspected {
    /// What it is.
    pub(crate) kind: Kind,
    /// The text of its manifest.
    pub(crate) manifest: Vec<u8>,
    /// What it declares, if it is a module; of a component the engine knows.
    pub(crate) needs: Needs,
    /// Whether a module runs code as soon as there is an instance of it.
    pub(crate) starts: bool,
}

/// Checks the module and returns what it says about itself.
pub(crate) fn inspect(bytes: &[u8], limits: &Limits) -> Result<Inspected, LoadError> {
    if bytes.len() > limits.module_bytes {
        return Err(LoadError::TooBig {
            bytes: bytes.len(),
            limit: limits.module_bytes,
            profile: limits.name,
        });
    }
    let kind = kind(bytes)?;
    check_language(bytes, kind)?;
    read(bytes, kind)
}

fn kind(bytes: &[u8]) -> Result<Kind, LoadError> {
    if Parser::is_component(bytes) {
        return Ok(Kind::Component);
    }
    if Parser::is_core_wasm(bytes) {
        return Ok(Kind::Module);
    }
    let start = bytes.trim_ascii_start();
    let starts_like_text = start.starts_with(b"(") || start.starts_with(b";;");
    Err(if starts_like_text { LoadError::Text } else { LoadError::NotWasm })
}

fn check_language(bytes: &[u8], kind: Kind) -> Result<(), LoadError> {
    let language = match kind {
        Kind::Module => LANGUAGE,
        // Runs on servers only, where JavaScript's runtime may have its tail calls.
        Kind::Component => LANGUAGE.union(WasmFeatures::COMPONENT_MODEL).union(WasmFeatures::TAIL_CALL),
    };
    let Err(error) = Validator::new_with_features(language).validate_all(bytes) else { return Ok(()) };
    let (message, offset) = (error.message().to_string(), error.offset() as u64);
    Err(match Validator::new_with_features(WasmFeatures::all()).validate_all(bytes) {
        Ok(_) => LoadError::ForbiddenFeature { message, offset },
        Err(_) => LoadError::Invalid { message, offset },
    })
}

fn read(bytes: &[u8], kind: Kind) -> Result<Inspected, LoadError> {
    let (mut manifest, mut needs, mut starts, mut depth) = (None, Needs::default(), false, 0_u32);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| invalid(&error))? {
            Payload::Version { .. } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            // A part of a component may be a policy by itself; its manifest is not the whole's.
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION && depth == 1 => {
                let first = manifest.replace(section.data().to_vec()).is_none();
                first.then_some(()).ok_or(LoadError::TwoManifests)?;
            }
            Payload::MemorySection(memories) => {
                needs.memories = memories.count();
                for memory in memories {
                    needs.pages = needs.pages.max(memory.map_err(|error| invalid(&error))?.initial);
                }
            }
            Payload::TableSection(tables) => {
                needs.tables = tables.count();
                for table in tables {
                    let table = table.map_err(|error| invalid(&error))?;
                    needs.table_elements = needs.table_elements.max(table.ty.initial);
                }
            }
            Payload::StartSection { .. } => starts = true,
            // The validator has seen the rest.
            _ => {}
        }
    }
    Ok(Inspected { kind, manifest: manifest.ok_or(LoadError::NoManifest)?, needs, starts })
}

fn invalid(error: &BinaryReaderError) -> LoadError {
    LoadError::Invalid { message: error.message().to_string(), offset: error.offset() as u64 }
}
