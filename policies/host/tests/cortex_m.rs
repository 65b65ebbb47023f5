//! The core and the policies on a Cortex-M4: 32 bits, no operating system, byte code in place of machine code.
//!
//! QEMU runs the firmware `cortex-m4`, which `cargo xtask gateway build --board cortex-m4` makes. It is given policies compiled for
//! gateways, decides the events that are written down in its own source, and prints every decision. The same events are decided
//! here on machine code.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

extern crate alloc;

#[path = "../../../agent-embedded/firmware/cortex-m4/src/events.rs"]
mod events;

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use knockgate_policy_host::precompiled::{Target, precompile};
use knockgate_policy_host::{
    Capabilities, MemoryState, Parameter, PolicyEngine, Profile, Rights, ServiceRight, StateStore, builtin,
};

const FIRMWARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/gateway/cortex-m4");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/policies");

#[test]
fn knocks_open_and_policies_decide_as_on_a_server_with_the_same_fuel() {
    let policies = policies();
    let expected: Vec<String> = policies.iter().flat_map(decisions).collect();

    let (said, output) = run(&policies);

    let decided: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("decided: ")).collect();
    for (on_the_chip, here) in decided.iter().zip(&expected) {
        assert_eq!(on_the_chip, here);
    }
    assert_eq!(decided.len(), expected.len(), "{said}");
    assert!(output.status.success() && said.ends_with("cortex-m4: ok\n"), "{said}");
    for line in said.lines().filter(|line| !line.starts_with("decided: ")) {
        println!("{line}");
    }
}

/// A policy and what it may do.
struct Case {
    name: String,
    module: Vec<u8>,
    rights: Rights,
}

fn policies() -> Vec<Case> {
    let built_in = builtin::ALL.iter().map(|policy| Case {
        name: policy.name.to_owned(),
        module: policy.module.to_vec(),
        rights: rights(match policy.name {
            "office-hours" => &[("days", "mon-fri"), ("from", "08:00"), ("until", "18:00")],
            "known-networks" | "second-factor" => &[("networks", "192.0.2.0/24")],
            "limit-per-client" => &[("open", "2"), ("per-day", "3")],
            _ => &[],
        }),
    });
    let examples = ["rust", "c", "zig", "assemblyscript"].map(|language| {
        let name = format!("office_hours_{language}");
        let file = Path::new(EXAMPLES).join(&name).with_extension("wasm");
        let module = fs::read(&file).unwrap_or_else(|error| {
            panic!("{}: {error}; build the examples first: cargo xtask policies", file.display())
        });
        Case { name, module, rights: rights(&[]) }
    });
    let failing = [
        ("trap", "(func (export \"decide\") (result i32) unreachable)"),
        ("endless", "(func (export \"decide\") (result i32) (loop br 0) i32.const 0)"),
        ("no-verdict", "(func (export \"decide\") (result i32) i32.const 77)"),
        (
            "too-far",
            "(memory 1) (func (export \"decide\") (result i32) (i32.load (i32.const 65536)))",
        ),
        (
            "counts-in-64-bits",
            "(func (export \"decide\") (result i32)
             (i32.wrap_i64 (i64.rem_u (i64.mul (i64.const 0x123456789abcdef) (i64.const 0x0fedcba987654321)) (i64.const 3))))",
        ),
        (
            "counts-in-fractions",
            "(func (export \"decide\") (result i32)
             (i32.trunc_f64_s (f64.sqrt (f64.div (f64.const 9.5) (f64.const 2.25)))))",
        ),
    ]
    .map(|(name, body)| Case { name: name.to_owned(), module: module(name, body), rights: rights(&[]) });
    built_in.chain(examples).chain(failing).collect()
}

fn module(name: &str, body: &str) -> Vec<u8> {
    let text = format!("(module (@custom \"knockgate.manifest\" \"abi=1.0\\nname={name}\") {body})");
    wat::parse_str(text).unwrap()
}

fn rights(parameters: &[(&str, &str)]) -> Rights {
    Rights {
        services: vec![
            ServiceRight { service: 1, max_seconds: 3600 },
            ServiceRight { service: 2, max_seconds: 60 },
        ],
        capabilities: Capabilities::ALL,
        max_seconds: 3600,
        parameters: parameters.iter().map(|(name, text)| Parameter::new(name, [*text])).collect(),
        ..Rights::default()
    }
}

/// What the policy decides on this machine's own code.
fn decisions(case: &Case) -> Vec<String> {
    let engine = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    let policy = engine.load(&case.name, &case.module, &case.rights).unwrap();
    let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
    let numbered = events::events().into_iter().enumerate();
    numbered.map(|(number, event)| events::line(&case.name, number, &policy.decide(&event, &state))).collect()
}

/// Runs the firmware to its end, in a folder with what it shall be given.
fn run(policies: &[Case]) -> (String, Output) {
    assert!(
        Path::new(FIRMWARE).exists(),
        "{FIRMWARE} is missing; build it first: cargo xtask gateway build --board cortex-m4"
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cortex-m4");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("policies.bin"), given(policies)).unwrap();
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(["-machine", "mps2-an386", "-nographic", "-icount", "shift=0"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel", FIRMWARE])
        .current_dir(folder)
        .stdin(Stdio::null());
    let output = qemu.output().unwrap_or_else(|error| {
        panic!("qemu-system-arm does not start: {error}; `cargo xtask setup` installs it")
    });
    // Which of the two takes semihosting's words depends on the emulator's version.
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (String::from_utf8(said).unwrap(), output)
}

/// The file that the firmware reads: a seed, then name, rights and code of each policy, all filled up to multiples of 16 bytes.
fn given(policies: &[Case]) -> Vec<u8> {
    let mut file = Vec::new();
    // Another one in every run.
    put(&mut file, &RandomState::new().hash_one(0).to_le_bytes());
    for Case { name, module, rights } in policies {
        for field in [name.as_bytes(), &rights.encode(), &precompile(module, Target::Gateway).unwrap()] {
            put(&mut file, &u32::try_from(field.len()).unwrap().to_le_bytes());
            put(&mut file, field);
        }
    }
    file
}

fn put(file: &mut Vec<u8>, bytes: &[u8]) {
    file.extend(bytes);
    file.resize(file.len().next_multiple_of(16), 0);
}
