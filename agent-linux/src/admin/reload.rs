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

/// Where the agent is asked. A configuration that is refused may be that of an agent all the same: then that one looks at it, too, and
/// writes down that it was refused.
fn sockets(config: &Path) -> anyhow::Result<PathBuf> {
    load(config).map(|config| config.control.directory).or_else(|error| {
        let likely = directory_in(config).unwrap_or_else(|| DEFAULT_DIRECTORY.into());
        match control::ask(&likely, &Request::InForce) {
            Ok(Reply::InForce { path, .. }) if is_same(&path, config) => Ok(likely),
            Ok(_) | Err(_) => Err(error),
        }
    })
}

/// What a file says that has something else wrong with it.
fn directory_in(config: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(config).ok()?;
    let document: toml::Table = text.parse().ok()?;
    Some(document.get("control")?.get("directory")?.as_str()?.into())
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
