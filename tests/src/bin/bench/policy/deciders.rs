//! The policies that are measured: the built-in one, and the example of every language as `cargo xtask policies` builds it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use knockgate_policy_host::{
    Capabilities, Cause, Client, Event, Execution, HostKind, InLine, LocalTime, MemoryState, Policy,
    PolicyEngine, Request, Rights, ServiceRight, Source, StateStore, Wasi, builtin, text,
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
    in_line: Option<Quick>,
}

impl Decider {
    pub(super) fn engines(&self) -> [&Loaded; 2] {
        [&self.cranelift, &self.pulley]
    }

    /// As a server asks it about a knock; none if it takes too long for that.
    pub(super) fn in_line(&self) -> Option<&Quick> {
        self.in_line.as_ref()
    }
}

/// A policy that decides in line.
pub(super) struct Quick {
    policy: RefCell<InLine>,
    event: Event,
}

impl Quick {
    fn new(loaded: &Loaded) -> Option<Self> {
        let policy = InLine::new(Arc::clone(&loaded.policy), Arc::clone(&loaded.state))?;
        let quick = Self { policy: RefCell::new(policy), event: loaded.event.clone() };
        quick.try_decide().map(|_| quick)
    }

    /// Asks once. What the next one needs is made ready afterwards, when no client waits.
    pub(super) fn decide(&self) -> Result<Duration> {
        self.try_decide().context("a policy does not decide in line any more")
    }

    fn try_decide(&self) -> Option<Duration> {
        let mut policy = self.policy.borrow_mut();
        let begun = Instant::now();
        let decision = policy.decide(&self.event, InLine::FUEL);
        let took = begun.elapsed();
        std::hint::black_box(&decision);
        policy.prepare();
        decision.map(|_| took)
    }
}

/// A policy, ready to be asked.
pub(super) struct Loaded {
    policy: Arc<Policy>,
    event: Event,
    state: Arc<dyn StateStore>,
}

impl Loaded {
    fn new(engine: &PolicyEngine, name: &str, module: &[u8]) -> Result<Self> {
        let policy = Arc::new(engine.load(name, module, &rights())?);
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
        PolicyEngine::of_server(Execution::Compiled, Capabilities::ALL)?,
        PolicyEngine::of_server(Execution::Interpreted, Capabilities::ALL)?,
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
    Ok(Decider { name, fuel: cranelift.fuel(), in_line: Quick::new(&cranelift), cranelift, pulley })
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
