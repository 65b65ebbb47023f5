//! Power cuts by chance, while counters are stored and while images are: nothing is admitted twice, the gate always comes up, and
//! nobody is kept out.
//!
//! QEMU reports every write to the flash, and is killed at one of them. What had an effect before the cut is not admitted after
//! it. What had none may be admitted once: it was never used, like a packet that is still under way. Two hundred cuts in all.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::capture::Capture;
use knockgate_tests::gateways::FlashWatch;
use knockgate_tests::harness::{Story, gateway_story};
use knockgate_tests::packets::{self, Hand};
use knockgate_tests::scenarios::stage::{Plan, Site};
use knockgate_tests::workshop::KEEPER;
use knockgate_tests::{Family, Host, Lab, waiting};

use super::site;

/// Cuts of each of the stories below.
const CUTS_AT_KNOCKS: u64 = 50;
const CUTS_AT_UPDATES: u64 = 26;
/// Packets of earlier rounds that are sent again in each.
const AGAIN: usize = 3;
/// From a packet to a cut that waits for no write, in milliseconds at most. An answer takes about half of it.
const LATEST_MS: u64 = 100;
/// A packet that nobody answers because the power is gone.
const GONE: Duration = Duration::from_secs(5);

pub(crate) fn stories() -> Vec<Story> {
    let knocks = ["first", "second", "third"].map(|which| {
        gateway_story(&format!("power cuts at knocks, {which} fifty: nothing is admitted twice"), at_knocks)
    });
    let updates = ["first", "second"].map(|which| {
        gateway_story(&format!("power cuts at updates, {which} twenty-six: it always comes up"), at_updates)
    });
    updates.into_iter().chain(knocks).collect()
}

/// When the power is cut.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// At so many writes to the flash.
    Writes(u64),
    /// So long after the packet: mostly while it is answered, or just after.
    Later(Duration),
}

impl Moment {
    fn by_chance(writes: u64) -> Result<Self> {
        match by_chance(2)? {
            1 => by_chance(writes).map(Self::Writes),
            _ => Ok(Self::Later(Duration::from_millis(by_chance(LATEST_MS)?))),
        }
    }
}

/// A number from 1 to `most`.
fn by_chance(most: u64) -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("no random numbers")?;
    Ok(u64::from_le_bytes(bytes) % most.max(1) + 1)
}

fn at_knocks(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet().bob())?;
    let (bob, alice) = (site.hand("bob")?, site.hand("alice")?);
    let mut watch = restarted(&mut site)?;
    let most = writes_of_a_knock(&site, &watch, &bob)?;
    let mut used: Vec<Vec<u8>> = Vec::new();
    for cut in 1..=CUTS_AT_KNOCKS {
        let moment = Moment::by_chance(most)?;
        let round = cut_at_a_knock(&mut site, &watch, (&bob, &alice), moment, &used);
        let (message, running) = round.with_context(|| format!("cut {cut}, {moment:?}, of {most} writes"))?;
        used.push(message);
        watch = running;
    }
    // Whatever was ever sent, once more.
    let before = admitted_of_strangers(&site)?;
    packets::send_all(&lab.stranger, site.door(), used.iter().map(Vec::as_slice))?;
    gets_in(&site, &alice)?;
    ensure!(admitted_of_strangers(&site)? == before, "a packet of an earlier round is admitted");
    site.is_healthy()
}

/// Switches it off, unless that was done, and on.
fn restarted(site: &mut Site<'_>) -> Result<FlashWatch> {
    let (gateway, ..) = site.gateway()?;
    gateway.be_off()?;
    gateway.start_watched()
}

fn writes_of_a_knock(site: &Site<'_>, watch: &FlashWatch, bob: &Hand) -> Result<u64> {
    let before = watch.written();
    gets_in(site, bob)?;
    let writes = watch.written() - before;
    ensure!(writes > 0, "a knock is admitted and nothing is written");
    Ok(writes)
}

fn gets_in(site: &Site<'_>, hand: &Hand) -> Result<()> {
    let knock = hand.seal(&hand.open_ssh(1))?;
    let answer = packets::exchange_within(GONE, &site.lab.client, site.door(), &knock.message)?;
    let answer = answer.context("no answer to a good knock")?;
    let answer = knock.read(&answer)?;
    ensure!(packets::is_granted(Some(&answer)), "a good knock is not granted: {answer:?}");
    Ok(())
}

