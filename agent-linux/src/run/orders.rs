//! What an operator orders over the control socket. Each order is written down, with his user number, before it is carried out.

use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::note::Locked;
use knockgate_core::{Grant, GrantId, Refusal};

use crate::audit::AuditRecord;
use crate::control::{Caller, LockedOut, OpenGrant, Reply};

use super::clock;
use super::driver::Driver;

/// Which of those that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    All,
    /// By a number, an address or a name.
    Named(String),
}

impl Driver {
    /// Closes grants at once.
    pub(super) fn revoke(&mut self, caller: Caller, meant: &Meant) -> Reply {
        let ids: Vec<GrantId> = match meant {
            Meant::All => self.gate.open_grants().map(Grant::id).collect(),
            Meant::Named(what) => self.grants_named(what),
        };
        let grants: Vec<OpenGrant> = ids.iter().filter_map(|id| self.grant(*id)).collect();
        if let (Meant::Named(what), true) = (meant, grants.is_empty()) {
            return Reply::refused(format!(
                "nothing that is open is meant by {what:?}; `knockgated grants` lists what is"
            ));
        }
        for grant in &grants {
            let OpenGrant { grant, client, to, service, .. } = grant;
            self.write_order(caller, "revoke", format!("grant {grant} of {client}, {service} to {to}"));
        }
        let now = clock::now();
        ids.iter().for_each(|id| self.gate.revoke(now, *id));
        self.turn();
        let left = ids.iter().filter(|id| self.grant(**id).is_some()).count();
        if left > 0 {
            return Reply::refused(format!(
                "{left} could not be closed in the kernel, which is tried again every second; the log says why"
            ));
        }
        Reply::Revoked { grants }
    }

    /// By number, by an address that it is open to, by the very prefix, or by its client's name.
    fn grants_named(&self, what: &str) -> Vec<GrantId> {
        let address = address_of(what);
        let number = what.parse::<u32>().ok().map(GrantId);
        let client = self.client_named(what);
        let is_meant = |grant: &&Grant| {
            address.is_some_and(|address| grant.to().contains(address))
                || number == Some(grant.id())
                || grant.to().to_string() == what
        };
        let meant: Vec<_> = self.gate.open_grants().filter(is_meant).map(Grant::id).collect();
        if !meant.is_empty() {
            return meant;
        }
        let own = |grant: &&Grant| Some(grant.client()) == client;
        self.gate.open_grants().filter(own).map(Grant::id).collect()
    }

    /// Ends lockouts at once.
    pub(super) fn unlock(&mut self, caller: Caller, meant: &Meant) -> Reply {
        let lockouts = self.lockouts().into_iter();
        let lockouts: Vec<(Locked, LockedOut)> = match meant {
            Meant::All => lockouts.collect(),
            Meant::Named(whom) => {
                let (address, client) = (address_of(whom), self.client_named(whom));
                let is_meant = |(who, shown): &(Locked, LockedOut)| match who {
                    Locked::Source(prefix) => {
                        shown.who == *whom || address.is_some_and(|address| prefix.contains(address))
                    }
                    Locked::Client(locked) => Some(*locked) == client,
                    Locked::Everybody => false,
                };
                lockouts.filter(is_meant).collect()
            }
        };
        if let (Meant::Named(whom), true) = (meant, lockouts.is_empty()) {
            return Reply::refused(format!("{whom:?} is not locked out; `knockgated lockouts` lists who is"));
        }
        for (who, shown) in &lockouts {
            self.write_order(caller, "unlock", shown.who.clone());
            self.gate.unlock(*who);
        }
        Reply::Unlocked { lockouts: lockouts.into_iter().map(|(_, shown)| shown).collect() }
    }

    /// Opens a service to an address without a knock and without a policy.
    pub(super) fn rescue(
        &mut self,
        caller: Caller,
        service: &str,
        address: IpAddr,
        lasts: Duration,
    ) -> Reply {
        let Some(known) = self.config.service(service) else {
            let names: Vec<_> = self.config.services.iter().map(|service| service.name.as_str()).collect();
            return Reply::refused(format!("there is no service {service:?}; here are {}", names.join(", ")));
        };
        let (id, address) = (known.id, address.to_canonical());
        if address.is_unspecified() || address.is_multicast() || lasts.is_zero() {
            return Reply::refused("this opens to the address of one host, for a second at least");
        }
        self.write_order(caller, "rescue", format!("{service} to {address} for {} s", lasts.as_secs()));
        let opened = self.gate.open_by_order(clock::now(), address, id, lasts);
        self.turn();
        match opened.map(|grant| self.grant(grant)) {
            Ok(Some(grant)) => Reply::Rescued { grant },
            Ok(None) => Reply::refused("it could not be opened in the kernel; the log says why"),
            Err(Refusal::Unavailable) => {
                Reply::refused("every place for a grant is taken; `knockgated revoke` makes room")
            }
            Err(other) => Reply::refused(format!("it could not be opened: {}", other.word())),
        }
    }

    fn write_order(&self, caller: Caller, order: &'static str, about: String) {
        let Caller { uid, pid } = caller;
        tracing::info!(uid, pid, "ordered: {order} {about}");
        self.audit.write(AuditRecord::Ordered { uid, pid, order, about });
    }
}

/// As the gate knows it: one of IPv4 may be written as one of IPv6.
fn address_of(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests;
