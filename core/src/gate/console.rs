//! The gate's own console, spoken with from afar. Rule: `docs/protocol.md`, section 6.9.

use rand_core::CryptoRng;

use crate::action::Way;
use crate::message::{Request, Verdict};
use crate::note::Note;
use crate::refusal::Refusal;
use crate::roster::Roster;
use crate::time::Instant;

use super::Gate;
use super::exchange::{Asker, Reply, Then};

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize>
    Gate<R, G, E, H, N, L>
{
    /// Let me speak with the console. Whoever may has knocked for it: so the policy has decided, and its port was invisible
    /// until then.
    pub(super) fn console_request(
        &mut self,
        now: Instant,
        asker: &Asker<'_>,
        request: &Request,
    ) -> Result<Then, Reply> {
        let (client, source) = (asker.client.id, asker.origin.source);
        if self.config.console != Some(request.service) || asker.origin.way != Way::Connection {
            return Err(Reply::refused(Refusal::Unsupported));
        }
        self.admit_knock(now, asker, request.service)?;
        let is_open = self.open_grants().any(|grant| {
            grant.client == client
                && grant.service == request.service
                && grant.to.contains(source)
                && grant.is_in_force(now)
        });
        if !is_open {
            return Err(Reply::refused(Refusal::NoGrant));
        }
        self.note(Note::Console { client, source });
        Ok(Then::Converse)
    }

    /// What a client is told that may speak with the console.
    pub(super) fn welcome() -> Reply {
        Reply::of(Verdict::Granted)
    }
}
