//! Policies for stories: written as WebAssembly text, put where the agent reads them, named in its configuration.

use std::path::PathBuf;

use anyhow::{Context, Result};
use knockgate_tests::Lab;
use serde_json::Value;

/// Opens what was asked for, for as long as was asked.
pub(crate) const OPENS: &str = "(call $open (call $asked (i32.const 30)) (call $asked (i32.const 32)))";
pub(crate) const ABSTAINS: &str = "(i32.const 2)";
pub(crate) const DENIES: &str = "(i32.const 1)";
pub(crate) const LOOPS: &str = "(loop $again (br $again)) (i32.const 0)";
pub(crate) const TRAPS: &str = "unreachable";

/// Opens ssh for so many seconds, whatever was asked.
pub(crate) fn opens_for(seconds: u32) -> String {
    format!("(call $open (i32.const 1) (i32.const {seconds}))")
}

/// A module of this name whose `decide` does this.
pub(crate) fn module(name: &str, causes: &str, body: &str) -> Result<Vec<u8>> {
    let text = format!(
        r#"(module
  (@custom "knockgate.manifest" "abi=1.0\nname={name}\nservices=*\ncapabilities=open lockout state notify start\ncauses={causes}\n")
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (import "knockgate:policy/act@1.0.0" "lockout" (func $lockout (param i32) (result i32)))
  (import "knockgate:policy/act@1.0.0" "start" (func $start (param i32) (result i32)))
  (import "knockgate:policy/act@1.0.0" "notify" (func $notify (param i32 i32) (result i32)))
  (import "knockgate:policy/state@1.0.0" "load" (func $load (param i32) (result i64)))
  (import "knockgate:policy/state@1.0.0" "store" (func $store (param i32 i64) (result i32)))
  (func $asked (param i32) (result i32) (i32.wrap_i64 (call $attr (local.get 0))))
  (func (export "decide") (result i32) {body}))"#
    );
    wat::parse_str(text).with_context(|| format!("policy {name} is not valid WAT"))
}

/// Puts a module where its section looks for it, in one step.
pub(crate) fn install(lab: &Lab, name: &str, module: &[u8]) -> Result<PathBuf> {
    let (file, new) = (lab.path(&format!("{name}.wasm")), lab.path(&format!("{name}.new")));
    std::fs::write(&new, module)?;
    std::fs::rename(new, &file)?;
    Ok(file)
}

/// Puts a module that is asked about packet knocks there, and returns its section.
pub(crate) fn installed(lab: &Lab, name: &str, body: &str) -> Result<String> {
    install(lab, name, &module(name, "packet", body)?)?;
    Ok(section(lab, name))
}

/// What the configuration says about a module.
pub(crate) fn section(lab: &Lab, name: &str) -> String {
    let file = lab.path(&format!("{name}.wasm"));
    format!(
        "[policy-module.{name}]\nfile = \"{}\"\nservices = [\"ssh\", \"web\"]\n\
         capabilities = [\"open\", \"lockout\", \"state\", \"notify\", \"start\"]\nmax-seconds = 3600\n",
        file.display()
    )
}

/// Whether a record is a decision of this policy.
pub(crate) fn is_decision_of(record: &Value, policy: &str) -> bool {
    record["event"] == "decision" && record["policy"] == policy
}
