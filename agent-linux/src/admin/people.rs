//! `knockgated clients`: who is enrolled, and what has come of their knocks.

use std::path::Path;

use serde_json::json;

use super::running::{Form, ask, json, table, unexpected};
use crate::control::{ClientSeen, LastKnock, Reply, Request};

/// Lists them.
pub fn list(config: &Path, form: Form) -> anyhow::Result<String> {
    match (ask(config, &Request::Clients)?, form) {
        (Reply::Clients { clients }, Form::Json) => json(&json!({ "clients": clients })),
        (Reply::Clients { clients }, Form::Text) if clients.is_empty() => {
            Ok("no client is enrolled; `knockgated client add NAME` enrols one\n".to_owned())
        }
        (Reply::Clients { clients }, Form::Text) => Ok(rows(&clients)),
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

fn rows(clients: &[ClientSeen]) -> String {
    let row = |client: &ClientSeen| {
        let ClientSeen { client, services, expired, book_left, book_of, failures, last, grants, .. } = client;
        let name = if *expired { format!("{client} (expired)") } else { client.clone() };
        let (at, source, outcome) = last.as_ref().map_or_else(never, knock);
        let open: Vec<_> = grants.iter().map(|grant| format!("{} to {}", grant.service, grant.to)).collect();
        let book = format!("{book_left} of {book_of}");
        [name, at, source, outcome, failures.to_string(), book, services.join(" "), open.join(", ")]
    };
    let heading = ["CLIENT", "LAST KNOCK", "FROM", "OUTCOME", "FAILURES", "BOOK", "SERVICES", "OPEN"];
    table(heading, &clients.iter().map(row).collect::<Vec<_>>())
}

fn knock(last: &LastKnock) -> (String, String, String) {
    let LastKnock { at, source, outcome, reason } = last;
    let outcome = reason.as_ref().map_or_else(|| outcome.clone(), |reason| format!("{outcome}: {reason}"));
    (at.clone(), source.clone(), outcome)
}

fn never() -> (String, String, String) {
    ["-", "-", "-"].map(str::to_owned).into()
}
