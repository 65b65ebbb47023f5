//! Every kind of wrong configuration value, one line each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use knockgate_tests::Lab;
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::programs::Said;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "every wrong configuration value is refused with file and line and its own name",
            every_wrong_value,
        ),
        story("a missing configuration file is named", missing_file),
        story("a wrong configuration leaves a running gate as it is", running_gate_unharmed),
    ]
}

/// What to add to a good configuration, the line that is at fault, and what the message must speak of.
const WRONG: &[(&str, &str, &str)] = &[
    // Syntax, unknown names, wrong types.
    ("[central]\nport = = 1", "port = = 1", "TOML"),
    ("[sequence]\nlenght = 6", "lenght", "lenght"),
    ("[sequense]\nlength = 6", "sequense", "sequense"),
    ("[central]\nport = \"62201\"", "62201", "port"),
    ("[sequence]\nlength = 6.5", "6.5", "length"),
    ("sequence = 3\n", "sequence = 3", "sequence"),
    // Ranges.
    ("[central]\nport = 0", "port = 0", "port"),
    ("[central]\nport = 70000", "70000", "port"),
    ("[sequence]\nlength = 2", "length = 2", "length"),
    ("[sequence]\nlength = 17", "length = 17", "length"),
    ("[sequence]\ndecoy-count = 15", "decoy-count = 15", "decoy-count"),
    ("[sequence]\ndecoy-count = 1025", "decoy-count = 1025", "decoy-count"),
    ("[sequence]\ncount = 0", "count = 0", "count"),
    ("[sequence]\ncount = 65537", "count = 65537", "count"),
    ("[sequence]\nhold = \"0s\"", "hold = \"0s\"", "hold"),
    ("[sequence]\nhold = \"61s\"", "hold = \"61s\"", "hold"),
    ("[sequence]\nhold = \"soon\"", "soon", "hold"),
    ("[sequence]\nhold = 10", "hold = 10", "hold"),
    ("[sequence]\nport-range = [30000, 20000]", "30000", "port-range"),
    ("[sequence]\nport-range = [20000, 20010]", "20010", "port-range"),
    ("[sequence]\nport-range = [20000]", "port-range", "port-range"),
    ("[sequence]\nstrays = -1", "strays", "strays"),
    ("[lockout]\nduration = \"-1s\"", "-1s", "duration"),
    // Choices.
    ("[sequence]\nmode = \"open\"", "mode = \"open\"", "mode"),
    ("[sequence]\ndecoys = \"never\"", "never", "decoys"),
    ("[lockout]\nscope = \"client\"", "scope", "scope"),
    ("[metrics]\nlisten = \"0.0.0.0:9191\"", "0.0.0.0", "127.0.0.1"),
    ("[metrics]\nsocket = \"metrics\"", "socket = \"metrics\"", "begins with /"),
    // Services.
    ("[service.db]\nid = 1\nprotocol = \"tcp\"\nports = [5432]", "id = 1", "id"),
    ("[service.db]\nid = 0\nprotocol = \"tcp\"\nports = [5432]", "id = 0", "id"),
    ("[service.db]\nid = 9\nprotocol = \"sctp\"\nports = [5432]", "sctp", "protocol"),
    ("[service.db]\nid = 9\nprotocol = \"tcp\"\nports = []", "ports = []", "ports"),
    ("[service.db]\nid = 9\nprotocol = \"tcp\"\nports = [70000]", "70000", "port"),
    ("[service.db]\nid = 9\nprotocol = \"tcp\"\nports = [8080]", "ports = [8080]", "8080"),
    ("[service.db]\nid = 9\nprotocol = \"tcp\"\nports = [62201]", "ports = [62201]", "62201"),
    ("[service.db]\nprotocol = \"tcp\"\nports = [5432]", "service.db", "id"),
    ("[service.db]\nid = 9\nprotocol = \"tcp\"\nports = [5432]\nopen = \"2h\"", "open = \"2h\"", "open"),
    ("[service.db]\nid = 9\nprotocol = \"tcp\"\nports = [5432]\nforward = [\"here\"]", "forward", "forward"),
    (
        "[service.db]\nid = 9\nprotocol = \"tcp\"\nports = [1, 2]\nforward = [\"10.0.0.5:22\"]",
        "forward",
        "forward",
    ),
    (
        "[service.db]\nid = 9\nprotocol = \"tcp\"\nports = [5432]\nforward = [\"10.0.0.5:1\", \"10.0.0.6:1\"]",
        "forward",
        "forward",
    ),
    (
        "[service.db]\nid = 9\nprotocol = \"tcp\"\nports = [5432]\nmasquerade = true",
        "masquerade",
        "masquerade",
    ),
    // Static sequences.
    ("[static-sequence]\nname = \"lab\"", "[static-sequence]", "[[static-sequence]]"),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000]\nservice = \"ssh\"",
        "sequence = [7000, 8000]",
        "3 to 16",
    ),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 7000]\nservice = \"ssh\"",
        "sequence = [7000",
        "twice",
    ),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8080, 9000]\nservice = \"ssh\"",
        "sequence = [7000",
        "service web",
    ),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, \"8000:udp\", 9000]\nservice = \"ssh\"",
        "8000:udp",
        "9000/udp",
    ),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 62201, 9000]\nservice = \"ssh\"",
        "sequence = [7000",
        "central port",
    ),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 7001, 7002]\nservice = \"ssh\"",
        "sequence = [7000",
        "leave gaps",
    ),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"shh\"",
        "\"shh\"",
        "service.shh",
    ),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"ssh\"\nwithin = \"2m\"",
        "within",
        "within",
    ),
    (
        "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"ssh\"\nopen = \"2h\"",
        "open = \"2h\"",
        "max-open",
    ),
    // Policies.
    ("[policy]\nchain = [\"mine\"]", "chain", "mine"),
    ("[policy]\nchain = []", "chain = []", "chain"),
    ("[policy]\nchain = [\"default\", \"default\"]", "chain", "chain"),
    (
        "[policy-module.m]\nfile = \"relative.wasm\"\nservices = [\"ssh\"]\ncapabilities = [\"open\"]",
        "relative",
        "file",
    ),
    (
        "[policy-module.m]\nfile = \"/m.wasm\"\nservices = [\"sssh\"]\ncapabilities = [\"open\"]",
        "sssh",
        "sssh",
    ),
    ("[policy-module.m]\nfile = \"/m.wasm\"\nservices = [\"ssh\"]\ncapabilities = [\"fly\"]", "fly", "fly"),
    (
        "[policy-module.m]\nfile = \"/m.wasm\"\nsha256 = \"abc\"\nservices = [\"ssh\"]\ncapabilities = [\"open\"]",
        "abc",
        "sha256",
    ),
];

