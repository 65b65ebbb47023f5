//! How long a knock takes until the port is open, at everybody, in turns; then what a knock costs in processor time.

use std::time::Duration;

use anyhow::Result;
use knockgate_tests::Lab;
use knockgate_tests::installed;

use crate::delay::DelayLine;
use crate::floor::Kind;
use crate::fwknop::{self, Ear, Fwknop};
use crate::packet_client::PacketClient;
use crate::peer::{Knock, Peer, Rest};
use crate::processors::{self, End};
use crate::results::{Latency, Phase, Phases};
use crate::sequence::{Network, Sequence};
use crate::state::put_on_disk;
use crate::wire::{Pace, Watching};
use crate::{knockd, ours, references};

/// One way of the longer network.
const ONE_WAY: Duration = Duration::from_millis(10);

/// Knocks in a row for their processor time; a kernel counts some of it in hundredths of a second.
const COSTED: u32 = 50;
/// Of these that fail: what they cost says nothing then.
const TOO_MANY: u32 = 3;

/// Every peer has a network of its own, so that none meets another one's rules. They take turns, and who begins changes.
pub(crate) fn measure(repetitions: u32) -> Result<(Vec<Latency>, Vec<Phases>)> {
    let labs = Labs::build()?;
    let _delay = DelayLine::cut_into(&labs.far, ONE_WAY)?;
    let mut peers = processors::on(End::Gate, || peers(&labs, repetitions))?;
    let mut rows: Vec<Row> = peers.iter().map(|peer| Row::of(peer.as_ref())).collect();
    for repetition in 0..repetitions {
        for turn in 0..peers.len() {
            let place = (turn + repetition as usize) % peers.len();
            let peer = &mut peers[place];
            let knock = peer.knock(Watching::new(repetition, peer.pace()).apart());
            rows[place].note(knock);
        }
        peers.iter_mut().try_for_each(|peer| peer.wait_until_shut())?;
        eprint!("\rbench: latency, {} of {repetitions}", repetition + 1);
    }
    eprintln!();
    for (peer, row) in peers.iter_mut().zip(&mut rows) {
        row.latency.rss_mib =
            peer.process().map(|process| process.memory()).transpose()?.map(|memory| memory.now);
        row.latency.cpu_ms = cost(peer.as_mut())?;
    }
    let (latency, phases): (Vec<_>, Vec<Option<_>>) = rows.into_iter().map(Row::done).unzip();
    Ok((latency, phases.into_iter().flatten().collect()))
}

/// Processor time of one knock, in milliseconds. Only of those at whom one knock can follow the other.
fn cost(peer: &mut dyn Peer) -> Result<Option<f64>> {
    let Some(process) = peer.process().filter(|_| peer.rest() == Rest::None) else { return Ok(None) };
    eprintln!("bench: processor time of {}", peer.id());
    let before = process.processor_time()?;
    let mut failed = 0;
    for repetition in 0..COSTED {
        failed += u32::from(peer.knock(Watching::new(repetition, Pace::Coarse).apart()).is_err());
        if failed == TOO_MANY {
            return Ok(None);
        }
    }
    let taken = process.processor_time()?.saturating_sub(before);
    Ok(Some(taken.as_secs_f64() * 1_000.0 / f64::from(COSTED)))
}

/// One for each peer, whether it is installed or not.
struct Labs {
    packet: Lab,
    client: Lab,
    fixed: Lab,
    near: Lab,
    far: Lab,
    floor: Lab,
    floor_packet: Lab,
    kernel: Lab,
    knockd: Lab,
    fwknop: Lab,
    fwknop_server: Lab,
}

impl Labs {
    fn build() -> Result<Self> {
        let labs = Self {
            packet: Lab::build()?,
            client: Lab::build()?,
            fixed: Lab::build()?,
            near: Lab::build()?,
            far: Lab::build()?,
            floor: Lab::build()?,
            floor_packet: Lab::build()?,
            kernel: Lab::build()?,
            knockd: Lab::build()?,
            fwknop: Lab::build()?,
            fwknop_server: Lab::build()?,
        };
        [&labs.packet, &labs.client, &labs.fixed, &labs.near, &labs.far]
            .into_iter()
            .try_for_each(put_on_disk)?;
        Ok(labs)
    }
}

fn peers(labs: &Labs, repetitions: u32) -> Result<Vec<Box<dyn Peer + '_>>> {
    let mut peers: Vec<Box<dyn Peer + '_>> = vec![
        Box::new(ours::packet(&labs.packet, &[])?.with_phases()?),
        Box::new(references::floor(&labs.floor_packet, Kind::Packet)?),
        Box::new(ours::static_sequence(&labs.fixed)?),
        Box::new(references::floor(&labs.floor, Kind::Static)?),
        Box::new(references::kernel(&labs.kernel)?),
        Box::new(PacketClient::set(&labs.client)?),
        Box::new(Sequence::set(&labs.near, Network::Near, repetitions)?),
        Box::new(Sequence::set(&labs.far, Network::Far, repetitions)?),
    ];
    if let Some(program) = installed::find_or_say("knockd") {
        peers.push(Box::new(knockd::knockd(&labs.knockd, &program)?));
    }
    if let Some(programs) = fwknop::Programs::find_or_say() {
        peers.push(Box::new(Fwknop::set(&labs.fwknop, programs.clone(), Ear::Pcap)?));
        peers.push(Box::new(Fwknop::set(&labs.fwknop_server, programs, Ear::UdpServer)?));
    }
    Ok(peers)
}

/// What is known of one peer.
struct Row {
    latency: Latency,
    phases: Vec<Phase>,
}

impl Row {
    fn of(peer: &dyn Peer) -> Self {
        let latency = Latency {
            id: peer.id(),
            words: peer.title().to_owned(),
            ms: Vec::new(),
            failed: 0,
            cpu_ms: None,
            rss_mib: None,
            answer_ms: Vec::new(),
            client_open_ms: Vec::new(),
            client_end_ms: Vec::new(),
            round_trip_ms: Vec::new(),
            resolution_ms: Vec::new(),
        };
        let phases = peer.phases().iter().map(|words| Phase { words, ms: Vec::new() }).collect();
        Self { latency, phases }
    }

    fn note(&mut self, knock: Result<Knock>) {
        let row = &mut self.latency;
        let knock = match knock {
            Ok(knock) => knock,
            Err(error) => {
                eprintln!("\nbench: a knock failed ({}): {error:#}", row.id);
                row.failed += 1;
                return;
            }
        };
        row.ms.push(knock.to_open);
        row.answer_ms.extend(knock.to_answer);
        row.client_open_ms.extend(knock.client.map(|client| client.to_open));
        row.client_end_ms.extend(knock.client.and_then(|client| client.to_end));
        row.round_trip_ms.push(knock.seen.round_trip);
        row.resolution_ms.push(knock.seen.resolution);
        self.phases.iter_mut().zip(knock.phases).for_each(|(phase, ms)| phase.ms.push(ms));
    }

    fn done(self) -> (Latency, Option<Phases>) {
        let Self { latency, phases } = self;
        let told =
            (!phases.is_empty()).then(|| Phases { id: latency.id, words: latency.words.clone(), phases });
        (latency, told)
    }
}
