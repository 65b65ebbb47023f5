//! What lasts and what does not: over a power cut, an upgrade, a removal and a purge.

use anyhow::{Result, ensure};
use knockgate_tests::programs::Said;
use knockgate_tests::{Family, waiting};

use crate::document;
use crate::walk::{NOTICE, Walk};

/// As Debian's package has it, with a time after which the door is shut again.
const KNOCKD: &str = "[options]\n\tUseSyslog\n\n[openSSH]\n\tsequence    = 7000,8000,9000\n\tseq_timeout = 5\n\t\
                      start_command = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n\tcmd_timeout = 60\n\t\
                      stop_command = /sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n\ttcpflags    = syn\n";
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

/// The night's power cut, after the evening's mistake.
pub(crate) fn mistake_and_power_cut(walk: &mut Walk<'_>) -> Result<()> {
    let [_, configuration] = STATE;
    let right = walk.server.read(configuration)?;
    walk.server.type_in("sed -i 's/^ports = .*/prots = [22]/' /etc/knockgate/agent.toml")?;
    ensure!(walk.server.read(configuration)? != right, "the configuration has no line `ports = ` to change");
    walk.server.cut_power()?;
    walk.server.boot()?;
    walk.must_be_shut("after the start, with a mistake in the configuration")?;
    walk.server.unit_must_be("knockgated-guard", "ActiveState", "failed")?;
    let said = walk.server.type_in("journalctl --no-pager --boot --unit knockgated-guard")?;
    for word in ["agent.toml:", "prots", "guarding 1 service as before"] {
        ensure!(said.contains(word), "the journal does not tell of {word:?}: {said}");
    }
    walk.server.write(configuration, &right)?;
    walk.server.type_in("systemctl start knockgated")?;
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

/// docs/migrating.md, typed as it stands there.
pub(crate) fn move_from_knockd(walk: &mut Walk<'_>) -> Result<()> {
    walk.server.type_in("apt purge --yes knockgated")?;
    install_next(walk)?;
    walk.server.write("etc/knockd.conf", KNOCKD.as_bytes())?;
    for line in document::blocks(document::MIGRATING, "From knockd")?.concat() {
        walk.server.type_in(line)?;
    }
    let checked = walk.server.type_in("knockgated check")?;
    ensure!(checked.contains("user knockgate, and a broker"), "not as a new gate is: {checked}");
    walk.must_be_open("prepared, and not started")?;

    walk.server.type_in("systemctl enable --now knockgated")?;

    walk.must_be_shut("moved")?;
    walk.server.unit_must_be("knockgated", "NRestarts", "0")?;
    waiting::until_true("the client gets in with `knock`", NOTICE, || {
        let mut knock = walk.lab.client.command("knock");
        knock.args(["--delay", "50", &walk.lab.gate.ip(Family::V4).to_string()]);
        let knocked = Said::by(knock.args(["7000", "8000", "9000"]));
        knocked.is_ok_and(|said| said.code == Some(0))
            && walk.must_greet(&walk.lab.client, "after a sequence").is_ok()
    })?;
    walk.must_be_shut("for a stranger, while it is open to who has knocked")?;
    walk.server.type_in("rm /etc/knockd.conf").map(drop)
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
