//! Loads the policy that decides, with the rights that the configuration gives it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use knockgate_policy_host::{
    Capabilities, Capability, MemoryState, Policy, PolicyEngine, Profile, Rights, ServiceRight, StateStore,
    builtin,
};
use sha2::{Digest, Sha256};

use crate::config::{Config, EVERYBODY_WRITES, PolicyModule};
use crate::state::{PolicyState, Store};

use super::judge::Judge;

/// What policies can do on this host.
pub const SUPPORTED: Capabilities = Capabilities::of(&[
    Capability::Open,
    Capability::OpenPrefix,
    Capability::Extend,
    Capability::Revoke,
    Capability::Lockout,
    Capability::State,
    Capability::Log,
]);

/// Loads the policy that decides.
///
/// # Errors
/// If there is none, or it is not what the configuration says, or it asks for what it cannot have.
pub fn load_policy(config: &Config) -> anyhow::Result<Policy> {
    let engine = PolicyEngine::new(Profile::Server, SUPPORTED)?;
    let Some(module) = config.deciding_module() else {
        let all = config.services.iter().map(|service| service.id);
        let rights =
            rights(config, all, Capabilities::of(&[Capability::Open, Capability::OpenPrefix]), u32::MAX);
        return engine.load("default", builtin::DEFAULT, &rights).context("the built-in policy");
    };
    let (name, file) = (&module.name, module.file.display());
    let bytes = read(module)?;
    check_pin(module, &bytes)?;
    let rights = rights(config, module.services.iter().copied(), module.capabilities, module.max_seconds);
    engine
        .load(name.as_str(), &bytes, &rights)
        .with_context(|| format!("policy {name}: {file} cannot be used"))
}

fn rights(
    config: &Config,
    services: impl Iterator<Item = u16>,
    capabilities: Capabilities,
    max_seconds: u32,
) -> Rights {
    let services = services.filter_map(|id| config.service_by_id(id)).map(|service| ServiceRight {
        service: service.id,
        max_seconds: u32::try_from(service.max_open.as_secs()).unwrap_or(u32::MAX),
    });
    Rights { services: services.collect(), capabilities, max_seconds, ..Rights::default() }
}

fn read(module: &PolicyModule) -> anyhow::Result<Vec<u8>> {
    let (name, file) = (&module.name, module.file.display());
    let cannot =
        |error| anyhow!("policy {name}: {file} cannot be read: {error}; correct `file` or its permissions");
    let mut opened = File::open(&module.file).map_err(cannot)?;
    let mode = opened.metadata().map_err(cannot)?.mode();
    if mode & EVERYBODY_WRITES != 0 {
        bail!(
            "policy {name}: {file} can be changed by everybody (mode {:04o}); `chmod o-w {file}` if you trust its content",
            mode & 0o7777
        );
    }
    let mut bytes = Vec::new();
    opened.read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}

fn check_pin(module: &PolicyModule, bytes: &[u8]) -> anyhow::Result<()> {
    let found: [u8; 32] = Sha256::digest(bytes).into();
    match module.sha256 {
        Some(pinned) if pinned != found => {
            let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
            let (name, file) = (&module.name, module.file.display());
            bail!(
                "policy {name}: {file} is not the file that was pinned; if the change is wanted, set sha256 = \"{hex}\""
            )
        }
        Some(_) | None => Ok(()),
    }
}

/// The policy with the numbers that it keeps and the names that it may read.
pub(super) fn judge(policy: Policy, config: &Config, store: &Arc<Store>) -> anyhow::Result<Judge> {
    let state: Arc<dyn StateStore> = match config.deciding_module() {
        Some(module) => Arc::new(PolicyState::load(Arc::clone(store), module.name.as_str())?),
        // The built-in policy keeps nothing.
        None => Arc::new(MemoryState::default()),
    };
    let services = config.services.iter().map(|service| (service.id, service.name.to_string())).collect();
    Ok(Judge { policy, state, services, zone: jiff::tz::TimeZone::system() })
}
