//! `[policy-module.NAME]`

use knockgate_core::Name;
use knockgate_core::limits::MAX_GRANT;
use knockgate_policy_abi::{Capabilities, Capability};
use knockgate_policy_host::{Parameter, Wasi, builtin};

use super::document::{At, Section};
use super::read::{accept, accept_name, or_default, path};
use super::service::ServiceDraft;
use super::{BUILT_IN, Channel, ModuleSource, PolicyModule, Unit, value};

const DEFAULT_MAX_SECONDS: u32 = 3600;

/// The tables of the file whose names a policy's sections may use.
pub(super) struct Tables<'a> {
    services: &'a [ServiceDraft],
    /// `None` if a problem was noted there: then what is missing is not noted again.
    units: Option<&'a [Unit]>,
    channels: Option<&'a [Channel]>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(
        services: &'a [ServiceDraft],
        units: Option<&'a [Unit]>,
        channels: Option<&'a [Channel]>,
    ) -> Self {
        Self { services, units, channels }
    }

    /// The number of a service; `None` if a problem was noted, here or at the service.
    pub(super) fn service(&self, section: &Section<'_>, key: &str, name: At<&str>) -> Option<u16> {
        let is_meant =
            |service: &&ServiceDraft| service.name.as_ref().is_some_and(|known| known.as_str() == name.value);
        let service = self.services.iter().find(is_meant);
        if service.is_none() {
            undefined(section, key, name, "service");
        }
        service.and_then(|service| service.id).map(|id| id.value)
    }
}

fn undefined(section: &Section<'_>, key: &str, name: At<&str>, table: &str) {
    let (path, what) = (section.path(key), name.value);
    section.note(name.line, format!("{path} names {what:?}, which is not defined; add [{table}.{what}]"));
}

pub(super) fn module(name: &At<&str>, section: &Section<'_>, tables: &Tables<'_>) -> Option<PolicyModule> {
    if name.value == BUILT_IN {
        section.note(
            name.line,
            format!("policy-module.{BUILT_IN} has the name of the policy that needs no definition; choose another one"),
        );
    }
    let name = accept_name("policy module", section, name);
    let source = source(section);
    let max_seconds = section.number("max-seconds", &(1..=longest_grant()));
    let max_seconds = or_default(section, "max-seconds", max_seconds, DEFAULT_MAX_SECONDS);
    let services = services(section, tables);
    let capabilities = capabilities(section);
    let units = tables.units.map(|units| units.iter().map(|unit| (&unit.name, unit.id)).collect());
    let units = numbered(section, "units", units, "unit");
    let channels = tables.channels;
    let channels = channels.map(|known| known.iter().map(|channel| (&channel.name, channel.id)).collect());
    let channels = numbered(section, "channels", channels, "channel");
    let wasi = section.choice("wasi", &[("none", Wasi::None), ("inert", Wasi::Inert)]);
    let wasi = or_default(section, "wasi", wasi, Wasi::None);
    let parameters_line = section.line_of("parameters");
    let parameters = section.named_scalars("parameters");
    let parameters = parameters.into_iter().map(|(name, given)| Parameter::new(name.value, given)).collect();
    section.refuse_unknown_keys();
    Some(PolicyModule {
        name: name?,
        source: source?,
        services: services?,
        capabilities: capabilities?,
        max_seconds: max_seconds?,
        units: units?,
        channels: channels?,
        wasi: wasi?,
        parameters,
        line: section.line,
        parameters_line,
    })
}

fn source(section: &Section<'_>) -> Option<ModuleSource> {
    let sha256 = section.text("sha256");
    let pin = sha256.map(|text| accept(section, "sha256", text.line, value::sha256(text.value)));
    let Some(built_in) = section.text("built-in") else {
        let remedy = r#"add file = "/etc/knockgate/policies/NAME.wasm", or built-in = "NAME""#;
        let file = if section.has("built-in") { None } else { path(section, "file", remedy) };
        return Some(ModuleSource::File {
            path: file?,
            sha256: match pin {
                Some(pin) => Some(pin?),
                None => None,
            },
        });
    };
    for key in ["file", "sha256"] {
        if section.has(key) {
            let path = section.path(key);
            section.note(
                built_in.line,
                format!(
                    "{} is given and {path} as well; a built-in policy has no file, so leave one out",
                    section.path("built-in")
                ),
            );
        }
    }
    let found = builtin::find(built_in.value);
    if found.is_none() {
        let known: Vec<_> = builtin::ALL.iter().map(|known| known.name).collect();
        let (path, name) = (section.path("built-in"), built_in.value);
        section.note(built_in.line, format!("{path} names {name:?}; there are {}", known.join(", ")));
    }
    found.map(ModuleSource::BuiltIn)
}

fn longest_grant() -> u32 {
    u32::try_from(MAX_GRANT.as_secs()).unwrap_or(u32::MAX)
}

/// What comes with the agent may open every service and do all that it asks for, unless less is said.
fn services(section: &Section<'_>, tables: &Tables<'_>) -> Option<Vec<u16>> {
    let list = section.texts("services");
    if list.is_none() && section.has("built-in") && !section.has("services") {
        return tables.services.iter().map(|service| service.id.map(|id| id.value)).collect();
    }
    let list =
        section.require("services", list, r#"name the services that it may open: services = ["ssh"]"#)?;
    list.value.into_iter().map(|name| tables.service(section, "services", name)).collect()
}

fn capabilities(section: &Section<'_>) -> Option<Capabilities> {
    let list = section.texts("capabilities");
    if list.is_none() && section.has("built-in") && !section.has("capabilities") {
        return Some(Capabilities::ALL);
    }
    let list =
        section.require("capabilities", list, r#"say what it may do: capabilities = ["open", "log"]"#)?;
    let mut capabilities = Capabilities::NONE;
    if list.value.is_empty() {
        section.note(list.line, format!("{} is empty; name at least \"open\"", section.path("capabilities")));
    }
    for text in list.value {
        match Capability::from_name(text.value) {
            Some(capability) => capabilities = capabilities.with(capability),
            None => section.note(
                text.line,
                format!(
                    "{} names {:?}; known are {}",
                    section.path("capabilities"),
                    text.value,
                    Capabilities::ALL
                ),
            ),
        }
    }
    Some(capabilities)
}

/// The numbers of things that have a table of their own.
fn numbered(
    section: &Section<'_>,
    key: &'static str,
    known: Option<Vec<(&Name, u16)>>,
    table: &str,
) -> Option<Vec<u16>> {
    let Some(list) = section.texts(key) else {
        return (!section.has(key)).then(Vec::new);
    };
    let known = known?;
    let number = |name: At<&str>| {
        let found = known.iter().find(|(known, _)| known.as_str() == name.value);
        if found.is_none() {
            undefined(section, key, name, table);
        }
        found.map(|(_, number)| *number)
    };
    list.value.into_iter().map(number).collect()
}
