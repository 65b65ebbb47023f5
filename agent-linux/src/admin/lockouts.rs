//! `knockgated lockouts` and `unlock`: who is locked out, and how to let him in again.

use std::path::Path;

use serde_json::json;

use super::counted;
use super::running::{Form, Which, ask, json, span, table, unexpected};
use crate::control::{LockedOut, Reply, Request};

/// Lists who is locked out.
pub fn list(config: &Path, form: Form) -> anyhow::Result<String> {
    match (ask(config, &Request::Lockouts)?, form) {
        (Reply::Lockouts { lockouts }, Form::Json) => json(&json!({ "lockouts": lockouts })),
        (Reply::Lockouts { lockouts }, Form::Text) if lockouts.is_empty() => {
            Ok("nobody is locked out\n".to_owned())
        }
        (Reply::Lockouts { lockouts }, Form::Text) => Ok(rows(&lockouts)),
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

/// Ends what is meant.
pub fn unlock(config: &Path, which: Which, form: Form) -> anyhow::Result<String> {
    let request = match which {
        Which::All => Request::UnlockAll,
        Which::Named(whom) => Request::Unlock { whom },
    };
    match (ask(config, &request)?, form) {
        (Reply::Unlocked { lockouts }, Form::Json) => json(&json!({ "unlocked": lockouts })),
        (Reply::Unlocked { lockouts }, Form::Text) if lockouts.is_empty() => {
            Ok("nobody was locked out\n".to_owned())
        }
        (Reply::Unlocked { lockouts }, Form::Text) => {
            Ok(format!("ended {}:\n{}", counted(lockouts.len(), "lockout"), rows(&lockouts)))
        }
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

fn rows(lockouts: &[LockedOut]) -> String {
    let row = |lockout: &LockedOut| {
        let LockedOut { who, kind, left_seconds } = lockout.clone();
        [who, kind, span(left_seconds)]
    };
    table(["WHO", "KIND", "LEFT"], &lockouts.iter().map(row).collect::<Vec<_>>())
}
