//! Knocks in the middle of noise: who still opens, and how fast.
//!
//! Everybody is met by what he listens to: a fixed sequence by SYNs to its first port, a packet by junk of a knock's size.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use knockgate_tests::installed;
use knockgate_tests::{Lab, waiting};

use crate::floor;
use crate::fwknop::{self, Ear, Fwknop};
use crate::noise::{Kind, Maker, Noise};
use crate::peer::Peer;
use crate::results;
use crate::state::lab_on_disk;
use crate::wire::{Pace, Watching};
use crate::{knockd, ours, references};

/// Knocks of one row.
const KNOCKS: u32 = 20;
/// Addresses that noise comes from: about as many as there are unprivileged ports, so every table fills.
pub(crate) const SOURCES: u32 = 32_000;
/// Packets a second; the last is as many as can be sent.
const LEVELS: [Option<u32>; 5] = [Some(0), Some(1_000), Some(10_000), Some(50_000), None];

/// Of noise, before the first knock: queues fill, and what is logged in it is nobody's knock.
const WARM_UP: Duration = Duration::from_millis(1_500);
/// Fewer packets than this in that time, and one line of a summary would decide how much is logged for each.
const ENOUGH_PACKETS: u64 = 10_000;
/// After noise, until everybody has worked off what was waiting.
const REST: Duration = Duration::from_secs(1);

type Begin = for<'lab> fn(&'lab Lab) -> Result<Option<Box<dyn Peer + 'lab>>>;

/// Who is met by which noise. The first kind is tried at every level, the others at the highest.
const MEETINGS: [(Begin, &[Kind]); 7] = [
    (static_sequence, &[Kind::FirstPort]),
    (packet, &[Kind::JunkOfKnockSize, Kind::WrongSize, Kind::FirstPort]),
    (floor_of_sequence, &[Kind::FirstPort]),
    (floor_of_packet, &[Kind::JunkOfKnockSize]),
    (knockd_if_installed, &[Kind::FirstPort]),
    (fwknop_if_installed, &[Kind::JunkForFwknop]),
    (fwknop_server_if_installed, &[Kind::JunkForFwknop]),
];

pub(crate) fn measure() -> Result<Vec<results::Noise>> {
    let mut rows = Vec::new();
    for (begin, kinds) in MEETINGS {
        let lab = lab_on_disk()?;
        let Some(mut peer) = begin(&lab).with_context(|| lab.all_logs())? else { continue };
        for (place, kind) in kinds.iter().enumerate() {
            let levels = if place == 0 { LEVELS.as_slice() } else { &[None] };
            for rate in levels {
                rows.push(row(peer.as_mut(), Noise { kind: *kind, sources: SOURCES, rate: *rate }, KNOCKS)?);
            }
        }
    }
    Ok(rows)
}

/// Knocks at somebody while there is noise.
pub(crate) fn row(peer: &mut dyn Peer, noise: Noise, knocks: u32) -> Result<results::Noise> {
    let is_silence = noise.rate == Some(0);
    let maker = if is_silence { None } else { Some(Maker::start(peer.lab(), noise)?) };
    let written = peer.written();
    waiting::let_pass(WARM_UP);
    let packets = maker.as_ref().map_or(0, Maker::sent);
    let logged = per_packet(peer.written().saturating_sub(written), packets);

    let process = peer.process();
    let cost = || process.map(|process| process.processor_time()).transpose();
    let (begun, before) = (Instant::now(), cost()?);
    let tally = knock(peer, knocks);
    let (elapsed, after) = (begun.elapsed(), cost()?);
    let sent_per_s = maker.as_ref().map_or(0.0, Maker::rate);
    let memory = process.map(|process| process.memory()).transpose()?;
    drop(maker);
    if !is_silence {
        waiting::let_pass(REST);
    }
    let row = results::Noise {
        id: peer.id(),
        words: peer.title().to_owned(),
        noise: if is_silence { "none" } else { noise.kind.words() },
        asked: noise.rate,
        sent_per_s,
        knocks,
        opened: tally.opened(),
        ms: tally.ms,
        cpu_percent: after.zip(before).map(|(after, before)| {
            100.0 * after.saturating_sub(before).as_secs_f64() / elapsed.as_secs_f64()
        }),
        rss_mib: memory.map(|memory| memory.now),
        logged_bytes_per_packet: logged,
        why_not: tally.why_not,
    };
    eprintln!("bench: {} under {} at {:.0}/s: {} of {knocks}", row.id, row.noise, row.sent_per_s, row.opened);
    Ok(row)
}

