//! The policies that are measured: the built-in one, and the example of every language as `cargo xtask policies` builds it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use knockgate_policy_host::{
    Capabilities, Cause, Client, Event, HostKind, LocalTime, MemoryState, Policy, PolicyEngine, Profile,
    Request, Rights, ServiceRight, Source, StateStore, Wasi, builtin, text,
};

const BUILT: &str = "target/policies";
/// What the table calls them, and their files.
const EXAMPLES: [(&str, &str); 8] = [
    ("office hours in Rust", "office_hours_rust"),
    ("office hours in C", "office_hours_c"),
    ("office hours in C++", "office_hours_cpp"),
    ("office hours in Zig", "office_hours_zig"),
    ("office hours in AssemblyScript", "office_hours_assemblyscript"),
    ("office hours in WAT", "office_hours_wat"),
    ("office hours in Go", "office_hours_go"),
    ("office hours in JavaScript, a component", "office_hours_javascript"),
];

/// One policy, loaded twice.
pub(super) struct Decider {
    pub(super) name: &'static str,
    pub(super) fuel: u64,
    cranelift: Loaded,
    pulley: Loaded,
}

impl Decider {
    pub(super) fn engines(&self) -> [&Loaded; 2] {
        [&self.cranelift, &self.pulley]
    }
}

/// A policy, ready to be asked.
pub(super) struct Loaded {
    policy: Policy,
    event: Event,
    state: Arc<dyn StateStore>,
}

impl Loaded {
    fn new(engine: &PolicyEngine, name: &str, module: &[u8]) -> Result<Self> {
        let policy = engine.load(name, module, &rights())?;
        let loaded = Self { policy, event: event(), state: Arc::new(MemoryState::default()) };
        let decision = loaded.policy.decide(&loaded.event, &loaded.state);
        ensure!(decision.opens(), "it should open and did not: {decision:?}");
        Ok(loaded)
    }

    /// Asks once.
    pub(super) fn decide(&self) -> Duration {
        let begun = Instant::now();
        let decision = self.policy.decide(&self.event, &self.state);
        let took = begun.elapsed();
        std::hint::black_box(&decision);
        took
    }

    fn fuel(&self) -> u64 {
        self.policy.decide(&self.event, &self.state).fuel
    }
}

/// The built-in policy first: it is the one that the others are compared with.
pub(super) fn deciders() -> Result<Vec<Decider>> {
    let engines = [
        PolicyEngine::new(Profile::Server, Capabilities::ALL)?,
        PolicyEngine::on_pulley(Profile::Server, Capabilities::ALL)?,
    ];
    let mut deciders = vec![decider(&engines, "the built-in policy", builtin::DEFAULT)?];
    for (name, file) in EXAMPLES {
        let path: PathBuf = Path::new(BUILT).join(file).with_extension("wasm");
        let module =
            std::fs::read(&path).with_context(|| format!("{}; `cargo xtask policies`", path.display()));
        match module.and_then(|module| decider(&engines, name, &module)) {
            Ok(measured) => deciders.push(measured),
            Err(error) => eprintln!("bench: {name} is left out: {error:#}"),
        }
    }
    Ok(deciders)
}

fn decider(engines: &[PolicyEngine; 2], name: &'static str, module: &[u8]) -> Result<Decider> {
    let [cranelift, pulley] = engines;
    let load =
        |engine| Loaded::new(engine, name, module).with_context(|| format!("{name} cannot be measured"));
    let (cranelift, pulley) = (load(cranelift)?, load(pulley)?);
    ensure!(cranelift.fuel() == pulley.fuel(), "{name} needs different fuel on the two engines");
    Ok(Decider { name, fuel: cranelift.fuel(), cranelift, pulley })
}

fn rights() -> Rights {
    Rights {
        services: vec![ServiceRight { service: 1, max_seconds: 3600 }],
        capabilities: Capabilities::ALL,
        max_seconds: 3600,
        wasi: Wasi::Inert,
        ..Rights::default()
    }
}

/// A knock with a packet, on a Monday at noon.
fn event() -> Event {
    Event {
        time: Some(1_767_607_200),
        local: Some(LocalTime { weekday: 1, minute: 720 }),
        client: Some(Client {
            id: 7,
            name: text("anna"),
            failures: 0,
            grants: 0,
            oldest_grant: None,
            second_factor: false,
        }),
        source: Some(Source { address: IpAddr::from([192, 0, 2, 7]), prefix: 32, failures: 0, grants: 0 }),
        request: Some(Request { service: 1, name: text("ssh"), seconds: 60, grants: 0, prefix: None }),
        ..Event::new(Cause::Packet, HostKind::Linux)
    }
}
