//! What whoever sits at the gate itself orders, past every knock and every policy. The host says who that is.

use core::net::IpAddr;
use core::time::Duration;

use rand_core::CryptoRng;

use crate::action::GrantId;
use crate::address::Network;
use crate::grant::{self, Opening};
use crate::note::Locked;
use crate::refusal::Refusal;
use crate::roster::{ClientId, Roster};
use crate::time::Now;

use super::Gate;

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// Opens a service to one address for [`ClientId::CONSOLE`]: whoever that address has been given to, no client has asked for it.
    /// It lasts no longer than the service may be open. What is open already lasts until the later end.
    ///
    /// # Errors
    /// [`Refusal::NotAllowed`] if there is no such service, [`Refusal::Unavailable`] if there is no room for another grant.
    pub fn open_by_order(
        &mut self,
        now: Now,
        source: IpAddr,
        service: u16,
        lasts: Duration,
    ) -> Result<GrantId, Refusal> {
        let limits = self.config.service(service).ok_or(Refusal::NotAllowed)?;
        let (deadline, limit) =
            (now.instant.after(lasts.min(limits.max_open)), now.instant.after(limits.max_open));
        let (client, to) = (ClientId::CONSOLE, Network::host(source));
        let opening = Opening { client, to, service, deadline, limit, waiter: None };
        self.stirred = true;
        self.grants.open(opening).map_err(|grant::Full| Refusal::Unavailable)
    }

    /// Whose attempts have failed how often since the last one that succeeded.
    pub fn failures(&self) -> impl Iterator<Item = (Locked, u32)> {
        self.failures.iter().copied()
    }

    /// Ends a lockout, and forgets the failed attempts that have led to it. Returns whether there was one.
    pub fn unlock(&mut self, who: Locked) -> bool {
        self.failures.retain(|(known, _)| *known != who);
        self.lockouts.remove(who)
    }
}
