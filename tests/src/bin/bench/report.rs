//! The result of a run: tables in Markdown, with everything that is needed to repeat it.

use std::fmt::{self, Display, Formatter};

use anyhow::Result;

use crate::figures::Figures;
use crate::machine::{self, Crowd};
use crate::peer::{Knock, Peer};
use crate::sizes::Sizes;

/// Profiles of cargo; the programs under test are built with the same one as this.
const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

pub(crate) struct Report {
    repetitions: u32,
    machine: String,
    crowd: Crowd,
    state_on: String,
    peers: Vec<Measured>,
    sizes: Sizes,
}

/// All knocks at one peer.
struct Measured {
    title: String,
    phases: &'static [&'static str],
    knocks: Vec<Knock>,
    failed: usize,
}

impl Measured {
    fn nothing_of(peer: &dyn Peer) -> Self {
        Self { title: peer.title().to_owned(), phases: peer.phases(), knocks: Vec::new(), failed: 0 }
    }
}

impl Report {
    pub(crate) fn begin(repetitions: u32, state_on: String, peers: &[Box<dyn Peer + '_>]) -> Result<Self> {
        Ok(Self {
            repetitions,
            machine: machine::describe()?,
            crowd: Crowd::begin(),
            state_on,
            peers: peers.iter().map(|peer| Measured::nothing_of(peer.as_ref())).collect(),
            sizes: Sizes::default(),
        })
    }

    /// A knock at the peer that has this place.
    pub(crate) fn note(&mut self, place: usize, knock: Result<Knock>) {
        let peer = &mut self.peers[place];
        match knock {
            Ok(knock) => peer.knocks.push(knock),
            Err(error) => {
                eprintln!("\nbench: a knock failed ({}): {error:#}", peer.title);
                peer.failed += 1;
            }
        }
    }

    pub(crate) fn sizes(&mut self, sizes: Sizes) {
        self.sizes = sizes;
    }

    /// A peer at which no knock succeeded.
    pub(crate) fn without_any(&self) -> Option<&str> {
        self.peers.iter().find(|peer| peer.knocks.is_empty()).map(|peer| peer.title.as_str())
    }

    fn heading(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { repetitions, machine, crowd, state_on, .. } = self;
        writeln!(f, "- Command: `cargo xtask bench --reps {repetitions} --profile {PROFILE}`")?;
        writeln!(f, "- Programs: Knockgate {}, {PROFILE} build", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "- Machine: {machine}; state of gate and client on {state_on}; {}\n", crowd.describe())
    }

    fn totals(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| ms from first packet to open | knocks | failed | median | p90 | p99 |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        for peer in &self.peers {
            let figures: Figures = peer.knocks.iter().map(|knock| knock.to_open).collect();
            write!(f, "| {} | {} | {} |", peer.title, figures.count(), peer.failed)?;
            cells(f, &figures)?;
        }
        self.ratios(f)
    }

    /// How often the medians of the packet knocks, the first two rows, go into those of the others.
    fn ratios(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let median = |peer: &Measured| {
            let [median, ..] = peer.knocks.iter().map(|knock| knock.to_open).collect::<Figures>().summary();
            median
        };
        let [by_hand, by_client, others @ ..] = self.peers.as_slice() else { return Ok(()) };
        writeln!(
            f,
            "\n| median, as a multiple of | one packet, by the benchmark | one packet, by its client |"
        )?;
        writeln!(f, "| --- | ---: | ---: |")?;
        for peer in others {
            let times = [by_hand, by_client].map(|ours| median(peer) / median(ours));
            writeln!(f, "| {} | {:.1} | {:.1} |", peer.title, times[0], times[1])?;
        }
        Ok(())
    }

    fn others(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| ms beside that | median | p90 | p99 |\n| --- | ---: | ---: | ---: |")?;
        for peer in &self.peers {
            let answers: Figures = peer.knocks.iter().filter_map(|knock| knock.to_answer).collect();
            optional_row(f, &format!("{}; first packet to answer", peer.title), &answers)?;
            let clients = || peer.knocks.iter().filter_map(|knock| knock.client);
            let to_open: Figures = clients().map(|client| client.to_open).collect();
            optional_row(f, &format!("{}; start of the client to open", peer.title), &to_open)?;
            let to_end: Figures = clients().filter_map(|client| client.to_end).collect();
            optional_row(f, &format!("{}; start of the client to its end", peer.title), &to_end)?;
        }
        let seen = || self.peers.iter().flat_map(|peer| &peer.knocks).map(|knock| &knock.seen);
        let trips = seen().map(|seen| seen.round_trip).collect();
        row(f, "the network alone: SYN to SYN-ACK of the open port", &trips)?;
        row(f, "resolution: between two probes of the port", &seen().map(|seen| seen.resolution).collect())
    }

    fn phases(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for peer in self.peers.iter().filter(|peer| !peer.phases.is_empty()) {
            writeln!(f, "\n| ms of {} | median | p90 | p99 |\n| --- | ---: | ---: | ---: |", peer.title)?;
            for (number, name) in peer.phases.iter().enumerate() {
                row(f, name, &peer.knocks.iter().filter_map(|k| k.phases.get(number).copied()).collect())?;
            }
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.heading(f)?;
        self.totals(f)?;
        self.others(f)?;
        self.phases(f)?;
        write!(f, "{}", self.sizes)
    }
}

fn optional_row(f: &mut Formatter<'_>, name: &str, figures: &Figures) -> fmt::Result {
    if figures.count() == 0 { Ok(()) } else { row(f, name, figures) }
}

fn row(f: &mut Formatter<'_>, name: &str, figures: &Figures) -> fmt::Result {
    write!(f, "| {name} |")?;
    cells(f, figures)
}

fn cells(f: &mut Formatter<'_>, figures: &Figures) -> fmt::Result {
    for figure in figures.summary() {
        write!(f, " {figure:.2} |")?;
    }
    writeln!(f)
}
