//! Grants that live as long as the connections through them.
//!
//! The host looks at the connections and says what it sees; the gate prolongs by little at a time, so that a grant whose host
//! has died ends soon, too. Rule: `docs/protocol.md`, section 6.7.

use rand_core::CryptoRng;

use crate::action::GrantId;
use crate::grant::{Flows, Grant, Phase};
use crate::limits::{FOLLOW_AHEAD, FOLLOW_GRACE};
use crate::roster::Roster;
use crate::time::{Instant, Now};

use super::Gate;

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// The grants whose connections the host shall look at, about once a second.
    pub fn followed(&self) -> impl Iterator<Item = &Grant> {
        let follows =
            |grant: &&Grant| self.config.service(grant.service).is_some_and(|service| service.follow);
        self.open_grants().filter(follows)
    }

    /// Takes note of what the host has seen of the connections through a grant of [`Gate::followed`].
    pub fn handle_flows(&mut self, now: Now, id: GrantId, flows: Flows) {
        let now = now.instant;
        let Some(grant) = self.grants.by_id(id).filter(|grant| grant.phase == Phase::Open) else { return };
        let before = core::mem::replace(&mut grant.flows, flows);
        let deadline = match (before, flows) {
            (_, Flows::Alive) => prolonged(grant, now),
            // Until the first connection a grant lasts as long as was promised.
            (Flows::Alive, Flows::None) => Some(now.after(FOLLOW_GRACE).min(grant.deadline)),
            (Flows::None, Flows::None) => None,
        };
        if let Some(deadline) = deadline.filter(|deadline| *deadline != grant.deadline) {
            grant.deadline = deadline;
            grant.phase = Phase::OpenDue;
            self.stirred = true;
        }
    }
}

/// The new deadline of a grant that is in use, once the old one is near.
fn prolonged(grant: &Grant, now: Instant) -> Option<Instant> {
    let is_near = grant.deadline < now.after(FOLLOW_AHEAD / 2);
    is_near.then(|| now.after(FOLLOW_AHEAD).min(grant.limit).max(grant.deadline))
}
