//! Lists what is stored: profiles, and keys that wait for one.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use knockgate_core::Name;
use knockgate_core::profile::Profile;
use knockgate_core::text_form;
use serde::Serialize;
use serde_json::json;

use super::{Told, sentence};
use crate::journal::Journal;
use crate::kept::{self, Peek};
use crate::own_key;
use crate::print;
use crate::store::Store;
use crate::voice::Voice;

/// What is known without a passphrase.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    default: bool,
    file: PathBuf,
    client: Option<String>,
    gate: Option<String>,
    services: Option<Vec<Service>>,
    locked: bool,
    /// As the gate said last.
    knocks_left: Option<u32>,
    last_heard: Option<Timestamp>,
    /// Why it cannot be used.
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    protocol: &'static str,
    port: u16,
}

/// What the gate of a profile said last.
struct Heard {
    gate: Option<String>,
    knocks_left: u32,
    at: Timestamp,
}

pub(crate) fn run(voice: &Voice) -> Result<Told, String> {
    let store = Store::find().map_err(sentence)?;
    let default = store.settings().map_err(sentence)?.default_profile;
    let heard = heard(&store);
    let entries: Vec<_> = store
        .names()
        .into_iter()
        .filter_map(|name| name.parse::<Name>().ok())
        .map(|name| entry(&store, &name, default.as_ref(), heard.get(name.as_str())))
        .collect();
    for fault in entries.iter().filter_map(|entry| entry.error.as_ref()) {
        voice.warning(fault);
    }
    let keys = keys(&store, voice);

    let mut lines = table(&entries);
    lines.extend(keys.iter().map(|(name, public)| format!("key \"{name}\" waits for its profile: {public}")));
    let keys: Vec<_> =
        keys.iter().map(|(name, public)| json!({ "name": name, "public_key": public })).collect();
    let default = default.map(|name| name.to_string());
    Ok(Told { lines, facts: json!({ "default": default, "profiles": entries, "keys": keys }) })
}

fn entry(store: &Store, name: &Name, default: Option<&Name>, heard: Option<&Heard>) -> Entry {
    let file = store.profile_path(name);
    let mut entry = Entry {
        name: name.to_string(),
        default: default == Some(name),
        client: None,
        gate: heard.and_then(|heard| heard.gate.clone()),
        services: None,
        locked: false,
        knocks_left: heard.map(|heard| heard.knocks_left),
        last_heard: heard.map(|heard| heard.at),
        error: None,
        file,
    };
    match kept::peek(&entry.file) {
        Ok(Peek::Open(profile)) => entry.learn(&profile),
        Ok(Peek::Locked) => entry.locked = true,
        Err(fault) => entry.error = Some(fault.to_string()),
    }
    entry
}

impl Entry {
    fn learn(&mut self, profile: &Profile) {
        self.client = Some(profile.client.to_string());
        self.gate = Some(print::gate_of(profile));
        let services = profile.services.iter().map(|service| Service {
            name: service.name.to_string(),
            protocol: service.protocol.word(),
            port: service.port,
        });
        self.services = Some(services.collect());
    }

    fn row(&self) -> [String; 6] {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let default = if self.default { " (default)" } else { "" };
        let services = self.services.as_ref().map(|services| {
            services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>().join(" ")
        });
        let state = match (&self.error, self.locked) {
            (Some(_), _) => "unusable",
            (None, true) => "locked",
            (None, false) => "open",
        };
        [
            format!("{}{default}", self.name),
            or_dash(self.client.clone()),
            or_dash(self.gate.clone()),
            or_dash(services),
            state.to_owned(),
            or_dash(self.knocks_left.map(|left| left.to_string())),
        ]
    }
}

/// The newest word of every gate, by profile. A journal that cannot be read costs only that.
fn heard(store: &Store) -> HashMap<String, Heard> {
    let pages = store.journal_dir().ok().and_then(|dir| Journal::new(dir).read().ok()).unwrap_or_default();
    let reports = pages.reports.into_iter().filter_map(|report| {
        let heard = Heard { gate: report.gate, knocks_left: report.book_left?, at: report.time };
        Some((report.profile, heard))
    });
    reports.collect()
}

/// Names and public keys.
fn keys(store: &Store, voice: &Voice) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for (name, path) in store.keys() {
        match own_key::read(&path) {
            Ok(key) => keys.push((name, text_form::public_key(&key.public()).to_string())),
            Err(fault) => voice.warning(&fault.to_string()),
        }
    }
    keys
}

fn table(entries: &[Entry]) -> Vec<String> {
    let head = ["NAME", "CLIENT", "GATE", "SERVICES", "KEY", "KNOCKS LEFT"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(entries.iter().map(Entry::row)).collect();
    print::columns(&rows)
}
