//! What a scenario found, line by line, and whether two agents found the same.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};

use super::stage::Agent;

/// What was found so far.
#[derive(Debug, Default, Clone)]
pub struct Verdicts {
    lines: Vec<String>,
    figures: Vec<String>,
}

impl Verdicts {
    /// A line that stands in the table.
    pub fn note(&mut self, line: impl Display) {
        self.lines.push(line.to_string());
    }

    /// A line that no table can know, and that must be the same with both agents all the same.
    pub fn figure(&mut self, line: impl Display) {
        self.figures.push(line.to_string());
    }

    /// The first difference to what stands in the table is an error.
    pub fn must_be(&self, expected: &[&str]) -> Result<()> {
        let expected: Vec<String> = expected.iter().map(|&line| line.to_owned()).collect();
        differ(("the table", &expected), ("this agent", &self.lines))
    }
}

impl Display for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// What agents found that have played one scenario.
#[derive(Clone, Default)]
pub struct Played(Arc<Mutex<Vec<(Agent, Verdicts)>>>);

impl Played {
    /// Keeps what an agent found and compares it with what the other one found, if that has played already.
    pub fn compare(&self, agent: Agent, found: &Verdicts) -> Result<()> {
        let mut played = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        played.push((agent, found.clone()));
        played.iter().filter(|(other, _)| *other != agent).try_for_each(|(other, earlier)| {
            differ((other.words(), &earlier.lines), (agent.words(), &found.lines))?;
            differ((other.words(), &earlier.figures), (agent.words(), &found.figures))
        })
    }
}

fn differ((one, left): (&str, &[String]), (other, right): (&str, &[String])) -> Result<()> {
    if left == right {
        return Ok(());
    }
    let at = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(nothing more)".to_owned());
    bail!(
        "{one} and {other} differ at line {}\n  {one}: {}\n  {other}: {}\n all of {other}:\n    {}",
        at + 1,
        line(left),
        line(right),
        right.join("\n    ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(line: &str, figure: &str) -> Verdicts {
        let mut verdicts = Verdicts::default();
        verdicts.note(line);
        verdicts.figure(figure);
        verdicts
    }

    #[test]
    fn a_difference_to_the_table_is_an_error() {
        let found = verdicts("ssh: silence", "fuel 1");
        assert!(found.must_be(&["ssh: silence"]).is_ok());
        for expected in [&["ssh: greeted"][..], &[], &["ssh: silence", "more"]] {
            assert!(found.must_be(expected).is_err(), "{expected:?}");
        }
    }

    #[test]
    fn a_difference_between_the_agents_is_an_error() {
        for (line, figure, alike) in [("a", "1", true), ("b", "1", false), ("a", "2", false)] {
            let played = Played::default();
            assert!(played.compare(Agent::Linux, &verdicts("a", "1")).is_ok());
            assert_eq!(played.compare(Agent::Gateway, &verdicts(line, figure)).is_ok(), alike);
        }
    }
}
