//! The roster on disk: clients and their books in one file that is always replaced as a whole.
//!
//! Admin commands change it under a lock, so that two at once both land; the running agent only reads it. A client's number
//! is never given out again, because the replay state knows clients by their numbers.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use knockgate_core::book::{Book, BookId};
use knockgate_core::file::{self, FileError, Format};
use knockgate_core::{Client, ClientId, Name};
use serde::{Deserialize, Serialize};

use super::{StateDir, StateError, private_file};

const FORMAT: Format = Format { mark: *b"KGro", version: 1 };
const KIND: &str = "roster";
const RESTORE: &str =
    "restore it from a backup, or enrol every client again after `knockgated init` in a new state-dir";
/// First guess at the bytes of one client with its book; a file that needs more gets more.
const BYTES_PER_CLIENT: usize = 256;

/// All clients and all books.
#[derive(Clone, Serialize, Deserialize)]
pub struct RosterFile {
    next_client: u32,
    clients: Vec<Client>,
    books: Vec<EnrolledBook>,
}

/// A book and whether several clients may have it.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolledBook {
    pub book: Book,
    /// Given to clients by hand; stays when its last client goes, so that its numbers are not taken for fresh ones.
    pub shared: bool,
}

/// Why a client could not be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    #[error("there is a client {0} already; choose another name, or `knockgated client remove {0}` first")]
    NameTaken(Name),
    #[error("there is a client with this key already; make a new key")]
    KeyTaken,
    #[error("no number is left for another client; make a new state-dir")]
    NoNumberLeft,
    #[error("there is no client {0}; `knockgated client list` shows them")]
    NoSuchClient(String),
}

impl Default for RosterFile {
    fn default() -> Self {
        Self { next_client: 1, clients: Vec::new(), books: Vec::new() }
    }
}

impl RosterFile {
    /// # Errors
    /// If the file is missing, damaged, or readable by others.
    pub fn load(dir: &StateDir) -> Result<Self, StateError> {
        let path = dir.roster_file();
        if !path.exists() {
            return Err(StateError::refused(&path, format!("the {KIND} is missing"), RESTORE));
        }
        let content = private_file::read(&path)?;
        Self::decode(&content).map_err(|error| StateError::unreadable(&path, KIND, error, RESTORE))
    }

    pub(crate) fn decode(content: &[u8]) -> Result<Self, FileError> {
        file::decode::<Self>(FORMAT, content).and_then(Self::checked)
    }

    /// Writes a first, empty roster.
    ///
    /// # Errors
    /// If there is one already or it cannot be written.
    pub fn create(dir: &StateDir) -> Result<(), StateError> {
        let path = dir.roster_file();
        private_file::create(&path, &Self::default().encode(dir)?)
    }

    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    pub fn books(&self) -> &[EnrolledBook] {
        &self.books
    }

