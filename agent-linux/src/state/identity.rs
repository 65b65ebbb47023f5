//! The gate itself: its keys and the seed of its decoys. Made once by `init`; only the door keys ever change.

use std::path::Path;

use heapless::Vec;
use knockgate_core::UnixTime;
use knockgate_core::book::{Book, DecoySeed, Decoys, Shape};
use knockgate_core::file::{self, FileError, Format};
use knockgate_core::key::{DoorKey, GateId, SecretKey};
use knockgate_core::limits::MAX_DOOR_KEYS;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::door_keys::{DoorKeys, FormerDoorKey};
use super::{StateDir, StateError, private_file};
use crate::config::Config;

const FORMAT: Format = Format { mark: *b"KGid", version: 2 };
const FORMAT_V1: Format = Format { version: 1, ..FORMAT };
const KIND: &str = "gate identity";
/// Longest file: five times 32 bytes, an id, a shape, two times and the lengths.
const MAX_FILE: usize = 256;
/// How often decoys are drawn until none is taken. Of 1024 decoys among 1100 ports one draw in fifteen avoids one given
/// port; of 100 among 22 768 almost every draw does.
const DRAWS: usize = 20_000;

/// Who the gate is.
#[derive(Serialize, Deserialize)]
pub struct GateIdentity {
    /// Names the gate for ever.
    pub id: GateId,
    /// Proves that it is the gate.
    pub secret: SecretKey,
    pub door: DoorKeys,
    decoy_seed: DecoySeed,
    /// Only the decoys and their ports bind; count and length may differ from book to book.
    decoy_shape: Shape,
}

/// Tells a gate's books from others.
#[derive(Clone)]
pub struct BookOrigin {
    seed: DecoySeed,
    shape: Shape,
}

impl BookOrigin {
    /// Whether the book's sequences are drawn from that gate's decoys.
    pub fn fits(&self, book: &Book) -> bool {
        has_same_decoys(&self.shape, book.shape()) && book.is_drawn_from(&self.seed)
    }
}

/// Only the decoys and their ports bind the books of a gate.
fn has_same_decoys(one: &Shape, two: &Shape) -> bool {
    one.decoys() == two.decoys() && one.ports() == two.ports()
}

/// The first version: door keys without their times.
#[derive(Deserialize)]
struct IdentityV1 {
    id: GateId,
    secret: SecretKey,
    door_keys: Vec<DoorKey, MAX_DOOR_KEYS>,
    decoy_seed: DecoySeed,
    decoy_shape: Shape,
}

impl TryFrom<IdentityV1> for GateIdentity {
    type Error = FileError;

    fn try_from(old: IdentityV1) -> Result<Self, FileError> {
        let IdentityV1 { id, secret, door_keys, decoy_seed, decoy_shape } = old;
        let mut keys = door_keys.into_iter();
        let current = keys.next().ok_or(FileError::Nonsense)?;
        // Nobody has written a second one; if it is there, somebody wants it.
        let former = keys.next().map(|key| FormerDoorKey { key, until: UnixTime::from_micros(u64::MAX) });
        Ok(Self { id, secret, door: DoorKeys { current, made: None, former }, decoy_seed, decoy_shape })
    }
}

