//! The firewall beside other people's rules.

use std::fs;

use anyhow::{Result, ensure};
use knockgate_tests::gates::CENTRAL;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::{Reached, reach};
use knockgate_tests::scenes::{RESTORING, SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("other people's tables are never touched", other_tables),
        story("ports stay shut when the agent is dead", shut_when_dead),
        story("guard shuts the gate before the agent is there, and the agent takes over", guard_at_boot),
        story(
            "guard with a broken configuration shuts what was shut before, and says what is wrong",
            guard_as_before,
        ),
        story("unguard removes the guard and nothing else", unguard),
        story("unguard opens everything while the agent runs, and the agent stops", unguard_while_running),
        story("a flushed rule set is restored with the open grants and stays shut for strangers", |lab| {
            restored(lab, "flush ruleset")
        }),
        story("a deleted table is restored with the open grants and stays shut for strangers", |lab| {
            restored(lab, "delete table inet knockgate")
        }),
        story("a host that drops by default lets a knock in through two ports over IPv4", |lab| {
            behind_own_firewall(lab, Family::V4)
        }),
        story("a host that drops by default lets a knock in through two ports over IPv6", |lab| {
            behind_own_firewall(lab, Family::V6)
        }),
    ]
}

const OTHERS: &str = "table inet theirs {\n chain input {\n type filter hook input priority 10\n \
                      tcp dport 9999 counter accept\n }\n }\ntable ip nat {\n chain pre {\n \
                      type nat hook prerouting priority -100\n tcp dport 7777 redirect to :9999\n }\n }";

fn other_tables(lab: &Lab) -> Result<()> {
    lab.gate.nft(OTHERS)?;
    let before = lab.gate.nft_ruleset()?;

    let mut scene = Scene::set(lab, Family::V4)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.gate.kill()?;
    scene.gate.start()?;
    scene.gate.stop()?;

    let theirs =
        ["inet theirs", "ip nat"].map(|table| table_text(&lab.gate.nft_ruleset().unwrap_or_default(), table));
    for (table, after) in ["inet theirs", "ip nat"].iter().zip(theirs) {
        ensure!(after.is_some(), "table {table} is gone");
        ensure!(after == table_text(&before, table), "table {table} was changed");
    }
    Ok(())
}

fn shut_when_dead(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V6)?;
    scene.gate.kill()?;
    scene.must_be_shut(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)
}

fn guard_at_boot(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    scene.gate.stop()?;
    // As a reboot leaves it.
    lab.gate.nft("flush ruleset")?;
    scene.must_be_open(&lab.stranger, SSH)?;

    scene.gate.tell(&["guard"])?.expect(0)?;

    for host in [&lab.client, &lab.stranger] {
        scene.must_be_shut(host, SSH)?;
        scene.must_be_shut(host, WEB)?;
    }
    scene.gate.start()?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)
}

fn guard_as_before(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    let file = scene.gate.file().to_owned();
    let right = fs::read_to_string(&file)?;
    scene.gate.stop()?;
    let wrong = [right.replacen("\nports", "\nprots", 1), right.replacen("[service.ssh]", "[service.ssh", 1)];
    for text in wrong {
        ensure!(text != right, "nothing was broken");
        fs::write(&file, text)?;
        lab.gate.nft("flush ruleset")?;
        scene.must_be_open(&lab.stranger, SSH)?;

        let said = scene.gate.tell(&["guard"])?.expect(1)?;

        said.complains_of(&["agent.toml:", "guarding 2 services as before", "last-guard"])?;
        for port in [SSH, WEB] {
            scene.must_be_shut(&lab.stranger, port)?;
        }
    }
    // Where no agent has ever run there is nothing to go by, and that is said.
    let (kept, away) = (lab.path("state/last-guard"), lab.path("away"));
    fs::rename(&kept, &away)?;
    scene.gate.tell(&["guard"])?.expect(1)?.complains_of(&["agent.toml:", "nothing is guarded"])?;
    fs::rename(&away, &kept)?;

    fs::write(&file, right)?;
    scene.gate.start()?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

fn unguard(lab: &Lab) -> Result<()> {
    lab.gate.nft(OTHERS)?;
    let before = lab.gate.nft_ruleset()?;
    let mut scene = Scene::set(lab, Family::V4)?;
    scene.gate.kill()?;

    scene.gate.tell(&["unguard"])?.expect(0)?;

    let reached = reach(&lab.stranger, lab.gate.at(Family::V4, SSH))?;
    ensure!(reached == Reached::Greeting("ssh".to_owned()), "{reached:?}");
    let after = lab.gate.nft_ruleset()?;
    ensure!(after == before, "the rule set is not what it was before Knockgate:\n{after}");
    Ok(())
}

fn unguard_while_running(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    scene.must_be_shut(&lab.stranger, SSH)?;

    scene.gate.tell(&["unguard"])?.expect(0)?;
    scene.gate.wait_until_it_stops()?;

    for port in [SSH, WEB] {
        scene.must_be_open(&lab.stranger, port)?;
    }
    ensure!(lab.gate.nft_ruleset()?.is_empty(), "something of the guard is left");

    scene.gate.start()?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

/// Somebody reloads his own firewall and takes the guard away with it.
fn restored(lab: &Lab, damage: &str) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;

    lab.gate.nft(damage)?;

    waiting::until_true("the guard is back", RESTORING, || {
        matches!(scene.reached(&lab.stranger, SSH), Ok(Reached::Silence))
    })?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    scene.must_be_shut(&lab.stranger, WEB)?;
    scene.alice.knock_for("web", 60)?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.must_be_healthy()
}

/// The administrator's own firewall accepts the two ports that a knock needs, and the service as it did before.
fn behind_own_firewall(lab: &Lab, family: Family) -> Result<()> {
    const LISTENER: u16 = 9999;
    let mut scene = Scene::set_with(lab, family, &format!("[sequence]\nlistener = {LISTENER}"))?;
    lab.gate.nft(&format!(
        "table inet own {{\n chain input {{\n type filter hook input priority filter; policy drop\n \
         iif lo accept\n ct state established,related accept\n meta l4proto ipv6-icmp accept\n \
         tcp dport {{ {CENTRAL}, {LISTENER} }} accept\n }}\n }}"
    ))?;

    scene.alice.knock("ssh")?.expect(0)?;

    // The guard lets alice through; the firewall behind it has its own say.
    scene.must_be_shut(&lab.client, SSH)?;
    lab.gate.nft(&format!("add rule inet own input tcp dport {SSH} accept"))?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    // Accepted by that firewall, and still nothing that a stranger could find.
    scene.must_be_shut(&lab.stranger, LISTENER)?;
    scene.must_be_healthy()
}

/// One table as nft prints it.
fn table_text(ruleset: &str, table: &str) -> Option<String> {
    let start = ruleset.find(&format!("table {table} {{"))?;
    let length = ruleset.get(start..)?.find("\n}")?;
    ruleset.get(start..start + length).map(str::to_owned)
}
