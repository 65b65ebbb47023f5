//! From the configuration to policies that can be asked: each is read, verified, compiled and given its rights.

#[cfg(feature = "engine")]
mod compiled;
mod seating;
mod watch;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use knockgate_core::Name;
#[cfg(not(feature = "engine"))]
use knockgate_policy_host::NativePolicies as PolicyEngine;
#[cfg(feature = "engine")]
use knockgate_policy_host::PolicyEngine;
use knockgate_policy_host::{
    Capabilities, Capability, LoadError, Policy, Rights, ServiceRight, builtin, signature,
};
use sha2::{Digest, Sha256};

use crate::config::{Config, EVERYBODY_WRITES, ModuleSource, PolicyModule};

#[cfg(feature = "engine")]
pub use compiled::Compiled;
pub(super) use seating::{Seated, Seating, seat};
pub(super) use watch::{PolicyWatch, Watching};

/// What policies can do on this host. Whether a service manager answers is told with every event.
pub const SUPPORTED: Capabilities = Capabilities::ALL;

/// Loads policies of one configuration.
pub struct Loader {
    engine: PolicyEngine,
    config: Config,
}

/// A policy, and the hash of the file that it came from.
pub struct Loaded {
    pub policy: Policy,
    /// None of a built-in policy.
    pub sha256: Option<String>,
}

/// What a policy is made of.
struct Source<'c> {
    /// None of the one that needs no definition.
    module: Option<&'c PolicyModule>,
    /// For people.
    place: String,
    bytes: Vec<u8>,
    sha256: Option<String>,
    rights: Rights,
}

impl Loader {
    /// Loads as the host does that the configuration is for: this one, or a gateway, which can do less and interprets.
    ///
    /// # Errors
    /// If the engine cannot be set up.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { engine: engine(config)?, config: config.clone() })
    }

    /// Loads the policy of that name in the configuration.
    ///
    /// # Errors
    /// If it is not what the configuration says, or asks for what it cannot have. The error ends with what to do.
    pub fn load(&self, name: &Name) -> anyhow::Result<Loaded> {
        let source = self.source(name)?;
        let policy = self
            .engine
            .load(name.as_str(), &source.bytes, &source.rights)
            .map_err(|error| self.cannot_be_used(name, &source, &error))?;
        Ok(Loaded { policy, sha256: source.sha256 })
    }

    fn cannot_be_used(&self, name: &Name, source: &Source<'_>, error: &LoadError) -> anyhow::Error {
        let line = source.module.map(|module| self.place_of(module, error)).unwrap_or_default();
        anyhow!("{line}{error}").context(format!("policy {name}: {} cannot be used", source.place))
    }

    fn source(&self, name: &Name) -> anyhow::Result<Source<'_>> {
        let Some(module) = self.config.policy.module(name) else { return Ok(self.default_source()) };
        let rights = self.rights(module);
        let (place, bytes, sha256) = match &module.source {
            ModuleSource::BuiltIn(built_in) => {
                (format!("the built-in policy {}", built_in.name), built_in.module.to_vec(), None)
            }
            ModuleSource::File { path, sha256: pin } => {
                let bytes = read(path).with_context(|| format!("policy {name}"))?;
                let sha256 = Sha256::digest(&bytes).into();
                check_pin(*pin, sha256).with_context(|| format!("policy {name}: {}", path.display()))?;
                self.check_signature(path, &bytes)
                    .with_context(|| format!("policy {name}: {}", path.display()))?;
                (path.display().to_string(), bytes, Some(hex(&sha256)))
            }
        };
        Ok(Source { module: Some(module), place, bytes, sha256, rights })
    }

    /// The one that needs no definition may do whatever it asks for.
    fn default_source(&self) -> Source<'_> {
        let services = self.config.services.iter().map(|service| service.id);
        let rights = Rights {
            services: self.service_rights(services),
            capabilities: Capabilities::of(&[Capability::Open, Capability::OpenPrefix]),
            max_seconds: u32::MAX,
            ..Rights::default()
        };
        let (place, bytes) = ("the built-in policy".to_owned(), builtin::DEFAULT.to_vec());
        Source { module: None, place, bytes, sha256: None, rights }
    }

    /// Where in the configuration the reason stands: at the parameters, or at the choice of the module.
    fn place_of(&self, module: &PolicyModule, error: &LoadError) -> String {
        let line = match error {
            LoadError::Parameter { .. } => module.parameters_line,
            _ => module.line,
        };
        format!("{}:{line}: ", self.config.path.display())
    }

    fn rights(&self, module: &PolicyModule) -> Rights {
        Rights {
            services: self.service_rights(module.services.iter().copied()),
            capabilities: module.capabilities,
            max_seconds: module.max_seconds,
            units: module.units.clone(),
            channels: module.channels.clone(),
            parameters: module.parameters.clone(),
            wasi: module.wasi,
        }
    }

    fn service_rights(&self, services: impl Iterator<Item = u16>) -> Vec<ServiceRight> {
        let known = services.filter_map(|id| self.config.service_by_id(id));
        let right = known.map(|service| ServiceRight {
            service: service.id,
            max_seconds: u32::try_from(service.max_open.as_secs()).unwrap_or(u32::MAX),
        });
        right.collect()
    }

    /// Checked before anything of the module is looked at.
    fn check_signature(&self, file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        if self.config.policy.keys.is_empty() {
            return Ok(());
        }
        let beside = signature_file(file);
        let text = match std::fs::read_to_string(&beside) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                bail!("{} cannot be read: {error}; correct its permissions", beside.display())
            }
        };
        Ok(signature::verify(&self.config.policy.keys, bytes, text.as_deref())?)
    }
}

#[cfg(feature = "engine")]
fn engine(config: &Config) -> anyhow::Result<PolicyEngine> {
    use knockgate_policy_host::Profile;
    Ok(match config.gateway {
        None => PolicyEngine::of_server(config.policy.engine, SUPPORTED)?,
        Some(_) => PolicyEngine::on_pulley(Profile::Edge, Capabilities::GATEWAY)?,
    })
}

/// The configuration names nothing that needs more, see `config/engine.rs`.
#[cfg(not(feature = "engine"))]
fn engine(_: &Config) -> anyhow::Result<PolicyEngine> {
    Ok(PolicyEngine::new(SUPPORTED))
}

/// Where the signature of a module is.
fn signature_file(module: &Path) -> PathBuf {
    let mut name = module.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = path.display();
    let cannot = |error| anyhow!("{file} cannot be read: {error}; correct `file` or its permissions");
    let mut opened = File::open(path).map_err(cannot)?;
    let mode = opened.metadata().map_err(cannot)?.mode();
    if mode & EVERYBODY_WRITES != 0 {
        bail!(
            "{file} can be changed by everybody (mode {:04o}); `chmod o-w {file}` if you trust its content",
            mode & 0o7777
        );
    }
    let mut bytes = Vec::new();
    opened.read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}

fn check_pin(pin: Option<[u8; 32]>, found: [u8; 32]) -> anyhow::Result<()> {
    match pin {
        Some(pinned) if pinned != found => {
            let hex = hex(&found);
            bail!("it is not the file that was pinned; if the change is wanted, set sha256 = \"{hex}\"")
        }
        Some(_) | None => Ok(()),
    }
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
