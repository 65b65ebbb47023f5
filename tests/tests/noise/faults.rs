//! A static sequence over a network that repeats, reorders and loses, with others on the way: twenty of twenty.

use std::time::Duration;

use anyhow::Result;
use knockgate_tests::Lab;
use knockgate_tests::forgery::Opening;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::waiting;

use crate::stage::{LAB, LAB_AND_PRINTER, NOBODY, STEPS, all_get_in, gate_with};

const KNOCKS: u8 = 20;
/// Between two tries of a client that was not let in.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn stories() -> Vec<Story> {
    let [one, two, three] = STEPS;
    let of = |name: &str, ports: Vec<u16>| story(name, move |lab| every_knock(lab, &ports));
    vec![
        of("a static sequence in order opens twenty of twenty times", vec![one, two, three]),
        of(
            "a static sequence whose packets all come twice opens twenty of twenty times",
            vec![one, one, two, two, three, three],
        ),
        of(
            "a static sequence whose packets come again later opens twenty of twenty times",
            vec![one, two, one, two, three],
        ),
        of("a static sequence whose first two are exchanged opens", vec![two, one, three]),
        of("a static sequence whose last two are exchanged opens", vec![one, three, two]),
        of("a foreign probe in a static sequence does no harm", vec![one, NOBODY, two, NOBODY, three]),
        retried("a static sequence whose first packet is lost opens when it is repeated", [two, three]),
        retried("a static sequence whose second packet is lost opens when it is repeated", [one, three]),
        retried("a static sequence whose third packet is lost opens when it is repeated", [one, two]),
        story("a step of another sequence in between does no harm", foreign_steps),
    ]
}

fn every_knock(lab: &Lab, ports: &[u16]) -> Result<()> {
    let mut scene = gate_with(lab, LAB)?;
    all_get_in(&scene, KNOCKS, |client| client.knock(ports))?;
    scene.must_be_healthy()
}

/// What is left of a first try, and the whole sequence after it.
fn retried(name: &str, arrived: [u16; 2]) -> Story {
    story(name, move |lab| {
        let scene = gate_with(lab, LAB)?;
        all_get_in(&scene, KNOCKS, |client| {
            client.knock(&arrived)?;
            waiting::let_pass(PAUSE);
            client.knock(&STEPS)
        })
    })
}

fn foreign_steps(lab: &Lab) -> Result<()> {
    let scene = gate_with(lab, LAB_AND_PRINTER)?;
    let [one, two, three] = STEPS;
    all_get_in(&scene, KNOCKS, |client| {
        client.knock(&[one])?;
        client.step(8_100, &Opening::Datagram(vec![0]))?;
        client.knock(&[two, 7_100, three])
    })
}
