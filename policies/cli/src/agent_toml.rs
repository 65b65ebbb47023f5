//! The parts of a gate's configuration that say what a policy may do: `[policy-module.NAME]` and the tables whose names it uses.
//!
//! Everything else is left unread: `knockgated check` is there to judge the whole file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use knockgate_policy_host::{Capabilities, Capability, Rights, ServiceRight, Wasi};
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Section, Trouble};
use crate::grants::parameters;
use crate::text::{from_toml, plain};

/// `max-open` of a service that does not say it.
const DEFAULT_MAX_OPEN: u32 = 3600;
/// `max-seconds` of a module that does not say it.
const DEFAULT_MAX_SECONDS: u32 = 3600;

/// A gate's configuration, as far as policies are concerned.
#[derive(Clone, Debug)]
pub(crate) struct AgentToml {
    path: PathBuf,
    document: Document,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    policy: PolicyTable,
    #[serde(default)]
    policy_module: BTreeMap<String, ModuleTable>,
    #[serde(default)]
    service: BTreeMap<String, ServiceTable>,
    #[serde(default)]
    unit: BTreeMap<String, Numbered>,
    #[serde(default)]
    channel: BTreeMap<String, Numbered>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct PolicyTable {
    #[serde(default)]
    keys: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ModuleTable {
    built_in: Option<String>,
    sha256: Option<String>,
    services: Option<Vec<String>>,
    capabilities: Option<Vec<String>>,
    max_seconds: Option<u32>,
    #[serde(default)]
    units: Vec<String>,
    #[serde(default)]
    channels: Vec<String>,
    wasi: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ServiceTable {
    id: u16,
    max_open: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Numbered {
    id: u16,
}

/// One module's section.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) rights: Rights,
    /// In lower case.
    pub(crate) sha256: Option<String>,
    /// Names of the services that it is granted, by number.
    pub(crate) services: BTreeMap<u16, String>,
}

/// Reads a configuration.
pub(crate) fn read(path: &Path) -> Result<AgentToml, Trouble> {
    let text = fs::read_to_string(path).map_err(|error| {
        let told = format!(
            "{}: cannot be read: {}; check the path and its permissions",
            path.display(),
            plain(&error)
        );
        Trouble::with_use(Section::Installing, told)
    })?;
    Ok(AgentToml { path: path.to_owned(), document: from_toml(path, &text, Section::Installing)? })
}

impl AgentToml {
    /// The public keys by one of which every policy must be signed.
    pub(crate) fn keys(&self) -> &[String] {
        &self.document.policy.keys
    }

    /// The section of that name.
    pub(crate) fn module(&self, name: &str) -> Result<Module, Trouble> {
        let modules = &self.document.policy_module;
        let table = modules.get(name).ok_or_else(|| {
            let known: Vec<_> = modules.keys().map(String::as_str).collect();
            let there_are = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            self.trouble(&format!(
                "there is no [policy-module.{name}]; there are {there_are}, so correct --module, or add it"
            ))
        })?;
        let services = self.services(name, table)?;
        let right = |(id, limit): &(u16, u32)| ServiceRight { service: *id, max_seconds: *limit };
        let numbers = |key, names, known| self.numbers(name, key, names, known);
        Ok(Module {
            name: name.to_owned(),
            sha256: table.sha256.as_ref().map(|sha256| sha256.to_ascii_lowercase()),
            services: self.names(&services),
            rights: Rights {
                services: services.iter().map(right).collect(),
                capabilities: self.capabilities(name, table)?,
                max_seconds: table.max_seconds.unwrap_or(DEFAULT_MAX_SECONDS),
                units: numbers("units", &table.units, &self.document.unit)?,
                channels: numbers("channels", &table.channels, &self.document.channel)?,
                parameters: parameters(&table.parameters)?,
                wasi: self.wasi(name, table)?,
            },
        })
    }

    fn trouble(&self, told: &str) -> Trouble {
        Trouble::with_use(Section::Installing, format!("{}: {told}", self.path.display()))
    }

    /// The services that a module names, each with its own longest time; every service where a built-in one names none.
    fn services(&self, module: &str, table: &ModuleTable) -> Result<Vec<(u16, u32)>, Trouble> {
        let known = &self.document.service;
        let all: Vec<String> = known.keys().cloned().collect();
        let names = match (&table.services, &table.built_in) {
            (Some(names), _) => names,
            (None, Some(_)) => &all,
            (None, None) => {
                let told = format!(
                    "[policy-module.{module}] has no services; name what it may open: services = [\"ssh\"]"
                );
                return Err(self.trouble(&told));
            }
        };
        names.iter().map(|name| self.service(module, name)).collect()
    }

    fn service(&self, module: &str, name: &str) -> Result<(u16, u32), Trouble> {
        let service = self.document.service.get(name).ok_or_else(|| {
            self.trouble(&format!(
                "[policy-module.{module}] services names {name:?}, which is not defined; add [service.{name}], or correct it"
            ))
        })?;
        let Some(text) = &service.max_open else { return Ok((service.id, DEFAULT_MAX_OPEN)) };
        let limit = humantime::parse_duration(text).map_err(|_| {
            self.trouble(&format!("service.{name}.max-open is {text:?}; write a time such as \"1h\""))
        })?;
        Ok((service.id, u32::try_from(limit.as_secs()).unwrap_or(u32::MAX)))
    }

    fn names(&self, services: &[(u16, u32)]) -> BTreeMap<u16, String> {
        let is_granted = |id| services.iter().any(|(granted, _)| *granted == id);
        let known = self.document.service.iter();
        known
            .filter(|(_, service)| is_granted(service.id))
            .map(|(name, service)| (service.id, name.clone()))
            .collect()
    }

    fn capabilities(&self, module: &str, table: &ModuleTable) -> Result<Capabilities, Trouble> {
        let Some(names) = &table.capabilities else {
            if table.built_in.is_some() {
                return Ok(Capabilities::ALL);
            }
            let told = format!(
                "[policy-module.{module}] has no capabilities; say what it may do: capabilities = [\"open\", \"log\"]"
            );
            return Err(self.trouble(&told));
        };
        names.iter().try_fold(Capabilities::NONE, |set, name| match Capability::from_name(name) {
            Some(capability) => Ok(set.with(capability)),
            None => {
                let all = Capabilities::ALL;
                Err(self.trouble(&format!(
                    "[policy-module.{module}] capabilities names {name:?}; known are {all}"
                )))
            }
        })
    }

    fn wasi(&self, module: &str, table: &ModuleTable) -> Result<Wasi, Trouble> {
        match table.wasi.as_deref() {
            None | Some("none") => Ok(Wasi::None),
            Some("inert") => Ok(Wasi::Inert),
            Some(other) => Err(self.trouble(&format!(
                "[policy-module.{module}] wasi is {other:?}; write \"inert\", or remove it"
            ))),
        }
    }

    fn numbers(
        &self,
        module: &str,
        key: &str,
        names: &[String],
        known: &BTreeMap<String, Numbered>,
    ) -> Result<Vec<u16>, Trouble> {
        let number = |name: &String| match known.get(name) {
            Some(numbered) => Ok(numbered.id),
            None => {
                let table = key.trim_end_matches('s');
                Err(self.trouble(&format!(
                    "[policy-module.{module}] {key} names {name:?}, which is not defined; add [{table}.{name}], or correct it"
                )))
            }
        };
        names.iter().map(number).collect()
    }
}
