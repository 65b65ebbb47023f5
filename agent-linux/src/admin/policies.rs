//! What `knockgated check` says about policies: what each may do, and which chain can open nothing.

use std::time::Duration;

use humantime::format_duration;
use knockgate_core::Name;
use knockgate_policy_host::{Capability, Cause, Policy};

use crate::config::{BUILT_IN, Config, ModuleSource, PolicyModule};
use crate::run::{Loaded, Loader};
use crate::state::RosterFile;

/// What is to be said.
pub(super) struct Checked {
    pub(super) lines: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Loads every policy that is in use, as a start would.
pub(super) fn check(config: &Config, roster: &RosterFile) -> anyhow::Result<Checked> {
    let policies = InUse::load(config)?;
    let mut lines = vec![format!("{}, in this order", names(&config.policy.chain))];
    lines.extend(config.policy.services.iter().map(|(id, chain)| {
        let service = config.service_by_id(*id).map_or("?", |service| service.name.as_str());
        format!("for service {service}: {}", names(chain))
    }));
    let for_clients = config.policy.clients.iter();
    lines.extend(for_clients.map(|(client, chain)| format!("for client {client}: {}", names(chain))));
    if !config.policy.shadow.is_empty() {
        lines.push(format!("for comparison only: {}", names(&config.policy.shadow)));
    }
    lines.extend(
        policies.0.iter().filter_map(|(name, loaded)| {
            config.policy.module(name).map(|module| line(config, module, loaded))
        }),
    );
    let mut warnings = policies.rights_warnings(config);
    warnings.extend(policies.chain_warnings(config));
    warnings.extend(policies.gaps(config));
    warnings.extend(unknown_clients(config, roster));
    Ok(Checked { lines, warnings })
}

/// Every policy that is in use, once.
struct InUse(Vec<(Name, Loaded)>);

impl InUse {
    fn load(config: &Config) -> anyhow::Result<Self> {
        let loader = Loader::new(config)?;
        let load = |name: &Name| Ok((name.clone(), loader.load(name)?));
        let loaded = config.policy.in_use().into_iter().map(load).collect::<anyhow::Result<_>>()?;
        Ok(Self(loaded))
    }

    fn policy(&self, name: &Name) -> Option<&Policy> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, loaded)| &loaded.policy)
    }

    fn rights_warnings(&self, config: &Config) -> Vec<String> {
        let mut warnings = Vec::new();
        for (name, Loaded { policy, .. }) in &self.0 {
            let Some(module) = config.policy.module(name) else { continue };
            let opens = opens(policy) && policy.rights().services().next().is_none();
            if opens {
                warnings.push(format!(
                    "policy {name} may open no service: configuration and manifest have none in common"
                ));
            }
            let starts = policy.rights().capabilities();
            if starts.has(Capability::Start) && module.units.is_empty() {
                warnings.push(format!(
                    "policy {name} may start units, and policy-module.{name}.units names none"
                ));
            }
            if starts.has(Capability::Notify) && module.channels.is_empty() {
                warnings
                    .push(format!("policy {name} may notify, and policy-module.{name}.channels names none"));
            }
            if !policy.withheld().is_empty() {
                warnings.push(format!("policy {name} asks for {} and does not get it", policy.withheld()));
            }
        }
        warnings
    }

    /// A chain that opens nothing denies everything: hardly what is meant.
    fn chain_warnings(&self, config: &Config) -> Vec<String> {
        let opens_any = |policy: &Policy| opens(policy) && policy.rights().services().next().is_some();
        let mut warnings = Vec::new();
        let mut check = |what: &str, chain: &[Name], can_open: &dyn Fn(&Policy) -> bool| {
            if !chain.iter().filter_map(|name| self.policy(name)).any(can_open) {
                warnings.push(format!(
                    "{what} can open nothing: no policy of it both wants to be asked about knocks and may open; add one, such as \
                     \"{BUILT_IN}\" at its end"
                ));
            }
        };
        check("policy.chain", &config.policy.chain, &opens_any);
        for (id, chain) in &config.policy.services {
            let service = config.service_by_id(*id).map_or("?", |service| service.name.as_str());
            let opens_it =
                |policy: &Policy| opens(policy) && policy.rights().services().any(|service| service == *id);
            check(&format!("policy.services.{service}"), chain, &opens_it);
        }
        for (client, chain) in &config.policy.clients {
            check(&format!("policy.clients.{client}"), chain, &opens_any);
        }
        warnings
    }
}

