//! What the agent looks after: a firewall that somebody else has touched, a roster that was changed.

use std::fmt;

use knockgate_core::Now;

use crate::admin::unguard;
use crate::audit::{Audit, AuditRecord};
use crate::broker::Lever;
use crate::config::{Config, OnChange};
use crate::firewall::{FirewallError, Integrity, Plan};
use crate::state::RosterChange;

use super::doors::Meddling;
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
    /// What was told last, while it lasts.
    told: Option<String>,
}

/// What somebody else has done to the guard.
enum Damage {
    /// The table is gone, or its rules are others.
    Rules(Integrity),
    Doors(Meddling),
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
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, told: None }
    }

    /// What is wrong with the guard, while it is.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// Restores a guard that somebody else has removed or altered, and the grants with it, or tells of it, as is wanted. Only its
    /// owner's order lets it go.
    pub(super) fn firewall(
        &mut self,
        now: Now,
        firewall: &mut Lever,
        gate: &LinuxGate,
        config: &Config,
        audit: &Audit,
    ) -> Guard {
        let damage = match self.look(now, firewall, gate, config) {
            Ok(Some(Damage::Rules(Integrity::Gone))) if unguard::was_ordered() => return Guard::GivenUp,
            Ok(damage) => damage,
            Err(error @ FirewallError::BrokerGone) => return Guard::OutOfReach(error),
            Err(error) => {
                self.tell(format!("cannot look after the guard: {error}"));
                return Guard::Wanted;
            }
        };
        match (damage, config.guard.on_change) {
            (None, _) => {
                if self.told.take().is_some() {
                    tracing::info!("the guard is as it shall be");
                }
            }
            (Some(damage), OnChange::Report) => self.report(&damage, audit),
            (Some(damage), OnChange::Restore) => {
                let restored = match &damage {
                    Damage::Rules(_) => self.restore(now, firewall, gate, config),
                    Damage::Doors(doors) => doors.undo(firewall),
                };
                self.restored(&damage, restored, audit);
            }
        }
        Guard::Wanted
    }

    fn look(
        &self,
        now: Now,
        firewall: &mut Lever,
        gate: &LinuxGate,
        config: &Config,
    ) -> Result<Option<Damage>, FirewallError> {
        match firewall.verify()? {
            damage @ (Integrity::Gone | Integrity::Altered) => return Ok(Some(Damage::Rules(damage))),
            // What is told of is not whole only because nobody has changed it since.
            Integrity::Whole if self.told.is_none() => return Ok(None),
            Integrity::Whole | Integrity::Touched => {}
        }
        let doors = Meddling::find(now, gate, config, firewall.grants()?);
        Ok((!doors.is_none()).then_some(Damage::Doors(doors)))
    }

    fn report(&mut self, damage: &Damage, audit: &Audit) {
        let told = format!(
            "somebody else has changed the guard ({damage}), and it stays so, for guard.on-change is \"report\"; restart the agent to \
             restore it"
        );
        if self.tell(told) {
            audit.write(AuditRecord::guard_changed(damage, "reported"));
        }
    }

    fn restored(&mut self, damage: &Damage, restored: Result<(), FirewallError>, audit: &Audit) {
        match restored {
            Ok(()) => {
                self.told = None;
                tracing::error!("somebody else has changed the guard ({damage}); it is restored");
                audit.write(AuditRecord::guard_changed(damage, "restored"));
            }
            Err(error) => {
                let told = format!(
                    "somebody else has changed the guard ({damage}), and it could not be restored, trying again every second: {error}"
                );
                if self.tell(told) {
                    audit.write(AuditRecord::guard_changed(damage, "failed"));
                }
            }
        }
    }

    /// Tells it once, and returns whether it was new. Until all is found as it shall be, it is looked at every second, whoever has
    /// changed it.
    pub(super) fn tell(&mut self, what: String) -> bool {
        if self.told.as_ref() == Some(&what) {
            return false;
        }
        tracing::error!("{what}");
        self.told = Some(what);
        true
    }

    pub(super) fn restore(
        &self,
        now: Now,
        firewall: &mut Lever,
        gate: &LinuxGate,
        config: &Config,
    ) -> Result<(), FirewallError> {
        let rules = firewall.reinstall(&self.plan);
        // Rules that could not be put back may still be there. What is open is put right either way.
        let found = firewall.grants();
        let doors = found.and_then(|found| Meddling::find(now, gate, config, found).undo(firewall));
        rules.and(doors)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules(Integrity::Gone) => f.write_str("its table is gone"),
            Self::Rules(Integrity::Altered | Integrity::Touched | Integrity::Whole) => {
                f.write_str("its rules are others")
            }
            Self::Doors(doors) => doors.fmt(f),
        }
    }
}
