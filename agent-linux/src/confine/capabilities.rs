//! Capabilities: the worker has none, the broker CAP_NET_ADMIN, and neither gets any back, by whatever program.

use anyhow::{Context, bail};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

/// Whether this process is a user's and has rights nevertheless.
///
/// # Errors
/// The kernel does not say.
pub fn has_capabilities_of_a_user() -> anyhow::Result<bool> {
    Ok(!geteuid().is_root() && !capabilities(None)?.permitted.is_empty())
}

/// The next program that this process becomes has no capability, and none after that.
///
/// # Errors
/// The kernel refuses it.
pub fn leave_none_to_the_next_program() -> anyhow::Result<()> {
    set_no_new_privs(true)?;
    Ok(clear_ambient_capability_set()?)
}

/// For the broker: it can change the firewall, and so can `nft`, which it starts.
pub(super) fn keep_the_firewall_alone() -> anyhow::Result<()> {
    const FIREWALL: CapabilitySet = CapabilitySet::NET_ADMIN;
    set_no_new_privs(true)?;
    empty_the_bounding_set_but_for(FIREWALL)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let permitted = capabilities(None)?.permitted & FIREWALL;
    keep(permitted)?;
    clear_ambient_capability_set()?;
    if permitted.is_empty() {
        // The kernel says so again when the firewall is to be changed, with the remedy.
        return Ok(());
    }
    // Without root's name, a program that is started has only what is ambient.
    Ok(configure_capability_in_ambient_set(permitted, true)?)
}

/// What is in there could come back with a program that has it in its file.
pub(super) fn empty_the_bounding_set() -> anyhow::Result<()> {
    empty_the_bounding_set_but_for(CapabilitySet::empty())
}

fn empty_the_bounding_set_but_for(kept: CapabilitySet) -> anyhow::Result<()> {
    for capability in (CapabilitySet::all() - kept).iter() {
        // One that this kernel does not know is not there.
        if !capability_is_in_bounding_set(capability).unwrap_or(false) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            // Without CAP_SETPCAP it stays; no_new_privs keeps it from having an effect.
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error).context("the bounding set cannot be changed"),
        }
    }
    Ok(())
}

/// Whoever has no others need not be let: a unit may forbid the call.
fn keep(kept: CapabilitySet) -> anyhow::Result<()> {
    let there = capabilities(None)?;
    match set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept }) {
        // What can be inherited is so by a program that has it in its file, and no_new_privs keeps that from having an effect.
        Err(Errno::PERM) if there.effective == kept && there.permitted == kept => Ok(()),
        other => Ok(other?),
    }
}

/// Nothing of this process may read its memory from outside either: there are keys in it.
pub(super) fn drop_all() -> anyhow::Result<()> {
    set_no_new_privs(true).context("no_new_privs cannot be set")?;
    keep(CapabilitySet::empty())?;
    clear_ambient_capability_set()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let left = capabilities(None)?;
    if !(left.effective | left.permitted).is_empty() {
        bail!("capabilities are left ({:?}); this is a mistake in knockgated", left.permitted);
    }
    Ok(())
}
