//! The firewall beside other people's rules.

use anyhow::{Result, ensure};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::{Reached, reach};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("other people's tables are never touched", other_tables),
        story("ports stay shut when the agent is dead", shut_when_dead),
        story("unguard removes the guard and nothing else", unguard),
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

/// One table as nft prints it.
fn table_text(ruleset: &str, table: &str) -> Option<String> {
    let start = ruleset.find(&format!("table {table} {{"))?;
    let length = ruleset.get(start..)?.find("\n}")?;
    ruleset.get(start..start + length).map(str::to_owned)
}
