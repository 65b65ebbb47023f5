//! What a manifest asks for, held against what this host has and the configuration grants.

use alloc::sync::Arc;

use knockgate_policy_abi::limits::Limits;
use knockgate_policy_abi::{Capabilities, Capability, Manifest, VERSION};

use crate::{EffectiveRights, LoadError, Rights};

/// What the manifest asks for must exist here.
pub(crate) fn check(
    manifest: &Manifest<'_>,
    limits: &Limits,
    supported: Capabilities,
) -> Result<(), LoadError> {
    if !VERSION.runs(manifest.abi) {
        return Err(LoadError::AbiTooNew { wanted: manifest.abi, have: VERSION });
    }
    let wanted = manifest.fuel.unwrap_or(limits.fuel);
    if wanted > limits.fuel {
        return Err(LoadError::TooMuchFuel { wanted, limit: limits.fuel, profile: limits.name });
    }
    let missing = manifest.capabilities.without(supported);
    match missing.iter().find(|capability| !manifest.optional.has(capability.name())) {
        Some(capability) => Err(LoadError::NotOnThisHost(capability)),
        None => Ok(()),
    }
}

/// What is left to the policy. One that can do nothing at all is a mistake in the configuration, better said now than at the
/// first knock.
pub(crate) fn rights(
    manifest: &Manifest<'_>,
    configured: &Rights,
    supported: Capabilities,
) -> Result<Arc<EffectiveRights>, LoadError> {
    let rights = EffectiveRights::new(manifest, configured, supported)?;
    // What can only log does its work without: a filter that denies or abstains needs no capability at all.
    let wanted = manifest.capabilities.without(Capabilities::of(&[Capability::Log]));
    let granted = rights.capabilities();
    if !wanted.is_empty() && granted.is_empty() {
        return Err(LoadError::NoCapability(wanted));
    }
    let opens = granted.has(Capability::Open) || granted.has(Capability::OpenPrefix);
    if opens && rights.services().next().is_none() {
        return Err(LoadError::NoService);
    }
    if opens && rights.max_seconds(None) == 0 {
        return Err(LoadError::NoTime);
    }
    Ok(Arc::new(rights))
}
