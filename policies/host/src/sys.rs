//! The crate's unsafe code, all of it: compiled code is run as it is, so somebody must vouch for where it comes from.
#![allow(unsafe_code, reason = "code that was compiled ahead cannot be checked again")]

use core::ptr::NonNull;

use wasmtime::{Engine, Module};

use crate::precompiled::Precompiled;

/// A compiled policy that somebody has vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted<'a>(Precompiled<'a>);

impl<'a> Trusted<'a> {
    /// Vouches for a compiled policy.
    ///
    /// # Safety
    /// The bytes that were parsed were written by `precompile` of this crate, in any version, and nobody can have changed them
    /// since: they come from our own compiler in this process, or lie inside an image whose signature was verified. A file
    /// that parses proves neither, because its hash is not secret. Anything else can do in this process what it likes.
    ///
    /// Where `'a` is `'static`, they also stay unchanged for as long as there is a policy that was loaded from them by
    /// [`PolicyEngine::load_in_place`](crate::PolicyEngine::load_in_place).
    #[must_use]
    pub const unsafe fn new(policy: Precompiled<'a>) -> Self {
        Self(policy)
    }

    /// What was vouched for.
    #[must_use]
    pub const fn policy(&self) -> &Precompiled<'a> {
        &self.0
    }

    /// The module, ready to be linked. The engine itself refuses what was compiled with other settings or by another version.
    pub(crate) fn module(&self, engine: &Engine) -> wasmtime::Result<Module> {
        // SAFETY: whoever made this value has promised that `precompile` wrote the bytes, which is what `deserialize` asks for:
        // the unchanged output of an engine of any version. Padding and header are not part of it.
        unsafe { Module::deserialize(engine, self.0.code()) }
    }
}

impl Trusted<'static> {
    /// The module, ready to be linked, which goes on using the bytes where they lie.
    pub(crate) fn module_in_place(&self, engine: &Engine) -> wasmtime::Result<Module> {
        // SAFETY: as in `module`; and the bytes are there for ever, and whoever made this value has promised that they stay
        // as they are while the module is used. The engine only reads them.
        unsafe { Module::deserialize_raw(engine, NonNull::from(self.0.code())) }
    }
}
