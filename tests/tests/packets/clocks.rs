//! Clocks that are wrong, and packets that are late.

use std::time::Duration;

use anyhow::{Result, ensure};
use knockgate_core::Refusal;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK, unix_micros};
use knockgate_tests::programs::Said;
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a clock that was years ahead keeps no client out, then or later", years_ahead),
        story("a clock that is years behind keeps no client out", years_behind),
        story("a knock that was held back for longer than max-age opens nothing", held_back),
        story("a client whose clock is behind by more than max-age hears why", too_far_behind),
    ]
}

/// The client starts under a wrong clock. The monotonic one stays right.
fn with_clock_off_by(scene: &Scene<'_>, offset: &str, arguments: &[&str]) -> Result<Said> {
    let faketime = ["faketime", "--exclude-monotonic", "-f", offset];
    Said::by(&mut scene.alice.command_through(&faketime, arguments)?)
}

const KNOCK_BRIEFLY: [&str; 5] = ["knock", "alice", "ssh", "--seconds", "1"];

fn years_ahead(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    with_clock_off_by(&scene, "+10y", &KNOCK_BRIEFLY)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.wait_until_shut(&lab.client, SSH)?;
    with_clock_off_by(&scene, "+10y", &KNOCK_BRIEFLY)?.expect(0)?;
    scene.wait_until_shut(&lab.client, SSH)?;

    // The clock is right again, and the client still remembers its counter.
    scene.alice.tell(&KNOCK_BRIEFLY)?.expect(0)?;
    scene.wait_until_shut(&lab.client, SSH)?;

    // The client forgets, so its counter is back in the present.
    std::fs::remove_dir_all(scene.alice.home().join("state"))?;
    scene.alice.tell(&KNOCK_BRIEFLY)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.wait_until_shut(&lab.client, SSH)?;

    // So it is after the gate has crashed.
    scene.gate.kill()?;
    scene.gate.start()?;
    scene.alice.tell(&KNOCK_BRIEFLY)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

fn years_behind(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, "")?;
    with_clock_off_by(&scene, "-10y", &KNOCK_BRIEFLY)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.wait_until_shut(&lab.client, SSH)?;
    with_clock_off_by(&scene, "-10y", &KNOCK_BRIEFLY)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}

const MAX_AGE: &str = "[packet]\nmax-age = \"2s\"";

fn held_back(lab: &Lab) -> Result<()> {
    let scene = Scene::by_packet(lab, Family::V4, MAX_AGE)?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let knock = bob.seal(&bob.open_ssh(60))?;
    let sealed = unix_micros();
    waiting::until_true("the knock is too old", Duration::from_secs(5), || {
        unix_micros() > sealed + 2_500_000
    })?;

    let refused = packets::refusal(knock.send(&lab.visitor, to)?)?;

    ensure!(refused == Refusal::Stale, "{refused:?}");
    scene.must_be_shut(&lab.visitor, SSH)?;
    ensure!(knock.send(&lab.visitor, to)?.is_none(), "its counter is not used up");
    ensure!(packets::is_granted(bob.ask(&lab.visitor, to, &bob.open_ssh(60))?.as_ref()), "bob is kept out");
    scene.must_be_open(&lab.visitor, SSH)
}

fn too_far_behind(lab: &Lab) -> Result<()> {
    const REFUSED: i32 = 4;
    let scene = Scene::by_packet(lab, Family::V4, MAX_AGE)?;
    with_clock_off_by(&scene, "-1h", &KNOCK_BRIEFLY)?.expect(REFUSED)?.complains_of(&["clock"])?;
    scene.must_be_shut(&lab.client, SSH)?;
    scene.alice.tell(&KNOCK_BRIEFLY)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)
}
