//! The roster on disk: clients and their books in one file that is always replaced as a whole.
//!
//! Admin commands change it under a lock, so that two at once both land; the running agent only reads it. A client's number
//! is never given out again, because the replay state knows clients by their numbers.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use knockgate_core::book::{Book, BookId};
use knockgate_core::file::{self, FileError, Format};
use knockgate_core::key::PublicKey;
use knockgate_core::roster::FormerKey;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId, Name};
use serde::{Deserialize, Serialize};

use super::{StateDir, StateError, private_file};

const FORMAT: Format = Format { mark: *b"KGro", version: 2 };
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
    /// Secrets of second factors. Apart from the clients, so that nobody who looks at clients has them.
    totp: Vec<(ClientId, TotpSecret)>,
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
    #[error("client {0} has this key already, or had it before; make a new key")]
    KeyTaken(Name),
    #[error("no number is left for another client; make a new state-dir")]
    NoNumberLeft,
    #[error("there is no client {0}; `knockgated client list` shows them")]
    NoSuchClient(String),
}

impl Default for RosterFile {
    fn default() -> Self {
        Self { next_client: 1, clients: Vec::new(), books: Vec::new(), totp: Vec::new() }
    }
}

impl RosterFile {
    /// # Errors
    /// If the file is missing, damaged, or readable by others.
    pub fn load(dir: &StateDir) -> Result<Self, StateError> {
        let path = dir.roster_file();
        if private_file::is_missing(&path) {
            return Err(StateError::refused(&path, format!("the {KIND} is missing"), RESTORE));
        }
        let content = private_file::read_own(&path)?;
        Self::decode(&content).map_err(|error| StateError::unreadable(&path, KIND, error, RESTORE))
    }

    pub(crate) fn decode(content: &[u8]) -> Result<Self, FileError> {
        let roster = match file::decode::<Self>(FORMAT, content) {
            Err(FileError::Version(version1::VERSION)) => version1::decode(FORMAT.mark, content),
            other => other,
        };
        roster.and_then(Self::checked)
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

    /// Tables for those who look at every client.
    pub fn index(&self) -> RosterIndex<'_> {
        RosterIndex {
            books: self.books.iter().map(|enrolled| (enrolled.book.id(), enrolled)).collect(),
            second_factors: self.totp.iter().map(|(client, _)| *client).collect(),
        }
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
        self.check_key_is_new(&client.key)?;
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
        self.drop_unused_book(client.book);
        self.set_second_factor(client.id, None);
        Ok(client)
    }

    /// A client, to be changed. Its number, key and book are not to be touched: [`RosterFile::rekey`], [`RosterFile::rebook`].
    ///
    /// # Errors
    /// If there is no client of that name.
    pub fn client_mut(&mut self, name: &str) -> Result<&mut Client, RosterError> {
        let found = self.clients.iter_mut().find(|client| client.name.as_str() == name);
        found.ok_or_else(|| RosterError::NoSuchClient(name.to_owned()))
    }

    /// Gives a client another key; the one before may stay good for a while as its former one.
    ///
    /// # Errors
    /// If there is no client of that name, or the key is taken.
    pub fn rekey(
        &mut self,
        name: &str,
        key: PublicKey,
        former: Option<FormerKey>,
    ) -> Result<(), RosterError> {
        self.check_key_is_new(&key)?;
        let client = self.client_mut(name)?;
        (client.key, client.former) = (key, former);
        Ok(())
    }

    /// Gives a client another book; the one before goes unless it is shared.
    ///
    /// # Errors
    /// If there is no client of that name.
    pub fn rebook(&mut self, name: &str, book: EnrolledBook) -> Result<(), RosterError> {
        let client = self.client_mut(name)?;
        let before = std::mem::replace(&mut client.book, book.book.id());
        if self.book(book.book.id()).is_none() {
            self.books.push(book);
        }
        self.drop_unused_book(before);
        Ok(())
    }

    /// The clients that have a second factor, with its secret.
    pub fn second_factors(&self) -> impl Iterator<Item = (ClientId, &TotpSecret)> {
        self.totp.iter().map(|(client, secret)| (*client, secret))
    }

    pub fn has_second_factor(&self, client: ClientId) -> bool {
        self.totp.iter().any(|(other, _)| *other == client)
    }

    /// Gives a client a second factor in the place of the one before, or takes it away.
    pub fn set_second_factor(&mut self, client: ClientId, secret: Option<TotpSecret>) {
        self.totp.retain(|(other, _)| *other != client);
        self.totp.extend(secret.map(|secret| (client, secret)));
    }

    fn check_key_is_new(&self, key: &PublicKey) -> Result<(), RosterError> {
        let has =
            |client: &&Client| client.key == *key || client.former.is_some_and(|former| former.key == *key);
        match self.clients.iter().find(has) {
            Some(client) => Err(RosterError::KeyTaken(client.name.clone())),
            None => Ok(()),
        }
    }

    fn drop_unused_book(&mut self, book: BookId) {
        let is_used = self.clients.iter().any(|client| client.book == book);
        self.books.retain(|enrolled| enrolled.shared || is_used || enrolled.book.id() != book);
    }

    /// Whether the parts fit together; a roster of which only some clients could knock would hide a defect.
    fn checked(self) -> Result<Self, FileError> {
        let books: HashSet<_> = self.books.iter().map(|enrolled| enrolled.book.id()).collect();
        let room = self.clients.len();
        let mut ids = HashSet::with_capacity(room);
        let mut names = HashSet::with_capacity(room);
        let mut keys = HashSet::with_capacity(room);
        let clients_fit = self.clients.iter().all(|client| {
            let has_new_keys =
                keys.insert(client.key) && client.former.is_none_or(|former| keys.insert(former.key));
            let is_new = ids.insert(client.id) && names.insert(&client.name) && has_new_keys;
            is_new && client.id.0 < self.next_client && books.contains(&client.book)
        });
        let mut owners = HashSet::new();
        let factors_fit = self.totp.iter().all(|(client, _)| ids.contains(client) && owners.insert(*client));
        let is_whole = clients_fit && factors_fit && books.len() == self.books.len();
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

/// Finds without searching.
pub struct RosterIndex<'r> {
    books: HashMap<BookId, &'r EnrolledBook>,
    second_factors: HashSet<ClientId>,
}

impl<'r> RosterIndex<'r> {
    pub fn book(&self, id: BookId) -> Option<&'r EnrolledBook> {
        self.books.get(&id).copied()
    }

    pub fn has_second_factor(&self, client: ClientId) -> bool {
        self.second_factors.contains(&client)
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
        let lock = private_file::lock(&dir.roster_lock())?;
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

#[cfg(test)]
mod tests;
mod version1;
