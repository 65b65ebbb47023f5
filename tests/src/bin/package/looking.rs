//! What an administrator sees, and what he does when something is wrong.

use anyhow::{Context, Result, ensure};
use knockgate_tests::peers::{Reached, reach};
use knockgate_tests::{Family, waiting};

use crate::walk::{NOTICE, Walk};

pub(crate) fn commands(walk: &mut Walk<'_>) -> Result<()> {
    for (line, words) in [
        ("knockgated status", ["guarded    ssh tcp/22", "2 clients"]),
        ("knockgated grants", ["telephone", "10.77.2.2"]),
        ("knockgated clients", ["laptop", "telephone"]),
        ("knockgated lockouts", ["nobody", "locked out"]),
        ("knockgated why telephone", ["open ssh: opened", "default: commit"]),
    ] {
        let told = walk.server.type_in(line)?;
        for word in words {
            ensure!(told.contains(word), "{line} does not tell of {word:?}: {told}");
        }
    }
    Ok(())
}

pub(crate) fn top(walk: &mut Walk<'_>) -> Result<()> {
    walk.server.type_in("tmux new-session -d -x 80 -y 24 'knockgated top'")?;
    let shown = || {
        let screen = walk.server.type_in("tmux capture-pane -p").ok()?;
        ["live", "ssh tcp/22", "telephone", "10.77.2.2"]
            .iter()
            .all(|text| screen.contains(text))
            .then_some(())
    };
    waiting::until("the running gate on the terminal", NOTICE, shown)?;
    walk.server.type_in("tmux send-keys q")?;
    let has_ended = || walk.server.try_line("tmux has-session").is_ok_and(|said| said.code != Some(0));
    waiting::until_true("`q` ends it", NOTICE, has_ended)
}

pub(crate) fn journal(walk: &mut Walk<'_>) -> Result<()> {
    const LINES: &str = "journalctl --no-pager --unit knockgated --output json KNOCKGATE_CLIENT=telephone";
    const FIELDS: [&str; 2] = ["\"KNOCKGATE_SERVICE\":\"ssh\"", "\"PRIORITY\":\"6\""];
    let has_line = || {
        let said = walk.server.type_in(LINES).ok()?;
        said.lines().any(|line| FIELDS.iter().all(|field| line.contains(field))).then_some(())
    };
    waiting::until("the line with its fields", NOTICE, has_line)
}

pub(crate) fn metrics(walk: &mut Walk<'_>) -> Result<()> {
    const PORT: u16 = 9191;
    let ask = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{PORT} && printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3 && timeout 5 cat <&3"
    );
    // What `init` has written stands there as a comment.
    walk.server.type_in("sed -i 's/^# \\(listen = \"127.0.0.1:9191\"\\)/\\1/' /etc/knockgate/agent.toml")?;
    walk.server.type_in("systemctl restart knockgated")?;
    let told = walk.server.type_in(&format!("bash -c \"{ask}\""))?;
    for begin in ["HTTP/1.1 200 ", "knockgate_guard_whole 1", "knockgate_grants{service=\"ssh\"} "] {
        ensure!(told.lines().any(|line| line.starts_with(begin)), "no {begin:?}: {told}");
    }
    let reached = reach(&walk.lab.stranger, walk.lab.gate.at(Family::V4, PORT))?;
    ensure!(reached == Reached::Refused, "a stranger should meet a reset, and there was {reached:?}");
    Ok(())
}

pub(crate) fn report(walk: &mut Walk<'_>) -> Result<()> {
    walk.server.type_in("knockgated report --since 1d --html page.html")?;
    let page = String::from_utf8(walk.server.read("root/page.html")?)?;
    for word in ["<svg", "laptop", "telephone"] {
        ensure!(page.contains(word), "the page does not have {word:?}");
    }
    for word in ["<script", "src=\"http", "href=\"http", "url("] {
        ensure!(!page.contains(word), "the page wants {word:?} from elsewhere");
    }
    let verified = walk.server.type_in("knockgated audit verify")?;
    ensure!(verified.contains("whole"), "the audit log is not whole: {verified}");
    Ok(())
}

pub(crate) fn trouble(walk: &mut Walk<'_>) -> Result<()> {
    walk.client_gets_in()?;
    walk.server.type_in("knockgated client expire laptop --at 2001-01-01")?;
    let refused =
        || walk.client.try_line("knockgate knock home ssh").ok().filter(|said| said.code != Some(0));
    let said = waiting::until("the client is refused", NOTICE, refused)?;
    said.complains_of(&["the enrolment of this client has ended"])?;
    let why = walk.server.type_in("knockgated why laptop")?;
    ensure!(why.contains("refused: expired"), "it does not know why: {why}");
    let remedy = command_in_remedy(&why)?.replace("NAME", "laptop");
    walk.server.type_in(&remedy)?;
    walk.client_gets_in()
}

pub(crate) fn mistake(walk: &mut Walk<'_>) -> Result<()> {
    const FILE: &str = "etc/knockgate/agent.toml";
    let before = walk.server.read(FILE)?;
    walk.server.type_in("sed -i 's/^ports = .*/ports = [70000]/' /etc/knockgate/agent.toml")?;
    ensure!(walk.server.read(FILE)? != before, "the configuration has no line `ports = ` to change");
    let said = walk.server.try_line("systemctl reload knockgated")?;
    ensure!(said.code != Some(0), "a configuration with a mistake was reloaded: {said}");
    let is_named = || {
        let log = walk.server.type_in("journalctl --no-pager --unit knockgated --priority warning").ok()?;
        (log.contains("agent.toml:") && log.contains("70000")).then_some(())
    };
    waiting::until("a warning that names line and value", NOTICE, is_named)?;
    walk.server.unit_must_be("knockgated", "ActiveState", "active")?;
    walk.client_gets_in()?;
    walk.server.write(FILE, &before)?;
    walk.server.type_in("systemctl reload knockgated").map(drop)
}

pub(crate) fn killed(walk: &mut Walk<'_>) -> Result<()> {
    let before = walk.server.unit("knockgated", "MainPID")?;
    walk.server.type_in("systemctl kill --signal KILL knockgated")?;
    walk.must_greet(&walk.lab.client, "with the agent killed")?;
    walk.must_be_shut("with the agent killed")?;
    waiting::until_true("systemd has started another agent", NOTICE, || {
        let unit = |property| walk.server.unit("knockgated", property);
        unit("MainPID").is_ok_and(|pid| pid != before && pid != "0")
            && unit("ActiveState").is_ok_and(|state| state == "active")
    })?;
    let grants = walk.server.type_in("knockgated grants")?;
    ensure!(grants.contains("telephone"), "the new agent does not know the grant: {grants}");
    Ok(())
}

/// The first command that the last attempt's remedy names.
fn command_in_remedy(why: &str) -> Result<String> {
    let remedy = why.lines().find(|line| line.trim_start().starts_with("=> "));
    let remedy = remedy.with_context(|| format!("no remedy: {why}"))?;
    let command = remedy.split('`').nth(1).with_context(|| format!("no command in {remedy:?}"))?;
    Ok(command.to_owned())
}
