//! The short form for continuous integration: a minute, unoptimised programs, a machine that others use, too. So it says nothing about
//! absolute times; it fails where Knockgate is far from the floor, or no longer far from knockd, in the same minute.

mod checks;

use anyhow::{Result, bail};
use knockgate_tests::Lab;
use knockgate_tests::installed;

use crate::figures::Figures;
use crate::floor;
use crate::noise::{Kind, Noise};
use crate::peer::Peer;
use crate::processors::{self, End};
use crate::survival::{self, Tally};
use crate::wire::{Pace, Watching};
use crate::{knockd, ours, references};
use checks::{Row, failures};

/// Knocks of each peer, and again of each under noise.
const KNOCKS: u32 = 15;
/// Packets a second. An unoptimised generator on a busy machine makes that many, and knockd is already deaf to some knocks.
const NOISE: u32 = 10_000;

pub(crate) fn run() -> Result<()> {
    let labs = [Lab::build()?, Lab::build()?, Lab::build()?, Lab::build()?, Lab::build()?];
    // They stay there under noise, too, which may come from any processor.
    let mut peers = processors::on(End::Gate, || peers(&labs))?;
    let mut calm: Vec<Tally> = peers.iter().map(|_| Tally::default()).collect();
    for repetition in 0..KNOCKS {
        for ((peer, _), tally) in peers.iter_mut().zip(&mut calm) {
            tally.note(peer.knock(Watching::new(repetition, Pace::Fine).apart()).map(|knock| knock.to_open));
        }
    }
    let rows = peers.iter_mut().zip(calm).map(|((peer, kind), calm)| row(peer.as_mut(), *kind, calm));
    let rows: Vec<Row> = rows.collect::<Result<_>>()?;
    print(&rows);
    let failures = failures(&rows);
    if !failures.is_empty() {
        bail!("{}; run `cargo xtask bench` on a quiet machine to see more", failures.join("; "));
    }
    Ok(())
}

/// Each with the noise that is aimed at it.
fn peers(labs: &[Lab; 5]) -> Result<Vec<(Box<dyn Peer + '_>, Kind)>> {
    let [floor, floor_packet, fixed, packet, other] = labs;
    let mut peers: Vec<(Box<dyn Peer + '_>, Kind)> = vec![
        (Box::new(references::floor(floor, floor::Kind::Static)?), Kind::FirstPort),
        (Box::new(references::floor(floor_packet, floor::Kind::Packet)?), Kind::JunkOfKnockSize),
        (Box::new(ours::static_sequence(fixed)?), Kind::FirstPort),
        (Box::new(ours::packet(packet, &[])?), Kind::JunkOfKnockSize),
    ];
    if let Some(program) = installed::find_or_say("knockd") {
        peers.push((Box::new(knockd::knockd(other, &program)?), Kind::FirstPort));
    }
    Ok(peers)
}

fn row(peer: &mut dyn Peer, kind: Kind, calm: Tally) -> Result<Row> {
    let noise = Noise { kind, sources: survival::SOURCES, rate: Some(NOISE) };
    let noisy = survival::row(peer, noise, KNOCKS)?;
    let opened = calm.opened();
    let [median, ..] = calm.ms.into_iter().collect::<Figures>().summary();
    Ok(Row { id: peer.id(), words: peer.title().to_owned(), median, opened, opened_in_noise: noisy.opened })
}

fn print(rows: &[Row]) {
    println!("| of {KNOCKS} knocks | opened | median, ms | opened at {NOISE} packets/s of noise |");
    println!("| --- | ---: | ---: | ---: |");
    for Row { words, median, opened, opened_in_noise, .. } in rows {
        println!("| {words} | {opened} | {median:.2} | {opened_in_noise} |");
    }
}
