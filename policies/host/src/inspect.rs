//! Looks at a module's bytes before the compiler sees them: is it a module, does it use only what a policy may use, where is
//! its manifest, how much does it need.

use alloc::string::ToString;
use alloc::vec::Vec;

use knockgate_policy_abi::interface::MANIFEST_SECTION;
use knockgate_policy_abi::limits::Limits;
use wasmparser::{BinaryReaderError, Parser, Payload, Validator, WasmFeatures};

use crate::LoadError;
use crate::needs::Needs;

/// The WebAssembly that a policy may use: the same on every host.
const LANGUAGE: WasmFeatures = WasmFeatures::MVP
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::EXTENDED_CONST);

/// What a module says about itself.
pub(crate) struct Inspected {
    /// The text of its manifest.
    pub(crate) manifest: Vec<u8>,
    /// What it declares.
    pub(crate) needs: Needs,
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
    check_kind(bytes)?;
    check_language(bytes)?;
    read(bytes)
}

fn check_kind(bytes: &[u8]) -> Result<(), LoadError> {
    if Parser::is_component(bytes) {
        return Err(LoadError::Component);
    }
    if Parser::is_core_wasm(bytes) {
        return Ok(());
    }
    let start = bytes.trim_ascii_start();
    let starts_like_text = start.starts_with(b"(") || start.starts_with(b";;");
    Err(if starts_like_text { LoadError::Text } else { LoadError::NotWasm })
}

fn check_language(bytes: &[u8]) -> Result<(), LoadError> {
    let Err(error) = Validator::new_with_features(LANGUAGE).validate_all(bytes) else { return Ok(()) };
    let (message, offset) = (error.message().to_string(), error.offset() as u64);
    Err(match Validator::new_with_features(WasmFeatures::all()).validate_all(bytes) {
        Ok(_) => LoadError::ForbiddenFeature { message, offset },
        Err(_) => LoadError::Invalid { message, offset },
    })
}

fn read(bytes: &[u8]) -> Result<Inspected, LoadError> {
    let (mut manifest, mut needs) = (None, Needs::default());
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| invalid(&error))? {
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                let first = manifest.replace(section.data().to_vec()).is_none();
                first.then_some(()).ok_or(LoadError::TwoManifests)?;
            }
            Payload::MemorySection(memories) => {
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
            // The validator has seen the rest.
            _ => {}
        }
    }
    Ok(Inspected { manifest: manifest.ok_or(LoadError::NoManifest)?, needs })
}

fn invalid(error: &BinaryReaderError) -> LoadError {
    LoadError::Invalid { message: error.message().to_string(), offset: error.offset() as u64 }
}
