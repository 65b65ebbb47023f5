//! The result of a run: tables in Markdown, with everything that is needed to repeat it.

use std::fmt::{self, Display};

use anyhow::Result;

use crate::figures::Figures;
use crate::machine::Crowd;
use crate::phases::{PHASES, Phases};
use crate::{knockd, knockgate, machine};

/// Profiles of cargo; the programs under test are built with the same one as this.
const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

pub(crate) struct Report {
    repetitions: u32,
    machine: String,
    crowd: Crowd,
    state_on: String,
    beside: Option<String>,
    knockgate: Vec<knockgate::Knock>,
    knockd: Vec<knockd::Knock>,
    failed: [usize; 2],
}

impl Report {
    pub(crate) fn begin(repetitions: u32) -> Result<Self> {
        Ok(Self {
            repetitions,
            machine: machine::describe()?,
            crowd: Crowd::begin(),
            state_on: String::new(),
            beside: None,
            knockgate: Vec::new(),
            knockd: Vec::new(),
            failed: [0; 2],
        })
    }

    pub(crate) fn state_is_on(&mut self, file_system: String) {
        self.state_on = file_system;
    }

    pub(crate) fn beside(&mut self, peer: &str) {
        self.beside = Some(peer.to_owned());
    }

    pub(crate) fn knockgate(&mut self, knock: Result<knockgate::Knock>) {
        match knock {
            Ok(knock) => self.knockgate.push(knock),
            Err(error) => {
                eprintln!("\nbench: a knock at Knockgate failed: {error:#}");
                self.failed[0] += 1;
            }
        }
    }

    pub(crate) fn knockd(&mut self, knock: Result<knockd::Knock>) {
        match knock {
            Ok(knock) => self.knockd.push(knock),
            Err(error) => {
                eprintln!("\nbench: a knock at knockd failed: {error:#}");
                self.failed[1] += 1;
            }
        }
    }

    pub(crate) fn is_any(&self) -> bool {
        !self.knockgate.is_empty()
    }

    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repetitions, machine, crowd, state_on, .. } = self;
        writeln!(f, "- Command: `cargo xtask bench --reps {repetitions} --profile {PROFILE}`")?;
        write!(f, "- Programs: Knockgate {}, {PROFILE} build", env!("CARGO_PKG_VERSION"))?;
        match &self.beside {
            Some(peer) => writeln!(f, "; {peer}, in turns with it")?,
            None => writeln!(f, "; no peer installed")?,
        }
        writeln!(f, "- Machine: {machine}; state of gate and client on {state_on}; {}\n", crowd.describe())
    }

    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| ms | knocks | failed | median | p90 | p99 |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        let ours = |of: fn(&knockgate::Knock) -> f64| self.knockgate.iter().map(of).collect::<Figures>();
        let failed = self.failed.map(|failed| failed.to_string());
        let row = |f: &mut fmt::Formatter<'_>, name: &str, figures: &Figures, failed: &str| {
            write!(f, "| {name} | {} | {failed} |", figures.count())?;
            cells(f, figures)
        };
        row(
            f,
            "**Knockgate: handshake and one-time sequence of six, first packet to open**",
            &ours(|k| k.to_open),
            &failed[0],
        )?;
        if let Some(peer) = &self.beside {
            let name = format!("**{peer}: fixed sequence of three SYNs, first packet to open**");
            row(f, &name, &self.knockd.iter().map(|knock| knock.to_open).collect(), &failed[1])?;
        }
        row(f, "Knockgate, start of the client to open", &ours(|k| k.start_to_open), "")?;
        row(f, "Knockgate, start of the client to its end", &ours(|k| k.start_to_end), "")?;
        let seen = || self.knockgate.iter().map(|k| &k.seen).chain(self.knockd.iter().map(|k| &k.seen));
        row(
            f,
            "the network alone: SYN to SYN-ACK of the open port",
            &seen().map(|seen| seen.round_trip).collect(),
            "",
        )?;
        row(
            f,
            "resolution: between two probes of the port",
            &seen().map(|seen| seen.resolution).collect(),
            "",
        )
    }

    fn phases(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| ms of Knockgate's first packet to open | median | p90 | p99 |")?;
        writeln!(f, "| --- | ---: | ---: | ---: |")?;
        let ours = |of: &dyn Fn(&Phases) -> f64| self.knockgate.iter().map(|k| of(&k.phases)).collect();
        for (number, name) in PHASES.iter().enumerate() {
            row(f, name, &ours(&|phases| phases.each[number]))?;
        }
        row(f, "*of these, the policy's own decision*", &ours(&|phases| phases.decision))?;
        row(f, "*of these, the gate's firewall*", &ours(&|phases| phases.firewall))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f)?;
        self.totals(f)?;
        self.phases(f)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, figures: &Figures) -> fmt::Result {
    write!(f, "| {name} |")?;
    cells(f, figures)
}

fn cells(f: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    for figure in figures.summary() {
        write!(f, " {figure:.2} |")?;
    }
    writeln!(f)
}
