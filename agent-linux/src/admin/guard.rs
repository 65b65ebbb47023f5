//! `knockgated guard`: shuts the gate before anybody can knock, for the start of the machine.
//!
//! The guard goes with a reboot and comes with the agent, which needs its keys, its state and its policy. If one of them is
//! missing, the machine would stand open. This needs the configuration alone; and if that is wrong, what the last good one said.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::config::{Config, ConfigError};
use crate::firewall::{Firewall, Plan};
use crate::run::bare_plan;
use crate::state::last_guard;

use super::init::STATE_DIR;
use super::{counted, unguard};

/// Installs the guard without decoys and forwards. A running agent puts its own in this place again.
///
/// # Errors
/// Also when the configuration is wrong and the guard is the one of before: somebody has to look at it.
pub fn run(path: &Path) -> anyhow::Result<String> {
    match Config::load(path) {
        Ok(config) => {
            config.of_a_server()?;
            let guarding = install(&bare_plan(&config))?;
            Ok(format!("{guarding}; nobody can knock yet.\nNext: `knockgated run`.\n"))
        }
        Err(error) => Err(guard_as_before(path, &error)),
    }
}

fn install(plan: &Plan) -> anyhow::Result<String> {
    unguard::forget_order()?;
    Firewall::install(plan)?;
    Ok(format!("guarding {}", counted(plan.services.len(), "service")))
}

/// What there is to say of it: what is wrong with the configuration, and what is guarded all the same.
fn guard_as_before(path: &Path, wrong: &ConfigError) -> anyhow::Error {
    if wrong.is_missing() {
        return anyhow!("{wrong}");
    }
    let guarded = match last_guard::recall(&state_dir(path)) {
        Ok(Some((plan, kept))) => install(&plan).map(|guarding| {
            format!(
                "{guarding} as before, by {}; nobody can knock until the configuration is right",
                kept.display()
            )
        }),
        Ok(None) => {
            Ok("nothing is guarded: no agent has run yet by a configuration that is right".to_owned())
        }
        Err(error) => Err(error.into()),
    };
    match guarded {
        Ok(said) => anyhow!("{wrong}\n{said}"),
        Err(error) => anyhow!("{wrong}\nnothing is guarded: {error:#}"),
    }
}

/// Where the state is, by a configuration that is wrong somewhere: the one line that says so may be right.
fn state_dir(config: &Path) -> PathBuf {
    let text = std::fs::read_to_string(config).unwrap_or_default();
    said_in(&text).unwrap_or_else(|| STATE_DIR.into())
}

fn said_in(text: &str) -> Option<PathBuf> {
    let line = text.lines().find(|line| line.trim_start().starts_with("state-dir"))?;
    let table: toml::Table = line.parse().ok()?;
    table.get("state-dir")?.as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_configuration_still_says_where_the_state_is_if_that_line_is_whole() {
        #[rustfmt::skip]
        let cases = [
            (1, "[gate\nstate-dir = \"/srv/state\"\n", Some("/srv/state")),
            (2, "  state-dir=\"/s\" # here\n]]", Some("/s")),
            (3, "# state-dir = \"/s\"\n", None),
            (4, "state-dir = \"/s\n", None),
            (5, "state-dir = 7\n", None),
            (6, "", None),
        ];
        for (case, text, expected) in cases {
            assert_eq!(said_in(text).as_deref(), expected.map(Path::new), "case {case}");
        }
    }
}