fn every_wrong_value(lab: &Lab) -> Result<()> {
    Gate::configured(lab, &Configuration::bare(lab, "gate.test").with_services())?;
    let before = files_in(&lab.path("state"))?;
    let mut complaints = Vec::new();
    for (text, at, word) in WRONG {
        if let Err(error) = one_wrong_value(lab, text, at, word) {
            complaints.push(format!("{text:?}: {error:#}"));
        }
    }
    if !complaints.is_empty() {
        bail!(
            "{} of {} are not refused as they should be:\n{}",
            complaints.len(),
            WRONG.len(),
            complaints.join("\n")
        );
    }
    ensure!(lab.gate.nft_ruleset()?.is_empty(), "a refused configuration changed the firewall");
    ensure!(files_in(&lab.path("state"))? == before, "a refused configuration changed the state");
    Ok(())
}

fn one_wrong_value(lab: &Lab, text: &str, at: &str, word: &str) -> Result<()> {
    let good = Configuration::bare(lab, "gate.test").with_services();
    // A key outside any section must stand before the first one.
    let wrong = if text.starts_with('[') {
        good.with(text)
    } else {
        good.replacing("[gate]", &format!("{text}[gate]"))?
    };
    let gate = Gate::configured(lab, &wrong)?;
    let place = format!("agent.toml:{}:", wrong.line_of(at)?);
    for command in ["check", "run"] {
        refused(gate.tell(&[command])?, &place, word).with_context(|| format!("knockgated {command}"))?;
    }
    Ok(())
}

/// The message has the shape `FILE:LINE: what; remedy`.
fn refused(said: Said, place: &str, word: &str) -> Result<()> {
    let said = said.expect(1)?.complains_of(&[place, word])?;
    let line = said.err.lines().find(|line| line.contains(place)).unwrap_or_default();
    ensure!(line.contains(';'), "the message names no remedy: {said}");
    Ok(())
}

fn missing_file(lab: &Lab) -> Result<()> {
    let gate = Gate::configured(lab, &Configuration::bare(lab, "gate.test"))?;
    std::fs::remove_file(gate.file())?;
    for command in ["check", "run"] {
        gate.tell(&[command])?.expect(1)?.complains_of(&["agent.toml"])?;
    }
    Ok(())
}

fn running_gate_unharmed(lab: &Lab) -> Result<()> {
    let good = Configuration::bare(lab, "gate.test").with_services();
    let mut gate = Gate::configured(lab, &good)?;
    gate.start()?;
    let before = lab.gate.nft_ruleset()?;

    good.with("[sequence]\nlength = 99").write()?;
    gate.tell(&["check"])?.expect(1)?;

    ensure!(lab.gate.nft_ruleset()? == before, "checking a wrong configuration changed the firewall");
    ensure!(gate.is_alive(), "the agent has ended");
    Ok(())
}

/// Every file in a folder with its content.
fn files_in(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry?.path();
        let content = std::fs::read(&path)?;
        Ok((path, content))
    };
    std::fs::read_dir(folder)?.map(read).collect()
}
