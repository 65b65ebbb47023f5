//! A roster of a hundred thousand clients.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use knockgate_core::book::Book;
use knockgate_core::file::{self, Format};
use knockgate_core::key::PublicKey;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene};
use knockgate_tests::{Family, Lab, packets};

pub(crate) fn stories() -> Vec<Story> {
    vec![story("a gate with a hundred thousand clients starts in seconds and one of them gets in", crowd)]
}

const CLIENTS: u32 = 100_000;
/// Of a build without optimisation, on a machine that runs other tests.
const START: Duration = Duration::from_secs(15);

/// The content of the roster's file.
type Roster = (u32, Vec<Client>, Vec<(Book, bool)>, Vec<(ClientId, TotpSecret)>);
const FORMAT: Format = Format { mark: *b"KGro", version: 2 };

fn crowd(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    scene.gate.stop()?;
    enrol_a_crowd(lab)?;
    let started = Instant::now();
    scene.gate.start()?;
    let took = started.elapsed();
    ensure!(took < START, "the start took {took:?}");

    let knocked = Instant::now();
    scene.alice.knock("ssh")?.expect(0)?;
    ensure!(knocked.elapsed() < Duration::from_secs(2), "the knock took {:?}", knocked.elapsed());
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_healthy()
}

/// Adds clients to the roster of an agent that does not run. Their books are alice's: only she knocks.
fn enrol_a_crowd(lab: &Lab) -> Result<()> {
    const KEY: usize = 32;
    let path = lab.path("state").join("roster");
    let (mut next, mut clients, books, factors): Roster =
        file::decode(FORMAT, &std::fs::read(&path)?).map_err(|fault| anyhow!("the roster: {fault:?}"))?;
    let alice = clients.first().context("alice is enrolled")?.clone();
    let keys = packets::noise(KEY * usize::try_from(CLIENTS)?)?;
    for key in keys.chunks_exact(KEY) {
        let name = format!("client-{next}").parse().map_err(|_| anyhow!("a name"))?;
        let client = Client::new(ClientId(next), name, PublicKey(key.try_into()?), alice.book);
        clients.push(Client { services: alice.services.clone(), ..client });
        next += 1;
    }
    let mut buffer = vec![0; 256 * clients.len()];
    let written = file::encode(FORMAT, &(next, clients, books, factors), &mut buffer);
    std::fs::write(&path, written.map_err(|fault| anyhow!("the roster: {fault:?}"))?)?;
    Ok(())
}