    pub fn client(&self, name: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.name.as_str() == name)
    }

    pub fn book(&self, id: BookId) -> Option<&EnrolledBook> {
        self.books.iter().find(|enrolled| enrolled.book.id() == id)
    }

    /// Whether a client was ever enrolled, even if it is gone.
    pub fn was_ever_used(&self) -> bool {
        self.next_client != 1
    }

    /// Adds a client under a new number; `enrol` makes it of that number. Its book is added unless it is there.
    ///
    /// # Errors
    /// If its name or key is taken.
    pub fn add(
        &mut self,
        enrol: impl FnOnce(ClientId) -> Client,
        book: EnrolledBook,
    ) -> Result<&Client, RosterError> {
        let client = enrol(ClientId(self.next_client));
        if self.client(client.name.as_str()).is_some() {
            return Err(RosterError::NameTaken(client.name));
        }
        if self.clients.iter().any(|other| other.key == client.key) {
            return Err(RosterError::KeyTaken);
        }
        self.next_client = self.next_client.checked_add(1).ok_or(RosterError::NoNumberLeft)?;
        if self.book(book.book.id()).is_none() {
            self.books.push(book);
        }
        self.clients.push(client);
        self.clients.last().ok_or(RosterError::NoNumberLeft)
    }

    /// Removes a client, and its book unless that is shared.
    ///
    /// # Errors
    /// If there is no client of that name.
    pub fn remove(&mut self, name: &str) -> Result<Client, RosterError> {
        let at = self.clients.iter().position(|client| client.name.as_str() == name);
        let at = at.ok_or_else(|| RosterError::NoSuchClient(name.to_owned()))?;
        let client = self.clients.remove(at);
        let is_used = self.clients.iter().any(|other| other.book == client.book);
        self.books.retain(|enrolled| enrolled.shared || is_used || enrolled.book.id() != client.book);
        Ok(client)
    }

    /// Whether the parts fit together; a roster of which only some clients could knock would hide a defect.
    fn checked(self) -> Result<Self, FileError> {
        let books: HashSet<_> = self.books.iter().map(|enrolled| enrolled.book.id()).collect();
        let (mut ids, mut names, mut keys) = (HashSet::new(), HashSet::new(), HashSet::new());
        let clients_fit = self.clients.iter().all(|client| {
            let is_new = ids.insert(client.id) && names.insert(&client.name) && keys.insert(client.key);
            is_new && client.id.0 < self.next_client && books.contains(&client.book)
        });
        let is_whole = clients_fit && books.len() == self.books.len();
        if is_whole { Ok(self) } else { Err(FileError::Nonsense) }
    }

    fn encode(&self, dir: &StateDir) -> Result<Vec<u8>, StateError> {
        let mut buffer = vec![0; (self.clients.len().max(self.books.len()) + 1) * BYTES_PER_CLIENT];
        loop {
            match file::encode(FORMAT, self, &mut buffer).map(<[u8]>::len) {
                Ok(len) => {
                    buffer.truncate(len);
                    return Ok(buffer);
                }
                Err(FileError::TooLong) if buffer.len() < private_file::MAX_FILE => {
                    buffer.resize(buffer.len() * 2, 0)
                }
                Err(error) => return Err(StateError::unreadable(&dir.roster_file(), KIND, error, RESTORE)),
            }
        }
    }
}

/// The roster while one command changes it. Until [`RosterEdit::commit`], nothing has happened.
pub struct RosterEdit {
    pub roster: RosterFile,
    dir: StateDir,
    /// Held until the edit is dropped.
    _lock: File,
}

impl RosterEdit {
    /// Waits for other commands, then reads the roster.
    ///
    /// # Errors
    /// If it cannot be locked or read.
    pub fn begin(dir: &StateDir) -> Result<Self, StateError> {
        let path = dir.roster_lock();
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(|error| StateError::io(&path, "opening the lock", error))?;
        lock.lock().map_err(|error| StateError::io(&path, "locking", error))?;
        Ok(Self { roster: RosterFile::load(dir)?, dir: dir.clone(), _lock: lock })
    }

    /// Replaces the roster on disk.
    ///
    /// # Errors
    /// If it cannot be written; then the old one stays.
    pub fn commit(self) -> Result<(), StateError> {
        let content = self.roster.encode(&self.dir)?;
        private_file::replace(&self.dir.roster_file(), &content)
    }
}

/// Notices that the roster was replaced, at the price of one `stat`.
pub struct RosterWatch {
    dir: StateDir,
    seen: Option<Stamp>,
}

/// A replaced file has another inode or, if the number was given out again, another time.
type Stamp = (u64, i64, i64, u64);

impl RosterWatch {
    /// Loads the roster and remembers what was loaded.
    ///
    /// # Errors
    /// As [`RosterFile::load`].
    pub fn begin(dir: &StateDir) -> Result<(Self, RosterFile), StateError> {
        let mut watch = Self { dir: dir.clone(), seen: None };
        watch.seen = watch.stamp();
        Ok((watch, RosterFile::load(dir)?))
    }

    /// The roster if it was replaced since the last call. An error is told once; the roster in use stays.
    ///
    /// # Errors
    /// As [`RosterFile::load`].
    pub fn poll(&mut self) -> Result<Option<RosterFile>, StateError> {
        // The stamp is taken before the content: a replacement in between is seen again, never missed.
        let now = self.stamp();
        if now == self.seen {
            return Ok(None);
        }
        self.seen = now;
        RosterFile::load(&self.dir).map(Some)
    }

    fn stamp(&self) -> Option<Stamp> {
        let metadata = std::fs::metadata(self.dir.roster_file()).ok()?;
        Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
    }
}

#[cfg(test)]
mod tests;
