//! Policies for gateways: compiled ahead, after all that a gateway will look at.

use knockgate_core::Name;
use knockgate_policy_host::precompiled::{self, Target};
use knockgate_policy_host::{Capabilities, Rights};

use super::Loader;

/// A policy as a gateway runs it.
pub struct Compiled {
    /// What was compiled for gateways.
    pub code: Vec<u8>,
    /// What it may do there.
    pub rights: Rights,
}

impl Loader {
    /// Compiles the policy of that name for a gateway, after all that a gateway will look at.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn compile(&self, name: &Name) -> anyhow::Result<Compiled> {
        let source = self.source(name)?;
        let compiled = self
            .engine
            .load(name.as_str(), &source.bytes, &source.rights)
            .and_then(|_| precompiled::precompile(&source.bytes, Target::Gateway));
        let code = compiled.map_err(|error| self.cannot_be_used(name, &source, &error))?;
        let capabilities = source.rights.capabilities.and(Capabilities::GATEWAY);
        Ok(Compiled { code, rights: Rights { capabilities, ..source.rights } })
    }
}
