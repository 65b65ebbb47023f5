//! `[policy]` and `[policy-module.NAME]`

use knockgate_core::limits::MAX_GRANT;
use knockgate_policy_abi::{Capabilities, Capability};

use super::document::{At, Section};
use super::read::{accept, accept_name, or_default, path};
use super::service::ServiceDraft;
use super::{Policy, PolicyChoice, PolicyModule, value};

const DEFAULT_MAX_SECONDS: u32 = 3600;
/// The name of the built-in policy in a chain.
const BUILT_IN: &str = "default";

pub(super) fn policy(root: &Section<'_>, services: &[ServiceDraft]) -> Option<Policy> {
    let section = root.section("policy");
    let modules: Vec<_> = root.named_sections("policy-module");
    let chain = chain(&section, &modules.iter().map(|(name, _)| name.value).collect::<Vec<_>>());
    section.refuse_unknown_keys();
    let modules: Vec<_> = modules.iter().map(|(name, section)| module(name, section, services)).collect();
    Some(Policy { chain: chain?, modules: modules.into_iter().collect::<Option<_>>()? })
}

fn chain(section: &Section<'_>, modules: &[&str]) -> Option<PolicyChoice> {
    let Some(list) = section.texts("chain") else {
        return (!section.has("chain")).then_some(PolicyChoice::BuiltIn);
    };
    let [entry] = list.value.as_slice() else {
        let count = list.value.len();
        section.note(
            list.line,
            format!(r#"policy.chain has {count} entries; it must have one, such as "{BUILT_IN}""#),
        );
        return None;
    };
    if entry.value == BUILT_IN {
        return Some(PolicyChoice::BuiltIn);
    }
    if !modules.contains(&entry.value) {
        let name = entry.value;
        section.note(
            entry.line,
            format!(r#"policy.chain names {name:?}, which is not defined; add [policy-module.{name}] or use "{BUILT_IN}""#),
        );
        return None;
    }
    accept(section, "chain", entry.line, value::name(entry.value)).map(PolicyChoice::Module)
}

fn module(name: &At<&str>, section: &Section<'_>, services: &[ServiceDraft]) -> Option<PolicyModule> {
    if name.value == BUILT_IN {
        section.note(
            name.line,
            format!("policy-module.{BUILT_IN} has the name of the built-in policy; choose another one"),
        );
    }
    let name = accept_name("policy module", section, name);
    let file = path(section, "file", r#"add file = "/etc/knockgate/policies/NAME.wasm""#);
    let sha256 = section.text("sha256");
    let sha256 = sha256.map(|text| accept(section, "sha256", text.line, value::sha256(text.value)));
    let max_seconds = section.number("max-seconds", &(1..=longest_grant()));
    let max_seconds = or_default(section, "max-seconds", max_seconds, DEFAULT_MAX_SECONDS);
    let module_services = module_services(section, services);
    let capabilities = capabilities(section);
    section.refuse_unknown_keys();
    Some(PolicyModule {
        name: name?,
        file: file?,
        sha256: match sha256 {
            Some(pin) => Some(pin?),
            None => None,
        },
        services: module_services?,
        capabilities: capabilities?,
        max_seconds: max_seconds?,
    })
}

fn longest_grant() -> u32 {
    u32::try_from(MAX_GRANT.as_secs()).unwrap_or(u32::MAX)
}

fn module_services(section: &Section<'_>, services: &[ServiceDraft]) -> Option<Vec<u16>> {
    let list = section.texts("services");
    let list =
        section.require("services", list, r#"name the services that it may open: services = ["ssh"]"#)?;
    let number = |text: At<&str>| {
        let service = services
            .iter()
            .find(|service| service.name.as_ref().is_some_and(|name| name.as_str() == text.value));
        if service.is_none() {
            let (path, name) = (section.path("services"), text.value);
            section.note(
                text.line,
                format!("{path} names {name:?}, which is not defined; add [service.{name}]"),
            );
        }
        service.and_then(|service| service.id).map(|id| id.value)
    };
    list.value.into_iter().map(number).collect()
}

fn capabilities(section: &Section<'_>) -> Option<Capabilities> {
    let list = section.texts("capabilities");
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
