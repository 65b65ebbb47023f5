//! One table of scenarios for both agents: `knockgated` on a server, and the gateway's firmware in QEMU.
//!
//! A scenario is a sentence, a play, and the lines that the play must find. It is played with each agent in a lab of that
//! agent's own, by the same client under the same configuration. What is found must be what stands in the table, and the same
//! with both: a client cannot tell which agent it talks to. What one agent cannot play says why.

mod books;
mod factors;
mod lasting;
mod lockout;
mod looking;
mod opening;
mod policies;
mod replay;
mod roster;
mod scans;
pub mod stage;
mod strangers;
pub mod verdicts;

use anyhow::{Context as _, Result};

use crate::harness::{Story, gateway_story, story};
use stage::{Agent, Stage};
use verdicts::{Played, Verdicts};

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What is so.
    name: &'static str,
    play: fn(&Stage<'_>, &mut Verdicts) -> Result<()>,
    /// What the play finds.
    found: &'static [&'static str],
    /// An agent that cannot play it, and why.
    not_on: Option<(Agent, &'static str)>,
}

/// The whole table.
pub fn table() -> Vec<Scenario> {
    [
        opening::TABLE,
        replay::TABLE,
        strangers::TABLE,
        lockout::TABLE,
        books::TABLE,
        lasting::TABLE,
        factors::TABLE,
        roster::TABLE,
        policies::TABLE,
        scans::TABLE,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
}

/// A story for each scenario and agent.
pub fn stories() -> Vec<Story> {
    table().into_iter().flat_map(|scenario| scenario.stories()).collect()
}

impl Scenario {
    fn stories(self) -> Vec<Story> {
        let Self { name, play, found, not_on } = self;
        let played = Played::default();
        let with = |agent: Agent| {
            let (name, played) = (format!("{}: {name}", agent.words()), played.clone());
            let play = move |lab: &crate::Lab| {
                let mut verdicts = Verdicts::default();
                let end = play(&Stage::new(lab, agent), &mut verdicts);
                end.with_context(|| format!("found so far:\n{verdicts}"))?;
                verdicts.must_be(found)?;
                played.compare(agent, &verdicts)
            };
            match agent {
                Agent::Linux => story(&name, play),
                Agent::Gateway => gateway_story(&name, play),
            }
        };
        let can_play = |agent: &Agent| not_on.is_none_or(|(other, _)| other != *agent);
        [Agent::Linux, Agent::Gateway].into_iter().filter(can_play).map(with).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// More would not be one table any more.
    const FEW: usize = 4;

    #[test]
    fn every_scenario_has_a_name_of_its_own_and_finds_something() {
        let table = table();
        let names: BTreeSet<_> = table.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), table.len());
        for scenario in &table {
            assert!(!scenario.found.is_empty(), "{}", scenario.name);
        }
    }

    #[test]
    fn few_scenarios_are_not_for_both_agents_and_say_why() {
        let alone: Vec<_> = table().into_iter().filter_map(|scenario| scenario.not_on).collect();
        assert!(alone.len() <= FEW, "{alone:?}");
        assert!(alone.iter().all(|(_, why)| why.len() > 20), "{alone:?}");
    }
}