/// Returns what bob has sent, which is worth nothing any more, and the watch of the new run.
fn cut_at_a_knock(
    site: &mut Site<'_>,
    watch: &FlashWatch,
    (bob, alice): (&Hand, &Hand),
    moment: Moment,
    used: &[Vec<u8>],
) -> Result<(Vec<u8>, FlashWatch)> {
    let (lab, door) = (site.lab, site.door());
    let knock = bob.seal(&bob.open_ssh(1))?;
    let heard = Capture::on(&lab.visitor)?;
    let opened = opened_for_bob(site)?;
    if let Moment::Writes(writes) = moment {
        watch.cut_after(writes);
    }
    packets::send_all(&lab.visitor, door, [knock.message.as_slice()])?;
    match moment {
        Moment::Writes(_) => waiting::until_true("the power is cut", GONE, || {
            site.gateway().is_ok_and(|(gateway, ..)| !gateway.is_on())
        })?,
        Moment::Later(time) => {
            waiting::let_pass(time);
            site.die()?;
        }
    }
    let answers = heard.datagrams(lab.gate.ip(Family::V4), lab.visitor.ip(Family::V4))?.len();
    let had_an_effect = answers > 0 || opened_for_bob(site)? > opened;
    let watch = restarted(site)?;

    let before = admitted_of_strangers(site)?;
    let again = used.iter().rev().take(AGAIN).map(Vec::as_slice);
    let twice = [knock.message.as_slice(); 2];
    packets::send_all(&lab.stranger, door, again.chain(twice))?;
    // Packets are handled in the order in which they come.
    gets_in(site, alice)?;
    let admitted = admitted_of_strangers(site)? - before;
    ensure!(
        admitted <= usize::from(!had_an_effect),
        "{admitted} replays are admitted; before the cut the knock had an effect: {had_an_effect}"
    );
    Ok((knock.message.to_vec(), watch))
}

/// Grants of packets that bob sent from where he is. In the lab's other places it is somebody else who sends them.
fn opened_for_bob(site: &Site<'_>) -> Result<usize> {
    count(site, "grant-opened", &site.lab.visitor)
}

fn admitted_of_strangers(site: &Site<'_>) -> Result<usize> {
    count(site, "packet-knock", &site.lab.stranger)
}

fn count(site: &Site<'_>, event: &str, at: &Host) -> Result<usize> {
    let source = at.ip(Family::V4).to_string();
    let is_it = |record: &&serde_json::Value| record["event"] == event && record["source"] == source.as_str();
    Ok(site.audit()?.iter().filter(is_it).count())
}

fn at_updates(lab: &Lab) -> Result<()> {
    let mut site = site(lab, &Plan::by_packet())?;
    let alice = site.hand("alice")?;
    let mut watch = restarted(&mut site)?;
    let most = writes_of_an_update(&mut site, &watch)?;
    for cut in 1..=CUTS_AT_UPDATES {
        let after = by_chance(most)?;
        let round = cut_at_an_update(&mut site, &watch, after);
        watch = round.with_context(|| format!("cut {cut}, after {after} of {most} writes"))?;
        gets_in(&site, &alice).with_context(|| format!("after cut {cut}"))?;
    }
    site.is_healthy()
}

fn writes_of_an_update(site: &mut Site<'_>, watch: &FlashWatch) -> Result<u64> {
    let before = watch.written();
    site.change(|_| Ok(()))?;
    Ok(watch.written() - before)
}

fn cut_at_an_update(site: &mut Site<'_>, watch: &FlashWatch, after: u64) -> Result<FlashWatch> {
    let (_, workshop, office) = site.gateway()?;
    let image = workshop.image(office)?.display().to_string();
    watch.cut_after(after);
    let (mut sending, _) = workshop.keeper.begin(&["console", "update", KEEPER, &image])?;
    waiting::until_true("the power is cut", GONE * 4, || {
        site.gateway().is_ok_and(|(gateway, ..)| !gateway.is_on())
    })?;
    sending.kill()?;
    restarted(site)
}
