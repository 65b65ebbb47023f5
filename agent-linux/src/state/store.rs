//! What has been used up, durably: the last counter of every client, the position in every book, the numbers of policies.
//!
//! Nothing that was used may come back, so values only rise, and a store that is lost is an error and not a fresh start:
//! the gate would accept again what it has accepted before. [`Store::rebuild`] makes a new one that accepts nothing of
//! what could have been accepted before the loss.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use knockgate_core::action::Record;
use knockgate_core::book::BookId;
use knockgate_core::key::GateId;
use knockgate_core::replay::Used;
use knockgate_core::{Client, ClientId};
use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition,
};

use super::private_file::sync_directory;
use super::roster_file::{EnrolledBook, RosterFile};
use super::{StateDir, StateError};

const COUNTERS: TableDefinition<'_, u32, u64> = TableDefinition::new("counters");
const CURSORS: TableDefinition<'_, [u8; 8], u32> = TableDefinition::new("cursors");
const POLICIES: TableDefinition<'_, (&str, u32), u64> = TableDefinition::new("policies");
/// One row: which gate this is the state of, under the version of these tables.
const GATE: TableDefinition<'_, u32, [u8; 16]> = TableDefinition::new("gate");
const VERSION: u32 = 1;

/// Memory for pages. A store of 100 000 clients has some 10 MB, read once.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Added to the present when counters are raised past everything that may have been used: a client's clock can be ahead
/// of the gate's. For this long after a rebuild a client is refused as replaying.
const CLOCK_MARGIN: Duration = Duration::from_secs(60);
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
    /// The highest counter of every client that has sent one.
    pub counters: HashMap<ClientId, Used>,
    /// The first number of every book that was never offered.
    pub cursors: HashMap<BookId, u32>,
}

