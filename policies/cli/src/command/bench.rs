//! Measures decisions through the whole host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use knockgate_policy_host::{Event, MemoryState, Policy, StateStore};
use serde_json::{Map, json};

use super::{manifest_of, parse_manifest, title};
use crate::answer::{Exit, Section, Told, Trouble};
use crate::cases;
use crate::cli::Bench;
use crate::project::Meant;
use crate::{grants, judges, situation};

/// Decisions before measuring, until caches and clocks are as they stay.
const WARM_UP: u32 = 1000;

pub(crate) fn run(bench: &Bench) -> Result<Told, Trouble> {
    let meant = Meant::find(&bench.subject.path)?;
    let file = &meant.policy;
    let manifest = parse_manifest(file, manifest_of(file)?)?;
    let rights = grants::gather(&bench.rights, meant.rights(), &manifest)?.rights;
    let (event, state) = event(bench, &meant)?;
    let begin = Instant::now();
    let policy = judges::first(file, &rights, bench.profile.profile())?;
    let load = begin.elapsed();
    let said = policy.decide(&event, &state);
    let times = measure(&policy, &event, &state, bench.rounds);
    let (median, late, longest) = (share(&times, 50), share(&times, 99), share(&times, 100));
    let lines = vec![
        format!("{}: {}, {} fuel", title(&manifest), super::test::summary(&said), said.fuel),
        format!("  {} decisions: median {median:?}, 99 % within {late:?}, longest {longest:?}", times.len()),
        format!("  loading took {load:?}"),
    ];
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let facts = json!({
        "policy": title(&manifest), "verdict": said.answer().word(), "fuel": said.fuel, "decisions": times.len(),
        "median-ns": nanos(median), "percentile-99-ns": nanos(late), "longest-ns": nanos(longest), "load-ns": nanos(load),
    });
    Ok(Told { exit: Exit::Fine, lines, facts })
}

fn event(bench: &Bench, meant: &Meant) -> Result<(Event, Arc<dyn StateStore>), Trouble> {
    let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
    let Some(name) = &bench.case else {
        let event = situation::event(&Map::new(), &[]);
        return event
            .map(|event| (event, state))
            .map_err(|error| Trouble::with_use(Section::Attributes, error.to_string()));
    };
    let path = bench.cases.clone().unwrap_or_else(|| meant.cases());
    let cases = cases::read(&path)?;
    let found = cases.into_iter().find(|case| case.name == *name).ok_or_else(|| {
        let told = format!("{}: has no case {name:?}; correct --case", path.display());
        Trouble::with_use(Section::Bench, told)
    })?;
    // In memory nothing fails.
    let _ = state.commit(&found.state);
    Ok((found.event, state))
}

fn measure(policy: &Policy, event: &Event, state: &Arc<dyn StateStore>, rounds: u32) -> Vec<Duration> {
    let decide = |_| {
        let begin = Instant::now();
        let decision = policy.decide(event, state);
        let time = begin.elapsed();
        drop(decision);
        time
    };
    let warm_up = WARM_UP.min(rounds);
    let mut times: Vec<_> =
        (0..rounds.saturating_add(warm_up)).map(decide).skip(usize::try_from(warm_up).unwrap_or(0)).collect();
    times.sort_unstable();
    times
}

/// The time within which so many percent were done.
fn share(times: &[Duration], percent: usize) -> Duration {
    let at = (times.len().saturating_mul(percent)).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}
