//! Policies compiled ahead, for hosts that have no compiler: what `knockgate-policy compile` writes and a gateway runs.
//!
//! A file is a header of fixed length, the text of the manifest, and what the engine's compiler made. Reading one allocates
//! nothing and needs no `std`. All numbers are little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..8 | the letters `KGpolicy` |
//! | 8..10 | format of the file, 1 |
//! | 10 | [`Target`]: 1 gateway, 2 the same with wide pointers |
//! | 11 | 0 |
//! | 12..28 | version of the engine as text, filled up with zeros |
//! | 28..60 | SHA-256 of the WebAssembly module |
//! | 60..64 | bytes of the manifest |
//! | 64..68 | bytes of the compiled code |
//! | 68..100 | SHA-256 of everything before and after it |
//! | 100.. | the manifest, zeros up to a multiple of 16, the compiled code |
//!
//! [`Precompiled::parse`] notices damage anywhere, but whoever means harm can compute a hash too: the engine runs such code
//! without checking it again. So an engine takes it only as [`Trusted`], which somebody must have vouched for.

#[cfg(feature = "compile")]
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};

pub use crate::sys::Trusted;
#[cfg(feature = "compile")]
use crate::{Capabilities, LoadError, PolicyEngine, Profile, settings};

/// The engine that compiles and runs. Byte code and its tables may change with any release, so another one is refused.
pub const ENGINE_VERSION: &str = "48.0.8";

const MAGIC: [u8; 8] = *b"KGpolicy";
const FORMAT: u16 = 1;
/// What the last field of the header, the hash, does not cover: itself.
const HASHED_HEADER: usize = 68;
const HASH: usize = 32;
const HEADER: usize = HASHED_HEADER + HASH;
/// The engine reads its own tables where they lie, so a firmware that keeps the file in flash aligns it once.
pub(crate) const ALIGNMENT: usize = 16;

/// For which hosts a policy is compiled: a profile and a kind of byte code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Gateways: the edge profile, byte code for pointers of 32 bits.
    Gateway,
    /// The same for pointers of 64 bits, so that what gateways do can be tested where there is a compiler.
    Wide,
}

impl Target {
    const ALL: [Self; 2] = [Self::Gateway, Self::Wide];

    /// What an interpreter in this very program can run.
    pub(crate) const fn of_this_program() -> Self {
        if cfg!(target_pointer_width = "32") { Self::Gateway } else { Self::Wide }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Gateway => 1,
            Self::Wide => 2,
        }
    }

    /// As the compiler calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "pulley32",
            Self::Wide => "pulley64",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A compiled policy whose header was read and whose bytes are what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precompiled<'a> {
    target: Target,
    module_sha256: [u8; HASH],
    manifest: &'a [u8],
    code: &'a [u8],
}

/// Why it is no compiled policy for this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrecompiledError {
    /// It is something else.
    #[error("not a compiled policy; make one with `knockgate-policy compile`")]
    NotOne,
    /// It is laid out in another way.
    #[error(
        "a compiled policy of format {0}, and this version reads format {FORMAT}; compile it again with the `knockgate-policy` \
         of the host's version"
    )]
    OtherFormat(u16),
    /// It is cut off, or something was appended.
    #[error(
        "a compiled policy of {has} bytes that should have {should_have}; copy it again, or compile it again"
    )]
    Length {
        /// The bytes that are there.
        has: usize,
        /// What its header says, or the length of the header if not even that is whole.
        should_have: u64,
    },
    /// A byte has changed.
    #[error("a damaged compiled policy: its hash is wrong; copy it again, or compile it again")]
    Damaged,
    /// Another release of the engine compiled it.
    #[error(
        "compiled by engine {0}, and this host runs {ENGINE_VERSION}; compile it again with the `knockgate-policy` of the \
         host's version"
    )]
    OtherEngine(EngineVersion),
    /// It is for hosts of which this version knows nothing.
    #[error(
        "compiled for hosts of kind {0}, which this version does not know; compile it again with the `knockgate-policy` of the \
         host's version"
    )]
    UnknownTarget(u8),
}

/// The version of an engine, as a file tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineVersion([u8; 16]);

impl EngineVersion {
    /// The engine in this program.
    const OURS: Self = {
        let (mut bytes, text) = ([0; 16], ENGINE_VERSION.as_bytes());
        let (start, _) = bytes.split_at_mut(text.len());
        start.copy_from_slice(text);
        Self(bytes)
    };
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        write!(f, "{}", text.escape_ascii())
    }
}

impl<'a> Precompiled<'a> {
    /// Whether the bytes begin as a compiled policy does, in any version.
    #[must_use]
    pub fn is_meant_by(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Reads the header and holds everything against its hash.
    ///
    /// # Errors
    /// It is none, is not whole, or was made by another version. The error ends with what to do.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PrecompiledError> {
        let mut rest = bytes;
        if !bytes.starts_with(&MAGIC) && !MAGIC.starts_with(bytes) {
            return Err(PrecompiledError::NotOne);
        }
        let [..] = take::<{ MAGIC.len() }>(&mut rest, bytes)?;
        let format = u16::from_le_bytes(take(&mut rest, bytes)?);
        if format != FORMAT {
            return Err(PrecompiledError::OtherFormat(format));
        }
        let [target, _] = take(&mut rest, bytes)?;
        let engine = EngineVersion(take(&mut rest, bytes)?);
        let module_sha256 = take(&mut rest, bytes)?;
        let manifest = u32::from_le_bytes(take(&mut rest, bytes)?);
        let code = u32::from_le_bytes(take(&mut rest, bytes)?);
        let hash: [u8; HASH] = take(&mut rest, bytes)?;
        let (manifest, code) = cut(rest, manifest, code)
            .ok_or(PrecompiledError::Length { has: bytes.len(), should_have: whole(manifest, code) })?;
        if hash != hash_of(bytes.get(..HASHED_HEADER).unwrap_or_default(), rest) {
            return Err(PrecompiledError::Damaged);
        }
        if engine != EngineVersion::OURS {
            return Err(PrecompiledError::OtherEngine(engine));
        }
        let target = Target::ALL
            .into_iter()
            .find(|known| known.code() == target)
            .ok_or(PrecompiledError::UnknownTarget(target))?;
        Ok(Self { target, module_sha256, manifest, code })
    }