impl GateIdentity {
    /// A new gate whose decoys are none of `taken`.
    ///
    /// # Errors
    /// [`NoRoom`] if the ports of `shape` have no room for the decoys beside `taken`.
    pub fn generate(
        shape: Shape,
        taken: &[u16],
        now: Option<UnixTime>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, NoRoom> {
        let is_free = |seed: &DecoySeed| {
            let decoys = Decoys::draw(seed, &shape);
            !taken.iter().any(|port| decoys.contains(*port))
        };
        let decoy_seed = (0..DRAWS).map(|_| DecoySeed::generate(rng)).find(is_free).ok_or(NoRoom)?;
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Ok(Self {
            id: GateId(id),
            secret: SecretKey::generate(rng),
            door: DoorKeys::generate(now, rng),
            decoy_seed,
            decoy_shape: shape,
        })
    }

    /// # Errors
    /// If the file is missing, damaged or readable by others.
    pub fn load(dir: &StateDir) -> Result<Self, StateError> {
        let path = dir.identity_file();
        let restore = "restore it from a backup; a new one needs every client enrolled again";
        if private_file::is_missing(&path) {
            return Err(StateError::refused(
                &path,
                format!("the {KIND} is missing"),
                format!("run `knockgated init` if this gate is new, else {restore}"),
            ));
        }
        let content = private_file::read_own(&path)?;
        Self::decode(&content).map_err(|error| StateError::unreadable(&path, KIND, error, restore))
    }

    pub(crate) fn decode(content: &[u8]) -> Result<Self, FileError> {
        match file::decode(FORMAT, content) {
            Err(FileError::Version(1)) => {
                file::decode::<IdentityV1>(FORMAT_V1, content).and_then(Self::try_from)
            }
            other => other,
        }
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// If there is one already or it cannot be written.
    pub fn create(&self, dir: &StateDir) -> Result<(), StateError> {
        let path = dir.identity_file();
        private_file::create(&path, self.encode(&path, &mut [0; MAX_FILE])?)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// If it cannot be written; then the old one stays.
    pub(super) fn replace(&self, dir: &StateDir) -> Result<(), StateError> {
        let path = dir.identity_file();
        private_file::replace(&path, self.encode(&path, &mut [0; MAX_FILE])?)
    }

    fn encode<'b>(&self, path: &Path, buffer: &'b mut [u8]) -> Result<&'b [u8], StateError> {
        file::encode(FORMAT, self, buffer)
            .map_err(|error| StateError::unreadable(path, KIND, error, "report this as a defect"))
    }

    /// The decoys of this gate.
    pub fn decoys(&self) -> Decoys {
        Decoys::draw(&self.decoy_seed, &self.decoy_shape)
    }

    /// What the decoys are drawn by.
    pub fn decoy_seed(&self) -> &DecoySeed {
        &self.decoy_seed
    }

    /// A new book over this gate's decoys.
    ///
    /// # Errors
    /// [`OtherDecoys`] if `shape` is for other decoys than this gate's.
    pub fn new_book(&self, shape: Shape, rng: &mut impl CryptoRng) -> Result<Book, OtherDecoys> {
        if !self.has_decoys_of(&shape) {
            return Err(OtherDecoys);
        }
        Ok(Book::generate(shape, self.decoy_seed.clone(), rng))
    }

    /// Whether the book's sequences are drawn from this gate's decoys.
    pub fn fits(&self, book: &Book) -> bool {
        self.has_decoys_of(book.shape()) && book.is_drawn_from(&self.decoy_seed)
    }

    /// What tells this gate's books, for those who must not have its keys.
    pub fn book_origin(&self) -> BookOrigin {
        BookOrigin { seed: self.decoy_seed.clone(), shape: self.decoy_shape }
    }

    fn has_decoys_of(&self, shape: &Shape) -> bool {
        has_same_decoys(&self.decoy_shape, shape)
    }

    /// Whether the configuration still means the decoys that every enrolled book is drawn from.
    ///
    /// # Errors
    /// Names what has been changed and how to set it right.
    pub fn check_against(&self, config: &Config, dir: &Path) -> Result<(), StateError> {
        let (ours, dir) = (&self.decoy_shape, dir.display());
        let anew = format!("or move {dir} away, run `knockgated init` again and enrol every client anew");
        if !self.has_decoys_of(&config.sequence.shape) {
            let (count, first, last) = (ours.decoys(), *ours.ports().start(), *ours.ports().end());
            return Err(StateError::refused(
                &config.path,
                "sequence.decoy-count or sequence.port-range was changed, but every enrolled book is drawn from the old decoys",
                format!("set them back to decoy-count = {count} and port-range = [{first}, {last}], {anew}"),
            ));
        }
        let decoys = self.decoys();
        if let Some(port) = config.taken_ports().find(|port| decoys.contains(*port)) {
            return Err(StateError::refused(
                &config.path,
                format!("port {port} is one of this gate's decoys and cannot be a service or hear knocks"),
                format!("choose a port outside sequence.port-range for it, {anew}"),
            ));
        }
        Ok(())
    }
}

/// The ports to draw decoys from leave no room beside the services and the central port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no decoys can be drawn that avoid the services and the central port; widen sequence.port-range, lower \
     sequence.decoy-count, or take those ports out of the range"
)]
pub struct NoRoom;

/// The book would be for another gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "all books of a gate share its decoys; leave decoy-count and port-range as they were when it was made"
)]
pub struct OtherDecoys;

#[cfg(test)]
mod tests {
    use knockgate_core::book::DecoySeed;

