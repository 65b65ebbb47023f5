//! What an earlier run has left open in the kernel.

use std::time::Duration;

use anyhow::Context;
use knockgate_core::note::{CloseReason, Note};
use knockgate_core::{Client, ClientId, GrantId, Network, Roster};

use crate::audit::{Audit, AuditRecord};
use crate::config::{Config, Service};
use crate::firewall::{ExistingGrant, Firewall, Reach};

use super::driver::LinuxGate;
use super::scribe::Scribe;
use super::{clock, plan};

/// Takes over what an earlier run has left open, and shuts what nobody can account for.
pub(super) fn adopt(
    gate: &mut LinuxGate,
    firewall: &mut Firewall,
    config: &Config,
    audit: &Audit,
) -> anyhow::Result<()> {
    let found = firewall.grants().context("cannot read what is open")?;
    if !found.foreign.is_empty() {
        tracing::warn!("{} open ports were not opened by this gate; shutting them", found.foreign.len());
        firewall.remove_foreign(&found.foreign)?;
    }
    for grant in found.grants {
        let client = gate.roster().client_by_id(ClientId(grant.client)).cloned();
        let service = config.service_by_id(grant.service).filter(|service| guards(service, &grant));
        let is_allowed =
            |client: &&Client| client.may_use(grant.service) && !client.has_expired(clock::now().unix);
        let allowed = client.as_ref().filter(is_allowed);
        match (allowed, service) {
            (Some(client), Some(service)) if take_over(gate, &grant) => {
                audit.write(AuditRecord::GrantAdopted {
                    grant: grant.id,
                    client: client.name.to_string(),
                    source: network(&grant).to_string(),
                    service: service.name.to_string(),
                    seconds: grant.remaining.as_secs(),
                });
            }
            _ => {
                tracing::warn!(source = %grant.source, grant = grant.id, "an open grant is not allowed any more; closing it");
                let note = Note::GrantClosed {
                    grant: GrantId(grant.id),
                    client: ClientId(grant.client),
                    to: network(&grant),
                    service: grant.service,
                    reason: CloseReason::Revoked,
                };
                firewall.close(&closing(grant))?;
                Scribe { audit, roster: gate.roster(), config }.note(&note);
            }
        }
    }
    Ok(())
}

/// Whether a grant is for the very ports that the service has now, and reaches no farther.
fn guards(service: &Service, grant: &ExistingGrant) -> bool {
    let mut ports = service.ports.clone();
    ports.sort_unstable();
    let widest = if grant.source.is_ipv4() { service.prefix_v4 } else { service.prefix_v6 };
    let reaches = match grant.reach {
        Reach::Address => true,
        Reach::Prefix(bits) => widest == Some(bits),
    };
    plan::protocol(service.protocol) == grant.protocol && ports == grant.ports && reaches
}

/// To whom it opens.
fn network(grant: &ExistingGrant) -> Network {
    match grant.reach {
        Reach::Address => Network::host(grant.source),
        Reach::Prefix(bits) => Network::of(grant.source, bits),
    }
}

fn take_over(gate: &mut LinuxGate, grant: &ExistingGrant) -> bool {
    let &ExistingGrant { id, client, service, remaining, .. } = grant;
    gate.adopt_grant(clock::now(), GrantId(id), ClientId(client), network(grant), service, remaining)
}

fn closing(grant: ExistingGrant) -> crate::firewall::Grant {
    let ExistingGrant { id, client, service, source, reach, protocol, ports, .. } = grant;
    crate::firewall::Grant { id, client, service, source, reach, protocol, ports, timeout: Duration::ZERO }
}
