use std::path::Path;

use knockgate_core::key::GateId;
use serde_json::Value;

use super::*;
use crate::run::policy::{Seated, hex, seat};
use crate::state::{RosterFile, StateDir, Store};

use sha2::{Digest, Sha256};

const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

fn module(version: u32) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
          (@custom "knockgate.manifest" "abi=1.0\nname=hours\nversion={version}\nservices=*\ncapabilities=open\n")
          (func (export "decide") (result i32) (i32.const 1)))"#
    ))
    .unwrap()
}

/// A policy whose file is watched.
struct Stage {
    temp: tempfile::TempDir,
    watch: PolicyWatch,
}

impl Stage {
    /// With more keys in the policy's section.
    fn set(keys: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("hours.wasm"), module(1)).unwrap();
        let watch = watch(temp.path(), "", keys).unwrap();
        Self { temp, watch }
    }

    fn replace(&self, module: &[u8]) {
        let (file, new) = (self.temp.path().join("hours.wasm"), self.temp.path().join("new"));
        std::fs::write(&new, module).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// Two looks, as a changed file needs.
    fn look(&mut self) {
        self.watch.look();
        self.watch.look();
    }

    /// Titles that were taken up and reasons of refusals, in their order.
    fn told(self) -> Vec<String> {
        let log = self.temp.path().join("audit.jsonl");
        drop(self.watch);
        let lines = std::fs::read_to_string(log).unwrap();
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records
            .filter(|record| record["event"] != "log-begins")
            .map(|record| record["title"].as_str().or(record["reason"].as_str()).unwrap().to_owned())
            .collect()
    }
}

fn watch(dir: &Path, policy: &str, module: &str) -> anyhow::Result<PolicyWatch> {
    let path = dir.display();
    let text = format!(
        "[gate]\naddress = \"g\"\nstate-dir = \"{path}/state\"\naudit-log = \"{path}/audit.jsonl\"\n\
         [service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\n[policy]\nchain = [\"hours\"]\n{policy}\
         [policy-module.hours]\nfile = \"{path}/hours.wasm\"\nservices = [\"ssh\"]\ncapabilities = [\"open\"]\n{module}"
    );
    let config = Config::parse(Path::new("agent.toml"), &text)?;
    let state = StateDir::create(&dir.join("state"))?;
    let store = Arc::new(Store::open(&state, GateId([1; 16]), &RosterFile::default())?.0);
    let audit = Arc::new(Audit::open(config.of_a_server()?)?);
    let seating = seat(&config, &Seated::default(), &store, &audit)?;
    seating.loaded.into_iter().for_each(|record| audit.write(record));
    Ok(seating.watch)
}

#[test]
fn a_good_module_is_taken_up_once_it_is_at_rest() {
    let mut stage = Stage::set("");
    stage.replace(&module(2));
    stage.watch.look();
    stage.replace(&module(3));
    stage.look();
    stage.look();
    assert_eq!(stage.told(), ["hours 1", "hours 3"]);
}

#[test]
fn a_file_that_was_only_touched_is_not_taken_up_again() {
    let mut stage = Stage::set("");
    stage.replace(&module(1));
    stage.look();
    assert_eq!(stage.told(), ["hours 1"]);
}

#[test]
fn a_broken_module_is_refused_once_and_the_next_good_one_taken_up() {
    let mut stage = Stage::set("");
    stage.replace(module(2).get(..40).unwrap());
    stage.look();
    stage.look();
    stage.replace(&module(3));
    stage.look();
    let told = stage.told();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[1].starts_with("policy hours: ") && told[1].contains("cannot be used"), "{told:?}");
    assert_eq!(told[2], "hours 3");
}

#[test]
fn a_module_that_is_not_the_pinned_one_is_refused_with_its_own_hash() {
    let mut stage = Stage::set(&format!("sha256 = \"{}\"\n", hex(&Sha256::digest(module(1)).into())));
    stage.replace(&module(2));
    stage.look();
    let told = stage.told();
    let wanted = format!("sha256 = \"{}\"", hex(&Sha256::digest(module(2)).into()));
    assert!(told[1].contains("is not the file that was pinned") && told[1].contains(&wanted), "{told:?}");
}

#[test]
fn where_keys_are_given_an_unsigned_module_refuses_the_start() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("hours.wasm"), module(1)).unwrap();
    let error = watch(temp.path(), &format!("keys = [\"{KEY}\"]\n"), "").err().unwrap();
    let text = format!("{error:#}");
    assert!(text.starts_with("policy hours: ") && text.contains("it is not signed; sign it"), "{text}");
}

#[test]
fn a_parameter_that_the_policy_does_not_take_is_named_with_its_line() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("hours.wasm"), module(1)).unwrap();
    let error = watch(temp.path(), "", "parameters = { from = \"08:00\" }\n").err().unwrap();
    let text = format!("{error:#}");
    assert!(
        text.contains("agent.toml:15: parameter `from`: this policy takes no parameters; remove it"),
        "{text}"
    );
}
