//! What one policy may do here: its manifest *and* the configuration.

use alloc::string::String;
use alloc::vec::Vec;

use knockgate_policy_abi::{Capabilities, Capability, Manifest, Refusal};

use crate::parameter::{Parameter, ParameterError, Parameters};

/// What the configuration grants to a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The services, each with its own longest time.
    pub services: Vec<ServiceRight>,
    /// What the policy may do.
    pub capabilities: Capabilities,
    /// The longest time, in seconds, for `open`, `open-prefix` and `extend`.
    pub max_seconds: u32,
    /// Units that `start` may name.
    pub units: Vec<u16>,
    /// Channels that `notify` may name.
    pub channels: Vec<u16>,
    /// What is given for the policy's parameters; what is not given it does not have.
    pub parameters: Vec<Parameter>,
    /// Whether its module may import an operating system.
    pub wasi: Wasi,
}

/// Whether a policy may import an operating system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wasi {
    /// It may not: a module that imports WASI is refused.
    #[default]
    None,
    /// It finds one in which nothing can be read, written or waited for.
    Inert,
}

/// One service that a policy may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceRight {
    /// The service.
    pub service: u16,
    /// The longest time that the service allows, in seconds.
    pub max_seconds: u32,
}

/// What is left when the manifest and the configuration agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveRights {
    granted: Rights,
    parameters: Parameters,
    /// What this host can do at all.
    supported: Capabilities,
}

impl EffectiveRights {
    /// What is both asked for and granted.
    ///
    /// # Errors
    /// The name of a parameter that the policy does not take as it is given, and what is wrong with it.
    pub fn new(
        manifest: &Manifest<'_>,
        configured: &Rights,
        supported: Capabilities,
    ) -> Result<Self, (String, ParameterError)> {
        let parameters = Parameters::resolve(manifest, &configured.parameters)?;
        let mut granted = configured.clone();
        granted.services.retain(|right| manifest.services.has(right.service));
        granted.capabilities = configured.capabilities.and(manifest.capabilities);
        granted.max_seconds = configured.max_seconds.min(manifest.max_seconds.unwrap_or(u32::MAX));
        Ok(Self { granted, parameters, supported })
    }

    /// What may be done.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.granted.capabilities.and(self.supported)
    }

    /// A key of the policy's parameters.
    pub(crate) fn parameter(&self, key: u32) -> Option<u64> {
        self.parameters.number(key)
    }

    /// The services that may be opened.
    pub fn services(&self) -> impl Iterator<Item = u16> {
        self.granted.services.iter().map(|right| right.service)
    }

    /// The longest time for a service, or for any when no service is meant; 0 when the service is not granted.
    #[must_use]
    pub fn max_seconds(&self, service: Option<u16>) -> u32 {
        let Some(service) = service else { return self.granted.max_seconds };
        let right = self.granted.services.iter().find(|right| right.service == service);
        right.map_or(0, |right| right.max_seconds.min(self.granted.max_seconds))
    }

    /// Whether a capability may be used.
    pub(crate) fn check(&self, capability: Capability) -> Result<(), Refusal> {
        if !self.supported.has(capability) {
            return Err(Refusal::NotOnThisHost);
        }
        if !self.granted.capabilities.has(capability) {
            return Err(Refusal::NotPermitted);
        }
        Ok(())
    }

    /// Whether a service may be opened for so long.
    pub(crate) fn check_service(&self, service: u32, seconds: u32) -> Result<u16, Refusal> {
        let service = small_number(service)?;
        if seconds == 0 {
            return Err(Refusal::Invalid);
        }
        if !self.services().any(|granted| granted == service) {
            return Err(Refusal::NotPermitted);
        }
        if seconds > self.max_seconds(Some(service)) {
            return Err(Refusal::LimitReached);
        }
        Ok(service)
    }

    /// The unit of that number.
    pub(crate) fn check_unit(&self, unit: u32) -> Result<u16, Refusal> {
        listed(&self.granted.units, unit)
    }

    /// The channel of that number.
    pub(crate) fn check_channel(&self, channel: u32) -> Result<u16, Refusal> {
        listed(&self.granted.channels, channel)
    }
}

fn listed(list: &[u16], number: u32) -> Result<u16, Refusal> {
    let number = small_number(number)?;
    if list.contains(&number) { Ok(number) } else { Err(Refusal::NoSuchThing) }
}

/// Services, units and channels are numbered from 1 to 65535.
fn small_number(number: u32) -> Result<u16, Refusal> {
    match u16::try_from(number) {
        Ok(0) | Err(_) => Err(Refusal::Invalid),
        Ok(number) => Ok(number),
    }
}
