//! `knockgated status`: how a running agent is.

use std::path::Path;
use std::time::Duration;

use humantime::format_duration;

use super::counted;
use super::running::{Form, ask, json, unexpected};
use crate::control::{Counts, Guarded, Reply, Request, Status};

/// Asks, and prints.
pub fn run(config: &Path, form: Form) -> anyhow::Result<String> {
    match (ask(config, &Request::Status)?, form) {
        (Reply::Status(status), Form::Text) => Ok(text(&status)),
        (Reply::Status(status), Form::Json) => json(&status),
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

fn text(status: &Status) -> String {
    let Status { version, pid, since, up_seconds, guarded, counts } = status;
    let up = format_duration(Duration::from_secs(*up_seconds));
    let guarded: Vec<_> = guarded.iter().map(service).collect();
    let &Counts { clients, grants, holds, lockouts } = counts;
    format!(
        "agent     knockgated {version}, process {pid}, up {up}, since {since}\n\
         guarded   {}\n\
         now       {}, {}, {}, {}\n",
        guarded.join("\n          "),
        counted(grants, "grant"),
        counted(holds, "hold"),
        counted(lockouts, "lockout"),
        counted(clients, "client"),
    )
}

fn service(guarded: &Guarded) -> String {
    let Guarded { service, protocol, ports, grants } = guarded;
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    format!("{service} {protocol}/{}, {}", ports.join(","), counted(*grants, "grant"))
}
