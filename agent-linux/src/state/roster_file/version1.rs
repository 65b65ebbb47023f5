//! Reads rosters of the first version: clients with one key, without an end and without second factors.

use heapless::Vec;
use knockgate_core::book::BookId;
use knockgate_core::file::{self, FileError, Format};
use knockgate_core::key::PublicKey;
use knockgate_core::limits::MAX_CLIENT_SERVICES;
use knockgate_core::{Client, ClientId, Name};
use serde::Deserialize;

use super::{EnrolledBook, RosterFile};

pub(super) const VERSION: u8 = 1;

#[derive(Deserialize)]
struct RosterV1 {
    next_client: u32,
    clients: std::vec::Vec<ClientV1>,
    books: std::vec::Vec<EnrolledBook>,
}

#[derive(Deserialize)]
struct ClientV1 {
    id: ClientId,
    name: Name,
    key: PublicKey,
    services: Vec<u16, MAX_CLIENT_SERVICES>,
    book: BookId,
}

impl From<ClientV1> for Client {
    fn from(old: ClientV1) -> Self {
        let ClientV1 { id, name, key, services, book } = old;
        Self { services, ..Self::new(id, name, key, book) }
    }
}

pub(super) fn decode(mark: [u8; 4], content: &[u8]) -> Result<RosterFile, FileError> {
    let RosterV1 { next_client, clients, books } = file::decode(Format { mark, version: VERSION }, content)?;
    let clients = clients.into_iter().map(Client::from).collect();
    Ok(RosterFile { next_client, clients, books, totp: std::vec::Vec::new() })
}