/// A write did not happen, or may not have; nothing that depends on it may be done.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}; make room on the disk, or see what `dmesg` says about it", path.display())]
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
        if path.exists() {
            return Err(StateError::refused(&path, "exists already", "move it away"));
        }
        Self::write_new(&path, gate, &Loaded::default())
    }

    /// Opens the store of `gate`. One that is missing is made only if no client was ever enrolled.
    ///
    /// # Errors
    /// If it is missing, damaged, another gate's, or in use by another agent.
    pub fn open(dir: &StateDir, gate: GateId, roster: &RosterFile) -> Result<Self, StateError> {
        let path = dir.store_file();
        if !path.exists() {
            if roster.was_ever_used() {
                return Err(Self::missing(&path));
            }
            Self::create(dir, gate)?;
        }
        Self::open_existing(&path, gate)
    }

    /// What an agent would say that starts with this roster, as far as it can be told without changing anything.
    ///
    /// # Errors
    /// If the store is missing, damaged or another gate's.
    pub fn check(dir: &StateDir, gate: GateId, roster: &RosterFile) -> Result<(), StateError> {
        let path = dir.store_file();
        if !path.exists() {
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

    fn open_existing(path: &Path, gate: GateId) -> Result<Self, StateError> {
        for _ in 1..OPEN_TRIES {
            match open_checked(path) {
                Err(OpenError::InUse) => std::thread::sleep(OPEN_PAUSE),
                other => return Self::checked(path, other, gate),
            }
        }
        Self::checked(path, open_checked(path), gate)
    }

    fn checked(path: &Path, opened: Result<Database, OpenError>, gate: GateId) -> Result<Self, StateError> {
        let database = opened.map_err(|error| error.at(path))?;
        check_gate(path, &database, gate)?;
        Ok(Self { path: path.to_owned(), database: Mutex::new(Some(database)) })
    }

    /// # Errors
    /// If it cannot be read.
    pub fn load(&self) -> Result<Loaded, StateError> {
        self.read(read)
    }

    /// What has been used up, also while an agent is running.
    ///
    /// # Errors
    /// If it is missing, damaged or cannot be read.
    pub fn peek(dir: &StateDir) -> Result<Loaded, StateError> {
        let path = dir.store_file();
        let loaded = match open_checked(&path) {
            Ok(database) => read(&database),
            // The agent that has it open has checked it.
            Err(OpenError::InUse) => {
                let database = builder()
                    .open_read_only(&path)
                    .map_err(|error| OpenError::new(&path, error).at(&path))?;
                read(&database)
            }
            Err(OpenError::Refused(error)) => return Err(error),
        };
        loaded.map_err(|error| damaged(&path, &error))
    }

    /// Makes records durable, all or none. Values never go down.
    ///
    /// # Errors
    /// If it cannot be said that they are durable.
    pub fn write(&self, records: &[Record]) -> Result<(), WriteError> {
        self.change(|database| write(database, records))
    }

    /// The numbers of one policy.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn policy(&self, name: &str) -> Result<HashMap<u32, u64>, StateError> {
        self.read(|database| read_policy(database, name))
    }

    /// Makes numbers of a policy durable, all or none; 0 forgets one.
    ///
    /// # Errors
    /// If it cannot be said that they are durable.
    pub fn write_policy(&self, name: &str, numbers: &[(u32, u64)]) -> Result<(), WriteError> {
        self.change(|database| write_policy(database, name, numbers))
    }

    /// Replaces a lost or damaged store by one in which every enrolled book is used up to its end and every counter is past
    /// the present. An old file is kept beside it as `state.redb.old`.
    ///
    /// # Errors
    /// If an agent is running or it cannot be written; then the old one stays.
    pub fn rebuild(dir: &StateDir, gate: GateId, roster: &RosterFile) -> Result<(), StateError> {
        let path = dir.store_file();
        let mut used = all_used_up(roster, SystemTime::now());
        if path.exists() {
            match open_checked(&path) {
                // Where the clock had been ahead, the old counters may be above the present.
                Ok(database) => merge(&mut used, read(&database).unwrap_or_default()),
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
        super::private_file::create(&next, &[])?;
        let database = builder().create(&next).map_err(|error| OpenError::new(&next, error).at(&next))?;
        fill(&database, gate, used).map_err(|error| damaged(&next, &error))?;
        database.close().map_err(|error| OpenError::new(&next, error).at(&next))?;
        let placed = std::fs::rename(&next, path).and_then(|()| sync_directory(path));
        placed.map_err(|error| StateError::io(path, "making it", error))
    }

    fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StateError> {
        let database = self.database();
        let content = database.as_ref().ok_or(redb::Error::PreviousIo).and_then(read);
        content.map_err(|error| damaged(&self.path, &error))
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
    let found = database.begin_read().map_err(redb::Error::from).and_then(|transaction| {
        let table = transaction.open_table(GATE)?;
        Ok(table.get(VERSION)?.map(|id| id.value()))
    });
    match found {
        Ok(Some(id)) if id == gate.0 => Ok(()),
        Ok(Some(_)) => Err(StateError::refused(path, "is the state of another gate", RESTORE)),
        Ok(None) => Err(StateError::refused(
            path,
            "has a format version that this program does not know",
            "use the program that wrote it, or a newer one",
        )),
        Err(redb::Error::TableDoesNotExist(_)) => {
            Err(StateError::refused(path, "is a database, but not a gate's state", RESTORE))
        }
        Err(error) => Err(damaged(path, &error)),
    }
}

/// Opens for writing and checks every page: without that, redb may panic over a file that was altered behind its back.
fn open_checked(path: &Path) -> Result<Database, OpenError> {
    super::private_file::check(path).map_err(OpenError::Refused)?;
    let database = builder().set_check_integrity_on_open(true).open(path);
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
            DatabaseError::Storage(StorageError::Io(error)) if !is_damage(&error) => {
                Self::Refused(StateError::io(path, "opening", error))
            }
            error => Self::Refused(damaged(path, &error.into())),
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

fn damaged(path: &Path, error: &redb::Error) -> StateError {
    StateError::refused(path, format!("the record of used numbers is damaged ({error})"), RESTORE)
}

fn read(database: &impl ReadableDatabase) -> Result<Loaded, redb::Error> {
    let transaction = database.begin_read()?;
    let mut loaded = Loaded::default();
    for row in transaction.open_table(COUNTERS)?.iter()? {
        let (client, counter) = row?;
        loaded.counters.insert(ClientId(client.value()), Used { last: counter.value(), ..Used::NOTHING });
    }
    for row in transaction.open_table(CURSORS)?.iter()? {
        let (book, next) = row?;
        loaded.cursors.insert(BookId(book.value()), next.value());
    }
    Ok(loaded)
}

fn write(database: &Database, records: &[Record]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut counters = transaction.open_table(COUNTERS)?;
        let mut cursors = transaction.open_table(CURSORS)?;
        for record in records {
            let (Record::Counter { client, used } | Record::Offer { client, used, .. }) = *record;
            let counter = used.last;
            let before = counters.get(client.0)?.map_or(0, |value| value.value());
            counters.insert(client.0, counter.max(before))?;
            if let Record::Offer { book, next, .. } = *record {
                let before = cursors.get(book.0)?.map_or(0, |value| value.value());
                cursors.insert(book.0, next.max(before))?;
            }
        }
    }
    Ok(transaction.commit()?)
}

fn read_policy(database: &Database, name: &str) -> Result<HashMap<u32, u64>, redb::Error> {
    let table = database.begin_read()?.open_table(POLICIES)?;
    let rows = table.range((name, 0)..=(name, u32::MAX))?;
    let numbers = rows.map(|row| row.map(|(key, value)| (key.value().1, value.value())));
    Ok(numbers.collect::<Result<_, _>>()?)
}

fn write_policy(database: &Database, name: &str, numbers: &[(u32, u64)]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(POLICIES)?;
        for &(key, value) in numbers {
            match value {
                0 => drop(table.remove((name, key))?),
                _ => drop(table.insert((name, key), value)?),
            }
        }
    }
    Ok(transaction.commit()?)
}

fn fill(database: &Database, gate: GateId, used: &Loaded) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(GATE)?.insert(VERSION, gate.0)?;
        transaction.open_table(POLICIES)?;
        let mut counters = transaction.open_table(COUNTERS)?;
        for (client, counter) in &used.counters {
            counters.insert(client.0, counter.last)?;
        }
        let mut cursors = transaction.open_table(CURSORS)?;
        for (book, next) in &used.cursors {
            cursors.insert(book.0, *next)?;
        }
    }
    Ok(transaction.commit()?)
}

fn all_used_up(roster: &RosterFile, now: SystemTime) -> Loaded {
    let past = now.checked_add(CLOCK_MARGIN).and_then(|then| then.duration_since(UNIX_EPOCH).ok());
    let past = past.and_then(|time| u64::try_from(time.as_micros()).ok()).unwrap_or(u64::MAX);
    let counter = |client: &Client| (client.id, Used { last: past, ..Used::NOTHING });
    let cursor = |enrolled: &EnrolledBook| (enrolled.book.id(), enrolled.book.shape().count());
    Loaded {
        counters: roster.clients().iter().map(counter).collect(),
        cursors: roster.books().iter().map(cursor).collect(),
    }
}

fn merge(used: &mut Loaded, old: Loaded) {
    for (client, counter) in old.counters {
        let known = used.counters.entry(client).or_insert(Used::NOTHING);
        *known = known.merged(counter);
    }
    for (book, next) in old.cursors {
        let cursor = used.cursors.entry(book).or_default();
        *cursor = next.max(*cursor);
    }
}

#[cfg(test)]
mod tests;
