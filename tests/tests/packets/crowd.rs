//! A roster of a hundred thousand clients.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use knockgate_core::book::Book;
use knockgate_core::file::{self, Format};
use knockgate_core::key::PublicKey;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::scenes::{SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, packets};

pub(crate) fn stories() -> Vec<Story> {
    vec![story(
        "a gate with a hundred thousand clients starts in seconds, one of them gets in, and who lists them keeps nobody waiting",
        crowd,
    )]
}

const CLIENTS: u32 = 100_000;
/// Of a build without optimisation, on a machine that runs other tests.
const START: Duration = Duration::from_secs(60);

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
    ensure!(knocked.elapsed() < Duration::from_secs(10), "the knock took {:?}", knocked.elapsed());
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    unread_list(lab, &scene)?;
    scene.must_be_healthy()
}

/// Whoever asks for all clients and does not read the answer keeps nobody waiting.
fn unread_list(lab: &Lab, scene: &Scene<'_>) -> Result<()> {
    // The agent lets such a caller go then, so whoever had to wait for him waited for so long.
    const AGENTS_PATIENCE: Duration = Duration::from_secs(10);
    let mut greedy = UnixStream::connect(lab.path("run").join("status"))?;
    greedy.set_read_timeout(Some(START))?;
    greedy.write_all(b"{\"version\":1,\"request\":\"clients\"}\n")?;

    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    greedy.read_exact(&mut [0]).context("the list does not come")?;
    let asked = Instant::now();
    let status = scene.gate.tell(&["status", "--json"])?.expect(0)?.json()?;
    ensure!(asked.elapsed() < AGENTS_PATIENCE, "the status took {:?}", asked.elapsed());
    ensure!(status["counts"]["clients"] == CLIENTS + 1, "{status}");

    let clients = scene.gate.tell(&["clients", "--json"])?.expect(0)?.json()?;
    let listed = clients["clients"].as_array().context("no list")?.len();
    ensure!(listed == usize::try_from(CLIENTS)? + 1, "{listed} clients are listed");
    Ok(())
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
