//! The gate's own console, spoken with from afar. Rule: `docs/protocol.md`, section 6.10.

use core::net::IpAddr;

use rand_core::CryptoRng;

use crate::action::Way;
use crate::message::{Request, Verdict};
use crate::note::Note;
use crate::refusal::Refusal;
use crate::roster::{ClientId, Roster};
use crate::time::Instant;

use super::Gate;
use super::exchange::{Asker, Reply, Then};

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
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
        if !self.has_console_open(now, client, source) {
            return Err(Reply::refused(Refusal::NoGrant));
        }
        Ok(Then::Converse)
    }

    /// What a client is told once its question cannot be repeated. `Err` turns it away: its grant may have ended while that was
    /// being stored.
    pub(super) fn welcome(&mut self, now: Instant, client: ClientId, source: IpAddr) -> Result<Reply, Reply> {
        if !self.has_console_open(now, client, source) {
            let reply = Reply::refused(Refusal::NoGrant);
            self.note_refusal(client, source, self.config.console.unwrap_or(0), &reply);
            return Err(reply);
        }
        self.note(Note::Console { client, source });
        Ok(Reply::of(Verdict::Granted))
    }

    fn has_console_open(&self, now: Instant, client: ClientId, source: IpAddr) -> bool {
        self.open_grants().any(|grant| {
            grant.client == client
                && self.config.console == Some(grant.service)
                && grant.to.contains(source)
                && grant.is_in_force(now)
        })
    }
}
