//! What lasts and what does not: over a power cut, an upgrade, a removal and a purge.

use anyhow::{Result, ensure};

use crate::walk::Walk;

const STATE: [&str; 2] = ["var/lib/knockgate/roster", "etc/knockgate/agent.toml"];

pub(crate) fn power_cut(walk: &mut Walk<'_>) -> Result<()> {
    walk.server.cut_power()?;
    ensure!(!walk.is_guarded()?, "rules do not outlive a kernel");
    walk.server.boot()?;
    walk.must_be_shut("after the start")?;
    walk.server.unit_must_be("knockgated-guard", "ActiveState", "active")?;
    walk.server.unit_must_be("knockgated", "ActiveState", "active")?;
    walk.must_meet_silence(&walk.lab.client, "grants do not outlive a kernel")?;
    walk.client_gets_in()
}

pub(crate) fn upgrade(walk: &mut Walk<'_>) -> Result<()> {
    walk.client.type_in("knockgate knock telephone ssh --seconds 600")?;
    let before = state(walk)?;
    let agent = walk.server.unit("knockgated", "MainPID")?;
    install_next(walk)?;
    ensure!(walk.server.unit("knockgated", "MainPID")? != agent, "the agent was not restarted");
    walk.server.unit_must_be("knockgated", "ActiveState", "active")?;
    ensure!(state(walk)? == before, "the upgrade has changed the state");
    walk.must_be_shut("upgraded")?;
    walk.must_greet(&walk.lab.client, "upgraded, with a grant from before")?;
    let grants = walk.server.type_in("knockgated grants")?;
    ensure!(grants.contains("telephone"), "the grant is gone: {grants}");
    walk.client.type_in("knockgate close telephone")?;
    walk.must_meet_silence(&walk.lab.client, "closed")?;
    walk.client_gets_in()
}

pub(crate) fn upgrade_of_a_stopped_agent(walk: &mut Walk<'_>) -> Result<()> {
    walk.server.type_in("knockgated unguard")?;
    walk.must_be_open("unguarded")?;
    install_next(walk)?;
    walk.server.unit_must_be("knockgated", "ActiveState", "inactive")?;
    walk.must_be_open("unguarded, and upgraded")?;
    walk.server.type_in("systemctl start knockgated")?;
    walk.must_be_shut("started again")
}

pub(crate) fn remove(walk: &mut Walk<'_>) -> Result<()> {
    let before = state(walk)?;
    let said = walk.server.type_in("apt remove --yes knockgated")?;
    ensure!(said.contains("guarded no more"), "it does not say that nothing is guarded: {said}");
    ensure!(said.contains("ssh (1): tcp/22"), "it does not say what was guarded: {said}");
    ensure!(said.contains("are kept"), "it does not say that state is kept: {said}");
    ensure!(!walk.is_guarded()?, "the guard is still there, with nobody to open it");
    walk.must_be_open("removed")?;
    ensure!(state(walk)? == before, "removing has changed the state");
    let failed = walk.server.type_in("systemctl list-units --failed --plain --no-legend 'knockgate*'")?;
    ensure!(failed.trim().is_empty(), "units have failed: {failed}");
    Ok(())
}

pub(crate) fn come_back(walk: &mut Walk<'_>) -> Result<()> {
    install_next(walk)?;
    walk.server.unit_must_be("knockgated", "UnitFileState", "disabled")?;
    walk.server.unit_must_be("knockgated", "ActiveState", "inactive")?;
    walk.must_be_open("installed again")?;
    walk.server.type_in("systemctl enable --now knockgated")?;
    walk.must_be_shut("guarded again")?;
    walk.client_gets_in()
}

pub(crate) fn purge(walk: &mut Walk<'_>) -> Result<()> {
    let said = walk.server.type_in("apt purge --yes knockgated knockgate-policy")?;
    ensure!(said.contains("keys and roster in /var/lib/knockgate"), "it does not say what goes: {said}");
    walk.must_be_open("purged")?;
    walk.client.type_in("apt purge --yes knockgate")?;
    ensure!(
        walk.client.has("root/.config/knockgate/profiles/home.kgp"),
        "the user's profiles are the user's"
    );
    let left = "find /etc /usr /var -iname '*knockgate*' -not -path '/var/log/journal/*' -not -path '/var/lib/apt/*'";
    for machine in [&walk.server, &walk.client] {
        let found = machine.type_in(left)?;
        ensure!(found.trim().is_empty(), "these are left: {found}");
    }
    Ok(())
}

fn state(walk: &Walk<'_>) -> Result<[Vec<u8>; 2]> {
    let [roster, configuration] = STATE;
    Ok([walk.server.read(roster)?, walk.server.read(configuration)?])
}

fn install_next(walk: &Walk<'_>) -> Result<()> {
    walk.server.put(&walk.next_package("knockgated")?)?;
    walk.server.type_in("apt install --yes --reinstall ./knockgated_999*.deb").map(drop)
}
