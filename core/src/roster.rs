//! The roster: who may knock, for what, with which book, and what each has used up.
//!
//! The core asks through a trait, because a server keeps a hundred thousand clients in a hash table and a gateway keeps
//! sixty in flash. [`FixedRoster`] is the small one.

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use crate::book::{Book, BookId};
use crate::key::{PublicKey, SharedSecret};
use crate::limits::{MAX_CLIENT_SERVICES, MAX_NAME};
use crate::replay::Used;
use crate::time::UnixTime;
use crate::totp::TotpSecret;

/// Numbers a client for ever; never given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientId(pub u32);

impl ClientId {
    /// Stands for whoever sits at the gate itself, and for what is [opened by his order](crate::Gate::open_by_order). No roster has
    /// such a client: they count from 1 up.
    pub const CONSOLE: Self = Self(0);

    /// Marks the numbers that stand for static sequences. Rosters count clients from 1 up and never come so far.
    const STATIC: u32 = 1 << 31;

    /// The number that stands for whoever knocks the static sequence of that name. It depends on nothing else, so a later run
    /// knows again what this one has opened.
    ///
    /// FNV-1a, less one bit. Source: draft-eastlake-fnv.
    pub fn of_static(name: &Name) -> Self {
        let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        Self(name.as_str().as_bytes().iter().fold(0x811c_9dc5, mix) | Self::STATIC)
    }

    /// Whether it stands for a static sequence: no roster has such a client.
    pub const fn is_static(self) -> bool {
        self.0 & Self::STATIC != 0
    }
}

/// A name of a client or a service: 1 to 32 bytes of `a-z A-Z 0-9 . _ -`, beginning with a letter or digit.
///
/// So a name can stand in a file name, a log line and a kernel comment without quoting.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String<MAX_NAME>", into = "String<MAX_NAME>")]
pub struct Name(String<MAX_NAME>);

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Empty, or longer than 32 bytes.
    Length,
    /// A character that names do not have, or a first one that is no letter or digit.
    Character(char),
}

impl core::fmt::Display for NameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Length => write!(f, "a name has 1 to {MAX_NAME} characters"),
            Self::Character(found) => {
                write!(
                    f,
                    "{found:?} cannot stand there in a name; use letters, digits and, after the first, . _ -"
                )
            }
        }
    }
}

impl core::error::Error for NameError {}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        String::try_from(text).map_err(|_| NameError::Length).and_then(Self::try_from)
    }
}

impl TryFrom<String<MAX_NAME>> for Name {
    type Error = NameError;

    fn try_from(text: String<MAX_NAME>) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Length)?;
        let wrong_first = Some(first).filter(|c| !c.is_ascii_alphanumeric());
        let wrong = text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'));
        match wrong_first.or(wrong) {
            Some(character) => Err(NameError::Character(character)),
            None => Ok(Self(text)),
        }
    }
}

impl From<Name> for String<MAX_NAME> {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// Somebody who may knock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Numbers him for ever.
    pub id: ClientId,
    /// What people call him.
    pub name: Name,
    /// Proves that it is him.
    pub key: PublicKey,
    /// The services that he may ask for.
    pub services: Vec<u16, MAX_CLIENT_SERVICES>,
    /// The book that he knocks from.
    pub book: BookId,
    /// The key that he had before, while it is being changed.
    pub former: Option<FormerKey>,
    /// When his enrolment ends, if it does.
    pub expires: Option<UnixTime>,
    /// Whether every packet knock of his is to be confirmed from its address, whatever the service says.
    pub confirm: bool,
}

/// A key that has been replaced and is still good for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerKey {
    /// The key.
    pub key: PublicKey,
    /// Until when.
    pub until: UnixTime,
}

impl Client {
    /// A client with nothing but what every client has.
    pub fn new(id: ClientId, name: Name, key: PublicKey, book: BookId) -> Self {
        Self { id, name, key, services: Vec::new(), book, former: None, expires: None, confirm: false }
    }

    /// Whether `key` is the client's at that time. Without a clock a former key is none: it would be good for ever.
    pub fn has_key(&self, key: &PublicKey, unix: Option<UnixTime>) -> bool {
        let is_former =
            |former: &FormerKey| former.key == *key && unix.is_some_and(|unix| unix < former.until);
        self.key == *key || self.former.as_ref().is_some_and(is_former)
    }

    /// Whether `key` is or was the client's.
    fn is_named_by(&self, key: &PublicKey) -> bool {
        self.key == *key || self.former.is_some_and(|former| former.key == *key)
    }

    /// Whether the enrolment has ended. Without a clock one that ends has ended.
    pub fn has_expired(&self, unix: Option<UnixTime>) -> bool {
        self.expires.is_some_and(|end| unix.is_none_or(|unix| unix >= end))
    }

    /// Whether the client may ask for `service`.
    pub fn may_use(&self, service: u16) -> bool {
        self.services.contains(&service)
    }
}

