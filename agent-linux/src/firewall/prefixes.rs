//! Which prefixes the rules in force know, by port.
//!
//! The kernel finds a grant for a prefix by the source's leading bits, and how many those are stands in the rule, not in
//! the element. So an element that was written for another length must never meet a rule: under a shorter prefix it would
//! open to more addresses than it was granted for.

use std::collections::HashMap;

use super::Grant;
use super::elements::{KernelElement, Key};
use super::error::FirewallError;
use super::plan::{Plan, Prefixes, Protocol};
use super::reach::Reach;

pub(crate) struct PrefixTable(HashMap<(Protocol, u16), Prefixes>);

impl PrefixTable {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut table = HashMap::new();
        for service in &plan.services {
            let Some(prefixes) = service.prefix else { continue };
            table.extend(service.ports.iter().map(|&port| ((service.protocol, port), prefixes)));
        }
        Self(table)
    }

    /// Whether a new grant is for the length that its ports' rules know.
    pub(crate) fn check(&self, grant: &Grant) -> Result<(), FirewallError> {
        let Reach::Prefix(bits) = grant.reach else { return Ok(()) };
        let network = grant.reach.network(grant.source);
        let known = |port| self.0.get(&(grant.protocol, port)).and_then(|prefixes| prefixes.of(&network));
        match grant.ports.iter().find(|&&port| known(port) != Some(bits)) {
            Some(&port) => Err(FirewallError::NoSuchPrefix { port, bits }),
            None => Ok(()),
        }
    }

    /// Whether all elements of the wide sets may stay where they are.
    pub(crate) fn fits(&self, wide: &[KernelElement]) -> bool {
        wide.iter().all(|element| self.allows(element))
    }

    /// Whether an element may be in a table with these rules.
    pub(crate) fn allows(&self, element: &KernelElement) -> bool {
        let Key::Wide { network, protocol, port } = element.key else { return true };
        let known = self.0.get(&(protocol, port)).and_then(|prefixes| prefixes.of(&network));
        // Who has no rule opens nothing, but would if the rule came back another day.
        element.tag().is_some_and(|tag| known.is_some_and(|bits| tag.reach == Reach::Prefix(bits)))
    }
}
