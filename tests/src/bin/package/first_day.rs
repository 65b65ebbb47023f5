//! From the package to the first login: docs/install.md, typed as it stands there.

use anyhow::{Context, Result, ensure};

use crate::walk::Walk;
use crate::{document, screen};

pub(crate) fn install(walk: &mut Walk<'_>) -> Result<()> {
    let said = type_block(walk, "A server", 0)?;
    ensure!(said.contains("nothing is guarded yet"), "it does not say that nothing is guarded: {said}");
    ensure!(said.contains("knockgated init"), "it does not say what is next: {said}");
    ensure!(!walk.is_guarded()?, "an installation must not guard anything");
    walk.must_be_open("installed alone")?;
    walk.server.unit_must_be("knockgated", "ActiveState", "inactive")?;
    walk.server.unit_must_be("knockgated", "UnitFileState", "disabled")?;
    walk.server.unit_must_be("knockgated-guard", "UnitFileState", "disabled")?;
    ensure!(walk.server.mode("var/lib/knockgate")? == 0o700, "others can look into the state directory");
    for file in [
        "usr/sbin/knockgated",
        "usr/share/man/man8/knockgated-client-add.8.gz",
        "usr/share/man/man5/agent.toml.5.gz",
        "usr/share/bash-completion/completions/knockgated",
        "usr/share/doc/knockgated/examples/agent.toml",
        "usr/share/doc/knockgated/copyright",
        "etc/apparmor.d/knockgated",
    ] {
        ensure!(walk.server.has(file), "/{file} is not installed");
    }
    walk.server
        .type_in("id knockgate && apt install ./knockgate-policy_*.deb && knockgate-policy --version")
        .map(drop)
}

pub(crate) fn configure(walk: &mut Walk<'_>) -> Result<()> {
    let said = type_block(walk, "A server", 1)?;
    ensure!(said.contains("/etc/knockgate/agent.toml: good"), "the configuration is not good: {said}");
    ensure!(walk.server.mode("root/laptop.kgp")? == 0o600, "others can read the profile");
    ensure!(!walk.is_guarded()?, "a configuration alone must not guard anything");
    walk.must_be_open("configured alone")
}

pub(crate) fn guard(walk: &mut Walk<'_>) -> Result<()> {
    type_block(walk, "A server", 2)?;
    walk.must_be_shut("with the agent running")?;
    for unit in ["knockgated", "knockgated-guard"] {
        walk.server.unit_must_be(unit, "ActiveState", "active")?;
        walk.server.unit_must_be(unit, "UnitFileState", "enabled")?;
    }
    walk.server.unit_must_be("knockgated", "NRestarts", "0")
}

pub(crate) fn knock(walk: &mut Walk<'_>) -> Result<()> {
    // "By a way that you trust".
    walk.client.write("root/laptop.kgp", &walk.server.read("root/laptop.kgp")?)?;
    walk.must_meet_silence(&walk.lab.client, "before the knock")?;
    let [lines] = document::blocks(document::INSTALL, "A client")?
        .try_into()
        .ok()
        .context("the client's chapter has another number of blocks")?;
    for line in lines {
        walk.client.type_in(line)?;
    }
    ensure!(
        walk.client.mode("root/.config/knockgate/profiles/home.kgp")? == 0o600,
        "others can read the profile"
    );
    walk.must_greet(&walk.lab.client, "after the knock")?;
    walk.must_be_shut("for a stranger, while it is open to the client")
}

pub(crate) fn scan(walk: &mut Walk<'_>) -> Result<()> {
    let shown = walk.server.type_in("knockgated client add telephone --qr")?;
    let profile = screen::scan(walk.lab, &shown)?;
    ensure!(shown.lines().any(|line| line == profile), "the code and the line below it differ");
    walk.client.told("knockgate enroll - --name telephone", &format!("{profile}\n"))?.expect(0)?;
    let closed = walk.client.type_in("knockgate close home && knockgate status home")?;
    walk.must_meet_silence(&walk.lab.client, &format!("after the client has closed it ({closed})"))?;
    walk.client.type_in("knockgate knock telephone ssh --seconds 600")?;
    walk.must_greet(&walk.lab.client, "after the telephone's knock")
}

/// A block of commands of the document, at the server.
fn type_block(walk: &Walk<'_>, chapter: &str, number: usize) -> Result<String> {
    let blocks = document::blocks(document::INSTALL, chapter)?;
    let lines = blocks.get(number).with_context(|| format!("{chapter:?} has no block {number}"))?;
    lines.iter().map(|line| walk.server.type_in(line)).collect()
}
