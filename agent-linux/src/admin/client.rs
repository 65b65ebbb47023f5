//! `knockgated client`: enrols, changes, lists and removes clients. A running agent notices by itself.
//!
//! A profile is complete on disk before the roster changes, and the roster changes in one rename. So a crash leaves either
//! the old roster, perhaps with a worthless profile, or the new one with its profile there.

mod change;
mod list;
mod profile;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use knockgate_core::key::PublicKey;
use knockgate_core::limits::MAX_CLIENT_SERVICES;
use knockgate_core::roster::FormerKey;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId, Name};

pub use change::{Confirmation, End, SecondFactor, confirm, expire, second_factor};
pub use list::{json, table};
pub use profile::{Delivery, Show};

use self::profile::{Key, Package, Profiles, profile};
use super::moment::{When, now, shown};
use super::{SetUp, noticed};
use crate::config::{Config, Service};
use crate::state::roster_file::{EnrolledBook, RosterEdit};
use crate::state::{Handover, StateDir, system_rng};

/// What a new client shall be.
pub struct NewClient {
    pub name: String,
    /// All that are configured if none is named.
    pub services: Vec<String>,
    /// A book of its own unless given.
    pub book: Option<PathBuf>,
    /// Made here unless the client has told its own.
    pub key: Option<PublicKey>,
    pub confirm: Confirmation,
    pub expires: Option<When>,
    pub second_factor: SecondFactor,
}

/// Enrols a client and gives out its profile.
pub fn add(config: &Path, new: NewClient, delivery: Delivery) -> anyhow::Result<String> {
    let name: Name = new
        .name
        .parse()
        .with_context(|| format!("{:?} cannot be a client; choose another name", new.name))?;
    let gate = SetUp::load(config)?;
    if gate.config.statics.named(&name).is_some() {
        bail!(
            "{name} is a static sequence of {}, and the log could not tell the two apart; choose another name",
            gate.config.path.display()
        );
    }
    let services = chosen_services(&gate.config, &new.services)?;
    let expires = new.expires.map(|when| Ok::<_, anyhow::Error>(when.from(clock()?))).transpose()?;

    let mut edit = RosterEdit::begin(&gate.dir)?;
    let book = book_for(&gate, new.book.as_deref())?;
    let key = Key::or_new(new.key);
    let enrol = |id| Client {
        services: services.iter().map(|service| service.id).collect(),
        expires,
        confirm: new.confirm == Confirmation::Wanted,
        ..Client::new(id, name.clone(), key.public(), book.book.id())
    };
    let id = edit.roster.add(enrol, book.clone())?.id;
    let secret = match new.second_factor {
        SecondFactor::Wanted => Some(TotpSecret::generate(&mut system_rng())),
        SecondFactor::Removed => None,
    };
    edit.roster.set_second_factor(id, secret.clone());
    let factor = secret.map(|secret| profile::second_factor(&gate.config.gate.address, &name, &secret));
    let factor = factor.transpose()?.unwrap_or_default();
    let package = Package::make(&profile(&gate, &name, &key, &services, &book), delivery)?;
    commit(edit, &package).context("nobody was enrolled")?;

    let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    let book = if book.shared { "a shared book" } else { "a book of its own" };
    let end = expires.map_or(String::new(), |end| format!(", until {}", shown(end)));
    Ok(format!(
        "{name} is client {} and may open {}{end}, from {book}; {}\n{}{factor}",
        id.0,
        names.join(", "),
        noticed(&gate.config),
        package.instructions(Profiles::First),
    ))
}

/// Gives a client another key and a profile with it. What was handed over at once is taken for stolen: then the book is
/// another one, too, unless others share it.
pub fn rotate(
    config: &Path,
    name: &str,
    handover: Handover,
    key: Option<PublicKey>,
    delivery: Delivery,
) -> anyhow::Result<String> {
    let gate = SetUp::load(config)?;
    let until = handover.until(clock()?);
    let mut edit = RosterEdit::begin(&gate.dir)?;
    let client = edit.roster.client_mut(name)?.clone();
    let key = Key::or_new(key);
    let former = until.map(|until| FormerKey { key: client.key, until });
    edit.roster.rekey(name, key.public(), former)?;
    let book = edit.roster.book(client.book).cloned();
    let mut book = book.context("the roster lacks this client's book; restore it from a backup")?;
    if handover == Handover::AtOnce && !book.shared {
        book = book_for(&gate, None)?;
        edit.roster.rebook(name, book.clone())?;
    }
    let services: Vec<_> = client.services.iter().filter_map(|id| gate.config.service_by_id(*id)).collect();
    let package = Package::make(&profile(&gate, &client.name, &key, &services, &book), delivery)?;
    commit(edit, &package).context("the old key stays")?;

    let before = match until {
        Some(until) => format!("the one before stays good until {}", shown(until)),
        None if book.shared => "the one before is worthless from now on; the book is shared and stays".into(),
        None => "the one before is worthless from now on, and so is the old book".into(),
    };
    Ok(format!(
        "{name} has a new key; {before}; {}\n{}",
        noticed(&gate.config),
        package.instructions(Profiles::Replaced)
    ))
}

/// Replaces the roster. If that fails, nothing has happened.
fn commit(edit: RosterEdit, package: &Package) -> anyhow::Result<()> {
    Ok(edit.commit().inspect_err(|_| package.take_back())?)
}

fn clock() -> anyhow::Result<knockgate_core::UnixTime> {
    now().context("the clock is not set; set it first")
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
        // Whoever may knock is no administrator of a gateway yet.
        chosen = config.services.iter().filter(|service| !config.is_console(service)).collect();
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

/// Removes a client.
pub fn remove(config: &Path, name: &str) -> anyhow::Result<String> {
    let config = Config::load(config)?;
    let mut edit = begin(&config)?;
    let Client { name, id: ClientId(id), .. } = edit.roster.remove(name)?;
    edit.commit()?;
    Ok(format!(
        "{name} (client {id}) is removed; {}, which also closes what is open to it\n",
        noticed(&config)
    ))
}

/// A roster can be changed also where the configuration has a problem with the identity.
fn begin(config: &Config) -> anyhow::Result<RosterEdit> {
    Ok(RosterEdit::begin(&StateDir::open(&config.gate.state_dir)?)?)
}
