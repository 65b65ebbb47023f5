//! What ends by itself.

use heapless::Vec;
use rand_core::CryptoRng;

use crate::action::Waiter;
use crate::hold::Phase;
use crate::limits::{POLICY_DEADLINE, TIMEOUTS_PER_CALL};
use crate::note::CloseReason;
use crate::refusal::Refusal;
use crate::roster::Roster;
use crate::time::{Instant, Now};

use super::Gate;

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// When [`Gate::handle_timeout`] shall be called; a moment that has passed means at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let exchanges = self.exchanges.iter().map(|exchange| exchange.until).min();
        let knocks = [exchanges, self.holds.next(), self.statics.next()];
        let ends = [self.grants.next(), self.lockouts.next()];
        knocks.into_iter().chain(ends).flatten().min()
    }

    /// Ends what is over. Bounded work: if more is due, [`Gate::poll_timeout`] says so at once.
    pub fn handle_timeout(&mut self, now: Now) {
        self.stirred = true;
        let now = now.instant;
        self.expire_exchanges(now);
        self.lockouts.expire(now);
        self.holds.forget(now);
        self.expire_grants(now);
        self.expire_holds(now);
        self.expire_statics(now);
    }

    /// Whoever waits for a decision is told that there is none; anybody else asks again.
    fn expire_exchanges(&mut self, now: Instant) {
        let due: Vec<_, TIMEOUTS_PER_CALL> = self
            .exchanges
            .iter()
            .filter(|exchange| exchange.until <= now)
            .filter_map(|exchange| Some((exchange.id, exchange.step.failure()?)))
            .take(TIMEOUTS_PER_CALL)
            .collect();
        for (id, refusal) in due {
            self.fail(now, Waiter::Exchange(id), refusal);
            if let Some(exchange) = self.exchanges.iter_mut().find(|exchange| exchange.id == id) {
                exchange.until = now.after(POLICY_DEADLINE);
            }
        }
        self.exchanges.retain(|exchange| exchange.until > now || exchange.step.failure().is_some());
    }

    fn expire_grants(&mut self, now: Instant) {
        self.grants
            .iter_mut()
            .filter(|grant| grant.is_over(now))
            .take(TIMEOUTS_PER_CALL)
            .for_each(|grant| grant.close(now, CloseReason::Expired));
    }

    fn expire_holds(&mut self, now: Instant) {
        let due: Vec<_, TIMEOUTS_PER_CALL> = self
            .holds
            .iter()
            .filter(|hold| hold.until <= now)
            .map(|hold| (hold.id, hold.client, hold.phase))
            .take(TIMEOUTS_PER_CALL)
            .collect();
        for (id, client, phase) in due {
            match phase {
                Phase::Storing | Phase::WatchDue | Phase::Watching => {
                    self.end_attempt(now, client, Refusal::Unavailable);
                }
                Phase::Held => self.end_attempt(now, client, Refusal::TooLate),
                Phase::ConsultDue | Phase::Consulting => {
                    self.fail(now, Waiter::Hold(id), Refusal::PolicyFailed);
                }
                Phase::Opening(_) => self.fail(now, Waiter::Hold(id), Refusal::Unavailable),
                Phase::Granted | Phase::Failed(_) => {}
            }
        }
    }
}
