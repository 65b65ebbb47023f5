//! `knockgated client list`

use std::path::Path;

use knockgate_core::Client;
use knockgate_core::UnixTime;
use serde::Serialize;

use super::super::moment::{now, rfc3339, shown};
use crate::config::Config;
use crate::state::{Loaded, RosterFile, StateDir, Store};

/// A client as the list shows it.
#[derive(Serialize)]
struct Row {
    name: String,
    id: u32,
    services: Vec<String>,
    book: String,
    shared: bool,
    /// `None` if the state cannot be read now.
    left: Option<u32>,
    count: u32,
    /// RFC 3339, as every time here.
    expires: Option<String>,
    expired: bool,
    confirm: bool,
    second_factor: bool,
    /// Until when the key before is good, if it is.
    former_key_until: Option<String>,
    #[serde(skip)]
    remarks: Vec<String>,
}

/// The clients as a table.
pub fn table(config: &Path) -> anyhow::Result<String> {
    let (rows, problem) = rows(config)?;
    if rows.is_empty() {
        return Ok("no client is enrolled; `knockgated client add NAME` enrols one\n".into());
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("NAME".len());
    let mut text =
        format!("{:width$}  {:>6}  {:>14}  BOOK              SERVICES\n", "NAME", "ID", "KNOCKS LEFT");
    for row in rows {
        let left = row.left.map_or("?".into(), |left| left.to_string());
        let (left, shared) = (format!("{left} of {}", row.count), if row.shared { "*" } else { " " });
        let services = row.services.join(" ");
        let remarks =
            if row.remarks.is_empty() { String::new() } else { format!("  ({})", row.remarks.join(", ")) };
        text += &format!(
            "{:width$}  {:>6}  {left:>14}  {}{shared} {services}{remarks}\n",
            row.name, row.id, row.book
        );
    }
    if let Some(problem) = problem {
        text += &format!("knocks left are unknown: {problem}\n");
    }
    Ok(text)
}

/// The clients as JSON.
pub fn json(config: &Path) -> anyhow::Result<String> {
    let (rows, _) = rows(config)?;
    Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?))
}

/// The rows, and why nobody knows here how many knocks are left.
fn rows(config: &Path) -> anyhow::Result<(Vec<Row>, Option<String>)> {
    let config = Config::load(config)?;
    let dir = StateDir::open(&config.gate.state_dir)?;
    let roster = RosterFile::load(&dir)?;
    let (used, problem) = match (&config.gateway, Store::peek(&dir)) {
        (Some(_), _) => {
            (None, Some("the gateway counts them, and tells its clients when a book runs out".into()))
        }
        (None, Ok(used)) => (Some(used), None),
        (None, Err(problem)) => (None, Some(problem.to_string())),
    };
    let index = roster.index();
    let now = now();
    let row = |client: &Client| {
        let book = index.book(client.book)?;
        let count = book.book.shape().count();
        let service =
            |id: &u16| config.service_by_id(*id).map_or(format!("#{id}"), |service| service.name.to_string());
        let former =
            client.former.map(|former| former.until).filter(|until| now.is_some_and(|now| now < *until));
        Some(Row {
            name: client.name.to_string(),
            id: client.id.0,
            services: client.services.iter().map(service).collect(),
            book: client.book.to_string(),
            shared: book.shared,
            left: used.as_ref().map(|used| left(used, client, count)),
            count,
            expires: client.expires.and_then(rfc3339),
            expired: client.has_expired(now),
            confirm: client.confirm,
            second_factor: index.has_second_factor(client.id),
            former_key_until: former.and_then(rfc3339),
            remarks: remarks(client, now, former, index.has_second_factor(client.id)),
        })
    };
    // Nobody is left out: a loaded roster has a book for every client.
    Ok((roster.clients().iter().filter_map(row).collect(), problem))
}

fn left(used: &Loaded, client: &Client, count: u32) -> u32 {
    count.saturating_sub(used.cursors.get(&client.book).copied().unwrap_or(0))
}

fn remarks(
    client: &Client,
    now: Option<UnixTime>,
    former: Option<UnixTime>,
    second_factor: bool,
) -> Vec<String> {
    let expires = client.expires.map(|end| match client.has_expired(now) {
        true => format!("expired {}", shown(end)),
        false => format!("until {}", shown(end)),
    });
    let said = [
        expires,
        client.confirm.then(|| "confirms".to_owned()),
        second_factor.then(|| "one-time code".to_owned()),
        former.map(|until| format!("key before good until {}", shown(until))),
    ];
    said.into_iter().flatten().collect()
}
