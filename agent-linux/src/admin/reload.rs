//! `knockgated reload`: has a running agent read its configuration again, and says what has come of it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use serde_json::json;

use super::running::{Form, json as print, load, unexpected};
use crate::config::DEFAULT_DIRECTORY;
use crate::control::{self, Reply, Request};

/// Asks, waits for the result, and prints what is otherwise now.
///
/// # Errors
/// If the configuration is not used: a line for everything that is wrong with it.
pub fn run(config: &Path, form: Form) -> anyhow::Result<String> {
    match (control::ask(&sockets(config)?, &Request::Reload)?, form) {
        (Reply::Reloaded { changes }, Form::Text) => Ok(text(&changes)),
        (Reply::Reloaded { changes }, Form::Json) => print(&json!({ "changes": changes })),
        (Reply::NotReloaded { problems }, Form::Text | Form::Json) => {
            bail!("{}\nthe agent goes on as before", problems.join("\n"))
        }
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

/// Where the agent is asked. If the configuration cannot be read, it may be the one of an agent at the usual place: then that one looks
/// at it, too, and writes down that it was refused.
fn sockets(config: &Path) -> anyhow::Result<PathBuf> {
    load(config).map(|config| config.control.directory).or_else(|error| {
        let usual = PathBuf::from(DEFAULT_DIRECTORY);
        match control::ask(&usual, &Request::InForce) {
            Ok(Reply::InForce { path, .. }) if is_same(&path, config) => Ok(usual),
            Ok(_) | Err(_) => Err(error),
        }
    })
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(one).is_some_and(|one| whole(other) == Some(one))
}

fn text(changes: &[String]) -> String {
    if changes.is_empty() {
        return "nothing has changed\n".to_owned();
    }
    changes.iter().map(|change| format!("{change}\n")).collect()
}
