//! A gateway to try: the firmware in QEMU, a machine behind it and somebody in front of it, each in a network namespace.
//!
//! `cargo xtask gateway run` builds what it needs and runs it. It ends with Ctrl-C, and takes everything with it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::peers::Reached;
use knockgate_tests::scenarios::stage::{Agent, Entrance, Place, Plan, Site, Stage};
use knockgate_tests::scenes::SSH;
use knockgate_tests::workshop::KEEPER;
use knockgate_tests::{Family, Host, Lab, programs, sandbox, waiting};

/// How often what the gateway has said since is passed on.
const LOOK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    match sandbox::enter().and_then(|()| run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let lab = Lab::build_for_gateway()?;
    let plan = Plan::of(Family::V4, Entrance::Both);
    let mut site = Stage::new(&lab, Agent::Gateway).set(&plan).with_context(|| lab.all_logs())?;
    let reached = site.reached(Place::Client, SSH)?;
    ensure!(reached == Reached::Silence, "ssh behind the gateway should be shut and silent: {reached:?}");
    tell(&lab, &site)?;
    pass_on(&mut site)
}

fn tell(lab: &Lab, site: &Site<'_>) -> Result<()> {
    let knockgate = programs::ours("knockgate")?;
    let (gate, ssh) = (lab.gate.ip(Family::V4), site.service(SSH));
    let at = |host: &Host, who: &str, command: &str| -> Result<String> {
        let home = lab.path(&format!("home-{who}"));
        let enter = sandbox::command_into(host)?;
        Ok(format!("{enter} env KNOCKGATE_HOME={} {command}", home.display()))
    };
    let knockgate = |arguments: &str| format!("{} {arguments}", knockgate.display());
    println!("The gateway is up at {gate}. Behind it, {} greets whoever reaches ssh or web.", ssh.ip());
    println!("Alice is at {}. As root in another terminal:\n", lab.client.ip(Family::V4));
    for (what, command) in [
        ("is it shut?", at(&lab.client, "alice", &format!("curl --max-time 2 telnet://{ssh}"))?),
        ("knock", at(&lab.client, "alice", &knockgate("knock alice ssh"))?),
        ("a shell of alice's", at(&lab.client, "alice", "bash")?),
        ("a stranger's", at(&lab.stranger, "nobody", "bash")?),
        ("one behind the gateway", at(&lab.inner, "nobody", "bash")?),
        ("what the gateway logs", at(&lab.net, KEEPER, &knockgate(&format!("log --remote {KEEPER}")))?),
        ("how it is", at(&lab.net, KEEPER, &knockgate(&format!("console status {KEEPER}")))?),
    ] {
        println!("  {what}:\n    {command}");
    }
    println!("\nWhat it says on its console follows. Ctrl-C ends everything.\n");
    Ok(())
}

/// Prints what the gateway says, until it ends.
fn pass_on(site: &mut Site<'_>) -> Result<()> {
    let mut shown = 0;
    loop {
        let (gateway, ..) = site.gateway()?;
        let said = gateway.said();
        if let Some(new) = said.get(shown..).filter(|new| !new.is_empty()) {
            print!("{new}");
            shown = said.len();
        }
        ensure!(gateway.is_on(), "QEMU has ended");
        waiting::let_pass(LOOK);
    }
}
