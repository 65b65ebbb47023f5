//! What a policy wants after an event that nobody waits for: the end of a grant, a lockout, a failed attempt.
//!
//! Such an event can take something away, and give nothing: to open needs a knock, and to last longer a client that asks for it.

use core::time::Duration;

use rand_core::CryptoRng;

use crate::action::{Census, Effect, Standing, Subject};
use crate::address::SourcePrefix;
use crate::grant::Grant;
use crate::note::Locked;
use crate::roster::Roster;
use crate::time::Now;

use super::Gate;

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// What is known about somebody or something. What the subject leaves out counts as 0.
    pub fn standing(&self, about: Subject) -> Standing {
        let failures = |whose: Option<Locked>| whose.map_or(0, |whose| self.failures_of(whose));
        Standing {
            failures: failures(about.client.map(Locked::Client)),
            source_failures: failures(about.source.map(|source| Locked::Source(SourcePrefix::of(source)))),
            grants: self.census(about),
        }
    }

    fn census(&self, about: Subject) -> Census {
        let count = |counts: &dyn Fn(&Grant) -> bool| {
            u32::try_from(self.open_grants().filter(|grant| counts(grant)).count()).unwrap_or(u32::MAX)
        };
        let is_clients = |grant: &Grant| about.client == Some(grant.client);
        Census {
            client: count(&is_clients),
            source: count(&|grant| about.source.is_some_and(|source| grant.to.contains(source))),
            service: count(&|grant| about.service == Some(grant.service)),
            all: count(&|_| true),
            oldest: self.open_grants().filter(|grant| is_clients(grant)).map(|grant| grant.id).min(),
        }
    }

    /// Carries out what a policy wants after an event about `subject`, whose `source` is given only where it cannot be forged:
    /// revokes grants of the client and locks out. Effects that give something are left out.
    pub fn handle_reaction(&mut self, now: Now, about: Subject, effects: &[Effect]) {
        self.stirred = true;
        for effect in effects {
            match *effect {
                Effect::Open { .. } | Effect::OpenPrefix { .. } | Effect::Extend { .. } => {}
                Effect::Revoke { grant } => {
                    if let Some(client) = about.client {
                        self.revoke_own(now.instant, client, grant);
                    }
                }
                Effect::Lockout { seconds } => {
                    let lasts = Duration::from_secs(u64::from(seconds));
                    let source = about.source.map(|source| Locked::Source(SourcePrefix::of(source)));
                    for who in [source, about.client.map(Locked::Client)].into_iter().flatten() {
                        self.lock_out(now.instant, who, lasts);
                    }
                }
            }
        }
    }
}
