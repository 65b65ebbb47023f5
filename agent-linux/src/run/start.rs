//! From the configuration to a gate that is up.
//!
//! Everything is checked before anything is changed; then the guard is installed; only then anybody is listened to. So a
//! start that fails leaves the firewall as it was, and one that succeeds is never open early.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use knockgate_core::book::Decoys;
use knockgate_core::gate::{self, Gate};
use knockgate_core::key::Identity;
use knockgate_core::note::{CloseReason, Note};
use knockgate_core::replay::Burnt;
use knockgate_core::{ClientId, GrantId, Network, message};
use tokio::net::TcpListener;

use crate::admin::unguard;
use crate::audit::{Audit, AuditRecord};
use crate::capture::decoy;
use crate::capture::nflog::ProbeLog;
use crate::config::{Config, LockoutScope, Service};
use crate::firewall::{ExistingGrant, Firewall};
use crate::state::roster_file::RosterWatch;
use crate::state::{GateIdentity, LiveRoster, StateDir, Store, system_rng};

use super::driver::{Driver, LinuxGate};
use super::input::{self, Inputs};
use super::scribe::Scribe;
use super::signals::Signals;
use super::upkeep::{self, Upkeep};
use super::{central, clock, decoys, judge, keeper, plan, policy};

/// Brings the gate up and runs it.
pub(super) async fn start(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let dir = StateDir::open(&config.gate.state_dir)?;
    let identity = GateIdentity::load(&dir)?;
    identity.check_against(&config, dir.path())?;
    let (roster_file, roster) = RosterWatch::begin(&dir)?;
    if let Some(problem) = upkeep::foreign_book(&roster, &identity) {
        bail!("{}: {problem}", dir.roster_file().display());
    }
    let store = Arc::new(Store::open(&dir, identity.id, &roster)?);
    let used = store.load()?;
    let policy = policy::load_policy(&config)?;
    if !policy.withheld().is_empty() {
        tracing::warn!("policy {} asks for {} and does not get it", policy.name(), policy.withheld());
    }
    let judge = policy::judge(policy, &config, &store)?;
    let audit = Arc::new(Audit::open(&config.gate.audit_log)?);
    let signals = Signals::catch()?;

    let central = config.central.map(|central| listen(central.port, "the central port")).transpose()?;
    let decoy_listener = decoy_listener(&config, &identity.decoys())?;
    let probe_log = probe_log(&config)?;
    let listener_port =
        decoy_listener.as_ref().map_or(Ok(0), |listener| listener.local_addr().map(|a| a.port()))?;
    let plan = plan::of(&config, &identity.decoys(), listener_port);
    unguard::forget_order()?;
    let mut firewall = Firewall::install(&plan).context("the gate cannot be shut")?;

    let (inputs, received) = input::channel();
    let mut gate = new_gate(&config, &identity, LiveRoster::new(&roster, used));
    adopt(&mut gate, &mut firewall, &config, &audit)?;
    let driver = Driver {
        bench: judge::start(judge, inputs.clone())?,
        keeper: keeper::start(Arc::clone(&store), inputs.clone())?,
        store,
        upkeep: Upkeep { roster_file, identity, plan },
        audit: Arc::clone(&audit),
        gate,
        firewall,
        peers: HashMap::new(),
        next_peer: 0,
        holders: std::collections::HashSet::new(),
        config,
    };
    open_ears(central, decoy_listener, probe_log, &inputs, &audit)?;
    announce(&driver);
    driver.run(received, signals).await
}

fn listen(port: u16, what: &str) -> anyhow::Result<TcpListener> {
    let listener = decoy::listen(port).map_err(|error| {
        anyhow!(
            "{what} cannot use TCP port {port}: {error}; `ss -tlnp` shows who has it, or choose another one"
        )
    })?;
    Ok(TcpListener::from_std(listener)?)
}

fn decoy_listener(config: &Config, decoys: &Decoys) -> anyhow::Result<Option<TcpListener>> {
    const WHAT: &str = "the listener behind the decoys";
    match (config.sequence.mode, config.sequence.listener) {
        (message::Mode::Closed, _) => Ok(None),
        (message::Mode::Connect, Some(port)) => listen(port, WHAT).map(Some),
        (message::Mode::Connect, None) => {
            // The kernel may hand out a decoy. Those are kept until there is another one, so that it does not do so again.
            let mut useless = Vec::new();
            loop {
                let listener = listen(0, WHAT)?;
                if !decoys.contains(listener.local_addr()?.port()) {
                    return Ok(Some(listener));
                }
                useless.push(listener);
            }
        }
    }
}

