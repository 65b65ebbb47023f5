//! How long opening a door takes: `cargo run --release -p knockgate-agent --example open_time`.
//!
//! Measures in a network namespace of its own, which it enters by running itself under `unshare`.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use knockgate_agent::firewall::{
    Access, Firewall, FirewallError, Grant, Mode, Packets, Plan, Protocol, Reach, Service, Statics,
};

const ROUNDS: u16 = 20_000;
const INSIDE: &str = "KNOCKGATE_OPEN_TIME_INSIDE";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os(INSIDE).is_none() {
        let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-Urn" };
        return Err(Command::new("unshare")
            .arg(flags)
            .arg(std::env::current_exe()?)
            .env(INSIDE, "1")
            .exec()
            .into());
    }
    let began = Instant::now();
    let mut firewall = Firewall::install(&plan())?;
    println!("{:24} {:>8.1} ms", "install", began.elapsed().as_secs_f64() * 1e3);
    measure("open, 1 port", |n| firewall.open(&grant(n, 1)))?;
    measure("open again, 1 port", |n| firewall.open(&grant(n, 1)))?;
    measure("watch", |n| firewall.watch(grant(n % 4000, 1).source, Duration::from_secs(60)))?;
    measure("close, 1 port", |n| firewall.close(&grant(n, 1)))?;
    measure("close what is closed", |n| firewall.close(&grant(n, 1)))?;
    measure("open, 16 ports", |n| firewall.open(&grant(n % 4000, 16)))?;
    measure("verify", |_| firewall.verify().map(drop))?;
    Ok(())
}

fn measure(
    what: &str,
    mut action: impl FnMut(u16) -> Result<(), FirewallError>,
) -> Result<(), FirewallError> {
    let mut times = Vec::with_capacity(ROUNDS.into());
    for round in 0..ROUNDS {
        let began = Instant::now();
        action(round)?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000].as_secs_f64() * 1e6;
    println!("{what:24} p50 {:>6.1} us  p99 {:>6.1} us  max {:>8.1} us", at(500), at(990), at(1000));
    Ok(())
}

fn grant(number: u16, ports: u16) -> Grant {
    let [high, low] = number.to_be_bytes();
    Grant {
        id: number.into(),
        client: 1,
        service: 1,
        source: [10, 0, high, low].into(),
        reach: Reach::Address,
        protocol: Protocol::Tcp,
        ports: (22..22 + ports).collect(),
        timeout: Duration::from_secs(600),
    }
}

fn plan() -> Plan {
    let (protocol, ports) = (Protocol::Tcp, vec![22]);
    let ssh = Service { id: 1, name: "ssh".into(), protocol, ports, forward: None, prefix: None };
    Plan {
        interfaces: vec![],
        services: vec![ssh],
        decoys: (10_000..10_100).collect(),
        mode: Mode::Connect { listener: 40_000, access: Access::Holder },
        packets: Packets::Off,
        statics: Statics::none(),
    }
}
