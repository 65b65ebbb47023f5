//! Packet knocks end to end: real agent, real client, real firewall, real networks, and attackers who send what they like.

mod apart;
mod attacks;
mod calendar;
mod clocks;
mod confirmation;
mod control;
mod crashes;
mod crowd;
mod dashboard;
mod descriptors;
mod disk;
mod faults;
mod hindered;
mod journal;
mod lasting;
mod links;
mod meddlers;
mod metrics;
mod opening;
mod reconfigure;
mod replay;
mod restarts;
mod roster;
mod scans;
mod service_manager;
mod stderr;
mod tunnels;
mod versions;
mod without_engine;

use std::process::ExitCode;

use knockgate_tests::harness;

fn main() -> ExitCode {
    harness::run(|| {
        let mut stories = opening::stories();
        stories.extend(replay::stories());
        stories.extend(attacks::stories());
        stories.extend(apart::stories());
        stories.extend(confirmation::stories());
        stories.extend(control::stories());
        stories.extend(dashboard::stories());
        stories.extend(clocks::stories());
        stories.extend(faults::stories());
        stories.extend(hindered::stories());
        stories.extend(journal::stories());
        stories.extend(lasting::stories());
        stories.extend(reconfigure::stories());
        stories.extend(roster::stories());
        stories.extend(tunnels::stories());
        stories.extend(crowd::stories());
        stories.extend(scans::stories());
        stories.extend(service_manager::stories());
        stories.extend(stderr::stories());
        stories.extend(crashes::stories());
        stories.extend(calendar::stories());
        stories.extend(descriptors::stories());
        stories.extend(disk::stories());
        stories.extend(links::stories());
        stories.extend(meddlers::stories());
        stories.extend(metrics::stories());
        stories.extend(restarts::stories());
        stories.extend(versions::stories());
        stories.extend(without_engine::stories());
        stories
    })
}
