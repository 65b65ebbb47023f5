//! Gives every policy that is in use its place: what it decides with, what it keeps, and who watches its file.

use std::sync::Arc;

use knockgate_core::Name;
use knockgate_policy_host::{MemoryState, StateStore};

use crate::audit::{Audit, AuditRecord};
use crate::config::Config;
use crate::state::{PolicyState, Store};

use super::watch::Watched;
use super::{Loader, PolicyWatch};
use crate::run::court::{Chains, Chair};

/// The policies in use.
pub(in crate::run) struct Seating {
    pub(in crate::run) chains: Chains,
    pub(in crate::run) watch: PolicyWatch,
}

/// Loads every policy that is in use, once.
///
/// # Errors
/// If one of them cannot be used, or what it has kept cannot be read.
pub(in crate::run) fn seat(
    config: &Config,
    store: &Arc<Store>,
    audit: &Arc<Audit>,
) -> anyhow::Result<Seating> {
    let loader = Loader::new(config)?;
    let mut seats = Seats { loader, config, store, audit, live: Vec::new(), watched: Vec::new() };
    let mut chain = |names: &[Name]| -> anyhow::Result<Vec<Arc<Chair>>> {
        names.iter().map(|name| seats.live(name)).collect()
    };
    let policy = &config.policy;
    let general = chain(&policy.chain)?;
    let services =
        policy.services.iter().map(|(id, names)| Ok((*id, chain(names)?))).collect::<anyhow::Result<_>>()?;
    let clients = policy
        .clients
        .iter()
        .map(|(name, names)| Ok((name.clone(), chain(names)?)))
        .collect::<anyhow::Result<_>>()?;
    let shadows = policy.shadow.iter().map(|name| seats.shadow(name)).collect::<anyhow::Result<_>>()?;
    let Seats { loader, watched, .. } = seats;
    let watch = PolicyWatch::new(loader, watched, Arc::clone(audit));
    Ok(Seating { chains: Chains { general, services, clients, shadows }, watch })
}

struct Seats<'a> {
    loader: Loader,
    config: &'a Config,
    store: &'a Arc<Store>,
    audit: &'a Audit,
    live: Vec<Arc<Chair>>,
    watched: Vec<Watched>,
}

impl Seats<'_> {
    /// The policy's place; it has one, in however many chains it is.
    fn live(&mut self, name: &Name) -> anyhow::Result<Arc<Chair>> {
        if let Some(chair) = self.live.iter().find(|chair| chair.name() == name.as_str()) {
            return Ok(Arc::clone(chair));
        }
        let state: Arc<dyn StateStore> = match self.config.policy.module(name) {
            Some(_) => Arc::new(PolicyState::load(Arc::clone(self.store), name.as_str())?),
            // The policy that needs no definition keeps nothing.
            None => Arc::new(MemoryState::default()),
        };
        let chair = self.take_up(name, state)?;
        self.live.push(Arc::clone(&chair));
        Ok(chair)
    }

    /// What a shadow keeps is gone when the agent ends: nothing that it does may last.
    fn shadow(&mut self, name: &Name) -> anyhow::Result<Arc<Chair>> {
        self.take_up(name, Arc::new(MemoryState::default()))
    }

    fn take_up(&mut self, name: &Name, state: Arc<dyn StateStore>) -> anyhow::Result<Arc<Chair>> {
        // Looked at before it is read: a replacement in between is seen.
        let files = Watched::files_of(self.config, name);
        let loaded = self.loader.load(name)?;
        let (policy, sha256) = (loaded.policy, loaded.sha256);
        if !policy.withheld().is_empty() {
            tracing::warn!("policy {name} asks for {} and does not get it", policy.withheld());
        }
        self.audit.write(AuditRecord::PolicyLoaded {
            policy: name.to_string(),
            title: policy.title().to_owned(),
            sha256: sha256.clone(),
        });
        let chair = Chair::new(policy, state);
        if !files.is_empty() {
            self.watched.push(Watched::new(name.clone(), Arc::clone(&chair), files, sha256));
        }
        Ok(chair)
    }
}
