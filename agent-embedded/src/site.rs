//! A site image as a gateway: whether it is fit for use here, its configuration, its roster, its policies.
//!
//! A start and an update check the same things in the same order: who has signed it, what is in it, and whether every policy of
//! it runs on this engine. What does not fit is said in words that end with what to do.

mod roster;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use knockgate_core::book::Decoys;
use knockgate_core::key::Identity;
use knockgate_core::limits::{MAX_GATEWAY_CLIENTS, MAX_GATEWAY_POLICIES, MAX_GATEWAY_SERVICES};
use knockgate_core::replay::Burnt;
use knockgate_core::site::{Head, Owner, Signed, Site, SiteError, SitePolicy, SiteService};
use knockgate_core::{ClientId, Name};
use knockgate_policy_host::precompiled::{Precompiled, PrecompiledError, Trusted};
use knockgate_policy_host::{LoadError, Policy, PolicyEngine, Rights, RightsUnreadable};
use smoltcp::wire::EthernetAddress;

use crate::board::Vouch;
use crate::config::{Config, ConfigError, GuardedService};
use crate::storage::{Unverified, Verified};

pub use roster::SiteRoster;

/// Whoever judges images: what they are held against.
#[derive(Clone)]
pub struct Judge {
    /// Whose images count.
    pub owner: Owner,
    /// What policies shall run on.
    pub engine: Arc<PolicyEngine>,
    /// The board's word for them.
    pub vouch: Vouch,
    /// The hardware address of the outer port.
    pub hardware: EthernetAddress,
}

/// An image that is fit for use.
pub struct Fit<'a> {
    /// What is in it.
    pub site: Site<'a>,
    /// The policies of its chain, loaded, each under the site's name for it.
    pub chain: Vec<(Name, Policy)>,
    /// Bytes of the image with its signature.
    pub length: usize,
}

/// Why an image is not fit for use.
#[derive(Debug)]
pub enum Unfit {
    /// It cannot be read.
    Site(SiteError),
    /// Nobody who counts has signed it.
    Unverified(Unverified),
    /// It has more clients than a gateway can hold.
    TooManyClients(u32),
    /// It has two clients of one number, or with one key.
    Twin(ClientId),
    /// The client's book is not in it, or has other decoys than the gate.
    Book(ClientId),
    /// It has more services than a gate can have.
    TooManyServices(usize),
    /// It has more policies than a gateway asks.
    TooManyPolicies(usize),
    /// The rights of a policy cannot be read.
    Rights(Name, RightsUnreadable),
    /// A policy is not compiled for this version.
    Compiled(Name, PrecompiledError),
    /// A policy cannot run here.
    Load(Name, LoadError),
    /// The gateway's own configuration makes no sense.
    Config(ConfigError),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(error) => error.fmt(f),
            Self::Unverified(error) => error.fmt(f),
            Self::TooManyClients(count) => write!(
                f,
                "{count} clients, and a gateway holds {MAX_GATEWAY_CLIENTS}; remove some, or use a server as the gate"
            ),
            Self::Twin(client) => {
                write!(f, "client {} is there twice, or shares his key; make the image again", client.0)
            }
            Self::Book(client) => {
                write!(f, "client {} has no book that fits this gate; make the image again", client.0)
            }
            Self::TooManyServices(count) => {
                write!(f, "{count} services, and a gateway guards {MAX_GATEWAY_SERVICES}; remove some")
            }
            Self::TooManyPolicies(count) => {
                write!(f, "{count} policies, and a gateway asks {MAX_GATEWAY_POLICIES}; shorten the chain")
            }
            Self::Rights(policy, error) => write!(f, "policy {policy}: {error}"),
            Self::Compiled(policy, error) => write!(f, "policy {policy}: {error}"),
            Self::Load(policy, error) => write!(f, "policy {policy}: {error}"),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Unfit {}

impl Judge {
    /// Checks the image at the beginning of `slot`, and tries whether its policies load.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn examine<'s>(&self, slot: &'s [u8]) -> Result<Fit<'s>, Unfit> {
        self.judge(slot, |name, policy, rights| self.engine.load_precompiled(name, policy, rights))
    }

