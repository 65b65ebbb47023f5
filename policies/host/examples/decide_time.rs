//! Prints how long decisions take through the whole host: `cargo run -p knockgate-policy-host --example decide_time`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use knockgate_policy_host::{
    Capabilities, Cause, Client, Event, HostKind, MemoryState, PolicyEngine, Profile, Request, Rights,
    ServiceRight, Source, StateStore, builtin, text,
};

const ROUNDS: usize = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for profile in [Profile::Edge, Profile::Server] {
        let engine = PolicyEngine::new(profile, Capabilities::ALL)?;
        let begin = Instant::now();
        let policy = engine.load("default", builtin::DEFAULT, &rights())?;
        let loaded = begin.elapsed();
        let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
        let event = event();
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let begin = Instant::now();
                let decision = policy.decide(&event, &state);
                let time = begin.elapsed();
                assert!(decision.opens(), "{decision:?}");
                time
            })
            .collect();
        times.sort_unstable();
        println!(
            "{profile:?}: load {loaded:?}; decide median {:?}, 99 % {:?}, longest {:?}; fuel {}",
            times[ROUNDS / 2],
            times[ROUNDS * 99 / 100],
            times[ROUNDS - 1],
            policy.decide(&event, &state).fuel,
        );
    }
    Ok(())
}

fn rights() -> Rights {
    Rights {
        services: vec![ServiceRight { service: 1, max_seconds: 3600 }],
        capabilities: Capabilities::ALL,
        max_seconds: 3600,
        ..Rights::default()
    }
}

fn event() -> Event {
    Event {
        client: Some(Client {
            id: 1,
            name: text("anna"),
            failures: 0,
            grants: 0,
            oldest_grant: None,
            second_factor: false,
        }),
        source: Some(Source { address: IpAddr::from([192, 0, 2, 7]), prefix: 32, failures: 0, grants: 0 }),
        request: Some(Request { service: 1, name: text("ssh"), seconds: 60, grants: 0, prefix: None }),
        ..Event::new(Cause::Sequence, HostKind::Linux)
    }
}
