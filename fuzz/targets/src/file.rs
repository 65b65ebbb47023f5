//! Files, and the texts that stand for them. A checksum keeps a fuzzer out of what is inside, so every input is read twice: as a
//! file, and as the content of one.

use knockgate::fuzzing::{LockedFile, Shut};
use knockgate_agent::fuzzing;
use knockgate_agent::state::RosterFile;
use knockgate_core::book::Book;
use knockgate_core::file::{self, FileError, Format};
use knockgate_core::key::PublicKey;
use knockgate_core::profile::{PortRange, Profile};
use knockgate_core::roster::Name;
use knockgate_core::text_form::{self, TextFault};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Serialize, Serializer};

/// Longer than any content that is worth trying.
const ROOM: usize = 8192;
/// The passphrase of every locked profile in the corpus.
pub(crate) const PASSPHRASE: &[u8] = b"correct horse";
/// What one guess may cost here: KiB, passes, lanes.
const AFFORDABLE: (u32, u32, u32) = (64, 3, 4);

/// A profile's file of any version.
pub fn profile(data: &[u8]) {
    for version in 1..=3 {
        each(Format { mark: *b"KGpr", version }, data, |file| {
            let Ok(profile) = Profile::decode(file) else { return };
            let written = profile_file(&profile);
            let again = Profile::decode(&written).expect("a profile of this version");
            assert_eq!(profile_file(&again), written, "it is read as it was written");
            assert_eq!(again.services, profile.services);
            assert_eq!(
                again.packet_ports.map(PortRange::is_valid),
                profile.packet_ports.map(PortRange::is_valid)
            );
            check_book(&profile.book);
        });
    }
}

/// A knock book's file.
pub fn book(data: &[u8]) {
    each(Format { mark: *b"KGbk", version: 1 }, data, |file| {
        let Ok(book) = Book::decode(file) else { return };
        let written = book_file(&book);
        let again = Book::decode(&written).expect("a book of this version");
        assert_eq!(book_file(&again), written, "it is read as it was written");
        check_book(&book);
    });
}

/// The roster's file of either version.
pub fn roster_file(data: &[u8]) {
    for version in [1, 2] {
        each(Format { mark: *b"KGro", version }, data, |file| {
            let Ok(roster) = fuzzing::roster(file) else { return };
            let written = encoded(Format { mark: *b"KGro", version: 2 }, &roster);
            let again = fuzzing::roster(&written).expect("a roster of this version");
            assert_eq!(again.clients(), roster.clients(), "it is read as it was written");
            check_roster(&roster);
        });
    }
}

/// The file of the gate's keys of either version.
pub fn gate_identity(data: &[u8]) {
    for version in [1, 2] {
        each(Format { mark: *b"KGid", version }, data, |file| {
            let Ok(identity) = fuzzing::identity(file) else { return };
            let written = encoded(Format { mark: *b"KGid", version: 2 }, &identity);
            let again = fuzzing::identity(&written).expect("an identity of this version");
            assert!(again.door.current.is(&identity.door.current) && again.id == identity.id);
            assert_eq!(again.door.former.is_some(), identity.door.former.is_some());
            assert_eq!(again.decoys(), identity.decoys());
        });
    }
}

/// The file of a key that a client has made for itself.
pub fn own_key(data: &[u8]) {
    each(Format { mark: *b"KGck", version: 1 }, data, |file| {
        let Ok(key) = knockgate::fuzzing::own_key(file) else { return };
        assert_eq!(
            encoded(Format { mark: *b"KGck", version: 1 }, &key),
            file,
            "there is one file of every key"
        );
    });
}

/// A profile under a passphrase. Whatever is changed in its file, it opens to what was locked or not at all.
pub fn locked_profile(data: &[u8]) {
    each(Format { mark: *b"KGlk", version: 1 }, data, |file| {
        let content = file::decode::<Locked>(Format { mark: *b"KGlk", version: 1 }, file);
        let locked = LockedFile::decode(file);
        assert_eq!(locked.as_ref().err(), content.as_ref().err(), "the format is as it is written down");
        let (Ok(locked), Ok(content)) = (locked, content) else { return };
        let (memory, passes, lanes) = content.cost;
        if memory > 1024 * 1024 || passes > 100 || lanes > 16 {
            assert_eq!(locked.open(PASSPHRASE), Err(Shut), "nobody pays what no client would ever ask");
        } else if memory <= AFFORDABLE.0 && passes <= AFFORDABLE.1 && lanes <= AFFORDABLE.2 {
            check_lock(&locked, &content);
        }
    });
}

