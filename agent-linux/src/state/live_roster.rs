//! The roster in memory: what is enrolled, and what everybody has used up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use knockgate_core::book::{Book, BookId};
use knockgate_core::key::{PublicKey, SharedSecret};
use knockgate_core::replay::Used;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId, Name, Roster};

use super::enrolment::{Changes, Enrolment};
use super::store::Loaded;

use acquaintances::Acquaintances;

mod acquaintances;

/// What the core asks.
///
/// What is used up outlives the clients and books that it belongs to, so that a client or book which goes and comes back
/// finds it.
pub struct LiveRoster {
    enrolment: Arc<Enrolment>,
    /// Those who went in this run: what is closed for a client that went shall bear his name.
    gone: HashMap<ClientId, Name>,
    used: HashMap<ClientId, Used>,
    cursors: HashMap<BookId, u32>,
    /// Whose `used` has changed since it was last taken to be stored.
    dirty: HashSet<ClientId>,
    acquaintances: Acquaintances,
}

impl LiveRoster {
    pub fn new(enrolment: Arc<Enrolment>, loaded: Loaded) -> Self {
        let Loaded { used, cursors, .. } = loaded;
        Self {
            enrolment,
            gone: HashMap::new(),
            used,
            cursors,
            dirty: HashSet::new(),
            acquaintances: Acquaintances::new(),
        }
    }

    /// Takes over another enrolment, whose changes since the present one these are; what is used up stays. Returns the
    /// present one: to drop a big one takes a while, which the event loop need not spend.
    pub fn take_over(&mut self, enrolment: Arc<Enrolment>, changes: &Changes) -> Arc<Enrolment> {
        self.gone.extend(changes.removed.iter().cloned());
        self.acquaintances.retain(|key| enrolment.client(key).is_some());
        std::mem::replace(&mut self.enrolment, enrolment)
    }

    /// The name of a client that is, or in this run was, on the roster.
    pub fn name(&self, id: ClientId) -> Option<&Name> {
        self.client_by_id(id).map(|client| &client.name).or_else(|| self.gone.get(&id))
    }

    pub fn clients(&self) -> impl ExactSizeIterator<Item = &Client> {
        self.enrolment.clients().iter()
    }

    /// What has been used up since the last call and is not known to be durable. It counts as taken care of; after a write
    /// that failed, give the clients to [`LiveRoster::put_back`].
    pub fn take_dirty(&mut self) -> Vec<(ClientId, Used)> {
        let used = &self.used;
        self.dirty.drain().filter_map(|client| Some((client, *used.get(&client)?))).collect()
    }

    /// Whether there is anything to be stored.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// What these clients have used up is not durable after all.
    pub fn put_back(&mut self, clients: impl IntoIterator<Item = ClientId>) {
        self.dirty.extend(clients);
    }

    /// Copies a pointer and some bytes for each book that was ever used.
    pub fn view(&self) -> RosterView {
        RosterView { enrolment: Arc::clone(&self.enrolment), cursors: self.cursors.clone() }
    }

    /// Numbers that a book has left; `None` if there is no such book.
    pub fn left(&self, book: BookId) -> Option<u32> {
        self.enrolment.book(book).map(|known| known.shape().count().saturating_sub(self.cursor(book)))
    }
}

/// Who is enrolled and how far the books are at one moment, to be looked at beside the gate's thread.
pub struct RosterView {
    enrolment: Arc<Enrolment>,
    cursors: HashMap<BookId, u32>,
}

impl RosterView {
    pub fn clients(&self) -> &[Client] {
        self.enrolment.clients()
    }

    /// Numbers that a book has left, and how many it has.
    pub fn level(&self, book: BookId) -> Option<(u32, u32)> {
        let count = self.enrolment.book(book)?.shape().count();
        Some((count.saturating_sub(self.cursors.get(&book).copied().unwrap_or(0)), count))
    }
}

impl Roster for LiveRoster {
    fn client_by_id(&self, id: ClientId) -> Option<&Client> {
        self.enrolment.client_by_id(id)
    }

    fn client(&self, key: &PublicKey) -> Option<&Client> {
        self.enrolment.client(key)
    }

    fn book(&self, id: BookId) -> Option<&Book> {
        self.enrolment.book(id)
    }

    fn used(&self, client: ClientId) -> Used {
        // A client that is not there has used up everything: nothing of it can be admitted.
        let unknown = match self.enrolment.client_by_id(client) {
            Some(_) => Used::NOTHING,
            None => Used::EVERYTHING,
        };
        self.used.get(&client).copied().unwrap_or(unknown)
    }

    fn set_used(&mut self, client: ClientId, used: Used) {
        self.used.insert(client, used);
        self.dirty.insert(client);
    }

    fn cursor(&self, book: BookId) -> u32 {
        // Likewise: a book that is not there is used up.
        let unknown = if self.enrolment.book(book).is_some() { 0 } else { u32::MAX };
        self.cursors.get(&book).copied().unwrap_or(unknown)
    }

    fn set_cursor(&mut self, book: BookId, next: u32) {
        let cursor = self.cursors.entry(book).or_default();
        *cursor = next.max(*cursor);
    }

    fn totp(&self, client: ClientId) -> Option<&TotpSecret> {
        self.enrolment.totp(client)
    }

    fn shared(&self, key: &PublicKey) -> Option<&SharedSecret> {
        self.acquaintances.shared(key)
    }

    fn keep_shared(&mut self, key: &PublicKey, shared: SharedSecret) {
        self.acquaintances.keep(*key, shared);
    }
}

#[cfg(test)]
mod tests;