impl InUse {
    /// A policy that is not asked about one kind of knock keeps nobody out who knocks that way: hardly what is meant of one that
    /// stands before another.
    fn gaps(&self, config: &Config) -> Vec<String> {
        let crate::config::Policy { chain, services, clients, .. } = &config.policy;
        let chains = [chain].into_iter().chain(services.values()).chain(clients.values());
        let mut gaps: Vec<String> = Vec::new();
        for gap in chains.flat_map(|chain| self.gaps_of(chain)) {
            if !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        gaps
    }

    fn gaps_of(&self, chain: &[Name]) -> Vec<String> {
        let mut gaps = Vec::new();
        for cause in [Cause::Sequence, Cause::Packet] {
            let asked = |name: &&Name| self.policy(name).is_some_and(|policy| policy.wants(cause));
            let opens = |name: &&Name| self.policy(name).is_some_and(opens) && asked(name);
            let Some(last) = chain.iter().rposition(|name| opens(&name)) else { continue };
            let (before, opener) = chain.split_at(last);
            let Some(opener) = opener.first() else { continue };
            gaps.extend(before.iter().filter(|name| !asked(name)).map(|name| {
                let cause = cause.name();
                format!(
                    "policy {name} is not asked about a {cause}, so {opener} decides about it without {name}; if that is not meant, \
                     add {cause} to `causes=` in the manifest of {name}"
                )
            }));
        }
        gaps
    }
}

/// Whether it is asked about knocks and may open something then.
fn opens(policy: &Policy) -> bool {
    let capabilities = policy.rights().capabilities();
    let may = capabilities.has(Capability::Open) || capabilities.has(Capability::OpenPrefix);
    may && (policy.wants(Cause::Sequence) || policy.wants(Cause::Packet))
}

/// A module in one line.
fn line(config: &Config, module: &PolicyModule, loaded: &Loaded) -> String {
    let rights = loaded.policy.rights();
    let services =
        rights.services().filter_map(|id| config.service_by_id(id)).map(|service| service.name.as_str());
    let services = services.collect::<Vec<_>>().join(", ");
    let from = match &module.source {
        ModuleSource::BuiltIn(built_in) => format!("the built-in {}", built_in.name),
        ModuleSource::File { sha256, .. } => {
            let pin = if sha256.is_some() { "as pinned" } else { "not pinned" };
            let signed = if config.policy.keys.is_empty() { "" } else { ", signed" };
            format!("{pin}{signed}")
        }
    };
    let (name, may) = (&module.name, rights.capabilities());
    if !opens(&loaded.policy) {
        return format!("{name} ({from}); may {may}, and opens nothing");
    }
    let longest = format_duration(Duration::from_secs(rights.max_seconds(None).into()));
    let services = if services.is_empty() { "no service" } else { &services };
    format!("{name} ({from}); may {may} for {services}, at most {longest}")
}

fn names(chain: &[Name]) -> String {
    chain.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

fn unknown_clients(config: &Config, roster: &RosterFile) -> Vec<String> {
    let is_known = |name: &String| roster.clients().iter().any(|client| client.name.as_str() == name);
    let unknown = config.policy.clients.keys().filter(|name| !is_known(name));
    unknown.map(|name| format!("policy.clients names {name}, who is not enrolled")).collect()
}
