//! What the program is asked for.

use std::time::Duration;

use crate::floor;

pub(crate) const USAGE: &str = "usage: bench [--reps N] [--flood-seconds N] [--only PART[,PART]...]
       bench --short
       bench policy
parts: latency, noise, faults, sources, clients, priority";

/// Knocks at each peer for a latency.
const REPETITIONS: u32 = 100;
const FLOOD: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Latency,
    Noise,
    Faults,
    Sources,
    Clients,
    Priority,
}

impl Part {
    /// A whole run, in its order.
    pub(crate) const ALL: [Self; 6] =
        [Self::Clients, Self::Latency, Self::Faults, Self::Noise, Self::Priority, Self::Sources];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Noise => "noise",
            Self::Faults => "faults",
            Self::Sources => "sources",
            Self::Clients => "clients",
            Self::Priority => "priority",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// A run in full, or of some parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) repetitions: u32,
    pub(crate) flood: Duration,
    pub(crate) parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    Run(Run),
    Short,
    Policy,
    /// Started by the benchmark itself, inside a gate's namespace.
    Floor(floor::Kind),
    /// So many good knocks, to be watched.
    Good(u32),
    /// For trying the generator alone.
    Noise(&'a [&'a str]),
}

impl<'a> Wanted<'a> {
    /// `None` if it is anything else.
    pub(crate) fn from(arguments: &'a [&'a str]) -> Option<Self> {
        match arguments {
            ["policy"] => Some(Self::Policy),
            ["--short"] => Some(Self::Short),
            ["floor", kind] => floor::Kind::named(kind).map(Self::Floor),
            ["good", number] => number.parse().ok().map(Self::Good),
            ["noise", rest @ ..] => Some(Self::Noise(rest)),
            options => Run::from(options).map(Self::Run),
        }
    }
}

impl Run {
    fn from(options: &[&str]) -> Option<Self> {
        let mut run = Self { repetitions: REPETITIONS, flood: FLOOD, parts: Part::ALL.to_vec() };
        for option in options.chunks(2) {
            match option {
                ["--reps", number] => run.repetitions = number.parse().ok().filter(|number| *number > 0)?,
                ["--flood-seconds", number] => {
                    run.flood = number.parse().ok().filter(|number| *number > 0).map(Duration::from_secs)?;
                }
                ["--only", parts] => run.parts = parts.split(',').map(Part::named).collect::<Option<_>>()?,
                _ => return None,
            }
        }
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_numbers_and_nothing_else() {
        #[rustfmt::skip]
        let cases = [
            (1, "", true), (2, "--reps 5", true), (3, "--only noise,faults --flood-seconds 20", true), (4, "policy", true),
            (5, "--short", true), (6, "floor packet", true), (7, "floor", false), (8, "--reps 0", false), (9, "--reps", false),
            (10, "--only speed", false), (11, "--short --reps 5", false), (12, "50", false), (13, "noise", true),
            (14, "good 50", true), (15, "--only packet", false),
        ];
        for (case, line, good) in cases {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(Wanted::from(&words).is_some(), good, "case {case}: {line}");
        }
    }

    #[test]
    fn without_options_everything_is_measured() {
        let everything = Run { repetitions: 100, flood: Duration::from_secs(600), parts: Part::ALL.to_vec() };
        assert_eq!(Wanted::from(&[]), Some(Wanted::Run(everything)));
    }
}
