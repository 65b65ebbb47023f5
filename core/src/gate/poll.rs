//! What the host shall do next, computed from the tables: an action cannot be lost in a queue.

use rand_core::CryptoRng;

use crate::action::{Action, Bearer, GrantId};
use crate::address::Network;
use crate::grant::{Grant, Phase};
use crate::hold;
use crate::key::Identity;
use crate::note::CloseReason;
use crate::roster::Roster;
use crate::time::{Instant, Now};

use super::Gate;

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// What the host shall do next; `None` if there is nothing to do until something happens.
    ///
    /// Each action is offered once, except that a failed closing is offered again.
    pub fn poll_action(&mut self, now: Now) -> Option<Action> {
        if !self.stirred {
            return None;
        }
        // Closing comes first: whatever else goes wrong, nothing stays open longer than it may.
        let action = self
            .poll_close(now.instant)
            .or_else(|| self.poll_unwatch())
            .or_else(|| self.poll_remember())
            .or_else(|| self.poll_watch(now.instant))
            .or_else(|| self.poll_open(now.instant))
            .or_else(|| self.poll_consult(now))
            .or_else(|| self.poll_answer(now));
        self.stirred = action.is_some();
        if action.is_none() && self.ephemeral.is_none() {
            self.ephemeral = Some(Identity::generate(&mut self.rng));
        }
        action
    }

    fn poll_unwatch(&mut self) -> Option<Action> {
        loop {
            let source = self.unwatch.pop()?;
            // He may have been given another number meanwhile, for which the decoys stay visible.
            if !self.holds.iter().any(|hold| hold.source == source && hold.phase.is_active()) {
                return Some(Action::Unwatch { source });
            }
        }
    }

    fn poll_watch(&mut self, now: Instant) -> Option<Action> {
        let lasts = self.config.hold;
        let due = |hold: &&mut hold::Hold| hold.phase == hold::Phase::WatchDue && hold.until > now;
        let hold = self.holds.iter_mut().find(due)?;
        hold.phase = hold::Phase::Watching;
        hold.until = now.after(lasts);
        Some(Action::Watch { hold: hold.id, source: hold.source, lasts })
    }

    fn poll_open(&mut self, now: Instant) -> Option<Action> {
        let due = |grant: &&mut Grant| grant.phase == Phase::OpenDue && grant.offered.is_none();
        let grant = self.grants.iter_mut().find(due)?;
        grant.phase = Phase::Opening;
        grant.offered = Some(grant.deadline);
        let own = *grant;
        let (to, service) = (own.to, own.service);
        let last = self.last_to_end(now, to, service).copied().unwrap_or(own);
        let bearer = Bearer { grant: last.id, client: last.client };
        Some(Action::Open { grant: own.id, bearer, to, service, lasts: last.deadline.left(now) })
    }

    fn poll_close(&mut self, now: Instant) -> Option<Action> {
        loop {
            let due = |grant: &Grant| grant.close_reason(now).map(|reason| (*grant, reason));
            let (grant, reason) = self.grants.iter().find_map(due)?;
            if !self.hand_over(now, grant.id, reason) {
                return Some(Action::Close { grant: grant.id, to: grant.to, service: grant.service });
            }
        }
    }

    /// Clients behind one address share what the kernel has opened to it. Such a grant ends without a closing: the others
    /// are refreshed instead, so that the port stays open exactly as long as the longest of them.
    fn hand_over(&mut self, now: Instant, id: GrantId, reason: CloseReason) -> bool {
        let Some(grant) = self.grants.by_id(id) else { return false };
        grant.phase = Phase::Closing(reason);
        let (to, service) = (grant.to, grant.service);
        let Some(heir) = self.grants.iter_mut().find(|other| other.keeps_open(now, to, service)) else {
            return false;
        };
        if heir.phase == Phase::Open {
            heir.phase = Phase::OpenDue;
        }
        self.finish_grant(id, reason);
        true
    }

    /// Of the grants that share this opening, the one that ends last.
    fn last_to_end(&self, now: Instant, to: Network, service: u16) -> Option<&Grant> {
        let shares = |grant: &&Grant| grant.keeps_open(now, to, service);
        self.grants.iter().filter(shares).max_by_key(|grant| grant.deadline)
    }
}

impl Grant {
    fn keeps_open(&self, now: Instant, to: Network, service: u16) -> bool {
        let shared = self.to == to && self.service == service;
        shared && self.deadline > now && matches!(self.phase, Phase::OpenDue | Phase::Opening | Phase::Open)
    }
}