/// What the core asks the host's roster.
///
/// `used` and `cursor` must return what was set last, from the moment it was set. That it is also durable is told by
/// [`Action::Remember`](crate::Action::Remember) and [`Gate::handle_stored`](crate::Gate::handle_stored).
pub trait Roster {
    /// The client with this key, or with this former key; whether that is still good is for the core to say.
    fn client(&self, key: &PublicKey) -> Option<&Client>;
    /// The client of that number.
    fn client_by_id(&self, id: ClientId) -> Option<&Client>;
    /// The book of that name.
    fn book(&self, id: BookId) -> Option<&Book>;
    /// What a client has used up; [`Used::EVERYTHING`] of one that is not there.
    fn used(&self, client: ClientId) -> Used;
    /// Sets what a client has used up.
    fn set_used(&mut self, client: ClientId, used: Used);
    /// The first number of a book that was never offered.
    fn cursor(&self, book: BookId) -> u32;
    /// Sets the first number that was never offered.
    fn set_cursor(&mut self, book: BookId, next: u32);
    /// The secret of a client's second factor, if it has one.
    fn totp(&self, client: ClientId) -> Option<&TotpSecret>;
    /// What the gate shares with the owner of this key, if it was [kept](Roster::keep_shared): then his questions cost one X25519
    /// operation less.
    fn shared(&self, _key: &PublicKey) -> Option<&SharedSecret> {
        None
    }
    /// Keeps what the gate shares with a client, who has just proven that this key is his. A host may forget it whenever it likes,
    /// or keep nothing; it must wipe what it forgets, and forget whoever leaves the roster.
    fn keep_shared(&mut self, _key: &PublicKey, _shared: SharedSecret) {}
}

/// A roster of at most `N` clients and `N` books without a heap, searched from front to back.
#[derive(Clone, Default)]
pub struct FixedRoster<const N: usize> {
    clients: Vec<Enrolled, N>,
    books: Vec<(Book, u32), N>,
}

#[derive(Clone)]
struct Enrolled {
    client: Client,
    used: Used,
    totp: Option<TotpSecret>,
    /// With the key that it belongs to.
    shared: Option<(PublicKey, SharedSecret)>,
}

/// The roster has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterFull;

impl<const N: usize> FixedRoster<N> {
    /// An empty roster.
    pub const fn new() -> Self {
        Self { clients: Vec::new(), books: Vec::new() }
    }

    /// Adds a client and what it has used up.
    ///
    /// # Errors
    /// [`RosterFull`].
    pub fn add_client(
        &mut self,
        client: Client,
        used: Used,
        totp: Option<TotpSecret>,
    ) -> Result<(), RosterFull> {
        self.clients.push(Enrolled { client, used, totp, shared: None }).map_err(|_| RosterFull)
    }

    /// Adds a book whose first number that was never offered is `cursor`.
    ///
    /// # Errors
    /// [`RosterFull`].
    pub fn add_book(&mut self, book: Book, cursor: u32) -> Result<(), RosterFull> {
        self.books.push((book, cursor)).map_err(|_| RosterFull)
    }

    fn enrolled(&self, client: ClientId) -> Option<&Enrolled> {
        self.clients.iter().find(|enrolled| enrolled.client.id == client)
    }
}

impl<const N: usize> Roster for FixedRoster<N> {
    fn client(&self, key: &PublicKey) -> Option<&Client> {
        self.clients.iter().map(|enrolled| &enrolled.client).find(|client| client.is_named_by(key))
    }

    fn client_by_id(&self, id: ClientId) -> Option<&Client> {
        self.enrolled(id).map(|enrolled| &enrolled.client)
    }

    fn book(&self, id: BookId) -> Option<&Book> {
        self.books.iter().map(|(book, _)| book).find(|book| book.id() == id)
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
        self.books.iter().find(|(known, _)| known.id() == book).map_or(u32::MAX, |(_, cursor)| *cursor)
    }

    fn set_cursor(&mut self, book: BookId, next: u32) {
        if let Some((_, cursor)) = self.books.iter_mut().find(|(known, _)| known.id() == book) {
            *cursor = next;
        }
    }

    fn totp(&self, client: ClientId) -> Option<&TotpSecret> {
        self.enrolled(client)?.totp.as_ref()
    }

    fn shared(&self, key: &PublicKey) -> Option<&SharedSecret> {
        let mut all = self.clients.iter().filter_map(|enrolled| enrolled.shared.as_ref());
        all.find(|(whose, _)| whose == key).map(|(_, shared)| shared)
    }

    fn keep_shared(&mut self, key: &PublicKey, shared: SharedSecret) {
        if let Some(enrolled) = self.clients.iter_mut().find(|enrolled| enrolled.client.is_named_by(key)) {
            enrolled.shared = Some((*key, shared));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_file_name_and_a_log_line() {
        #[rustfmt::skip]
        let cases = [
            (1, "alice", Ok(())),
            (2, "a.b_c-9", Ok(())),
            (3, "", Err(NameError::Length)),
            (4, "0123456789012345678901234567890123", Err(NameError::Length)),
            (5, "-x", Err(NameError::Character('-'))),
            (6, "../x", Err(NameError::Character('.'))),
            (7, "a b", Err(NameError::Character(' '))),
            (8, "a/b", Err(NameError::Character('/'))),
            (9, "ä", Err(NameError::Character('ä'))),
        ];
        for (case, text, expected) in cases {
            assert_eq!(text.parse::<Name>().map(|_| ()), expected, "case {case}");
        }
    }

    #[test]
    fn the_number_of_a_static_sequence_is_its_own_and_stays_the_same() {
        let of = |name: &str| ClientId::of_static(&name.parse().unwrap());
        // They are kept in the kernel: another run must find the same.
        assert_eq!(of("phone"), ClientId(0xf736_11af));
        assert_eq!(of("camera"), ClientId(0x9ebe_984e));
        assert!(of("phone").is_static());
        assert!(!ClientId(1).is_static() && !ClientId(u32::MAX >> 1).is_static());
    }

    #[test]
    fn a_client_that_is_gone_can_do_nothing() {
        let roster = FixedRoster::<1>::new();
        assert_eq!(roster.used(ClientId(1)), Used::EVERYTHING);
        assert_eq!(roster.cursor(BookId([0; 8])), u32::MAX);
    }
}