    /// The same for an image that is to be used: nobody writes to `slot` until the next start, so that policies run where they
    /// lie.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn take_up(&self, slot: &'static [u8]) -> Result<Fit<'static>, Unfit> {
        self.judge(slot, |name, policy, rights| self.engine.load_in_place(name, policy, rights))
    }

    fn judge<'s>(&self, slot: &'s [u8], load: impl Load<'s>) -> Result<Fit<'s>, Unfit> {
        let signed = Signed::find(slot).map_err(Unfit::Site)?;
        let verified = Verified::check(&self.owner, &signed).map_err(Unfit::Unverified)?;
        let site = Site::read(verified.image()).map_err(Unfit::Site)?;
        check_clients(&site)?;
        let services = site.services().count();
        if services > MAX_GATEWAY_SERVICES {
            return Err(Unfit::TooManyServices(services));
        }
        self.check_config(&site).map_err(Unfit::Config)?;
        let chain = self.chain(&verified, &site, load)?;
        Ok(Fit { site, chain, length: signed.length() })
    }

    /// By itself, so that the configuration is gone from the stack when policies are loaded.
    #[inline(never)]
    fn check_config(&self, site: &Site<'_>) -> Result<(), ConfigError> {
        config(site, self.hardware).check_itself()
    }

    fn chain<'s>(
        &self,
        verified: &Verified<'s>,
        site: &Site<'s>,
        load: impl Load<'s>,
    ) -> Result<Vec<(Name, Policy)>, Unfit> {
        let count = site.chain().count();
        if count > MAX_GATEWAY_POLICIES {
            return Err(Unfit::TooManyPolicies(count));
        }
        let mut chain = Vec::with_capacity(count);
        for (SitePolicy { name, rights, .. }, code) in site.chain() {
            let rights = Rights::decode(rights).map_err(|error| Unfit::Rights(name.clone(), error))?;
            let compiled = Precompiled::parse(code).map_err(|error| Unfit::Compiled(name.clone(), error))?;
            let trusted = (self.vouch)(verified, compiled);
            let loaded = load(name.as_str(), &trusted, &rights);
            let policy = loaded.map_err(|error| Unfit::Load(name.clone(), error))?;
            chain.push((name, policy));
        }
        Ok(chain)
    }
}

/// Loads a policy: its name, its code, what it may do.
trait Load<'s>: Fn(&str, &Trusted<'s>, &Rights) -> Result<Policy, LoadError> {}

impl<'s, T: Fn(&str, &Trusted<'s>, &Rights) -> Result<Policy, LoadError>> Load<'s> for T {}

/// Clients whose numbers and keys are their own, each with a book over the decoys of the gate.
fn check_clients(site: &Site<'_>) -> Result<(), Unfit> {
    let count = site.client_count();
    if usize::try_from(count).is_ok_and(|count| count > MAX_GATEWAY_CLIENTS) {
        return Err(Unfit::TooManyClients(count));
    }
    for (index, entry) in site.clients().enumerate() {
        let client = entry.client;
        let mut others = site.clients().skip(index + 1);
        if others.any(|other| other.client.id == client.id || other.client.key == client.key) {
            return Err(Unfit::Twin(client.id));
        }
        let seed = &site.head.decoy_seed;
        if !site.books().any(|book| book.id() == client.book && book.is_drawn_from(seed)) {
            return Err(Unfit::Book(client.id));
        }
    }
    Ok(())
}

/// The gateway that a site describes.
pub(crate) fn config(site: &Site<'_>, hardware: EthernetAddress) -> Config {
    let head = &site.head;
    // Exactly as long as it needs to be, and not what growing leaves.
    let mut services = Vec::with_capacity(site.services().count());
    services.extend(site.services().map(guarded));
    Config {
        gate: gate(site),
        hardware,
        ipv4: head.ipv4,
        ipv6: head.ipv6,
        central_port: head.central_port,
        packet_ports: head.packet_ports.clone(),
        console: head.console,
        services,
    }
}

fn gate(site: &Site<'_>) -> knockgate_core::Config {
    let head: &Head = &site.head;
    knockgate_core::Config {
        gate: head.gate,
        identity: Identity::new(head.identity.clone()),
        door_keys: head.door_keys.clone(),
        decoys: Decoys::draw(&head.decoy_seed, &head.shape),
        mode: head.mode,
        order: head.order,
        hold: Duration::from_millis(head.hold_ms.into()),
        strays: head.strays,
        lockout: Duration::from_secs(head.lockout_s.into()),
        lockout_scope: head.lockout_scope,
        max_age: head.max_age_ms.map(|millis| Duration::from_millis(millis.into())),
        // Every counter is stored before anything opens, so nothing is ever left burnt.
        burnt: Burnt::default(),
        statics: Default::default(),
        services: site.services().take(MAX_GATEWAY_SERVICES).map(|service| service.service).collect(),
        console: head.console.map(|console| console.service),
    }
}

fn guarded(service: SiteService) -> GuardedService {
    let SiteService { service, protocol, ports, hosts, .. } = service;
    GuardedService { id: service.id, protocol, ports, hosts }
}