/// The text of a public key, and that of a profile.
pub fn text_form(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(key) = text_form::parse_public_key(text)
    {
        let lower = text.trim_ascii().to_ascii_lowercase();
        assert_eq!(text_form::public_key(&key).as_str(), lower, "one text for every key");
    }
    let mut buffer = [0; ROOM];
    let parsed = text_form::parse_profile(data, &mut buffer);
    if let Ok(bytes) = parsed {
        assert!(text_form::is_profile(data) || data.iter().any(u8::is_ascii_whitespace));
        let text: Vec<u8> = data.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        assert_eq!(profile_text(bytes).as_bytes(), text, "one text for every file");
        let too_small = bytes.len().checked_sub(1).map(|len| vec![0; len]);
        assert!(too_small.is_none_or(|mut small| text_form::parse_profile(data, &mut small) == Err(TextFault::TooLong)));
    }
    // The other way round: any bytes and any key have a text that is read back.
    let text = profile_text(data);
    let mut buffer = vec![0; data.len()];
    assert_eq!(text_form::parse_profile(text.as_bytes(), &mut buffer), Ok(data));
    if let Some(key) = data.first_chunk() {
        let text = text_form::public_key(&PublicKey(*key));
        assert_eq!(text_form::parse_public_key(&text), Ok(PublicKey(*key)));
    }
}

/// Reads `data` as it is, and as the content of a file of that format.
pub(crate) fn each(format: Format, data: &[u8], check: impl Fn(&[u8])) {
    check(data);
    let mut buffer = [0; ROOM];
    if let Ok(file) = file::encode(format, &Raw(data), &mut buffer) {
        check(file);
    }
}

/// Bytes that are written as they are.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

fn encoded(format: Format, content: &impl Serialize) -> Vec<u8> {
    let mut buffer = vec![0; 2 * ROOM];
    file::encode(format, content, &mut buffer).expect("what was read can be written").to_vec()
}

fn profile_file(profile: &Profile) -> Vec<u8> {
    let mut buffer = [0; Profile::MAX_FILE];
    profile.encode(&mut buffer).expect("MAX_FILE bytes are enough").to_vec()
}

fn book_file(book: &Book) -> Vec<u8> {
    let mut buffer = [0; Book::MAX_FILE];
    book.encode(&mut buffer).expect("MAX_FILE bytes are enough").to_vec()
}

fn profile_text(file: &[u8]) -> String {
    let mut buffer = vec![0; text_form::profile_len(file.len())];
    text_form::profile(file, &mut buffer).expect("the buffer has the length of the text").to_owned()
}

/// Every number of a book has a sequence of distinct decoys, and no other number has one.
fn check_book(book: &Book) {
    let (shape, decoys) = (book.shape(), book.decoys());
    assert_eq!(decoys.ports().len(), usize::from(shape.decoys()));
    assert!(decoys.ports().is_sorted_by(|one, two| one < two));
    assert!(decoys.ports().iter().all(|port| shape.ports().contains(port)));
    for number in [0, shape.count() - 1] {
        let mut sequence = book.sequence(number, &decoys).expect("a number of the book");
        assert!(sequence.iter().all(|port| decoys.contains(*port)));
        assert_eq!(sequence.len(), usize::from(shape.length()));
        sequence.sort_unstable();
        assert!(sequence.is_sorted_by(|one, two| one < two), "no port twice");
    }
    assert!(book.sequence(shape.count(), &decoys).is_none());
}

/// The parts fit together, and stay so when clients come and go.
fn check_roster(roster: &RosterFile) {
    for client in roster.clients() {
        assert!(roster.book(client.book).is_some(), "everybody has a book");
        assert_eq!(roster.client(client.name.as_str()), Some(client), "names are told apart");
        assert!(client.name.as_str().parse::<Name>().is_ok());
    }
    let mut changed = roster.clone();
    for client in roster.clients() {
        assert!(changed.remove(client.name.as_str()).is_ok_and(|gone| gone == *client));
    }
    assert!(
        changed.clients().is_empty()
            && changed.books().iter().all(|book| book.shared || !is_used(roster, book.book.id()))
    );
}

fn is_used(roster: &RosterFile, book: knockgate_core::book::BookId) -> bool {
    roster.clients().iter().any(|client| client.book == book)
}

/// The content of a locked profile, as the client's module documentation has it.
#[derive(Serialize, Deserialize)]
struct Locked {
    cost: (u32, u32, u32),
    salt: [u8; 16],
    nonce: [u8; 24],
    sealed: Vec<u8>,
}

fn check_lock(locked: &LockedFile, content: &Locked) {
    if let Ok(plain) = locked.open(PASSPHRASE) {
        assert_eq!(plain.len() + 16, content.sealed.len());
        assert_eq!(plain, LOCKED, "only what was locked");
    }
    let Ok(file) = locked.lock(PASSPHRASE, LOCKED) else { return };
    let again = LockedFile::decode(&file).expect("a locked profile of this version");
    assert_eq!(again.open(PASSPHRASE).as_deref(), Ok(LOCKED));
    assert_eq!(again.open(b"another"), Err(Shut));
}

/// What is locked in every file of the corpus.
pub(crate) const LOCKED: &[u8] = b"the bytes of a profile";

/// A locked profile that costs next to nothing.
pub(crate) fn cheaply_locked() -> Result<Vec<u8>, FileError> {
    let content = Locked { cost: (8, 1, 1), salt: [5; 16], nonce: [0; 24], sealed: Vec::new() };
    let locked = LockedFile::decode(&encoded(Format { mark: *b"KGlk", version: 1 }, &content))?;
    locked.lock(PASSPHRASE, LOCKED).map_err(|Shut| FileError::Nonsense)
}
