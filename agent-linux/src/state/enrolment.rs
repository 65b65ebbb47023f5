//! The roster as the agent asks it: tables that never change, made where there is time for it.
//!
//! A hundred thousand clients take a while to read and to compare. The tables are made on a thread of their own (see
//! [`RosterWatch`](super::RosterWatch)) and handed to the event loop, which only swaps a pointer.

use std::collections::HashMap;

use knockgate_core::book::{Book, BookId};
use knockgate_core::key::PublicKey;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId, Name};

use super::RosterFile;

/// Clients by their keys and numbers, books and second factors.
#[derive(Default)]
pub struct Enrolment {
    clients: Vec<Client>,
    /// Places in `clients`, by every current and former key: one look for every question, whoever asks.
    by_key: HashMap<PublicKey, usize>,
    by_id: HashMap<ClientId, usize>,
    books: HashMap<BookId, Book>,
    totp: HashMap<ClientId, TotpSecret>,
}

/// How one enrolment differs from the one before, each list in the order of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<(ClientId, Name)>,
    pub removed: Vec<(ClientId, Name)>,
    /// Still there, and something about them is different.
    pub changed: Vec<(ClientId, Name)>,
    /// Those among the changed who have lost something: a key, a service, time. What is open to them has to be closed.
    pub restricted: Vec<(ClientId, Name)>,
}

impl Enrolment {
    /// Makes the tables.
    pub fn new(roster: &RosterFile) -> Self {
        let clients = roster.clients().to_vec();
        let mut by_key = HashMap::with_capacity(clients.len());
        let mut by_id = HashMap::with_capacity(clients.len());
        for (at, client) in clients.iter().enumerate() {
            by_id.insert(client.id, at);
            by_key.extend(keys(client).map(|key| (key, at)));
        }
        let books = roster.books().iter().map(|enrolled| (enrolled.book.id(), enrolled.book.clone()));
        let totp = roster.second_factors().map(|(client, secret)| (client, secret.clone()));
        Self { books: books.collect(), totp: totp.collect(), clients, by_key, by_id }
    }

    /// The client with that key, current or former.
    pub fn client(&self, key: &PublicKey) -> Option<&Client> {
        self.by_key.get(key).and_then(|at| self.clients.get(*at))
    }

    pub fn client_by_id(&self, id: ClientId) -> Option<&Client> {
        self.by_id.get(&id).and_then(|at| self.clients.get(*at))
    }

    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    pub fn book(&self, id: BookId) -> Option<&Book> {
        self.books.get(&id)
    }

    pub fn totp(&self, id: ClientId) -> Option<&TotpSecret> {
        self.totp.get(&id)
    }

    /// What has become of the clients since `before`.
    pub fn changes_since(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        let named = |client: &Client| (client.id, client.name.clone());
        for client in &self.clients {
            match before.client_by_id(client.id) {
                None => changes.added.push(named(client)),
                Some(was) => {
                    if was != client || !self.has_same_second_factor(before, client.id) {
                        changes.changed.push(named(client));
                    }
                    if is_restricted(was, client) {
                        changes.restricted.push(named(client));
                    }
                }
            }
        }
        let gone = before.clients.iter().filter(|client| self.client_by_id(client.id).is_none());
        changes.removed = gone.map(named).collect();
        for list in [&mut changes.added, &mut changes.removed, &mut changes.changed, &mut changes.restricted]
        {
            list.sort();
        }
        changes
    }

    fn has_same_second_factor(&self, before: &Self, id: ClientId) -> bool {
        match (self.totp(id), before.totp(id)) {
            (Some(one), Some(two)) => one.bytes() == two.bytes(),
            (one, two) => one.is_none() && two.is_none(),
        }
    }
}

/// The current key and the former one.
fn keys(client: &Client) -> impl Iterator<Item = PublicKey> {
    [Some(client.key), client.former.map(|former| former.key)].into_iter().flatten()
}

fn is_restricted(was: &Client, is: &Client) -> bool {
    let lost_key = keys(was).any(|key| keys(is).all(|other| other != key));
    let lost_service = was.services.iter().any(|service| !is.may_use(*service));
    let lost_time = is.expires.is_some_and(|end| was.expires.is_none_or(|before| end < before));
    lost_key || lost_service || lost_time
}
