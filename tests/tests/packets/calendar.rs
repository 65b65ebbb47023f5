//! The clock of the gate's machine steps by a year while the agent runs, ahead or back. Who counts by a calendar is the client whose
//! enrolment ends, and `max-age`; grants and counters do not.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use knockgate_core::Refusal;
use knockgate_tests::clocks::{Clock, Setting, Step};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK, is_granted};
use knockgate_tests::scenes::{APART, SSH, Scene, WEB};
use knockgate_tests::{Family, Lab};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story(
            "a gate whose clock steps a year ahead and back closes on time, admits nothing twice and lets in",
            |lab| steps(lab, Step::YearAhead, ""),
        ),
        story(
            "two processes whose clock steps a year ahead and back close on time and admit nothing twice",
            |lab| steps(lab, Step::YearAhead, APART),
        ),
        story(
            "a gate whose clock steps a year back and ahead closes on time, admits nothing twice and lets in",
            |lab| steps(lab, Step::YearBehind, ""),
        ),
        story(
            "an enrolment that has ended by the gate's clock is refused, and counts again when that is right",
            enrolment,
        ),
        story(
            "with max-age a gate whose clock is ahead refuses what its own clock calls old, and says why",
            max_age,
        ),
    ]
}

/// A scene whose gate has a clock that can be set.
fn scene<'lab>(lab: &'lab Lab, sections: &str) -> Result<(Scene<'lab>, Setting)> {
    let mut scene = Scene::by_packet(lab, Family::V4, sections)?;
    // Where the process that asks for the time may read.
    let (clock, setting) = Clock::adjustable(&lab.path("state/clock"))?;
    scene.gate.stop()?;
    scene.gate.set_clock(&clock);
    scene.gate.start()?;
    Ok((scene, setting))
}

fn steps(lab: &Lab, step: Step, sections: &str) -> Result<()> {
    const SECONDS: u32 = 4;
    let (mut scene, clock) = scene(lab, sections)?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &[])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let mut old = Vec::new();
    for step in [step, Step::Right] {
        let knock = bob.seal(&bob.open_ssh(SECONDS))?;
        let knocked = Instant::now();
        ensure!(is_granted(knock.send(&lab.visitor, to)?.as_ref()), "bob is kept out before {step:?}");
        scene.must_be_open(&lab.visitor, SSH)?;
        old.push(knock);

        clock.step(step)?;

        scene.alice.knock_for("web", 600)?.expect(0)?;
        scene.must_be_open(&lab.client, WEB)?;
        nothing_old_is_admitted(&scene, &old)?;
        let shut = scene.wait_until_shut(&lab.visitor, SSH)?.duration_since(knocked);
        let (least, most) = (Duration::from_secs(3), Duration::from_secs(30));
        ensure!((least..most).contains(&shut), "a grant of {SECONDS} s ended after {shut:?}");
        // The step was seen at all: what is written down has the clock's time.
        let records = scene.gate.audit()?;
        let hers = records.iter().rfind(|record| record["client"] == "alice");
        let time = hers.and_then(|record| record["time"].as_str()).context("no record")?;
        let is_right =
            humantime::parse_rfc3339(time)?.elapsed().is_ok_and(|ago| ago < Duration::from_secs(3600));
        ensure!(is_right == (step == Step::Right), "{step:?}: it writes {time}");
    }
    // So it is after a crash under the wrong clock, with the right one again.
    clock.step(step)?;
    scene.gate.kill()?;
    scene.gate.start()?;
    nothing_old_is_admitted(&scene, &old)?;
    scene.gate.kill()?;
    clock.step(Step::Right)?;
    scene.gate.start()?;
    nothing_old_is_admitted(&scene, &old)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.gate.tell(&["audit", "verify"])?.expect(0)?;
    scene.must_be_healthy()
}

fn nothing_old_is_admitted(scene: &Scene<'_>, old: &[packets::Sealed<'_>]) -> Result<()> {
    let to = scene.lab.gate.at(Family::V4, KNOCK);
    for knock in old {
        let answer = knock.send(&scene.lab.stranger, to)?;
        ensure!(answer.is_none(), "an old knock is answered: {answer:?}");
    }
    scene.must_be_shut(&scene.lab.stranger, SSH)
}

fn enrolment(lab: &Lab) -> Result<()> {
    let (mut scene, clock) = scene(lab, "")?;
    let bob = Hand::of(&scene.gate.enrol("bob", &["ssh"], &["--expires", "30d"])?)?;
    let to = lab.gate.at(Family::V4, KNOCK);
    let ask = || bob.ask(&lab.visitor, to, &bob.open_ssh(600));
    ensure!(is_granted(ask()?.as_ref()), "bob is enrolled");

    clock.step(Step::YearAhead)?;

    ensure!(packets::refusal(ask()?)? == Refusal::Expired, "another reason");
    // What was promised until a moment does not go by the calendar.
    scene.must_be_open(&lab.visitor, SSH)?;
    for step in [Step::Right, Step::YearBehind] {
        clock.step(step)?;
        ensure!(is_granted(ask()?.as_ref()), "bob is enrolled at {step:?}");
        scene.must_be_open(&lab.visitor, SSH)?;
    }
    scene.must_be_healthy()
}

fn max_age(lab: &Lab) -> Result<()> {
    const REFUSED: i32 = 4;
    let (mut scene, clock) = scene(lab, "[packet]\nmax-age = \"1h\"")?;
    clock.step(Step::YearAhead)?;
    scene.alice.knock("ssh")?.expect(REFUSED)?.complains_of(&["clock"])?;
    scene.must_be_shut(&lab.client, SSH)?;
    for step in [Step::YearBehind, Step::Right] {
        clock.step(step)?;
        scene.alice.knock("ssh")?.expect(0)?;
        scene.must_be_open(&lab.client, SSH)?;
    }
    scene.must_be_healthy()
}
