//! Gives every policy that is in use its place: what it decides with, what it keeps, and who watches its file.
//!
//! Under another configuration a policy of the same name keeps its place, its numbers and what waits for it; only what it decides
//! with is new.

use std::collections::HashMap;
use std::sync::Arc;

use knockgate_core::Name;
use knockgate_policy_host::{MemoryState, StateStore};

use crate::audit::{Audit, AuditRecord};
use crate::config::Config;
use crate::state::{PolicyState, Store};

use super::watch::Watched;
use super::{Loaded, Loader, PolicyWatch};
use crate::run::court::{Chains, Chair, Successor};

/// The policies in use.
pub(in crate::run) struct Seating {
    pub(in crate::run) chains: Chains,
    pub(in crate::run) watch: PolicyWatch,
    /// Those that have their place already, and decide otherwise once they are told to.
    pub(in crate::run) successors: Vec<Successor>,
    pub(in crate::run) seated: Seated,
    /// What is to be written down once they decide.
    pub(in crate::run) loaded: Vec<AuditRecord>,
}

/// Who has which place.
#[derive(Clone, Default)]
pub(in crate::run) struct Seated {
    live: HashMap<Name, Place>,
    shadows: HashMap<Name, Place>,
}

#[derive(Clone)]
struct Place {
    chair: Arc<Chair>,
    title: String,
    sha256: Option<String>,
}

/// Loads every policy that is in use, once. Those of `former` keep their places.
///
/// # Errors
/// If one of them cannot be used, or what it has kept cannot be read.
pub(in crate::run) fn seat(
    config: &Config,
    former: &Seated,
    store: &Arc<Store>,
    audit: &Arc<Audit>,
) -> anyhow::Result<Seating> {
    let mut seats = Seats {
        loader: Loader::new(config)?,
        config,
        former,
        store,
        seated: Seated::default(),
        watched: Vec::new(),
        successors: Vec::new(),
        loaded: Vec::new(),
    };
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
    let Seats { loader, watched, successors, seated, loaded, .. } = seats;
    let watch = PolicyWatch::new(loader, watched, Arc::clone(audit));
    Ok(Seating { chains: Chains { general, services, clients, shadows }, watch, successors, seated, loaded })
}

struct Seats<'a> {
    loader: Loader,
    config: &'a Config,
    former: &'a Seated,
    store: &'a Arc<Store>,
    seated: Seated,
    watched: Vec<Watched>,
    successors: Vec<Successor>,
    loaded: Vec<AuditRecord>,
}

impl Seats<'_> {
    /// The policy's place; it has one, in however many chains it is.
    fn live(&mut self, name: &Name) -> anyhow::Result<Arc<Chair>> {
        if let Some(place) = self.seated.live.get(name) {
            return Ok(Arc::clone(&place.chair));
        }
        let place = match self.former.live.get(name) {
            Some(former) => self.succeed(name, former)?,
            None => {
                let state: Arc<dyn StateStore> = match self.config.policy.module(name) {
                    Some(_) => Arc::new(PolicyState::load(Arc::clone(self.store), name.as_str())?),
                    // The policy that needs no definition keeps nothing.
                    None => Arc::new(MemoryState::default()),
                };
                self.take_up(name, state)?
            }
        };
        let chair = Arc::clone(&place.chair);
        self.seated.live.insert(name.clone(), place);
        Ok(chair)
    }

    /// What a shadow keeps is gone when the agent ends: nothing that it does may last.
    fn shadow(&mut self, name: &Name) -> anyhow::Result<Arc<Chair>> {
        let place = match self.former.shadows.get(name) {
            Some(former) => self.succeed(name, former)?,
            None => self.take_up(name, Arc::new(MemoryState::default()))?,
        };
        let chair = Arc::clone(&place.chair);
        self.seated.shadows.insert(name.clone(), place);
        Ok(chair)
    }

    fn take_up(&mut self, name: &Name, state: Arc<dyn StateStore>) -> anyhow::Result<Place> {
        self.load(name, None, |_, loaded| Chair::new(loaded, state))
    }

    fn succeed(&mut self, name: &Name, former: &Place) -> anyhow::Result<Place> {
        self.load(name, Some(former), |seats, loaded| {
            seats.successors.push(former.chair.successor(loaded));
            Arc::clone(&former.chair)
        })
    }

    fn load(
        &mut self,
        name: &Name,
        former: Option<&Place>,
        chair: impl FnOnce(&mut Self, Loaded) -> Arc<Chair>,
    ) -> anyhow::Result<Place> {
        // Looked at before it is read: a replacement in between is seen.
        let files = Watched::files_of(self.config, name);
        let loaded = self.loader.load(name)?;
        let sha256 = loaded.sha256.clone();
        let (title, withheld) = (loaded.policy.title().to_owned(), loaded.policy.withheld());
        if !withheld.is_empty() {
            tracing::warn!("policy {name} asks for {withheld} and does not get it");
        }
        let is_same = former.is_some_and(|former| (&former.title, &former.sha256) == (&title, &sha256));
        if !is_same {
            let (policy, title, sha256) = (name.to_string(), title.clone(), sha256.clone());
            self.loaded.push(AuditRecord::PolicyLoaded { policy, title, sha256 });
        }
        let chair = chair(self, loaded);
        if !files.is_empty() {
            self.watched.push(Watched::new(name.clone(), Arc::clone(&chair), files, sha256.clone()));
        }
        Ok(Place { chair, title, sha256 })
    }
}
