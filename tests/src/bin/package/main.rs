//! What becomes of a machine on which the packages are installed, used, upgraded, removed and purged.
//!
//! `cargo xtask dist --test` makes the packages and a clean root, and runs it with the folder of both. The machine is the lab's gate;
//! the client is the packaged one, at the lab's client.

mod machine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use knockgate_tests::peers::{Reached, Service, reach};
use knockgate_tests::programs::Running;
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Host, Lab, sandbox};

use machine::{Machine, Packages};

/// From start to "gate up": a debug build compiles its policies slowly.
const START: Duration = Duration::from_secs(60);
const GREETING: &str = "SSH-2.0-here";
const STATE: [&str; 2] = ["var/lib/knockgate/roster", "etc/knockgate/agent.toml"];

fn main() -> ExitCode {
    match walk() {
        Ok(()) => {
            println!("packages: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("packages: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn walk() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        bail!("usage: package FOLDER, the one of `cargo xtask dist`")
    };
    let folder = PathBuf::from(folder);
    sandbox::enter()?;
    let lab = Lab::build()?;
    let walked = play(&lab, &folder);
    if walked.is_err() {
        println!("{}", lab.all_logs());
    }
    walked
}

fn play(lab: &Lab, folder: &Path) -> Result<()> {
    let machine = Machine::unpack(lab, &folder.join("root.tar"))?;
    let _ssh = Service::start(&lab.gate, SSH, GREETING)?;
    install(lab, &machine, &Packages::in_folder(folder)?).context("install")?;
    let agent = configure_and_start(lab, &machine).context("the first gate")?;
    knock(lab, &machine).context("knock")?;
    let agent =
        upgrade(lab, &machine, &Packages::in_folder(&folder.join("next"))?, agent).context("upgrade")?;
    remove(lab, &machine, agent).context("remove")?;
    purge(&machine).context("purge")
}

/// An installation guards nothing, starts nothing, and says what is next.
fn install(lab: &Lab, machine: &Machine<'_>, packages: &Packages) -> Result<()> {
    let said = machine.install(packages)?;
    ensure!(said.contains("nothing is guarded yet"), "it does not say that nothing is guarded: {said}");
    ensure!(said.contains("knockgated init"), "it does not say what is next: {said}");
    ensure!(!is_guarded(lab)?, "an installation must not guard anything");
    expect(lab, &lab.stranger, &greeting()).context("what was open stays open")?;
    ensure!(machine.mode("var/lib/knockgate")? == 0o700, "others can look into the state directory");
    for file in [
        "usr/sbin/knockgated",
        "usr/bin/knockgate",
        "usr/bin/knockgate-policy",
        "usr/lib/systemd/system/knockgated.service",
        "usr/share/man/man8/knockgated-client-add.8.gz",
        "usr/share/man/man5/agent.toml.5.gz",
        "usr/share/bash-completion/completions/knockgated",
        "usr/share/zsh/vendor-completions/_knockgate",
        "usr/share/doc/knockgated/examples/agent.toml",
        "etc/apparmor.d/knockgated",
    ] {
        ensure!(machine.has(file), "/{file} is not installed");
    }
    println!("installed: nothing is guarded, nothing runs");
    Ok(())
}

fn configure_and_start(lab: &Lab, machine: &Machine<'_>) -> Result<Running> {
    let address = lab.gate.ip(Family::V4).to_string();
    machine.run(&["knockgated", "init", "--address", &address, "--service", "ssh=tcp/22"])?;
    let checked = machine.run(&["knockgated", "check"])?;
    ensure!(checked.contains("/etc/knockgate/agent.toml: good"), "not good: {checked}");
    machine.run(&["knockgated", "client", "add", "laptop", "--out", "/root/laptop.kgp"])?;
    expect(lab, &lab.stranger, &greeting()).context("a configuration alone guards nothing")?;
    machine.run(&["knockgated", "guard"])?;
    expect(lab, &lab.stranger, &Reached::Silence).context("the guard alone shuts the gate")?;
    let agent = start(lab, machine)?;
    println!("configured: guarded, and the agent is up");
    Ok(agent)
}

fn start(lab: &Lab, machine: &Machine<'_>) -> Result<Running> {
    let mut agent =
        Running::start(&mut machine.command(&lab.gate, &["knockgated", "run"]), &lab.log("agent"))?;
    agent.wait_for_text("gate up", 0, START)?;
    Ok(agent)
}

fn knock(lab: &Lab, machine: &Machine<'_>) -> Result<()> {
    let client = |words: &[&str]| machine.run_at(&lab.client, words);
    client(&["knockgate", "enroll", "/root/laptop.kgp", "--name", "home"])?;
    expect(lab, &lab.client, &Reached::Silence).context("before the knock")?;
    client(&["knockgate", "knock", "home", "ssh", "--seconds", "600"])?;
    expect(lab, &lab.client, &greeting()).context("after the knock")?;
    expect(lab, &lab.stranger, &Reached::Silence).context("for nobody else")?;
    println!("knocked: open for the client, for nobody else");
    Ok(())
}

/// Guard, grants, keys and roster outlive the change of the program, and the new one knows the client.
fn upgrade(lab: &Lab, machine: &Machine<'_>, packages: &Packages, mut agent: Running) -> Result<Running> {
    let before = STATE.map(|file| machine.read(file));
    machine.install(packages)?;
    ensure!(STATE.map(|file| machine.read(file)) == before, "the upgrade has changed the state");
    expect(lab, &lab.stranger, &Reached::Silence).context("while it is upgraded")?;
    expect(lab, &lab.client, &greeting()).context("a grant stays while it is upgraded")?;
    // There is no service manager in this machine, so nobody has restarted it.
    agent.terminate()?;
    expect(lab, &lab.stranger, &Reached::Silence).context("between two agents")?;
    let agent = start(lab, machine)?;
    machine.run_at(&lab.client, &["knockgate", "close", "home"])?;
    expect(lab, &lab.client, &Reached::Silence).context("closed")?;
    machine.run_at(&lab.client, &["knockgate", "knock", "home", "ssh"])?;
    expect(lab, &lab.client, &greeting()).context("with the profile from before")?;
    println!("upgraded: state, guard and grants are kept");
    Ok(agent)
}

/// What was open before is open again, and it is said.
fn remove(lab: &Lab, machine: &Machine<'_>, mut agent: Running) -> Result<()> {
    let said = machine.run(&["dpkg", "--remove", "knockgated"])?;
    ensure!(said.contains("guarded no more"), "it does not say that nothing is guarded: {said}");
    ensure!(said.contains("ssh (1): tcp/22"), "it does not say what was guarded: {said}");
    ensure!(said.contains("are kept"), "it does not say that state is kept: {said}");
    agent.wait().context("the agent ends by itself")?;
    ensure!(!is_guarded(lab)?, "the guard is still there, with nobody to open it");
    expect(lab, &lab.stranger, &greeting()).context("what was open before is open again")?;
    for file in STATE {
        ensure!(machine.has(file), "/{file} is gone before anybody has purged it");
    }
    println!("removed: open as before, state kept");
    Ok(())
}

fn purge(machine: &Machine<'_>) -> Result<()> {
    let said = machine.run(&["dpkg", "--purge", "knockgated", "knockgate", "knockgate-policy"])?;
    ensure!(said.contains("keys and roster in /var/lib/knockgate"), "it does not say what goes: {said}");
    for folder in ["etc/knockgate", "var/lib/knockgate", "var/log/knockgate", "etc/apparmor.d/knockgated"] {
        ensure!(!machine.has(folder), "/{folder} is still there");
    }
    println!("purged: nothing is left");
    Ok(())
}

fn greeting() -> Reached {
    Reached::Greeting(GREETING.to_owned())
}

fn expect(lab: &Lab, from: &Host, wanted: &Reached) -> Result<()> {
    let reached = reach(from, lab.gate.at(Family::V4, SSH))?;
    ensure!(reached == *wanted, "expected {wanted:?}, got {reached:?}");
    Ok(())
}

fn is_guarded(lab: &Lab) -> Result<bool> {
    Ok(lab.gate.nft_ruleset()?.contains("table inet knockgate"))
}
