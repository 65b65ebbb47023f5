//! What an agent that runs would make of the file: what a reload would change, or why it would be refused.

use std::fmt::Display;
use std::path::Path;

use knockgate_core::book::Decoys;

use crate::config::{Config, ConfigError, DEFAULT_DIRECTORY};
use crate::control::{self, AskError, Reply, Request};
use crate::run::{Forecast, Running, forecast};

/// What an agent says that runs by the file.
struct Answer {
    text: String,
    /// If that is another one.
    started: Option<String>,
    grants: Vec<(u16, usize)>,
}

/// A line for each thing; nothing about a gateway, which cannot be asked.
pub(super) fn lines(config: &Config, decoys: &Decoys) -> Vec<String> {
    if config.gateway.is_some() {
        return Vec::new();
    }
    match ask(config) {
        Err(unanswered) => vec![unanswered],
        Ok(answer) => judge(&answer, config, decoys).map_or_else(|error| vec![unknown(&error)], told),
    }
}

fn ask(config: &Config) -> Result<Answer, String> {
    match question(&config.control.directory) {
        Ok(Reply::InForce { path, text, started, grants }) if is_same(&path, &config.path) => {
            Ok(Answer { text, started, grants })
        }
        Ok(Reply::InForce { path, .. }) => {
            Err(format!("the agent that answers runs by {}, not by this file", path.display()))
        }
        Ok(_) => Err(unknown(&"the agent has answered something else than it was asked")),
        Err(AskError::NoAgent(place)) => Err(format!(
            "no agent answers at {}; one that was started with another `directory` in [control] was not asked, and would refuse \
             a reload",
            place.display()
        )),
        Err(error) => Err(unknown(&error)),
    }
}

/// Asks where the file wants to be asked; and if nobody is there, where whoever runs was asked before the file said anything.
fn question(directory: &Path) -> Result<Reply, AskError> {
    let answer = control::ask(directory, &Request::InForce);
    match &answer {
        Err(AskError::NoAgent(_)) => control::ask(DEFAULT_DIRECTORY.as_ref(), &Request::InForce).or(answer),
        Ok(_) | Err(_) => answer,
    }
}

fn judge(answer: &Answer, config: &Config, decoys: &Decoys) -> Result<Forecast, ConfigError> {
    let in_force = Config::parse(&config.path, &answer.text)?;
    let started = answer.started.as_ref().map(|text| Config::parse(&config.path, text)).transpose()?;
    let running = Running { started: started.as_ref().unwrap_or(&in_force), in_force: &in_force, decoys };
    Ok(forecast(&running, config, &answer.grants))
}

fn told(forecast: Forecast) -> Vec<String> {
    let Forecast { restart, changes } = forecast;
    if restart.is_empty() {
        return if changes.is_empty() { vec![SAME.to_owned()] } else { changes };
    }
    let head = "a reload would be refused, for this takes a restart:".to_owned();
    let then = (!changes.is_empty()).then(|| "what is otherwise after one:".to_owned());
    std::iter::once(head).chain(restart).chain(then).chain(changes).collect()
}

const SAME: &str = "an agent runs by this very configuration";

fn unknown(why: &dyn Display) -> String {
    format!("it is unknown what a running agent would change: {why}")
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    one == other || whole(one).is_some_and(|one| whole(other) == Some(one))
}