fn probe_log(config: &Config) -> anyhow::Result<Option<ProbeLog>> {
    match config.sequence.mode {
        message::Mode::Connect => Ok(None),
        message::Mode::Closed => Ok(Some(ProbeLog::bind(plan::NFLOG_GROUP)?)),
    }
}

fn new_gate(config: &Config, identity: &GateIdentity, roster: LiveRoster) -> Box<LinuxGate> {
    let services =
        config.services.iter().map(|service| gate::Service::new(service.id, service.open, service.max_open));
    let core = gate::Config {
        gate: identity.id,
        identity: Identity::new(identity.secret.clone()),
        door_keys: identity.door_keys.clone(),
        decoys: identity.decoys(),
        mode: config.sequence.mode,
        order: config.sequence.order,
        hold: config.sequence.hold,
        strays: config.sequence.strays,
        lockout: config.lockout.duration,
        lockout_scope: match config.lockout.scope {
            LockoutScope::Source => gate::LockoutScope::Source,
            LockoutScope::Global => gate::LockoutScope::Everybody,
        },
        max_age: None,
        burnt: Burnt::default(),
        services: services.collect(),
    };
    Box::new(Gate::new(core, roster, system_rng()))
}

/// Takes over what an earlier run has left open, and shuts what nobody can account for.
fn adopt(
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
        let allowed = client.as_ref().filter(|client| client.may_use(grant.service));
        match (allowed, service) {
            (Some(client), Some(service)) if take_over(gate, &grant) => {
                audit.write(AuditRecord::GrantAdopted {
                    grant: grant.id,
                    client: client.name.to_string(),
                    source: grant.source.to_string(),
                    service: service.name.to_string(),
                    seconds: grant.remaining.as_secs(),
                });
            }
            _ => {
                tracing::warn!(source = %grant.source, grant = grant.id, "an open grant is not allowed any more; closing it");
                let note = Note::GrantClosed {
                    grant: GrantId(grant.id),
                    client: ClientId(grant.client),
                    to: Network::host(grant.source),
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

/// Whether a grant is for the very ports that the service has now.
fn guards(service: &Service, grant: &ExistingGrant) -> bool {
    let mut ports = service.ports.clone();
    ports.sort_unstable();
    plan::protocol(service.protocol) == grant.protocol && ports == grant.ports
}

fn take_over(gate: &mut LinuxGate, grant: &ExistingGrant) -> bool {
    let &ExistingGrant { id, client, service, source, remaining, .. } = grant;
    gate.adopt_grant(clock::now(), GrantId(id), ClientId(client), Network::host(source), service, remaining)
}

fn closing(grant: ExistingGrant) -> crate::firewall::Grant {
    let ExistingGrant { id, client, service, source, reach, protocol, ports, .. } = grant;
    crate::firewall::Grant { id, client, service, source, reach, protocol, ports, timeout: Duration::ZERO }
}

fn open_ears(
    central: Option<TcpListener>,
    decoy_listener: Option<TcpListener>,
    probe_log: Option<ProbeLog>,
    inputs: &Inputs,
    audit: &Arc<Audit>,
) -> anyhow::Result<()> {
    if let Some(listener) = central {
        tokio::spawn(central::serve(listener, inputs.clone(), Arc::clone(audit)));
    }
    if let Some(listener) = decoy_listener {
        tokio::spawn(decoys::serve(listener, inputs.clone()));
    }
    match probe_log {
        Some(log) => decoys::watch(log, inputs.clone()),
        None => Ok(()),
    }
}

fn announce(driver: &Driver) {
    let Driver { config, gate, audit, .. } = driver;
    let clients = gate.roster().clients().count();
    let services: Vec<String> = config.services.iter().map(|service| service.name.to_string()).collect();
    audit.write(AuditRecord::started(&services, clients));
    let (port, mode) = (config.central.map(|central| central.port), config.sequence.mode);
    tracing::info!(clients, central_port = port, ?mode, "gate up: guarding {}", services.join(", "));
}
