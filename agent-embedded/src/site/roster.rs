//! The roster of a gateway: the image's clients and books with what the journal knows of them, exactly as many as there are.

use alloc::vec::Vec;

use knockgate_core::book::{Book, BookId};
use knockgate_core::key::PublicKey;
use knockgate_core::replay::Used;
use knockgate_core::site::Site;
use knockgate_core::totp::TotpSecret;
use knockgate_core::{Client, ClientId, Roster};

use crate::storage::Recalled;

/// Clients and books, searched from front to back.
pub struct SiteRoster {
    clients: Vec<Enrolled>,
    books: Vec<Shelved>,
}

struct Enrolled {
    client: Client,
    used: Used,
    totp: Option<TotpSecret>,
}

struct Shelved {
    book: Book,
    cursor: u32,
}

impl SiteRoster {
    /// The clients and books of `site`, with what was used up as the journal tells.
    pub(crate) fn new(site: &Site<'_>, recalled: &Recalled) -> Self {
        let mut clients = Vec::with_capacity(site.clients().count());
        clients.extend(site.clients().map(|entry| Enrolled {
            used: recalled.used(entry.client.id),
            client: entry.client,
            totp: entry.totp,
        }));
        let mut books = Vec::with_capacity(site.books().count());
        books.extend(site.books().map(|book| Shelved { cursor: recalled.cursor(book.id()), book }));
        Self { clients, books }
    }

    fn enrolled(&self, client: ClientId) -> Option<&Enrolled> {
        self.clients.iter().find(|enrolled| enrolled.client.id == client)
    }
}

impl Roster for SiteRoster {
    fn client(&self, key: &PublicKey) -> Option<&Client> {
        let has =
            |client: &&Client| client.key == *key || client.former.is_some_and(|former| former.key == *key);
        self.clients.iter().map(|enrolled| &enrolled.client).find(has)
    }

    fn client_by_id(&self, id: ClientId) -> Option<&Client> {
        self.enrolled(id).map(|enrolled| &enrolled.client)
    }

    fn book(&self, id: BookId) -> Option<&Book> {
        self.books.iter().map(|shelved| &shelved.book).find(|book| book.id() == id)
    }

    fn used(&self, client: ClientId) -> Used {
        self.enrolled(client).map_or(Used::EVERYTHING, |enrolled| enrolled.used)
    }

    fn set_used(&mut self, client: ClientId, used: Used) {
        if let Some(enrolled) = self.clients.iter_mut().find(|enrolled| enrolled.client.id == client) {
            enrolled.used = used;
        }
    }

    fn cursor(&self, book: BookId) -> u32 {
        // A book that is not there is used up.
        let shelved = self.books.iter().find(|shelved| shelved.book.id() == book);
        shelved.map_or(u32::MAX, |shelved| shelved.cursor)
    }

    fn set_cursor(&mut self, book: BookId, next: u32) {
        if let Some(shelved) = self.books.iter_mut().find(|shelved| shelved.book.id() == book) {
            shelved.cursor = next;
        }
    }

    fn totp(&self, client: ClientId) -> Option<&TotpSecret> {
        self.enrolled(client)?.totp.as_ref()
    }
}
