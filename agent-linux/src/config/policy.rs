//! `[policy]`: who decides about what.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use knockgate_core::Name;
use knockgate_policy_host::Execution;
use knockgate_policy_host::signature::PublicKey;

use super::document::{At, Section, TextList};
use super::module::{Tables, module};
use super::read::{accept, or_default};
use super::{BUILT_IN, Policy, PolicyModule, engine, value};

/// Policies in use at the same time: each has a thread, and a place among the decisions that the engine can make at once.
const MAX_IN_USE: usize = 16;

pub(super) fn policy(root: &Section<'_>, tables: &Tables<'_>) -> Option<Policy> {
    let section = root.section("policy");
    let engine = section.choice("engine", &engine::WORDS);
    let engine = or_default(&section, "engine", engine, Execution::Interpreted);
    let defined: Vec<_> = root.named_sections("policy-module");
    let names = Names(defined.iter().map(|(name, _)| name.value).collect());
    let chain = match section.texts("chain") {
        Some(list) => names.chain(&section, "chain", list),
        None => (!section.has("chain")).then(built_in),
    };
    let shadow = section.texts("shadow").map(|list| names.list(&section, "shadow", list.value));
    let shadow = shadow.unwrap_or_else(|| (!section.has("shadow")).then(Vec::new));
    let time_zone = section.text("time-zone").map(|text| time_zone(&section, text));
    let keys = keys(&section);
    let services = service_chains(&section, &names, tables);
    let clients = client_chains(&section, &names);
    section.refuse_unknown_keys();
    let modules: Option<Vec<PolicyModule>> =
        defined.iter().map(|(name, section)| module(name, section, tables)).collect();
    let policy = Policy {
        engine: engine?,
        chain: chain?,
        services: services?,
        clients: clients?,
        shadow: shadow?,
        time_zone: match time_zone {
            Some(zone) => Some(zone?),
            None => None,
        },
        keys: keys?,
        modules: modules?,
    };
    check_number(&section, &policy);
    Some(policy)
}

/// Without a chain the built-in policy decides.
fn built_in() -> Vec<Name> {
    BUILT_IN.parse().into_iter().collect()
}

/// The modules that are defined.
struct Names<'t>(Vec<&'t str>);

impl Names<'_> {
    /// The names in a list that is asked one after the other.
    fn chain(&self, section: &Section<'_>, key: &str, list: TextList<'_>) -> Option<Vec<Name>> {
        if list.value.is_empty() {
            let path = section.path(key);
            section.note(
                list.line,
                format!(
                    r#"{path} is empty, so nothing would ever open; name a policy, such as "{BUILT_IN}""#
                ),
            );
        }
        self.list(section, key, list.value)
    }

    fn list(&self, section: &Section<'_>, key: &str, list: Vec<At<&str>>) -> Option<Vec<Name>> {
        let mut names: Vec<Name> = Vec::new();
        let mut is_good = true;
        for entry in list {
            let Some(name) = self.known(section, key, entry) else {
                is_good = false;
                continue;
            };
            if names.contains(&name) {
                let path = section.path(key);
                section.note(
                    entry.line,
                    format!("{path} names {name} twice; it says the same both times, so leave one out"),
                );
            }
            names.push(name);
        }
        is_good.then_some(names)
    }

    fn known(&self, section: &Section<'_>, key: &str, entry: At<&str>) -> Option<Name> {
        let name = entry.value;
        if name != BUILT_IN && !self.0.contains(&name) {
            let path = section.path(key);
            section.note(
                entry.line,
                format!(r#"{path} names {name:?}, which is not defined; add [policy-module.{name}] or use "{BUILT_IN}""#),
            );
            return None;
        }
        accept(section, key, entry.line, value::name(name))
    }
}

fn service_chains(
    section: &Section<'_>,
    names: &Names<'_>,
    tables: &Tables<'_>,
) -> Option<BTreeMap<u16, Vec<Name>>> {
    let mut chains = Some(BTreeMap::new());
    for (service, list) in section.named_texts("services") {
        let key = format!("services.{}", service.value);
        let chain = names.chain(section, &key, list);
        match (tables.service(section, "services", service), chain) {
            (Some(id), Some(chain)) => {
                chains.as_mut().map(|chains: &mut BTreeMap<_, _>| chains.insert(id, chain));
            }
            (None, _) | (_, None) => chains = None,
        }
    }
    chains
}

/// The clients may be enrolled later; `knockgated check` warns about those that are not.
fn client_chains(section: &Section<'_>, names: &Names<'_>) -> Option<BTreeMap<String, Vec<Name>>> {
    let mut chains = Some(BTreeMap::new());
    for (client, list) in section.named_texts("clients") {
        let key = format!("clients.{}", client.value);
        let chain = names.chain(section, &key, list);
        match (accept(section, "clients", client.line, value::name(client.value)), chain) {
            (Some(client), Some(chain)) => {
                chains.as_mut().map(|chains: &mut BTreeMap<_, _>| chains.insert(client.to_string(), chain));
            }
            (None, _) | (_, None) => chains = None,
        }
    }
    chains
}

fn time_zone(section: &Section<'_>, text: At<&str>) -> Option<TimeZone> {
    let zone = TimeZone::get(text.value).map_err(|_| {
        format!(
            r#"{:?} is no time zone that this host knows; write one such as "Europe/Berlin" or "UTC""#,
            text.value
        )
    });
    accept(section, "time-zone", text.line, zone)
}

fn keys(section: &Section<'_>) -> Option<Vec<PublicKey>> {
    let list = section.texts("keys");
    if let Some(list) = &list
        && list.value.is_empty()
    {
        section.note(
            list.line,
            "policy.keys is empty; name a key, or leave it out if modules need no signature",
        );
    }
    let key = |text: At<&str>| {
        let key = PublicKey::parse(text.value).map_err(|error| error.to_string());
        accept(section, "keys", text.line, key)
    };
    let keys = list.map(|list| {
        let line = list.line;
        At { line, value: list.value.into_iter().map(key).collect::<Option<Vec<_>>>() }
    });
    or_default(section, "keys", keys, Some(Vec::new()))?
}

fn check_number(section: &Section<'_>, policy: &Policy) {
    let in_use = policy.in_use().len();
    if in_use > MAX_IN_USE {
        section.note(
            section.line,
            format!("policy has {in_use} policies in use; at most {MAX_IN_USE} can be, so join some"),
        );
    }
}
