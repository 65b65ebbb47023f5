//! The driver and the world: what the gate asks for is done to the firewall, the disk and the way back, and told to be done.

use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::action::ExchangeId;
use knockgate_core::{Action, Bearer, GrantId, Network, Now, Outcome, Record, Roster};

use crate::config::Service;
use crate::firewall::{self, Reach};

use super::driver::Driver;
use super::ledger::Entry;
use super::{plan, spares};

impl Driver {
    pub(super) fn act(&mut self, now: Now, action: Action) {
        match action {
            Action::Remember { exchange, record } => self.remember(now, exchange, record),
            Action::Watch { hold, source, lasts } => {
                let outcome = self.watch(source, lasts);
                self.gate.handle_watched(now, hold, outcome);
            }
            Action::Unwatch { source } => self.unwatch(source),
            Action::Consult(consultation) => self.consult(now, consultation),
            Action::Open { grant, bearer, to, service, lasts } => {
                let outcome = self.open(bearer, to, service, lasts);
                self.gate.handle_opened(now, grant, outcome);
            }
            Action::Close { grant, to, service } => {
                let outcome = self.close(grant, to, service);
                self.gate.handle_closed(now, grant, outcome);
            }
            // A server's console is its own: `knockgated` and its log. The core offers this only where one is configured.
            Action::Answer { peer, message } | Action::Converse { peer, message, .. } => {
                if let Some(client) = self.peers.answer(peer, &message) {
                    self.ledger.push(Entry::Answered(client, peer));
                }
            }
        }
    }

    /// A number that was stored ahead is offered at once. Either way the next one is stored as used, too.
    fn remember(&mut self, now: Now, exchange: ExchangeId, record: Record) {
        let stored = self.with_spare(record);
        if self.spares.cover(&record, self.gate.lease()) {
            self.gate.handle_stored(now, exchange, Outcome::Done);
            // Without it the next offer waits for the disk.
            let _ = self.keeper.keep_aside(stored);
        } else if self.keeper.keep(exchange, stored).is_err() {
            self.gate.handle_stored(now, exchange, Outcome::Failed);
        }
    }

    fn with_spare(&self, record: Record) -> Record {
        let Record::Offer { book, .. } = record else { return record };
        let count = self.gate.roster().book(book).map_or(0, |book| book.shape().count());
        spares::with_spare(record, count)
    }

    pub(super) fn stored(
        &mut self,
        now: Now,
        exchange: Option<ExchangeId>,
        record: &Record,
        outcome: Outcome,
    ) {
        if outcome == Outcome::Done {
            self.spares.stored(record);
        }
        if let Some(exchange) = exchange {
            self.gate.handle_stored(now, exchange, outcome);
        }
    }

    fn watch(&mut self, source: IpAddr, lasts: Duration) -> Outcome {
        self.holders.insert(source);
        outcome("cannot show the decoys to a holder", self.firewall.watch(source, lasts))
    }

    fn unwatch(&mut self, source: IpAddr) {
        self.holders.remove(source);
        // The kernel does the same at the end of the hold.
        let _ = outcome("cannot hide the decoys from a holder", self.firewall.unwatch(source));
    }

    fn open(&mut self, bearer: Bearer, to: Network, service: u16, lasts: Duration) -> Outcome {
        let Some(service) = self.config.service_by_id(service) else { return Outcome::Failed };
        let Bearer { grant, client } = bearer;
        let grant = firewall::Grant { client: client.0, timeout: lasts, ..opening(grant, to, service) };
        outcome("cannot open a service", self.firewall.open(&grant))
    }

    fn close(&mut self, grant: GrantId, to: Network, service: u16) -> Outcome {
        // A service that left the configuration is guarded no more: there is nothing to close.
        let Some(service) = self.config.service_by_id(service) else { return Outcome::Done };
        outcome("cannot close a service", self.firewall.close(&opening(grant, to, service)))
    }
}

/// How a grant reads to the firewall. The client and the time are the opener's to fill in.
pub(super) fn opening(grant: GrantId, to: Network, service: &Service) -> firewall::Grant {
    firewall::Grant {
        id: grant.0,
        client: 0,
        service: service.id,
        source: to.address(),
        reach: if to.is_host() { Reach::Address } else { Reach::Prefix(to.bits()) },
        protocol: plan::protocol(service.protocol),
        // The configuration has no service of more ports than that.
        ports: heapless::Vec::from_slice(&service.ports).unwrap_or_default(),
        timeout: Duration::ZERO,
    }
}

fn outcome(what: &str, result: Result<(), firewall::FirewallError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => {
            tracing::warn!("{what}: {error}");
            Outcome::Failed
        }
    }
}