    /// For which hosts it is.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// SHA-256 of the WebAssembly module that it was made from.
    #[must_use]
    pub const fn module_sha256(&self) -> &[u8; 32] {
        &self.module_sha256
    }

    /// The text of the policy's manifest.
    #[must_use]
    pub const fn manifest(&self) -> &'a [u8] {
        self.manifest
    }

    /// What the engine's compiler made.
    #[must_use]
    pub const fn code(&self) -> &'a [u8] {
        self.code
    }
}

/// The next field of the header of `whole`.
fn take<const N: usize>(rest: &mut &[u8], whole: &[u8]) -> Result<[u8; N], PrecompiledError> {
    let missing = PrecompiledError::Length { has: whole.len(), should_have: HEADER as u64 };
    let (field, after) = rest.split_first_chunk::<N>().ok_or(missing)?;
    *rest = after;
    Ok(*field)
}

/// Manifest and code, if they are all that follows the header.
fn cut(rest: &[u8], manifest: u32, code: u32) -> Option<(&[u8], &[u8])> {
    let (manifest, code) = (usize::try_from(manifest).ok()?, usize::try_from(code).ok()?);
    let (text, after) = rest.split_at_checked(manifest)?;
    let (_, after) = after.split_at_checked(gap(manifest))?;
    (after.len() == code).then_some((text, after))
}

/// Zeros between manifest and code.
const fn gap(manifest: usize) -> usize {
    // Not `next_multiple_of` on the sum, which a hostile length could overflow on a gateway.
    (ALIGNMENT - (HEADER % ALIGNMENT + manifest % ALIGNMENT) % ALIGNMENT) % ALIGNMENT
}

/// The length that a header promises.
fn whole(manifest: u32, code: u32) -> u64 {
    let gap = gap(usize::try_from(manifest).unwrap_or(0));
    HEADER as u64 + u64::from(manifest) + gap as u64 + u64::from(code)
}

fn hash_of(header: &[u8], rest: &[u8]) -> [u8; HASH] {
    Sha256::new().chain_update(header).chain_update(rest).finalize().into()
}

/// Compiles a policy ahead. It must pass all that [`PolicyEngine::load`] asks of a policy of the edge profile on a gateway, but
/// for rights, which only its host can give.
///
/// # Errors
/// As [`PolicyEngine::load`].
#[cfg(feature = "compile")]
pub fn precompile(bytes: &[u8], target: Target) -> Result<Vec<u8>, LoadError> {
    let refused = |error: &dyn fmt::Display| LoadError::Engine(alloc::format!("{error:#}"));
    let interpreter =
        PolicyEngine::on_pulley(Profile::Edge, Capabilities::GATEWAY).map_err(|error| refused(&error))?;
    let manifest = interpreter.check(bytes)?;
    let code = settings::interpreted(&Profile::Edge.limits(), Profile::Edge, target.name())
        .and_then(|config| wasmtime::Engine::new(&config))
        .and_then(|compiler| compiler.precompile_module(bytes))
        .map_err(|error| refused(&error))?;
    Ok(assemble(target, Sha256::digest(bytes).into(), &manifest, &code))
}

#[cfg(feature = "compile")]
fn assemble(target: Target, module_sha256: [u8; HASH], manifest: &[u8], code: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend(MAGIC);
    header.extend(FORMAT.to_le_bytes());
    header.extend([target.code(), 0]);
    header.extend(EngineVersion::OURS.0);
    header.extend(module_sha256);
    header.extend(length(manifest));
    header.extend(length(code));
    let mut rest = manifest.to_vec();
    rest.resize(manifest.len() + gap(manifest.len()), 0);
    rest.extend(code);
    let hash = hash_of(&header, &rest);
    header.extend(hash);
    header.extend(rest);
    header
}

#[cfg(feature = "compile")]
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("a module of the edge profile has at most 32 kB").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_version_is_the_one_that_cargo_is_told() {
        let workspace = include_str!("../../../Cargo.toml");
        let expected = alloc::format!("wasmtime = {{ version = \"={ENGINE_VERSION}\"");
        assert!(workspace.lines().any(|line| line.starts_with(&expected)), "{expected}");
    }

    #[test]
    fn code_begins_at_a_multiple_of_16() {
        for manifest in 0..40 {
            assert_eq!((HEADER + manifest + gap(manifest)) % ALIGNMENT, 0, "{manifest}");
            assert!(gap(manifest) < ALIGNMENT);
        }
        assert!(gap(usize::MAX) < ALIGNMENT);
    }
}
