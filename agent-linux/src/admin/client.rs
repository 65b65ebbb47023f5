//! `knockgated client`: enrols, lists and removes clients. A running agent notices by itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use knockgate_core::key::SecretKey;
use knockgate_core::limits::MAX_CLIENT_SERVICES;
use knockgate_core::profile::{Profile, ProfileService};
use knockgate_core::{Client, Name};
use serde::Serialize;

use super::SetUp;
use crate::config::{Config, Service};
use crate::state::roster_file::{EnrolledBook, RosterEdit};
use crate::state::store::Loaded;
use crate::state::{RosterFile, StateDir, StateError, Store, private_file, system_rng};

/// Enrols a client and writes its profile.
///
/// The profile is complete on disk before the roster changes, and the roster changes in one rename. So a crash leaves
/// either nobody enrolled, perhaps with a worthless profile, or the client enrolled with its profile there.
pub fn add(
    config: &Path,
    name: &str,
    services: &[String],
    book: Option<&Path>,
    out: Option<PathBuf>,
) -> anyhow::Result<String> {
    let name: Name =
        name.parse().with_context(|| format!("{name:?} cannot be a client; choose another name"))?;
    let gate = SetUp::load(config)?;
    let services = chosen_services(&gate.config, services)?;
    let out = out.unwrap_or_else(|| PathBuf::from(format!("{name}.kgp")));

    let mut edit = RosterEdit::begin(&gate.dir)?;
    let book = book_for(&gate, book)?;
    let secret = SecretKey::generate(&mut system_rng());
    let profile = profile(&gate, &name, &secret, &services, &book);
    let enrol = |id| Client {
        services: services.iter().map(|service| service.id).collect(),
        ..Client::new(id, name.clone(), secret.public(), book.book.id())
    };
    let id = edit.roster.add(enrol, book.clone())?.id;
    write_profile(&out, &profile)?;
    if let Err(error) = edit.commit() {
        // Nobody is enrolled, so the profile is worthless. If it stays all the same, it opens nothing.
        let _ = std::fs::remove_file(&out);
        return Err(error).context("nobody was enrolled");
    }

    let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    let (path, book) = (out.display(), if book.shared { "a shared book" } else { "a book of its own" });
    Ok(format!(
        "{name} is client {} and may open {}, from {book}; a running agent notices within a second\n\
         profile: {path}, which is secret\n\
         Next: bring {path} to the client over a safe way, there `knockgate import {path}`, and delete it here.\n",
        id.0,
        names.join(", "),
    ))
}

fn chosen_services<'c>(config: &'c Config, names: &[String]) -> anyhow::Result<Vec<&'c Service>> {
    let known = || config.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut chosen: Vec<&Service> = Vec::new();
    for name in names {
        let Some(service) = config.service(name) else {
            bail!("there is no service {name}; configured in {} are {}", config.path.display(), known());
        };
        if chosen.iter().all(|other| other.id != service.id) {
            chosen.push(service);
        }
    }
    if names.is_empty() {
        chosen = config.services.iter().collect();
    }
    if chosen.len() > MAX_CLIENT_SERVICES {
        bail!(
            "a client may use at most {MAX_CLIENT_SERVICES} services; name them with --service, out of {}",
            known()
        );
    }
    Ok(chosen)
}

fn book_for(gate: &SetUp, file: Option<&Path>) -> anyhow::Result<EnrolledBook> {
    let Some(file) = file else {
        let book = gate.identity.new_book(gate.config.sequence.shape, &mut system_rng())?;
        return Ok(EnrolledBook { book, shared: false });
    };
    let book = super::book::read(file)?;
    if !gate.identity.fits(&book) {
        bail!(
            "{}: this book was made for another gate, which has other decoys; make one here with `knockgated book new`",
            file.display()
        );
    }
    Ok(EnrolledBook { book, shared: true })
}

fn profile(
    gate: &SetUp,
    name: &Name,
    secret: &SecretKey,
    services: &[&Service],
    book: &EnrolledBook,
) -> Profile {
    // A service that is forwarded is dialled at the gate, so its own port counts.
    let service = |service: &&Service| ProfileService {
        id: service.id,
        name: service.name.clone(),
        protocol: service.protocol,
        port: service.ports.first().copied().unwrap_or(0),
    };
    Profile {
        client: name.clone(),
        address: gate.config.gate.address.clone(),
        central_port: gate.config.central.map_or(0, |central| central.port),
        gate: gate.identity.id,
        gate_key: gate.identity.secret.public(),
        door_key: gate.identity.door.current.clone(),
        secret: Some(secret.clone()),
        packet_ports: gate.config.packet.profile_ports(),
        services: services.iter().map(service).collect(),
        book: book.book.clone(),
    }
}

fn write_profile(out: &Path, profile: &Profile) -> Result<(), StateError> {
    let mut buffer = [0; Profile::MAX_FILE];
    let content = profile
        .encode(&mut buffer)
        .map_err(|error| StateError::unreadable(out, "profile", error, "report this as a defect"))?;
    private_file::create(out, content)
}

/// Removes a client.
pub fn remove(config: &Path, name: &str) -> anyhow::Result<String> {
    // The identity is not needed: a client can be removed from a gate whose configuration has a problem elsewhere.
    let config = Config::load(config)?;
    let mut edit = RosterEdit::begin(&StateDir::open(&config.gate.state_dir)?)?;
    let client = edit.roster.remove(name)?;
    edit.commit()?;
    Ok(format!(
        "{} (client {}) is removed; a running agent notices within a second and closes what is open to it\n",
        client.name, client.id.0
    ))
}

/// A client as `client list` shows it.
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
        text += &format!("{:width$}  {:>6}  {left:>14}  {}{shared} {services}\n", row.name, row.id, row.book);
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

fn rows(config: &Path) -> anyhow::Result<(Vec<Row>, Option<StateError>)> {
    let config = Config::load(config)?;
    let dir = StateDir::open(&config.gate.state_dir)?;
    let roster = RosterFile::load(&dir)?;
    let (used, problem) = match Store::peek(&dir) {
        Ok(used) => (Some(used), None),
        Err(problem) => (None, Some(problem)),
    };
    let rows = roster.clients().iter().filter_map(|client| row(&config, &roster, used.as_ref(), client));
    Ok((rows.collect(), problem))
}

/// `None` cannot be: a loaded roster has a book for every client.
fn row(config: &Config, roster: &RosterFile, used: Option<&Loaded>, client: &Client) -> Option<Row> {
    let enrolled = roster.book(client.book)?;
    let count = enrolled.book.shape().count();
    let service =
        |id: &u16| config.service_by_id(*id).map_or(format!("#{id}"), |service| service.name.to_string());
    Some(Row {
        name: client.name.to_string(),
        id: client.id.0,
        services: client.services.iter().map(service).collect(),
        book: client.book.to_string(),
        shared: enrolled.shared,
        left: used.map(|used| count.saturating_sub(used.cursors.get(&client.book).copied().unwrap_or(0))),
        count,
    })
}
