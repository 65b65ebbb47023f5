//! Runs a table of cases on every engine.

use std::sync::Arc;

use knockgate_policy_host::{Decision, Failure, MemoryState, StateStore, record};
use serde_json::{Value, json};

use super::{manifest_of, parse_manifest, title};
use crate::answer::{Exit, Told, Trouble};
use crate::cases::{self, Before, Case, Expected};
use crate::cli::Test;
use crate::grants;
use crate::judges::{self, Judge, difference};
use crate::project::Meant;

pub(crate) fn run(test: &Test) -> Result<Told, Trouble> {
    let meant = Meant::find(&test.subject.path)?;
    let file = &meant.policy;
    let manifest = parse_manifest(file, manifest_of(file)?)?;
    let rights = grants::gather(&test.rights, meant.rights(), &manifest)?.rights;
    let cases = cases::read(&test.cases.clone().unwrap_or_else(|| meant.cases()))?;
    let profile = judges::profile(test.profile, file, &rights)?;
    let (first, others) = judges::panel(file, &rights, profile)?;
    let mut seats = Seats { first: Seat::new(first), others: others.into_iter().map(Seat::new).collect() };
    let results: Vec<_> = cases.iter().map(|case| try_case(case, &mut seats)).collect();
    let engines: Vec<_> = seats.names().collect();
    let limits = profile.limits();
    let fuel_limit = manifest.fuel.unwrap_or(limits.fuel);
    Ok(report(&title(&manifest), &results, &engines, limits.name, fuel_limit))
}

/// How often a case may be out of time. Fuel is the policy's own; time is the machine's, too, and one that builds beside this has little.
const TRIES: usize = 10;

/// The engines at one table. The first is held against what is expected, the others against the first.
struct Seats {
    first: Seat,
    others: Vec<Seat>,
}

impl Seats {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(&self.first).chain(&self.others).map(|seat| seat.judge.engine.name())
    }
}

/// An engine, and what the policy has kept there.
struct Seat {
    judge: Judge,
    state: Arc<dyn StateStore>,
}

impl Seat {
    fn new(judge: Judge) -> Self {
        Self { judge, state: Arc::new(MemoryState::default()) }
    }

    fn decide(&mut self, case: &Case) -> Decision {
        match case.before {
            Before::Nothing => self.state = Arc::new(MemoryState::default()),
            Before::Previous => {}
        }
        // In memory nothing fails.
        let _ = self.state.commit(&case.state);
        let mut decision = self.judge.decide(&case.event, &self.state);
        for _ in 1..TRIES {
            if !matches!(decision.failure, Some(Failure::Deadline { .. })) {
                break;
            }
            // What has failed has changed nothing.
            decision = self.judge.decide(&case.event, &self.state);
        }
        decision
    }
}

/// One case as it came out.
struct Outcome<'a> {
    case: &'a Case,
    decision: Decision,
    problems: Vec<String>,
}

fn try_case<'a>(case: &'a Case, seats: &mut Seats) -> Outcome<'a> {
    let decision = seats.first.decide(case);
    let mut problems = mistakes(&case.expect, &decision, &seats.first.state);
    for seat in &mut seats.others {
        let other = seat.decide(case);
        problems.extend(disagreement(&seat.judge, &decision, &other));
    }
    Outcome { case, decision, problems }
}

/// In what the decision is not what was expected.
fn mistakes(expected: &Expected, found: &Decision, state: &Arc<dyn StateStore>) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut hold = |what: &str, wanted: Option<Value>, found: Value| {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            mistakes.push(format!("{what}: expected {wanted}, found {found}"));
        }
    };
    let log: Vec<_> = found.log.iter().map(|line| line.text.as_str()).collect();
    let refused: Vec<_> = found.refused.iter().map(|refused| refused.act.name()).collect();
    hold("verdict", expected.verdict.as_ref().map(|verdict| json!(verdict)), json!(found.answer().word()));
    hold(
        "actions",
        expected.actions.as_deref().map(record::actions_to_json),
        record::actions_to_json(&found.actions),
    );
    hold("refused", expected.refused.as_ref().map(|refused| json!(refused)), json!(refused));
    hold("log", expected.log.as_ref().map(|log| json!(log)), json!(log));
    for (key, value) in &expected.state {
        hold(&format!("state {key}"), Some(json!(value)), json!(state.load(*key)));
    }
    if let Some(most) = expected.fuel_at_most.filter(|most| found.fuel > *most) {
        mistakes.push(format!("fuel: expected {most} at most, found {}", found.fuel));
    }
    if let (false, Some(failure)) = (mistakes.is_empty(), &found.failure) {
        mistakes.push(format!("the policy failed: it {failure}"));
    }
    mistakes
}

/// In what an engine does not agree with the first one.
fn disagreement(judge: &Judge, first: &Decision, other: &Decision) -> Option<String> {
    let name = judge.engine.name();
    if let Some(what) = difference(first, other) {
        return Some(format!("{name} decides otherwise, in its {what}: {}", summary(other)));
    }
    let counts_otherwise = judge.engine.has_common_fuel() && first.fuel != other.fuel;
    counts_otherwise.then(|| format!("{name} uses {} fuel, not {}", other.fuel, first.fuel))
}

/// In one line.
pub(super) fn summary(decision: &Decision) -> String {
    let actions = super::actions_text(&decision.actions);
    match (&decision.failure, actions.is_empty()) {
        (Some(failure), _) => format!("failed, it {failure}"),
        (None, true) => decision.answer().word().to_owned(),
        (None, false) => format!("{}: {actions}", decision.answer().word()),
    }
}

fn report(title: &str, results: &[Outcome<'_>], engines: &[&str], profile: &str, fuel_limit: u64) -> Told {
    let width = results.iter().map(|result| result.case.name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for Outcome { case, decision, problems } in results {
        let word = if problems.is_empty() { "ok  " } else { "FAIL" };
        lines.push(format!("{word}  {:width$}  {:>7} fuel  {}", case.name, decision.fuel, summary(decision)));
        lines.extend(problems.iter().map(|problem| format!("        {problem}")));
    }
    let passed = results.iter().filter(|result| result.problems.is_empty()).count();
    let most = results.iter().map(|result| result.decision.fuel).max().unwrap_or(0);
    lines.push(format!(
        "{title}: {passed} of {} cases pass on {}; at most {most} of {fuel_limit} fuel ({profile} profile)",
        results.len(),
        engines.join(", ")
    ));
    let each: Vec<_> = results.iter().map(facts).collect();
    let facts = json!({
        "policy": title, "engines": engines, "profile": profile, "passed": passed, "failed": results.len() - passed,
        "most-fuel": most, "cases": each,
    });
    let exit = if passed == results.len() { Exit::Fine } else { Exit::PolicyIsNot };
    Told { exit, lines, facts }
}

fn facts(outcome: &Outcome<'_>) -> Value {
    let mut facts = record::decision_to_json(&outcome.decision);
    facts.insert("name".to_owned(), outcome.case.name.clone().into());
    facts.insert("passed".to_owned(), outcome.problems.is_empty().into());
    facts.insert("problems".to_owned(), outcome.problems.clone().into());
    facts.insert("log".to_owned(), record::log_to_json(&outcome.decision.log));
    Value::Object(facts)
}
