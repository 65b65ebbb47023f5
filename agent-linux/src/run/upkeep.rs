//! What the agent looks after: a firewall that somebody else has touched, a roster that was changed.

use knockgate_core::Now;

use crate::admin::unguard;
use crate::audit::{Audit, AuditRecord};
use crate::broker::Lever;
use crate::config::Config;
use crate::firewall::{FirewallError, Grant, Integrity, Plan};
use crate::state::RosterChange;

use super::deeds::opening;
use super::driver::LinuxGate;

/// Whether there shall be a guard.
pub(super) enum Guard {
    Wanted,
    /// `knockgated unguard` was called.
    GivenUp,
    /// Whoever may change it is gone.
    OutOfReach(FirewallError),
}

/// What is compared with what.
pub(super) struct Upkeep {
    pub(super) plan: Plan,
}

/// Takes over a roster that an admin command has written.
pub(super) fn take_over_roster(now: Now, gate: &mut LinuxGate, change: RosterChange, audit: &Audit) {
    let RosterChange { enrolment, changes } = change;
    drop(gate.roster_mut().take_over(enrolment, &changes));
    for (id, _) in changes.removed.iter().chain(&changes.restricted) {
        gate.forget_client(now, *id);
    }
    let names = |list: &[(_, knockgate_core::Name)]| list.iter().map(|(_, name)| name.to_string()).collect();
    let (added, removed): (Vec<String>, Vec<String>) = (names(&changes.added), names(&changes.removed));
    tracing::info!(?added, ?removed, "the roster has changed");
    audit.write(AuditRecord::RosterChanged { added, removed });
}

impl Upkeep {
    /// Restores a guard that somebody else has removed or altered, and the grants with it. Only its owner's order lets it go.
    pub(super) fn firewall(
        &self,
        now: Now,
        firewall: &mut Lever,
        gate: &LinuxGate,
        config: &Config,
    ) -> Guard {
        match firewall.verify() {
            Ok(Integrity::Whole) => {}
            Ok(Integrity::Gone) if unguard::was_ordered() => return Guard::GivenUp,
            Ok(damage @ (Integrity::Gone | Integrity::Altered)) => {
                tracing::error!("somebody else has changed the guard ({damage:?}); restoring it");
                if let Err(error) = self.restore(now, firewall, gate, config) {
                    tracing::error!("the guard could not be restored, trying again in a second: {error}");
                }
            }
            Err(error @ FirewallError::BrokerGone) => return Guard::OutOfReach(error),
            Err(error) => tracing::warn!("cannot look after the guard: {error}"),
        }
        Guard::Wanted
    }

    pub(super) fn restore(
        &self,
        now: Now,
        firewall: &mut Lever,
        gate: &LinuxGate,
        config: &Config,
    ) -> Result<(), FirewallError> {
        firewall.reinstall(&self.plan)?;
        // Where several share an address and a service, the last one that is opened counts: the one that ends last.
        let mut grants: Vec<_> = gate.open_grants().collect();
        grants.sort_by_key(|grant| grant.deadline());
        for grant in grants {
            let timeout = grant.deadline().left(now.instant);
            let Some(service) = config.service_by_id(grant.service()).filter(|_| !timeout.is_zero()) else {
                continue;
            };
            let client = grant.client().0;
            firewall.open(&Grant { client, timeout, ..opening(grant.id(), grant.to(), service) })?;
        }
        Ok(())
    }
}
