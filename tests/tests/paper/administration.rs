//! `knockgated check`, `init` and `book`, as an administrator meets them.

use anyhow::{Result, ensure};
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::programs::{self, Running, Said};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("check tells what would be guarded and the true keyspace", check_tells),
        story("init refuses to guard the port of the current ssh session without yes", init_refuses),
        story("what init writes passes check and brings a gate up", init_works),
        story("init for a configuration with decoys of one's own brings a gate up", init_completes),
        story("a damaged roster leaves the old one in force", damaged_roster),
        story("a printed book shows every number with its ports", book_is_printed),
        story("a second agent on the same state is refused", second_agent),
        story(
            "a second agent with state of its own is refused where one guards, and the first goes on",
            second_gate,
        ),
    ]
}

fn check_tells(lab: &Lab) -> Result<()> {
    let gate = Gate::configured(lab, &Configuration::bare(lab, "gate.test").with_services())?;
    let said = gate.tell(&["check"])?.expect(0)?;
    // Six ports of a hundred, in order: 100!/94!.
    for word in ["ssh", "22", "web", "8080", "8.58e11"] {
        ensure!(said.out.contains(word), "check does not speak of {word:?}: {said}");
    }
    ensure!(lab.gate.nft_ruleset()?.is_empty(), "check changed the firewall");
    Ok(())
}

fn init(lab: &Lab, more: &[&str]) -> Result<Said> {
    let (file, state, audit) = (lab.path("new.toml"), lab.path("new-state"), lab.path("new-audit.jsonl"));
    let mut command = lab.gate.command(programs::ours("knockgated")?);
    command.env("SSH_CONNECTION", "10.77.2.2 50000 10.77.1.2 22").arg("init");
    command.arg("--config").arg(&file).arg("--state-dir").arg(&state).arg("--audit-log").arg(&audit);
    command.args(["--address", "gate.test", "--service", "ssh=tcp/22"]).args(more);
    Said::by(&mut command)
}

fn init_refuses(lab: &Lab) -> Result<()> {
    let said = init(lab, &[])?.complains_of(&["22", "--yes"])?;
    ensure!(said.code == Some(1), "{said}");
    ensure!(!lab.path("new.toml").exists(), "a refused init wrote a configuration");
    ensure!(lab.gate.nft_ruleset()?.is_empty(), "a refused init changed the firewall");
    Ok(())
}

fn init_works(lab: &Lab) -> Result<()> {
    init(lab, &["--yes"])?.expect(0)?;
    let text = std::fs::read_to_string(lab.path("new.toml"))?;
    std::fs::write(lab.path("agent.toml"), &text)?;
    ensure!(lab.gate.nft_ruleset()?.is_empty(), "init changed the firewall before the agent was started");

    let mut gate = Gate::existing(lab)?;
    gate.tell(&["check"])?.expect(0)?;
    gate.start()?;

    let _ssh = knockgate_tests::peers::Service::start(&lab.gate, 22, "ssh")?;
    let reached = knockgate_tests::peers::reach(&lab.stranger, lab.gate.at(Family::V4, 22))?;
    ensure!(reached == knockgate_tests::peers::Reached::Silence, "{reached:?}");
    gate.stop()
}

fn init_completes(lab: &Lab) -> Result<()> {
    const RANGE: std::ops::RangeInclusive<u16> = 20_000..=20_999;
    let address = lab.gate.ip(Family::V4).to_string();
    let configuration = Configuration::bare(lab, &address)
        .with_services()
        .with("[sequence]\ndecoy-count = 40\nport-range = [20000, 20999]\nlength = 4");
    let file = configuration.write()?;
    let before = std::fs::read_to_string(file)?;
    let mut init = lab.gate.command(programs::ours("knockgated")?);
    Said::by(init.arg("init").arg("--config").arg(file).arg("--yes"))?.expect(0)?;
    ensure!(std::fs::read_to_string(file)? == before, "init changed a configuration that was there");

    let mut scene = Scene::set_with_configuration(lab, Family::V4, &configuration)?;
    let decoys = scene.decoys()?;
    ensure!(decoys.len() == 40 && decoys.iter().all(|port| RANGE.contains(port)), "{decoys:?}");
    scene.must_be_shut(&lab.client, SSH)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_healthy()
}

fn damaged_roster(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    let file = lab.path("state").join("roster");
    let whole = std::fs::read(&file)?;
    let seen = scene.gate.log().len();
    // In place, not by a rename: the agent looks at a file that is only half there.
    std::fs::write(&file, &whole[..whole.len() / 2])?;
    scene.gate.wait_for_log("the old one stays", seen)?;

    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    let said = scene.gate.tell(&["client", "list"])?.expect(1)?;
    said.complains_of(&["roster", "damaged"])?;
    scene.must_be_healthy()?;

    std::fs::write(&file, &whole)?;
    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = knockgate_tests::clients::Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    bob.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)
}

fn book_is_printed(lab: &Lab) -> Result<()> {
    let gate = Gate::configured(lab, &Configuration::bare(lab, "gate.test").with_services())?;
    gate.enrol("alice", &["ssh"], &[])?;
    let shown = gate.tell(&["book", "show", "alice", "--numbers", "0..3"])?.expect(0)?.out;
    let again = gate.tell(&["book", "show", "alice", "--numbers", "0..3"])?.expect(0)?.out;
    ensure!(shown == again, "a book reads differently the second time");
    let ports = shown.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u16>().ok());
    let in_range = ports.filter(|port| (10_000..=32_767).contains(port)).count();
    ensure!(
        in_range >= 18,
        "three numbers of six ports each are at least 18 ports, not {in_range}:\n{shown}"
    );
    Ok(())
}

fn second_gate(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    let (file, state, audit) = (lab.path("new.toml"), lab.path("new-state"), lab.path("new-audit.jsonl"));
    init(lab, &["--yes"])?.expect(0)?;
    let other = std::fs::read_to_string(&file)?;
    let control = format!("[control]\ndirectory = \"{}\"", lab.path("new-run").display());
    std::fs::write(&file, other.replacen("\n[control]", &format!("\n{control}"), 1))?;
    let rules = lab.gate.nft_ruleset()?;
    let mut run = lab.gate.command(programs::ours("knockgated")?);
    run.arg("run").arg("--config").arg(&file);

    let refused = Said::by(&mut run)?.expect(1)?;

    refused.complains_of(&[&format!("process {}", scene.gate.pid()?), "network namespace of its own"])?;
    ensure!(lab.gate.nft_ruleset()? == rules, "it has changed the rules");
    ensure!(state.exists() && !audit.exists(), "it has begun");
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, 22)?;
    // Once the first one is gone there is room.
    scene.gate.kill()?;
    let mut second = Running::start(&mut run, &lab.log("the second one"))?;
    second.wait_for_text("gate up", 0, std::time::Duration::from_secs(60))?;
    ensure!(second.terminate()?.success(), "it ends badly");
    Ok(())
}

fn second_agent(lab: &Lab) -> Result<()> {
    let configuration = Configuration::bare(lab, "gate.test").with_services();
    let mut first = Gate::configured(lab, &configuration)?;
    first.start()?;
    let mut second = Gate::configured(lab, &configuration)?;
    ensure!(second.start().is_err(), "two agents run on one state directory");
    ensure!(first.is_alive(), "the first agent has ended");
    Ok(())
}
