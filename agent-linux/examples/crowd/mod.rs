//! Rosters of invented clients, of any size.

use std::error::Error;

use knockgate_agent::state::roster_file::EnrolledBook;
use knockgate_agent::state::{GateIdentity, StateDir, private_file, system_rng};
use knockgate_core::book::Shape;
use knockgate_core::file::{self, Format};
use knockgate_core::key::PublicKey;
use knockgate_core::{Client, ClientId};
use serde::Serialize;

/// The shape of a book as `init` makes it.
pub(crate) fn shape() -> Result<Shape, Box<dyn Error>> {
    Ok(Shape::new(1000, 6, 100, 10_000..=32_767)?)
}

/// Writes the roster file as it is on disk, and returns its length; enrolling one by one would take as many replacements. Clients
/// are numbered from 1, may use service 1, and have the key that `key` gives them.
pub(crate) fn write_roster(
    dir: &StateDir,
    identity: &GateIdentity,
    size: u32,
    key: impl Fn(u32) -> PublicKey,
) -> Result<usize, Box<dyn Error>> {
    #[derive(Serialize)]
    struct Content {
        next_client: u32,
        clients: Vec<Client>,
        books: Vec<EnrolledBook>,
        totp: Vec<u8>,
    }
    let mut content =
        Content { next_client: size + 1, clients: Vec::new(), books: Vec::new(), totp: Vec::new() };
    let shape = shape()?;
    for id in 1..=size {
        let book = identity.new_book(shape, &mut system_rng())?;
        let client = Client::new(ClientId(id), format!("client-{id}").parse()?, key(id), book.id());
        content.clients.push(Client { services: [1].into_iter().collect(), ..client });
        content.books.push(EnrolledBook { book, shared: false });
    }
    let mut buffer = vec![0; 1024 + 512 * size as usize];
    let written = file::encode(Format { mark: *b"KGro", version: 2 }, &content, &mut buffer)
        .map_err(|error| format!("{error:?}"))?;
    private_file::replace(&dir.roster_file(), written)?;
    Ok(written.len())
}

/// A key that belongs to nobody.
pub(crate) fn key(id: u32) -> PublicKey {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&id.to_le_bytes());
    PublicKey(key)
}
