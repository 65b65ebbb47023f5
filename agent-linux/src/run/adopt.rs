//! What an earlier run has left open in the kernel.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use knockgate_core::note::{CloseReason, Note};
use knockgate_core::{ClientId, GrantId, Name, Network, Roster};

use crate::audit::{Audit, AuditRecord};
use crate::broker::Lever;
use crate::config::{Config, Service};
use crate::firewall::{self, ExistingGrant, MAX_PORTS, Reach};
use crate::state::LiveRoster;

use super::driver::LinuxGate;
use super::listings::CONSOLE;
use super::scribe::Scribe;
use super::{clock, plan};

/// Takes over what an earlier run has left open, and shuts what nobody can account for.
pub(super) fn adopt(
    gate: &mut LinuxGate,
    firewall: &mut Lever,
    config: &Config,
    audit: &Audit,
) -> anyhow::Result<()> {
    let found = firewall.grants().context("cannot read what is open")?;
    if !found.foreign.is_empty() {
        tracing::warn!("{} open ports were not opened by this gate; shutting them", found.foreign.len());
        firewall.remove_foreign(&found.foreign)?;
    }
    for grant in found.grants {
        let bearer = bearer(gate.roster(), config, &grant);
        let service = config.service_by_id(grant.service).filter(|service| guards(service, &grant));
        match (bearer, service) {
            (Some(bearer), Some(service)) if take_over(gate, &grant) => {
                audit.write(AuditRecord::GrantAdopted {
                    grant: grant.id,
                    client: bearer.to_string(),
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
                closing(&grant).try_for_each(|part| firewall.close(&part))?;
                Scribe { audit, roster: gate.roster(), config, former: None, time: SystemTime::now() }
                    .note(&note);
            }
        }
    }
    Ok(())
}

/// Whose name a grant bears, if he may still have it: a client's or a static sequence's.
fn bearer(roster: &LiveRoster, config: &Config, grant: &ExistingGrant) -> Option<Name> {
    let id = ClientId(grant.client);
    if id == ClientId::CONSOLE {
        return CONSOLE.parse().ok();
    }
    if id.is_static() {
        let sequence = config.statics.sequence(id).filter(|one| one.service == grant.service);
        return sequence.map(|one| one.name.clone());
    }
    let client = roster.client_by_id(id)?;
    let is_allowed = client.may_use(grant.service) && !client.has_expired(clock::now().unix);
    is_allowed.then(|| client.name.clone())
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

/// All its ports, also if somebody has added more than a service has.
pub(super) fn closing(grant: &ExistingGrant) -> impl Iterator<Item = firewall::Grant> {
    let &ExistingGrant { id, client, service, source, reach, protocol, ref ports, .. } = grant;
    ports.chunks(MAX_PORTS).filter_map(move |ports| {
        let ports = heapless::Vec::from_slice(ports).ok()?;
        Some(firewall::Grant { id, client, service, source, reach, protocol, ports, timeout: Duration::ZERO })
    })
}
