//! Fixed sequences of which the network makes something else, or a stranger.

use std::time::Duration;

use anyhow::{Context, Result};
use knockgate_tests::Lab;
use knockgate_tests::installed;

use crate::direct::Direct;
use crate::floor::Kind;
use crate::noise::{self, Maker, Noise};
use crate::peer::Peer as _;
use crate::results;
use crate::state::lab_on_disk;
use crate::survival::Tally;
use crate::three::Fault;
use crate::wire::{Pace, Watching};
use crate::{knockd, ours, references};

/// Knocks of one row.
const KNOCKS: u32 = 20;
/// Ten times what the slowest needs for a knock without a fault.
const PATIENCE: Duration = Duration::from_millis(600);
/// Packets a second of the stranger who walks through the ports.
const WALK: u32 = 100;

pub(crate) fn measure() -> Result<Vec<results::Faults>> {
    let mut rows = Vec::new();
    for begin in [ours::static_sequence, floor] {
        let lab = lab_on_disk()?;
        let mut peer = begin(&lab).with_context(|| lab.all_logs())?;
        rows.extend(all(&mut peer)?);
    }
    if let Some(program) = installed::find_or_say("knockd") {
        let lab = lab_on_disk()?;
        rows.extend(all(&mut knockd::knockd(&lab, &program)?)?);
    }
    Ok(rows)
}

fn floor(lab: &Lab) -> Result<Direct<'_>> {
    references::floor(lab, Kind::Static)
}

fn all(peer: &mut Direct<'_>) -> Result<Vec<results::Faults>> {
    Fault::ALL.into_iter().map(|fault| row(peer, fault)).collect()
}

fn row(peer: &mut Direct<'_>, fault: Fault) -> Result<results::Faults> {
    let walk = Noise { kind: noise::Kind::Walk, sources: 1, rate: Some(WALK) };
    let stranger = match fault {
        Fault::StrangerWalksThroughThePorts => Some(Maker::start(peer.lab(), walk)?),
        Fault::InOrder
        | Fault::Duplicated
        | Fault::Reordered
        | Fault::OneLostAndRetried
        | Fault::ForeignProbeBetween => None,
    };
    let mut tally = Tally::default();
    for repetition in 0..KNOCKS {
        let watching = Watching { patience: PATIENCE, ..Watching::new(repetition, Pace::Coarse) };
        let knock = peer.knock_with(watching, &fault.steps());
        tally.note(knock.map(|knock| knock.to_open));
    }
    drop(stranger);
    eprintln!("bench: {}, {}: {} of {KNOCKS}", peer.id(), fault.words(), tally.opened());
    Ok(results::Faults {
        id: peer.id(),
        words: peer.title().to_owned(),
        fault: fault.words(),
        knocks: KNOCKS,
        opened: tally.opened(),
        why_not: tally.why_not,
    })
}
