//! A whole run, or some parts of it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::command_line::{Part, Run};
use crate::machine::{self, Crowd};
use crate::results::Results;
use crate::state::lab_on_disk;
use crate::{faults, flood, fwknop, latency, priority, sizes, survival};
use knockgate_tests::installed;

/// Profiles of cargo; the programs under test are built with the same one as this.
const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

pub(crate) fn measure(run: &Run) -> Result<Results> {
    let crowd = Crowd::begin();
    let mut results = Results {
        command: command(run),
        programs: programs()?,
        machine: machine::describe()?,
        state_on: machine::file_system(&lab_on_disk()?.path(""))?,
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        repetitions: run.repetitions,
        ..Results::default()
    };
    for part in &run.parts {
        add(&mut results, *part, run).with_context(|| format!("part {}", part.name()))?;
    }
    results.crowd = crowd.describe();
    Ok(results)
}

fn add(results: &mut Results, part: Part, run: &Run) -> Result<()> {
    match part {
        Part::Clients => results.clients = sizes::measure(run.repetitions)?,
        Part::Latency => (results.latency, results.phases) = latency::measure(run.repetitions)?,
        Part::Faults => results.faults = faults::measure()?,
        Part::Noise => results.noise = survival::measure()?,
        Part::Priority => results.priority = priority::measure(),
        Part::Sources => results.sources = flood::measure(run.flood)?,
    }
    Ok(())
}

fn command(run: &Run) -> String {
    let Run { repetitions, flood, parts } = run;
    let mut command = format!(
        "cargo xtask bench --reps {repetitions} --flood-seconds {} --profile {PROFILE}",
        flood.as_secs()
    );
    if parts.as_slice() != Part::ALL {
        let names: Vec<&str> = parts.iter().map(|part| part.name()).collect();
        command = format!("{command} --only {}", names.join(","));
    }
    command
}

/// Versions of everybody who is compared.
pub(crate) fn programs() -> Result<BTreeMap<&'static str, Option<String>>> {
    let knockgate = format!("{}, {PROFILE} build", env!("CARGO_PKG_VERSION"));
    let knockd = installed::find("knockd").map(|program| installed::version_number(&program)).transpose()?;
    let fwknop = fwknop::Programs::find().ok().map(|programs| programs.version()).transpose()?;
    Ok([("knockgate", Some(knockgate)), ("knockd", knockd), ("fwknop", fwknop)].into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_command_names_parts_only_if_some_are_missing() {
        let run =
            |parts: &[Part]| Run { repetitions: 5, flood: Duration::from_secs(20), parts: parts.to_vec() };
        assert!(!command(&run(&Part::ALL)).contains("--only"));
        assert!(command(&run(&[Part::Noise, Part::Faults])).ends_with("--only noise,faults"));
    }
}
