//! What it costs to open a port by a broker instead of doing it oneself: both in turns, in one run.
//!
//! `unshare -Urnm target/release/examples/broker_cost`, in namespaces of its own, since it guards where it runs.

use std::error::Error;
use std::time::{Duration, Instant};

use knockgate_agent::broker::{self, Bounds, Lever, NewBroker};
use knockgate_agent::confine::{BrokersSandbox, Forbidden, Sandbox};
use knockgate_agent::firewall::{
    Firewall, Grant, Mode, Packets, Plan, Protocol, Reach, Report, Service, Statics,
};

const ROUNDS: usize = 5000;
/// Before the first one that counts.
const WARMING: usize = 200;
/// As between two knocks of a quiet gate: the broker sleeps by then.
const PAUSE: Duration = Duration::from_micros(500);
const MINUTE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("broker") {
        return Ok(broker::main()?);
    }
    let bounds = Bounds { longest: vec![(1, MINUTE)], hold: MINUTE };
    let sandbox = BrokersSandbox { sandbox: Sandbox::BestEffort, forbidden: Forbidden::Refuse };
    let mut by_broker = NewBroker::start()?.guard_by(plan(), bounds, sandbox)?.0.install()?;
    let mut here = Lever::Here(Firewall::install(&plan())?);
    let (mut own, mut brokers) = (Vec::new(), Vec::new());
    for round in 0..WARMING + ROUNDS {
        for (lever, times) in [(&mut here, &mut own), (&mut by_broker, &mut brokers)] {
            std::thread::sleep(PAUSE);
            let begun = Instant::now();
            lever.open(&grant())?;
            let took = begun.elapsed();
            lever.close(&grant())?;
            if round >= WARMING {
                times.push(took);
            }
        }
    }
    println!("| opening a port | p50 µs | p90 µs | p99 µs |\n| --- | ---: | ---: | ---: |");
    for (name, times) in [("in this process", &mut own), ("by a broker", &mut brokers)] {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
        println!("| {name} | {} | {} | {} |", at(50), at(90), at(99));
    }
    Ok(())
}

fn plan() -> Plan {
    let ssh = Service {
        id: 1,
        name: "ssh".to_owned(),
        protocol: Protocol::Tcp,
        ports: vec![22],
        forward: None,
        prefix: None,
    };
    Plan {
        interfaces: Vec::new(),
        services: vec![ssh],
        decoys: Vec::new(),
        mode: Mode::Closed { report: Report::Unneeded },
        packets: Packets::Off,
        statics: Statics::none(),
    }
}

fn grant() -> Grant {
    Grant {
        id: 1,
        client: 1,
        service: 1,
        source: [192, 0, 2, 1].into(),
        reach: Reach::Address,
        protocol: Protocol::Tcp,
        ports: [22].into(),
        timeout: MINUTE,
    }
}
