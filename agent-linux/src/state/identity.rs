//! The gate itself: its keys and the seed of its decoys. Made once by `init` and never changed by the agent.

use std::path::Path;

use heapless::Vec;
use knockgate_core::book::{Book, DecoySeed, Decoys, Shape};
use knockgate_core::file::{self, FileError, Format};
use knockgate_core::key::{DoorKey, GateId, SecretKey};
use knockgate_core::limits::MAX_DOOR_KEYS;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{StateDir, StateError, private_file};
use crate::config::Config;

const FORMAT: Format = Format { mark: *b"KGid", version: 1 };
const KIND: &str = "gate identity";
/// Longest file: five times 32 bytes, an id, a shape and the lengths.
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
    /// The key in force, and while it is being changed the one before.
    pub door_keys: Vec<DoorKey, MAX_DOOR_KEYS>,
    decoy_seed: DecoySeed,
    /// Only the decoys and their ports bind; count and length may differ from book to book.
    decoy_shape: Shape,
}

impl GateIdentity {
    /// A new gate whose decoys are none of `taken`.
    ///
    /// # Errors
    /// [`NoRoom`] if the ports of `shape` have no room for the decoys beside `taken`.
    pub fn generate(shape: Shape, taken: &[u16], rng: &mut impl CryptoRng) -> Result<Self, NoRoom> {
        let is_free = |seed: &DecoySeed| {
            let decoys = Decoys::draw(seed, &shape);
            !taken.iter().any(|port| decoys.contains(*port))
        };
        let decoy_seed = (0..DRAWS).map(|_| DecoySeed::generate(rng)).find(is_free).ok_or(NoRoom)?;
        let (mut id, mut door_keys) = ([0; 16], Vec::new());
        rng.fill_bytes(&mut id);
        door_keys.extend([DoorKey::generate(rng)]);
        Ok(Self {
            id: GateId(id),
            secret: SecretKey::generate(rng),
            door_keys,
            decoy_seed,
            decoy_shape: shape,
        })
    }

    /// # Errors
    /// If the file is missing, damaged or readable by others.
    pub fn load(dir: &StateDir) -> Result<Self, StateError> {
        let path = dir.identity_file();
        let restore = "restore it from a backup; a new one needs every client enrolled again";
        if !path.exists() {
            return Err(StateError::refused(
                &path,
                format!("the {KIND} is missing"),
                format!("run `knockgated init` if this gate is new, else {restore}"),
            ));
        }
        let content = private_file::read(&path)?;
        Self::decode(&content).map_err(|error| StateError::unreadable(&path, KIND, error, restore))
    }

    pub(crate) fn decode(content: &[u8]) -> Result<Self, FileError> {
        let identity: Self = file::decode(FORMAT, content)?;
        if identity.door_keys.is_empty() { Err(FileError::Nonsense) } else { Ok(identity) }
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// If there is one already or it cannot be written.
    pub fn create(&self, dir: &StateDir) -> Result<(), StateError> {
        let path = dir.identity_file();
        let mut buffer = [0; MAX_FILE];
        let content = file::encode(FORMAT, self, &mut buffer)
            .map_err(|error| StateError::unreadable(&path, KIND, error, "report this as a defect"))?;
        private_file::create(&path, content)
    }

    /// The decoys of this gate.
    pub fn decoys(&self) -> Decoys {
        Decoys::draw(&self.decoy_seed, &self.decoy_shape)
    }

    /// The door key that new profiles get.
    pub fn door_key(&self) -> &DoorKey {
        self.door_keys.first().expect("an identity is generated and loaded with at least one door key")
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

    fn has_decoys_of(&self, shape: &Shape) -> bool {
        shape.decoys() == self.decoy_shape.decoys() && shape.ports() == self.decoy_shape.ports()
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
        let identity = GateIdentity::generate(shape(16, 10_019), &taken, &mut system_rng()).ok().unwrap();
        let decoys = identity.decoys();
        assert!(decoys.ports().len() == 16 && !taken.iter().any(|port| decoys.contains(*port)));
    }

    #[test]
    fn a_range_without_room_is_an_error_and_no_endless_loop() {
        let refused = GateIdentity::generate(shape(16, 10_015), &[10_003], &mut system_rng()).err();
        assert_eq!(refused, Some(NoRoom));
    }

    #[test]
    fn an_identity_is_read_as_it_was_written() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&temp.path().join("state")).unwrap();
        let identity = GateIdentity::generate(shape(1024, 40_000), &[], &mut system_rng()).ok().unwrap();

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
        let mut identity = GateIdentity::generate(shape, &[], &mut system_rng()).ok().unwrap();
        identity.door_keys.push(DoorKey::from_bytes([255; 32])).ok().unwrap();
        identity.decoy_seed = DecoySeed::from_bytes([255; 32]);
        identity.create(&dir).unwrap();
    }

    #[test]
    fn a_book_of_another_gate_does_not_fit() {
        let rng = &mut system_rng();
        let [one, two] = [(); 2].map(|()| GateIdentity::generate(shape(100, 20_000), &[], rng).ok().unwrap());
        let book = one.new_book(Shape::new(5, 16, 100, 10_000..=20_000).unwrap(), rng).ok().unwrap();
        assert!(one.fits(&book) && !two.fits(&book));
        assert_eq!(one.new_book(shape(99, 20_000), rng).err(), Some(OtherDecoys));
    }
}