    use super::*;
    use crate::state::system_rng;

    fn shape(decoys: u16, last: u16) -> Shape {
        Shape::new(10, 3, decoys, 10_000..=last).unwrap()
    }

    #[test]
    fn decoys_avoid_what_is_taken_even_in_a_narrow_range() {
        let taken = [10_003, 10_010, 22];
        let identity =
            GateIdentity::generate(shape(16, 10_019), &taken, None, &mut system_rng()).ok().unwrap();
        let decoys = identity.decoys();
        assert!(decoys.ports().len() == 16 && !taken.iter().any(|port| decoys.contains(*port)));
    }

    #[test]
    fn a_range_without_room_is_an_error_and_no_endless_loop() {
        let refused = GateIdentity::generate(shape(16, 10_015), &[10_003], None, &mut system_rng()).err();
        assert_eq!(refused, Some(NoRoom));
    }

    #[test]
    fn an_identity_that_cannot_be_reached_is_not_said_to_be_missing() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&temp.path().join("state")).unwrap();
        let refused = || GateIdentity::load(&dir).map(drop).unwrap_err().to_string();
        assert!(refused().contains("is missing"));
        std::os::unix::fs::symlink(dir.identity_file(), dir.identity_file()).unwrap();
        assert!(!refused().contains("is missing"), "{}", refused());
    }

    #[test]
    fn an_identity_is_read_as_it_was_written() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&temp.path().join("state")).unwrap();
        let identity =
            GateIdentity::generate(shape(1024, 40_000), &[], None, &mut system_rng()).ok().unwrap();

        identity.create(&dir).unwrap();
        let read = GateIdentity::load(&dir).unwrap();

        assert_eq!(
            (read.id, read.secret.public(), read.decoys()),
            (identity.id, identity.secret.public(), identity.decoys())
        );
        assert!(identity.create(&dir).is_err(), "never overwritten");
    }

    #[test]
    fn the_longest_identity_fits_its_buffer() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&temp.path().join("state")).unwrap();
        let shape = Shape::new(65_536, 16, 1024, 60_000..=65_535).unwrap();
        let mut identity = GateIdentity::generate(shape, &[], None, &mut system_rng()).ok().unwrap();
        let until = UnixTime::from_micros(u64::MAX);
        identity.door.made = Some(until);
        identity.door.former = Some(FormerDoorKey { key: DoorKey::from_bytes([255; 32]), until });
        identity.decoy_seed = DecoySeed::from_bytes([255; 32]);
        identity.create(&dir).unwrap();
    }

    #[test]
    fn an_identity_of_version_1_is_read_and_written_as_version_2() {
        #[derive(Serialize)]
        struct Old<'a>(GateId, &'a SecretKey, [u8; 1], &'a DoorKey, &'a DecoySeed, &'a Shape);
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&temp.path().join("state")).unwrap();
        let new = GateIdentity::generate(shape(100, 20_000), &[], None, &mut system_rng()).ok().unwrap();
        // A list of one key is its length and the key.
        let old = Old(new.id, &new.secret, [1], &new.door.current, &new.decoy_seed, &new.decoy_shape);
        let mut buffer = [0; MAX_FILE];
        private_file::create(&dir.identity_file(), file::encode(FORMAT_V1, &old, &mut buffer).unwrap())
            .unwrap();

        let read = GateIdentity::load(&dir).unwrap();

        assert_eq!(
            (read.id, read.secret.public(), read.decoys()),
            (new.id, new.secret.public(), new.decoys())
        );
        assert!(
            read.door.current.is(&new.door.current) && read.door.made.is_none() && read.door.former.is_none()
        );
        read.replace(&dir).unwrap();
        assert_eq!(private_file::read(&dir.identity_file()).unwrap()[4], 2);
    }

    #[test]
    fn a_book_of_another_gate_does_not_fit() {
        let rng = &mut system_rng();
        let [one, two] =
            [(); 2].map(|()| GateIdentity::generate(shape(100, 20_000), &[], None, rng).ok().unwrap());
        let book = one.new_book(Shape::new(5, 16, 100, 10_000..=20_000).unwrap(), rng).ok().unwrap();
        assert!(one.fits(&book) && !two.fits(&book));
        assert_eq!(one.new_book(shape(99, 20_000), rng).err(), Some(OtherDecoys));
    }
}
