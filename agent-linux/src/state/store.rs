//! What has been used up, durably: the counters of every client, the position in every book, the numbers of policies; and
//! the lease, under which counters are admitted that are not stored yet.
//!
//! Nothing that was used may come back, so values only rise, and a store that is lost is an error and not a fresh start:
//! the gate would accept again what it has accepted before. [`Store::rebuild`] makes a new one that accepts nothing from
//! before the loss.
//!
//! A lease that is found at the start was left by a stop that was not clean: a crash, a power cut. Whatever was admitted
//! under it is forgotten, so all of it counts as used from then on, for everybody (`docs/protocol.md`, section 6.1).

mod tables;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use knockgate_core::ClientId;
use knockgate_core::action::Record;
use knockgate_core::book::BookId;
use knockgate_core::key::GateId;
use knockgate_core::replay::{Burnt, Lease, Used};
use redb::backends::FileBackend;
use redb::{Builder, ConcurrencyMode, Database, DatabaseError, ReadableDatabase};

use self::tables::LeaseChange;
use super::error::remedy_of;
use super::private_file::{self, sync_directory};
use super::roster_file::{EnrolledBook, RosterFile};
use super::{StateDir, StateError};

/// Memory for pages. A store of 100 000 clients has some 10 MB, read once.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// An admin command that looks at the store has it open for some milliseconds; an agent that starts then waits.
const OPEN_TRIES: u32 = 10;
/// See [`OPEN_TRIES`].
const OPEN_PAUSE: Duration = Duration::from_millis(50);
const RESTORE: &str = "stop the agent, then `knockgated state rebuild` replaces it safely (a restored copy would accept old \
                       knocks again)";

/// The open store. Only one process has it open for writing.
pub struct Store {
    path: PathBuf,
    /// `None` after a write has failed: redb refuses whatever comes after that until the file is opened anew.
    database: Mutex<Option<Database>>,
}

/// All that has been used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Of every client that has ever sent something.
    pub used: HashMap<ClientId, Used>,
    /// The first number of every book that was never offered.
    pub cursors: HashMap<BookId, u32>,
    /// Counters that count as used by everybody.
    pub burnt: Burnt,
    pub last_stop: LastStop,
}

/// How the agent before ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastStop {
    /// Everything was stored.
    #[default]
    Clean,
    /// It ended with this lease; once the store is open, that is one of the burnt ones.
    Unclean(Lease),
}

/// A write did not happen, or may not have; nothing that depends on it may be done.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}; {}", path.display(), remedy(error))]
pub struct WriteError {
    path: PathBuf,
    error: Box<redb::Error>,
}

impl Store {
    /// Makes the store of a new gate.
    ///
    /// # Errors
    /// If there is one already or it cannot be written.
    pub fn create(dir: &StateDir, gate: GateId) -> Result<(), StateError> {
        let path = dir.store_file();
        if !private_file::is_missing(&path) {
            return Err(StateError::refused(&path, "exists already", "move it away"));
        }
        Self::write_new(&path, gate, &Loaded::default())
    }

    /// Opens the store of `gate` and tells what was in it. One that is missing is made only if no client was ever enrolled.
    ///
    /// # Errors
    /// If it is missing, damaged, another gate's, or in use by another agent; or if a lease that was left in it cannot be
    /// burnt.
    pub fn open(dir: &StateDir, gate: GateId, roster: &RosterFile) -> Result<(Self, Loaded), StateError> {
        let path = dir.store_file();
        if private_file::is_missing(&path) {
            if roster.was_ever_used() {
                return Err(Self::missing(&path));
            }
            Self::create(dir, gate)?;
        }
        let database = open_waiting(&path).map_err(|error| error.at(&path))?;
        check_gate(&path, &database, gate)?;
        let mut loaded = tables::read(&database).map_err(|error| unusable(&path, error))?;
        tables::settle(&database, gate, &mut loaded).map_err(|error| unusable(&path, error))?;
        Ok((Self { path, database: Mutex::new(Some(database)) }, loaded))
    }

    /// What an agent would say that starts with this roster, as far as it can be told without changing anything.
    ///
    /// # Errors
    /// If the store is missing, damaged or another gate's.
    pub fn check(dir: &StateDir, gate: GateId, roster: &RosterFile) -> Result<(), StateError> {
        let path = dir.store_file();
        if private_file::is_missing(&path) {
            return if roster.was_ever_used() { Err(Self::missing(&path)) } else { Ok(()) };
        }
        match open_checked(&path) {
            Ok(database) => check_gate(&path, &database, gate),
            // The agent that has it open has checked it.
            Err(OpenError::InUse) => Ok(()),
            Err(OpenError::Refused(error)) => Err(error),
        }
    }

    fn missing(path: &Path) -> StateError {
        StateError::refused(
            path,
            "the record of used numbers is missing, so old knocks could be accepted again",
            RESTORE,
        )
    }

