//! The policy `default` as a function of this program, for hosts that are too small for an engine.
//!
//! It decides what `policies/builtin/default.wat` decides, through the same [`Transaction`], so rights and limits are the same too;
//! `tests/builtin/native.rs` asks both the same questions. It costs no fuel. What it leaves out is the sandbox: it is part of what a
//! sandbox would protect.

use knockgate_policy_abi::limits::{Limits, SERVER};
use knockgate_policy_abi::{Capabilities, Manifest, VERDICT_COMMIT, VERDICT_DENY, attr};

use crate::policy::{Code, Parts};
use crate::{Decision, LoadError, Policy, Rights, Transaction, builtin, demands};

/// Asks and acts on what is being decided, and returns a verdict as a module's `decide` does.
pub(crate) type Decide = fn(&mut Transaction) -> u32;

/// The manifest of `default.wat`.
const MANIFEST: &[u8] = b"abi=1.0\nname=default\nversion=1.0\nservices=*\ncapabilities=open open-prefix\n\
    causes=sequence packet renew\nfuel=1000\npages=1\n";

/// Stands where an engine would: loads the policy `default`, and no other.
pub struct NativePolicies {
    limits: Limits,
    supported: Capabilities,
}

impl NativePolicies {
    /// For a server that can do what is in `supported`.
    #[must_use]
    pub const fn new(supported: Capabilities) -> Self {
        Self { limits: SERVER, supported }
    }

    /// Loads the policy that the module stands for. `name` is the host's name for it, used in messages.
    ///
    /// # Errors
    /// The module is not the built-in `default`, asks for what this host does not have, or is left without any right. The error
    /// ends with what to do.
    pub fn load(&self, name: &str, module: &[u8], rights: &Rights) -> Result<Policy, LoadError> {
        if module != builtin::DEFAULT {
            return Err(LoadError::NoEngine);
        }
        let manifest = Manifest::parse(MANIFEST)?;
        demands::check(&manifest, &self.limits, self.supported)?;
        Ok(Policy::new(Parts {
            name: name.into(),
            code: Code::Native(open_what_was_asked),
            manifest: &manifest,
            rights: demands::rights(&manifest, rights, self.supported)?,
            limits: self.limits,
        }))
    }
}

/// Decides by a function of this program. By itself, so that what it works with is on nobody else's stack.
#[inline(never)]
pub(crate) fn run(decide: Decide, mut transaction: Transaction) -> Decision {
    let verdict = decide(&mut transaction);
    transaction.finish(Ok(verdict), 0)
}

/// The same, unless something has to be stored; then nothing has happened.
#[cfg(feature = "std")]
pub(crate) fn run_without_store(decide: Decide, mut transaction: Transaction) -> Option<Decision> {
    let verdict = decide(&mut transaction);
    (!transaction.would_store(Some(verdict))).then(|| transaction.finish(Ok(verdict), 0))
}

fn open_what_was_asked(on: &mut Transaction) -> u32 {
    let number = |key| u32::try_from(on.attr(key)).unwrap_or(u32::MAX);
    let (service, prefix) = (number(attr::SERVICE), number(attr::ASKED_PREFIX));
    let seconds = number(attr::SECONDS).min(number(attr::MAX_SECONDS));
    let refused = match prefix {
        0 => on.open(service, seconds),
        bits => on.open_prefix(service, bits, seconds),
    };
    if refused == 0 { VERDICT_COMMIT } else { VERDICT_DENY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_the_modules() {
        assert!(builtin::DEFAULT.windows(MANIFEST.len()).any(|part| part == MANIFEST));
    }
}
