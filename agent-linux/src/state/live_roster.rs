//! The roster in memory: one hash probe for every question, whether there is one client or a hundred thousand.

use std::collections::HashMap;

use knockgate_core::book::{Book, BookId};
use knockgate_core::key::PublicKey;
use knockgate_core::replay::Used;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId, Name, Roster};

use super::roster_file::RosterFile;
use super::store::Loaded;

/// What the core asks.
///
/// Counters and positions outlive the clients and books that they belong to, so that a client or book which goes and
/// comes back finds what it has used up.
pub struct LiveRoster {
    clients: HashMap<PublicKey, Client>,
    keys: HashMap<ClientId, PublicKey>,
    /// Of everybody who was ever on it in this run: what is closed for a client that went shall bear his name.
    names: HashMap<ClientId, Name>,
    books: HashMap<BookId, Book>,
    counters: HashMap<ClientId, Used>,
    cursors: HashMap<BookId, u32>,
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<(ClientId, Name)>,
    pub removed: Vec<(ClientId, Name)>,
}

impl LiveRoster {
    pub fn new(roster: &RosterFile, used: Loaded) -> Self {
        let Loaded { counters, cursors } = used;
        let (clients, keys, names, books) = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        let mut live = Self { clients, keys, names, books, counters, cursors };
        live.reload(roster);
        live
    }

    /// Takes over another roster; counters and positions stay.
    pub fn reload(&mut self, roster: &RosterFile) -> Changes {
        let before = std::mem::take(&mut self.clients);
        self.clients = roster.clients().iter().map(|client| (client.key, client.clone())).collect();
        self.keys = roster.clients().iter().map(|client| (client.id, client.key)).collect();
        self.names.extend(roster.clients().iter().map(|client| (client.id, client.name.clone())));
        self.books =
            roster.books().iter().map(|enrolled| (enrolled.book.id(), enrolled.book.clone())).collect();
        Changes { added: missing_in(&before, &self.clients), removed: missing_in(&self.clients, &before) }
    }

    /// The client of that number.
    pub fn client_by_id(&self, id: ClientId) -> Option<&Client> {
        self.keys.get(&id).and_then(|key| self.clients.get(key))
    }

    /// The name of a client that is, or in this run was, on the roster.
    pub fn name(&self, id: ClientId) -> Option<&Name> {
        self.names.get(&id)
    }

    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    /// The highest counter of every client that has sent one.
    pub fn counters(&self) -> impl Iterator<Item = (ClientId, Used)> {
        self.counters.iter().map(|(client, used)| (*client, *used))
    }

    /// Numbers that a book has left; `None` if there is no such book.
    pub fn left(&self, book: BookId) -> Option<u32> {
        self.books.get(&book).map(|known| known.shape().count().saturating_sub(self.cursor(book)))
    }
}

/// The clients of `there` that `here` does not have, in the order of their numbers.
fn missing_in(
    here: &HashMap<PublicKey, Client>,
    there: &HashMap<PublicKey, Client>,
) -> Vec<(ClientId, Name)> {
    let missing =
        there.values().filter(|client| here.get(&client.key).is_none_or(|other| other.id != client.id));
    let mut missing: Vec<_> = missing.map(|client| (client.id, client.name.clone())).collect();
    missing.sort();
    missing
}

impl Roster for LiveRoster {
    fn client(&self, key: &PublicKey) -> Option<&Client> {
        self.clients.get(key)
    }

    fn book(&self, id: BookId) -> Option<&Book> {
        self.books.get(&id)
    }

    fn used(&self, client: ClientId) -> Used {
        let unknown = if self.keys.contains_key(&client) { Used::NOTHING } else { Used::EVERYTHING };
        self.counters.get(&client).copied().unwrap_or(unknown)
    }

    fn set_used(&mut self, client: ClientId, used: Used) {
        let known = self.counters.entry(client).or_insert(Used::NOTHING);
        *known = known.merged(used);
    }

    fn totp(&self, _: ClientId) -> Option<&TotpSecret> {
        None
    }

    fn cursor(&self, book: BookId) -> u32 {
        // Likewise: a book that is not there is used up.
        let unknown = if self.books.contains_key(&book) { 0 } else { u32::MAX };
        self.cursors.get(&book).copied().unwrap_or(unknown)
    }

    fn set_cursor(&mut self, book: BookId, next: u32) {
        let cursor = self.cursors.entry(book).or_default();
        *cursor = next.max(*cursor);
    }
}