fn per_packet(bytes: u64, packets: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let share = bytes as f64 / packets as f64;
    (packets >= ENOUGH_PACKETS).then_some(share)
}

/// What became of some knocks.
#[derive(Default)]
pub(crate) struct Tally {
    /// Of those that opened.
    pub(crate) ms: Vec<f64>,
    /// Of the first one that did not.
    pub(crate) why_not: Option<String>,
}

impl Tally {
    pub(crate) fn note(&mut self, knock: Result<f64>) {
        match knock {
            Ok(ms) => self.ms.push(ms),
            Err(error) => {
                self.why_not.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }

    pub(crate) fn opened(&self) -> u32 {
        u32::try_from(self.ms.len()).unwrap_or(u32::MAX)
    }
}

fn knock(peer: &mut dyn Peer, knocks: u32) -> Tally {
    let mut tally = Tally::default();
    for repetition in 0..knocks {
        tally.note(peer.knock(Watching::new(repetition, Pace::Coarse)).map(|knock| knock.to_open));
    }
    tally
}

fn static_sequence(lab: &Lab) -> Result<Option<Box<dyn Peer + '_>>> {
    Ok(Some(Box::new(ours::static_sequence(lab)?)))
}

fn packet(lab: &Lab) -> Result<Option<Box<dyn Peer + '_>>> {
    Ok(Some(Box::new(ours::packet(lab, &[])?)))
}

fn floor_of_sequence(lab: &Lab) -> Result<Option<Box<dyn Peer + '_>>> {
    Ok(Some(Box::new(references::floor(lab, floor::Kind::Static)?)))
}

fn floor_of_packet(lab: &Lab) -> Result<Option<Box<dyn Peer + '_>>> {
    Ok(Some(Box::new(references::floor(lab, floor::Kind::Packet)?)))
}

fn knockd_if_installed(lab: &Lab) -> Result<Option<Box<dyn Peer + '_>>> {
    let Some(program) = installed::find_or_say("knockd") else { return Ok(None) };
    Ok(Some(Box::new(knockd::knockd(lab, &program)?)))
}

fn fwknop_if_installed(lab: &Lab) -> Result<Option<Box<dyn Peer + '_>>> {
    let Some(programs) = fwknop::Programs::find_or_say() else { return Ok(None) };
    Ok(Some(Box::new(Fwknop::set(lab, programs, Ear::Pcap)?)))
}

fn fwknop_server_if_installed(lab: &Lab) -> Result<Option<Box<dyn Peer + '_>>> {
    let Some(programs) = fwknop::Programs::find_or_say() else { return Ok(None) };
    Ok(Some(Box::new(Fwknop::set(lab, programs, Ear::UdpServer)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_few_packets_say_nothing_about_what_is_logged_for_each() {
        assert_eq!(per_packet(300, 1_500), None);
        assert_eq!(per_packet(300, 150_000), Some(0.002));
    }

    #[test]
    fn a_tally_keeps_the_first_reason() {
        let mut tally = Tally::default();
        tally.note(Ok(0.5));
        tally.note(Err(anyhow::anyhow!("the port was not open")));
        tally.note(Err(anyhow::anyhow!("another")));
        assert_eq!((tally.opened(), tally.why_not.as_deref()), (1, Some("the port was not open")));
    }
}
