//! `knockgated top` on a real terminal, before a real agent.

use anyhow::Result;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::Scene;
use knockgate_tests::terminals::{Size, Terminal};
use knockgate_tests::{Family, Host, Lab, packets, programs};

/// The smallest usual terminal.
const SMALL: Size = (80, 24);

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "top shows grants, lockouts and noise as they come and go, and waits for an agent that is away",
            look,
        ),
        story("top gives the terminal back, whatever ends it, and draws on nothing else", leave),
    ]
}

fn top(scene: &Scene<'_>, host: &Host, size: Size) -> Result<Terminal> {
    let program = programs::ours("knockgated")?;
    let command_line = format!("{} top --config {}", program.display(), scene.gate.file().display());
    Terminal::run(scene.lab, host, size, &command_line)
}

fn look(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.alice.knock_for("ssh", 600)?.expect(0)?;
    let source = lab.client.ip(Family::V4).to_string();
    let noise = packets::noise(200)?;
    packets::send_all(&lab.stranger, lab.gate.at(Family::V4, 62201), [noise.as_slice()])?;

    let terminal = top(&scene, &lab.gate, SMALL)?;
    terminal.wait_for(&["live", "Grants: 1", "alice", "ssh", &source, "9:", "default", "1 unsealed"])?;
    terminal.wait_for(&["ssh tcp/22: 1 grant", "web tcp/8080: 0 grants", "opened 1, closed 0"])?;
    scene.gate.tell(&["revoke", "alice"])?.expect(0)?;
    terminal.wait_for(&["Grants: 0", "opened 1, closed 1"])?;

    scene.gate.stop()?;
    terminal.wait_for(&["no answer for", "no agent answers", "opened 1, closed 1"])?;
    scene.gate.start()?;
    terminal.wait_for(&["live", "opened 0, closed 0"])?;
    terminal.resize((132, 50))?;
    terminal.wait_for(&["live", "NUMBERS LEFT"])?;
    terminal.press("q")?;
    terminal.must_be_left_as_it_was(0)
}

fn leave(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    for key in ["q", "Escape", "C-c"] {
        let terminal = top(&scene, &lab.gate, SMALL)?;
        terminal.wait_for(&["live"])?;
        terminal.press(key)?;
        terminal.must_be_left_as_it_was(0)?;
    }
    let terminal = top(&scene, &lab.gate, SMALL)?;
    terminal.wait_for(&["live"])?;
    terminal.terminate()?;
    terminal.must_be_left_as_it_was(0)?;
    scene.gate.tell(&["top"])?.expect(1)?.complains_of(&["draws on a terminal", "`knockgated status`"])?;
    Ok(())
}
