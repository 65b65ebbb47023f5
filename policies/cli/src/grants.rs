//! What a policy may do: by a gate's configuration, by the project's `[rights]`, or all that it asks for.

use std::collections::BTreeMap;
use std::path::Path;

use knockgate_policy_abi::manifest::Services;
use knockgate_policy_host::{Capabilities, Capability, Manifest, Parameter, Rights, ServiceRight, Wasi};
use serde::Deserialize;
use serde_json::Value;

use crate::agent_toml::{self, Module};
use crate::answer::{Section, Trouble};
use crate::cli::RightsOptions;

/// Services, units and channels that are there when nothing says which: enough for every example.
const NUMBERS: std::ops::RangeInclusive<u16> = 1..=9;
/// The longest time when nothing says it; that of an agent's configuration.
const MAX_SECONDS: u32 = 3600;

/// `[rights]` of a `policy.toml`. What is left out is granted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RightsSection {
    services: Option<Vec<ServiceEntry>>,
    capabilities: Option<Vec<String>>,
    max_seconds: Option<u32>,
    units: Option<Vec<u16>>,
    channels: Option<Vec<u16>>,
    wasi: Option<WasiEntry>,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

/// A service's number, or that and its own longest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum ServiceEntry {
    Number(u16),
    #[serde(rename_all = "kebab-case")]
    Limited {
        id: u16,
        max_seconds: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WasiEntry {
    None,
    Inert,
}

/// Rights and where they come from.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    pub(crate) rights: Rights,
    pub(crate) from: From,
}

#[derive(Clone, Debug)]
pub(crate) enum From {
    /// A gate's configuration.
    Gate(Module),
    Project,
    /// Whatever it asks for.
    Everything,
}

/// The rights that the options choose, else the project's, else all that the manifest asks for.
pub(crate) fn gather(
    options: &RightsOptions,
    project: Option<&RightsSection>,
    manifest: &Manifest<'_>,
) -> Result<Grants, Trouble> {
    let mut grants = match (&options.config, &options.module) {
        (Some(config), Some(module)) => of_gate(config, module)?,
        (None, _) | (_, None) => match project {
            Some(section) => Grants { rights: section.rights(manifest)?, from: From::Project },
            None => Grants { rights: everything(manifest), from: From::Everything },
        },
    };
    for (name, value) in &options.parameter {
        grants.rights.parameters.retain(|parameter| parameter.name != *name);
        grants.rights.parameters.push(Parameter::new(name, [value.as_str()]));
    }
    Ok(grants)
}

fn of_gate(config: &Path, module: &str) -> Result<Grants, Trouble> {
    let module = agent_toml::read(config)?.module(module)?;
    Ok(Grants { rights: module.rights.clone(), from: From::Gate(module) })
}

/// All that the manifest asks for.
pub(crate) fn everything(manifest: &Manifest<'_>) -> Rights {
    let services: Vec<u16> = match manifest.services {
        Services::All => NUMBERS.collect(),
        Services::Listed(words) => words.iter().filter_map(|word| word.parse().ok()).collect(),
    };
    let right = |service| ServiceRight { service, max_seconds: MAX_SECONDS };
    Rights {
        services: services.into_iter().map(right).collect(),
        capabilities: Capabilities::ALL,
        max_seconds: MAX_SECONDS,
        units: NUMBERS.collect(),
        channels: NUMBERS.collect(),
        parameters: Vec::new(),
        wasi: Wasi::Inert,
    }
}

impl RightsSection {
    fn rights(&self, manifest: &Manifest<'_>) -> Result<Rights, Trouble> {
        let mut rights = everything(manifest);
        rights.max_seconds = self.max_seconds.unwrap_or(rights.max_seconds);
        if let Some(services) = &self.services {
            rights.services = services.iter().map(|entry| entry.right(rights.max_seconds)).collect();
        }
        if let Some(names) = &self.capabilities {
            rights.capabilities = capabilities(names)?;
        }
        rights.units = self.units.clone().unwrap_or(rights.units);
        rights.channels = self.channels.clone().unwrap_or(rights.channels);
        rights.parameters = parameters(&self.parameters)?;
        rights.wasi = self.wasi.map_or(Wasi::Inert, WasiEntry::wasi);
        Ok(rights)
    }
}

impl ServiceEntry {
    const fn right(self, max_seconds: u32) -> ServiceRight {
        match self {
            Self::Number(service) => ServiceRight { service, max_seconds },
            Self::Limited { id, max_seconds } => ServiceRight { service: id, max_seconds },
        }
    }
}

impl WasiEntry {
    const fn wasi(self) -> Wasi {
        match self {
            Self::None => Wasi::None,
            Self::Inert => Wasi::Inert,
        }
    }
}

fn capabilities(names: &[String]) -> Result<Capabilities, Trouble> {
    names.iter().try_fold(Capabilities::NONE, |set, name| match Capability::from_name(name) {
        Some(capability) => Ok(set.with(capability)),
        None => {
            let told = format!("rights: {name:?} is no capability; use {}", Capabilities::ALL);
            Err(Trouble::with_use(Section::Rights, told))
        }
    })
}

/// Texts, numbers or lists of them, as a configuration has them.
pub(crate) fn parameters(given: &BTreeMap<String, Value>) -> Result<Vec<Parameter>, Trouble> {
    given.iter().map(|(name, value)| Ok(Parameter::new(name, scalars(name, value)?))).collect()
}

fn scalars(name: &str, value: &Value) -> Result<Vec<String>, Trouble> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Number(number) => Ok(vec![number.to_string()]),
        Value::Array(list) => {
            let each = list.iter().map(|value| scalars(name, value)).collect::<Result<Vec<_>, _>>()?;
            Ok(each.into_iter().flatten().collect())
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => {
            let told = format!("parameters.{name} is {value}; write a text, a number or a list of them");
            Err(Trouble::with_use(Section::Parameters, told))
        }
    }
}
