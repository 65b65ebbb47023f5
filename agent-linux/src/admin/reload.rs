//! `knockgated reload`: has a running agent read its configuration again, and says what has come of it.

use std::path::Path;

use anyhow::bail;
use serde_json::json;

use super::running::{Form, ask, json as print, unexpected};
use crate::control::{Reply, Request};

/// Asks, waits for the result, and prints what is otherwise now.
///
/// # Errors
/// If the configuration is not used: a line for everything that is wrong with it.
pub fn run(config: &Path, form: Form) -> anyhow::Result<String> {
    match (ask(config, &Request::Reload)?, form) {
        (Reply::Reloaded { changes }, Form::Text) => Ok(text(&changes)),
        (Reply::Reloaded { changes }, Form::Json) => print(&json!({ "changes": changes })),
        (Reply::NotReloaded { problems }, Form::Text | Form::Json) => {
            bail!("{}\nthe agent goes on as before", problems.join("\n"))
        }
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

fn text(changes: &[String]) -> String {
    if changes.is_empty() {
        return "nothing has changed\n".to_owned();
    }
    changes.iter().map(|change| format!("{change}\n")).collect()
}
