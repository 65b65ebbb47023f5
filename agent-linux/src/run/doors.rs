//! What is open in the kernel, compared with what should be.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::{Grant, GrantId, Now};

use crate::broker::Lever;
use crate::config::Config;
use crate::firewall::{self, ExistingGrant, FirewallError, ForeignElement, Inventory, Protocol, Reach};

use super::adopt::closing;
use super::deeds::opening;
use super::driver::LinuxGate;

/// What is about to end may have ended in the kernel already.
const ABOUT_TO_END: Duration = Duration::from_secs(2);

/// What somebody else has done to the sets of open ports.
#[derive(Default)]
pub(super) struct Meddling {
    /// Opened by no agent.
    foreign: Vec<ForeignElement>,
    /// Under the number of a grant that is none.
    unknown: Vec<ExistingGrant>,
    /// Shut although a grant is open.
    shut: Vec<firewall::Grant>,
}

impl Meddling {
    pub(super) fn find(now: Now, gate: &LinuxGate, config: &Config, found: Inventory) -> Self {
        let Inventory { grants, foreign } = found;
        let ours: BTreeSet<GrantId> = gate.open_grants().map(Grant::id).collect();
        let (known, unknown): (Vec<_>, Vec<_>) =
            grants.into_iter().partition(|grant| ours.contains(&GrantId(grant.id)));
        let open: BTreeSet<Door> = known.iter().flat_map(Door::of).collect();
        let mut should: Vec<_> = should_be_open(now, gate, config).collect();
        // Where several share an address and a service, the last one that is opened counts: the one that ends last.
        should.sort_by_key(|grant| grant.timeout);
        let is_shut = |grant: &firewall::Grant| {
            grant.timeout > ABOUT_TO_END && !Door::all(grant).all(|door| open.contains(&door))
        };
        let lasts = |grant: &ExistingGrant| grant.remaining > ABOUT_TO_END;
        let unknown = unknown.into_iter().filter(lasts).collect();
        Self { foreign, unknown, shut: should.into_iter().filter(is_shut).collect() }
    }

    pub(super) fn is_none(&self) -> bool {
        self.foreign.is_empty() && self.unknown.is_empty() && self.shut.is_empty()
    }

    /// Shuts and opens again.
    pub(super) fn undo(&self, firewall: &mut Lever) -> Result<(), FirewallError> {
        if !self.foreign.is_empty() {
            firewall.remove_foreign(&self.foreign)?;
        }
        self.unknown.iter().flat_map(closing).try_for_each(|part| firewall.close(&part))?;
        self.shut.iter().try_for_each(|grant| firewall.open(grant))
    }
}

impl fmt::Display for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opened = self.foreign.len().saturating_add(self.unknown.len());
        write!(f, "{opened} opened that no grant is for, {} grants shut", self.shut.len())
    }
}

/// Every open grant, as it is opened again for the time that it has left.
pub(super) fn should_be_open<'a>(
    now: Now,
    gate: &'a LinuxGate,
    config: &'a Config,
) -> impl Iterator<Item = firewall::Grant> + 'a {
    gate.open_grants().filter_map(move |grant| {
        let timeout = grant.deadline().left(now.instant);
        let service = config.service_by_id(grant.service()).filter(|_| !timeout.is_zero())?;
        let client = grant.client().0;
        Some(firewall::Grant { client, timeout, ..opening(grant.id(), grant.to(), service) })
    })
}

/// Whom a port is open to.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Door {
    network: IpAddr,
    reach: Reach,
    protocol: Protocol,
    port: u16,
}

impl Door {
    fn of(grant: &ExistingGrant) -> impl Iterator<Item = Self> {
        let &ExistingGrant { source: network, reach, protocol, .. } = grant;
        grant.ports.iter().map(move |&port| Self { network, reach, protocol, port })
    }

    fn all(grant: &firewall::Grant) -> impl Iterator<Item = Self> {
        let &firewall::Grant { source, reach, protocol, .. } = grant;
        let network = reach.network(source);
        grant.ports.iter().map(move |&port| Self { network, reach, protocol, port })
    }
}
