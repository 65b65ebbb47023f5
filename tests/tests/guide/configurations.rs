//! The built-in policies as the guide configures them.

use std::process::Command;

use anyhow::{Result, ensure};
use knockgate_tests::programs::{Said, ours};

use super::document::{blocks, parts};
use super::{Folder, GUIDE};

/// Each block under each built-in policy, pasted into the least configuration that works.
pub(crate) fn are_taken() -> Result<()> {
    let home = Folder::new("configurations")?;
    let [file, state, audit] =
        ["agent.toml", "state", "audit.jsonl"].map(|name| home.0.join(name).display().to_string());
    let init = [
        "init",
        "--yes",
        "--address",
        "gate.test",
        "--config",
        &file,
        "--state-dir",
        &state,
        "--audit-log",
        &audit,
    ];
    Said::by(Command::new(ours("knockgated")?).args(init))?.expect(0)?;

    let sections = parts(GUIDE, "## ");
    let built_in = sections.iter().find(|part| part.title == "Built-in policies");
    let shown: Vec<&str> = built_in.into_iter().flat_map(|part| blocks(part.text, "toml")).collect();
    ensure!(shown.len() >= 6, "{} configurations of built-in policies", shown.len());
    for toml in shown {
        let gate = format!(
            "[gate]\naddress = \"gate.test\"\nstate-dir = \"{state}\"\naudit-log = \"{audit}\"\n\n\
             [service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\n\n{toml}"
        );
        std::fs::write(&file, gate)?;
        let said = Said::by(Command::new(ours("knockgated")?).args(["check", "--config", &file]))?;
        ensure!(said.code == Some(0), "{toml}\n{}{}", said.out, said.err);
    }
    Ok(())
}
