//! What a decision costs: policies through the whole host, on both engines, beside the shell commands that other knockers run.
//!
//! Everything takes turns, so that a busy moment of the machine falls on all of them. Policies that were not built are left
//! out.

mod deciders;
mod shell;

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::figures::Figures;
use crate::machine::{self, Crowd};
use deciders::{Decider, deciders};
use shell::Shell;

/// Turns of everything.
const TURNS: usize = 20;
/// Decisions in one turn, unless they take longer than [`TURN`].
const DECISIONS: usize = 500;
/// Commands in one turn.
const COMMANDS: usize = 50;
/// Longest turn of one policy on one engine.
const TURN: Duration = Duration::from_millis(200);
/// What is asked for once after a rest.
const RESTS: usize = 20;
/// Longer than the host's own clock ticks after a decision, so that it has gone to sleep, as have the processor's caches.
const REST: Duration = Duration::from_millis(1300);

/// Microseconds of everything that was measured.
pub(crate) struct Report {
    machine: String,
    crowd: Crowd,
    policies: Vec<Policy>,
    shells: Vec<(Shell, Figures)>,
    rested: Vec<(String, Figures)>,
}

/// One policy on both engines.
struct Policy {
    name: &'static str,
    fuel: u64,
    cranelift: Figures,
    pulley: Figures,
    /// Of those that decide in line.
    in_line: Option<Figures>,
}

pub(crate) fn measure() -> Result<Report> {
    let (machine, crowd) = (machine::describe()?, Crowd::begin());
    let mut policies: Vec<Measuring> = deciders()?.into_iter().map(Measuring::warm).collect::<Result<_>>()?;
    let mut shells: Vec<(Shell, Vec<f64>)> = Shell::ALL.map(|shell| (shell, Vec::new())).into();
    for turn in 0..TURNS {
        policies.iter_mut().try_for_each(Measuring::turn)?;
        for (shell, times) in &mut shells {
            (0..COMMANDS).try_for_each(|_| shell.run().map(|took| times.push(micros(took))))?;
        }
        eprint!("\rbench: turn {} of {TURNS}", turn + 1);
    }
    let rested = rested(&policies)?;
    eprintln!();
    let shells = shells.into_iter().map(|(shell, times)| (shell, times.into_iter().collect())).collect();
    Ok(Report {
        machine,
        crowd,
        policies: policies.into_iter().map(Measuring::done).collect(),
        shells,
        rested,
    })
}

struct Measuring {
    decider: Decider,
    cranelift: Vec<f64>,
    pulley: Vec<f64>,
    in_line: Vec<f64>,
}

impl Measuring {
    fn warm(decider: Decider) -> Result<Self> {
        let of = |decider| Self { decider, cranelift: Vec::new(), pulley: Vec::new(), in_line: Vec::new() };
        let mut measuring = of(decider);
        measuring.turn()?;
        Ok(of(measuring.decider))
    }

    fn turn(&mut self) -> Result<()> {
        let [cranelift, pulley] = self.decider.engines();
        for (engine, times) in [(cranelift, &mut self.cranelift), (pulley, &mut self.pulley)] {
            let begun = Instant::now();
            let decisions = (0..DECISIONS).map(|_| micros(engine.decide()));
            times.extend(decisions.take_while(|_| begun.elapsed() < TURN));
        }
        let Some(quick) = self.decider.in_line() else { return Ok(()) };
        (0..DECISIONS).try_for_each(|_| quick.decide().map(|took| self.in_line.push(micros(took))))
    }

    fn done(self) -> Policy {
        let Self { decider, cranelift, pulley, in_line } = self;
        let [cranelift, pulley] = [cranelift, pulley].map(|times| times.into_iter().collect());
        let in_line = decider.in_line().map(|_| in_line.into_iter().collect());
        Policy { name: decider.name, fuel: decider.fuel, cranelift, pulley, in_line }
    }
}

/// The first decision, and the first command, after nothing has happened for a while: what one knock at an idle gate meets.
fn rested(policies: &[Measuring]) -> Result<Vec<(String, Figures)>> {
    let Some(first) = policies.first() else { return Ok(Vec::new()) };
    let [engine, _] = first.decider.engines();
    let (quick, shell) = (first.decider.in_line(), Shell::Nothing);
    let (mut in_line, mut decisions, mut commands) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RESTS {
        std::thread::sleep(REST);
        quick.map(|quick| quick.decide().map(|took| in_line.push(micros(took)))).transpose()?;
        std::thread::sleep(REST);
        decisions.push(micros(engine.decide()));
        std::thread::sleep(REST);
        commands.push(micros(shell.run()?));
    }
    Ok(vec![
        (format!("{}, in line", first.decider.name), in_line.into_iter().collect()),
        (first.decider.name.to_owned(), decisions.into_iter().collect()),
        (shell.title().to_owned(), commands.into_iter().collect()),
    ])
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl Report {
    fn heading(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        writeln!(f, "- Command: `cargo xtask bench policy --profile {profile}`")?;
        writeln!(f, "- Programs: Knockgate {}, {profile} build", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "- Machine: {}; {}\n", self.machine, self.crowd.describe())
    }

    fn policies(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| µs a decision | fuel | in line, median | p99 | Cranelift, median | p99 | Pulley, median | p99 |"
        )?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for Policy { name, fuel, cranelift, pulley, in_line } in &self.policies {
            write!(f, "| {name} | {fuel} |")?;
            match in_line.as_ref().map(Figures::summary) {
                Some([median, _, p99]) => write!(f, " {median:.1} | {p99:.1} |")?,
                None => write!(f, " - | - |")?,
            }
            let ([fast, _, slow], [median, _, p99]) = (cranelift.summary(), pulley.summary());
            writeln!(f, " {fast:.1} | {slow:.1} | {median:.1} | {p99:.1} |")?;
        }
        Ok(())
    }

    fn shells(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(policy) = self.policies.first() else { return Ok(()) };
        let [decision, ..] = policy.cranelift.summary();
        writeln!(f, "\n| µs a command | median | p99 | median, as a multiple of {} |", policy.name)?;
        writeln!(f, "| --- | ---: | ---: | ---: |")?;
        for (shell, times) in &self.shells {
            let [median, _, p99] = times.summary();
            writeln!(f, "| {} | {median:.0} | {p99:.0} | {:.0} |", shell.title(), median / decision)?;
        }
        Ok(())
    }

    fn rested(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| µs after {} ms of rest | median of {RESTS} | p90 |", REST.as_millis())?;
        writeln!(f, "| --- | ---: | ---: |")?;
        for (name, times) in &self.rested {
            let [median, p90, _] = times.summary();
            writeln!(f, "| {name} | {median:.0} | {p90:.0} |")?;
        }
        Ok(())
    }

    /// Whoever has built nothing would compare nothing.
    pub(crate) fn checked(self) -> Result<Self> {
        ensure!(!self.policies.is_empty(), "no policy was measured");
        Ok(self)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.heading(f)?;
        self.policies(f)?;
        self.shells(f)?;
        self.rested(f)
    }
}
