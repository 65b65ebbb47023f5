//! A policy that misbehaves, and the knocks that others decide about.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use knockgate_tests::clients::Client;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab};

use super::REFUSED;
use super::modules::{LOOPS, TRAPS, installed, is_decision_of};

/// From a client's start to its end on a busy machine. The client's own patience is three times that.
const IN_TIME: Duration = Duration::from_secs(10);
/// Knocks of each kind.
const KNOCKS: usize = 5;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("while a policy loops for one service knocks for another are answered in time", |lab| {
            beside(lab, LOOPS, &["used up its", "was not done within"])
        }),
        story("while a policy traps for one service knocks for another are answered in time", |lab| {
            beside(lab, TRAPS, &["unreachable"])
        }),
    ]
}

/// `failures`: what ends the policy. A loop has two limits, fuel and time, and a busy machine says which is reached first.
fn beside(lab: &Lab, body: &str, failures: &[&str]) -> Result<()> {
    let sections =
        "[policy]\n[policy.services]\nweb = [\"hostile\"]\n".to_owned() + &installed(lab, "hostile", body)?;
    let mut scene = Scene::by_packet(lab, Family::V4, &sections)?;
    let profile = scene.gate.enrol("bob", &["web"], &[])?;
    let bob = Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    let alice = &scene.alice;

    std::thread::scope(|scope| -> Result<()> {
        let hostile =
            scope.spawn(|| (0..KNOCKS).try_for_each(|_| bob.knock("web")?.expect(REFUSED).map(drop)));
        for _ in 0..KNOCKS {
            let begun = Instant::now();
            alice.knock("ssh")?.expect(0)?;
            let took = begun.elapsed();
            ensure!(took < IN_TIME, "a knock beside the hostile policy took {took:?}");
        }
        hostile.join().map_err(|_| anyhow::anyhow!("the other client's thread panicked"))?
    })?;

    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.visitor, WEB)?;
    let failed = scene.gate.wait_for_audit("the failure", |record| is_decision_of(record, "hostile"))?;
    ensure!(failed["verdict"] == "failed", "{failed}");
    let said = failed["failure"].as_str().unwrap_or_default();
    ensure!(failures.iter().any(|failure| said.contains(failure)), "{failed}");
    scene.must_be_healthy()
}