    /// What has been used up, also while an agent is running.
    ///
    /// # Errors
    /// If it is missing, damaged or cannot be read.
    pub fn peek(dir: &StateDir) -> Result<Loaded, StateError> {
        let path = dir.store_file();
        let loaded = match open_checked(&path) {
            Ok(database) => tables::read(&database),
            // The agent that has it open has checked it.
            Err(OpenError::InUse) => {
                let file = private_file::open_own(&path, OpenOptions::new().read(true))?;
                let database = FileBackend::new(file)
                    .and_then(|file| builder().open_read_only_with_backend(file))
                    .map_err(|error| OpenError::new(&path, error).at(&path))?;
                tables::read(&database)
            }
            Err(OpenError::Refused(error)) => return Err(error),
        };
        loaded.map_err(|error| unusable(&path, error))
    }

    /// Makes records durable, all or none. Values never go down.
    ///
    /// # Errors
    /// If it cannot be said that they are durable.
    pub fn write(&self, records: &[Record]) -> Result<(), WriteError> {
        self.change(|database| tables::write(database, records, LeaseChange::Keep))
    }

    /// Makes records durable and puts `lease` in the place of the one before, all or none. Before it returns, only counters in
    /// both leases may be admitted from memory. With none, the stop is a clean one: every counter has to be among the records
    /// that were written.
    ///
    /// # Errors
    /// If it cannot be said that they are durable.
    pub fn write_lease(&self, records: &[Record], lease: Option<Lease>) -> Result<(), WriteError> {
        self.change(|database| tables::write(database, records, LeaseChange::Set(lease)))
    }

    /// A clean stop: makes records durable, removes the lease, and puts the position of each of these books where it is, although
    /// a position ahead of it was stored. All or nothing. Every counter that was used has to be among the records that were
    /// written, and no number may be offered any more.
    ///
    /// # Errors
    /// If it cannot be said that it is durable.
    pub fn end(&self, records: &[Record], cursors: &[(BookId, u32)]) -> Result<(), WriteError> {
        self.change(|database| tables::write(database, records, LeaseChange::End(cursors)))
    }

    /// The numbers of one policy.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn policy(&self, name: &str) -> Result<HashMap<u32, u64>, StateError> {
        self.read(|database| tables::read_policy(database, name))
    }

    /// Makes numbers of a policy durable, all or none; 0 forgets one.
    ///
    /// # Errors
    /// If it cannot be said that they are durable.
    pub fn write_policy(&self, name: &str, numbers: &[(u32, u64)]) -> Result<(), WriteError> {
        self.change(|database| tables::write_policy(database, name, numbers))
    }

    /// Replaces a lost or damaged store by one in which every enrolled book and every counter of every client is used up: nobody
    /// knows what was. An old file is kept beside it as `state.redb.old`.
    ///
    /// # Errors
    /// If an agent is running or it cannot be written; then the old one stays.
    pub fn rebuild(dir: &StateDir, gate: GateId, roster: &RosterFile) -> Result<(), StateError> {
        let path = dir.store_file();
        let mut used = all_used_up(roster);
        if !private_file::is_missing(&path) {
            match open_checked(&path) {
                // Clients and books that are not on the roster now may come back.
                Ok(database) => merge(&mut used, tables::read(&database).unwrap_or_default()),
                Err(OpenError::InUse) => return Err(OpenError::InUse.at(&path)),
                Err(OpenError::Refused(_)) => {}
            }
            let old = path.with_added_extension("old");
            std::fs::rename(&path, &old).map_err(|error| StateError::io(&path, "moving it away", error))?;
        }
        Self::write_new(&path, gate, &used)
    }

    /// Writes beside the place and renames at the end: a store is never there in part.
    fn write_new(path: &Path, gate: GateId, used: &Loaded) -> Result<(), StateError> {
        let next = path.with_added_extension("new");
        // Left by a run that was cut off. If it cannot be removed, opening it says why.
        let _ = std::fs::remove_file(&next);
        // The very file that was made: what has its name a moment later may be something else.
        let file = private_file::create_open(&next, &[])?;
        let database = FileBackend::new(file).and_then(|file| builder().create_with_backend(file));
        let database = database.map_err(|error| OpenError::new(&next, error).at(&next))?;
        tables::fill(&database, gate, used).map_err(|error| unusable(&next, error))?;
        database.close().map_err(|error| OpenError::new(&next, error).at(&next))?;
        let placed = std::fs::rename(&next, path).and_then(|()| sync_directory(path));
        placed.map_err(|error| StateError::io(path, "making it", error))
    }

    fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StateError> {
        let database = self.database();
        let content = database.as_ref().ok_or(redb::Error::PreviousIo).and_then(read);
        content.map_err(|error| unusable(&self.path, error))
    }

    fn change(&self, change: impl FnOnce(&Database) -> Result<(), redb::Error>) -> Result<(), WriteError> {
        let mut place = self.database();
        let database = place.take().map_or_else(|| self.reopen(), Ok);
        let changed = database.and_then(|database| {
            change(&database)?;
            *place = Some(database);
            Ok(())
        });
        changed.map_err(|error| WriteError { path: self.path.clone(), error: Box::new(error) })
    }

    /// A disk that was full for a minute must not keep everybody out until somebody restarts the agent.
    fn reopen(&self) -> Result<Database, redb::Error> {
        Ok(builder().set_check_integrity_on_open(true).open(&self.path)?)
    }

    fn database(&self) -> MutexGuard<'_, Option<Database>> {
        // Whoever panicked with it has taken it out, and it is opened anew.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One writer, and readers beside it: `client list` works while the agent runs.
fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

fn check_gate(path: &Path, database: &impl ReadableDatabase, gate: GateId) -> Result<(), StateError> {
    match tables::gate_of(database) {
        Ok(Some(id)) if id == gate => Ok(()),
        Ok(Some(_)) => Err(StateError::refused(path, "is the state of another gate", RESTORE)),
        Ok(None) => Err(unknown_version(path)),
        Err(redb::Error::TableDoesNotExist(_)) => {
            Err(StateError::refused(path, "is a database, but not a gate's state", RESTORE))
        }
        Err(error) => Err(unusable(path, error)),
    }
}

fn open_waiting(path: &Path) -> Result<Database, OpenError> {
    for _ in 1..OPEN_TRIES {
        match open_checked(path) {
            Err(OpenError::InUse) => std::thread::sleep(OPEN_PAUSE),
            other => return other,
        }
    }
    open_checked(path)
}

/// Opens for writing and checks every page: without that, redb may panic over a file that was altered behind its back.
fn open_checked(path: &Path) -> Result<Database, OpenError> {
    let file = private_file::open_own(path, OpenOptions::new().read(true).write(true));
    let file = file.map_err(OpenError::Refused)?;
    let length = file
        .metadata()
        .map_err(|error| OpenError::Refused(StateError::io(path, "looking at it", error)))?
        .len();
    // An empty file would be made a new store, which has forgotten everything.
    if length == 0 {
        return Err(OpenError::Refused(StateError::refused(
            path,
            "the record of used numbers is damaged (it is empty)",
            RESTORE,
        )));
    }
    let database = FileBackend::new(file)
        .and_then(|file| builder().set_check_integrity_on_open(true).create_with_backend(file));
    database.map_err(|error| OpenError::new(path, error))
}

enum OpenError {
    /// Another process has it open for writing.
    InUse,
    Refused(StateError),
}

impl OpenError {
    fn new(path: &Path, error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            error => Self::Refused(unusable(path, error.into())),
        }
    }

    fn at(self, path: &Path) -> StateError {
        match self {
            Self::InUse => StateError::refused(
                path,
                "another knockgated is running with this state directory",
                "stop that one first, or give this one a state-dir of its own",
            ),
            Self::Refused(error) => error,
        }
    }
}

/// Whether what looks like a fault of the disk is one of the content: too short, or not a database.
fn is_damage(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

fn remedy(error: &redb::Error) -> &'static str {
    match error {
        redb::Error::Io(error) => remedy_of(error),
        _ => "see what `dmesg` says about the disk",
    }
}

/// Whoever replaces a store because its disk is full, or its program too old, has shut everybody out for nothing.
fn unusable(path: &Path, error: redb::Error) -> StateError {
    match error {
        redb::Error::Io(error) if !is_damage(&error) => StateError::io(path, "using it", error),
        redb::Error::UpgradeRequired(_) => unknown_version(path),
        error => {
            StateError::refused(path, format!("the record of used numbers is damaged ({error})"), RESTORE)
        }
    }
}

fn unknown_version(path: &Path) -> StateError {
    StateError::refused(
        path,
        "has a format version that this program does not know",
        "use the program that wrote it, or a newer one",
    )
}

fn all_used_up(roster: &RosterFile) -> Loaded {
    let cursor = |enrolled: &EnrolledBook| (enrolled.book.id(), enrolled.book.shape().count());
    Loaded {
        used: roster.clients().iter().map(|client| (client.id, Used::EVERYTHING)).collect(),
        cursors: roster.books().iter().map(cursor).collect(),
        ..Loaded::default()
    }
}

fn merge(used: &mut Loaded, old: Loaded) {
    for (client, before) in old.used {
        let used = used.used.entry(client).or_insert(Used::NOTHING);
        *used = before.merged(*used);
    }
    for (book, next) in old.cursors {
        let cursor = used.cursors.entry(book).or_default();
        *cursor = next.max(*cursor);
    }
    let left = match old.last_stop {
        LastStop::Clean => None,
        LastStop::Unclean(lease) => Some(lease),
    };
    old.burnt.iter().chain(left).for_each(|lease| used.burnt.add(lease));
}

#[cfg(test)]
mod tests;
