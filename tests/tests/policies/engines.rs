//! How policies are run: interpreted where no memory may become code, compiled where somebody wants it so.

use anyhow::{Result, ensure};
use knockgate_tests::gates::Configuration;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, programs};

use super::REFUSED;
use super::modules::{DENIES, install, module, section};

pub(crate) fn stories() -> Vec<Story> {
    vec![story(
        "where no memory becomes code policies are interpreted and a compiler says what to change",
        denied,
    )]
}

fn denied(lab: &Lab) -> Result<()> {
    let under_unit = programs::ours("under_unit")?.display().to_string();
    let denying = [under_unit.as_str(), "MemoryDenyWriteExecute=yes"];
    install(lab, "web", &module("web", "packet", DENIES)?)?;
    let configuration = Configuration::for_packets(lab, &lab.gate.ip(Family::V4).to_string())
        .with_services()
        .with(&format!("[policy]\n[policy.services]\nweb = [\"web\"]\n{}", section(lab, "web")));
    let mut scene = Scene::set_with_configuration(lab, Family::V4, &configuration)?;
    scene.gate.stop()?;

    scene.gate.start_through(&denying)?;

    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.alice.knock("web")?.expect(REFUSED)?;
    let compiling = configuration.replacing("[policy]\n", "[policy]\nengine = \"compiler\"\n")?;
    compiling.write()?;
    for refused in [scene.gate.tell(&["reload"])?, scene.gate.tell_through(&denying, &["check"])?] {
        let refused = refused.expect(1)?;
        ensure!(refused.err.contains("engine = \"interpreter\""), "no remedy: {refused}");
    }
    scene.must_be_healthy()?;
    scene.gate.stop()?;

    scene.gate.start()?;

    scene.must_be_healthy()
}
