//! Memory while very many addresses send, at the highest rate, for minutes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use knockgate_tests::installed;
use knockgate_tests::{Lab, waiting};

use crate::floor;
use crate::noise::{Kind, Maker, Noise};
use crate::peer::Peer;
use crate::results::Sources;
use crate::state::lab_on_disk;
use crate::{knockd, ours, references};

/// Addresses.
const SOURCES: u32 = 1_000_000;
/// Between two samples.
const SAMPLE: Duration = Duration::from_secs(10);
/// For the others a fraction of the time shows that they grow: they keep what they have.
const OTHERS_SHARE: u32 = 10;

/// Ours for the whole time, with the policy engine and without, half of it by SYNs to the first port and half by junk; the others
/// after that for a tenth of it.
pub(crate) fn measure(time: Duration) -> Result<Vec<Sources>> {
    let mut rows = Vec::new();
    for begin in [ours::static_sequence, ours::without_engine] {
        let lab = lab_on_disk()?;
        rows.push(row(&mut begin(&lab)?, &[Kind::FirstPort, Kind::JunkOfKnockSize], time)?);
    }
    let lab = lab_on_disk()?;
    rows.push(row(
        &mut references::floor(&lab, floor::Kind::Static)?,
        &[Kind::FirstPort],
        time / OTHERS_SHARE,
    )?);
    if let Some(program) = installed::find_or_say("knockd") {
        rows.push(of_knockd(&program, time / OTHERS_SHARE)?);
    }
    Ok(rows)
}

fn of_knockd(program: &Path, time: Duration) -> Result<Sources> {
    let lab = lab_on_disk()?;
    row(&mut knockd::knockd(&lab, program)?, &[Kind::FirstPort], time)
}

fn row(peer: &mut dyn Peer, kinds: &[Kind], time: Duration) -> Result<Sources> {
    let process = peer.process().context("the kernel alone keeps nothing in a process")?;
    eprintln!("bench: {} for {} s from {SOURCES} addresses", peer.id(), time.as_secs());
    let before = process.memory()?;
    let (mut rss_mib, mut own_mib) = (vec![before.now], vec![before.own]);
    let (begun, written, mut packets) = (Instant::now(), peer.written(), 0);
    let share = time / u32::try_from(kinds.len())?;
    for kind in kinds {
        packets += flood(peer.lab(), *kind, share, || {
            let memory = process.memory()?;
            rss_mib.push(memory.now);
            own_mib.push(memory.own);
            Ok(())
        })?;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let after = process.memory()?;
    rss_mib.push(after.now);
    own_mib.push(after.own);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (sent, logged) = (packets as f64, peer.written().saturating_sub(written) as f64);
    Ok(Sources {
        id: peer.id(),
        words: peer.title().to_owned(),
        sources: SOURCES,
        seconds: elapsed,
        sent_per_s: sent / elapsed,
        packets,
        rss_mib,
        own_mib,
        logged_bytes_per_packet: Some(logged / sent),
    })
}

/// Packets that were sent.
fn flood(lab: &Lab, kind: Kind, time: Duration, mut sample: impl FnMut() -> Result<()>) -> Result<u64> {
    let maker = Maker::start(lab, Noise { kind, sources: SOURCES, rate: None })?;
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(maker.sent());
        }
        waiting::let_pass(left.min(SAMPLE));
        sample()?;
    }
}
