//! The knock book: numbered one-time sequences of ports, shared by gate and client (the paper's "portknock file").
//!
//! A book is stored as a seed and a shape, about 100 bytes, and every sequence is computed when it is needed. The decoys
//! are common to all books of a gate, because they are the ports that the gate watches. Which number is next is not in the
//! book: that is the gate's durable state. Rule: `docs/protocol.md`, section 2.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use core::ops::RangeInclusive;
use heapless::Vec;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::file::{self, FileError, Format};
use crate::limits::{
    BOOK_COUNTS, DECOY_COUNTS, LOW_WATER_DIVISOR, LOW_WATER_MIN, MAX_DECOYS, MAX_SEQUENCE, SEQUENCE_LENGTHS,
};

/// The ports of one knock, in the order in which they are knocked.
pub type Sequence = Vec<u16, MAX_SEQUENCE>;

/// Names a book for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BookId(pub [u8; 8]);

impl core::fmt::Display for BookId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Whether the ports of a sequence must come in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// In the order of the book.
    Strict,
    /// In any order: survives a network that reorders, and is worth less (see [`Shape::keyspace`]).
    Any,
}

/// The figures of a book. Checked: a `Shape` that exists is within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedShape")]
pub struct Shape {
    count: u32,
    length: u8,
    decoys: u16,
    first_port: u16,
    last_port: u16,
}

#[derive(Deserialize)]
struct UncheckedShape {
    count: u32,
    length: u8,
    decoys: u16,
    first_port: u16,
    last_port: u16,
}

impl TryFrom<UncheckedShape> for Shape {
    type Error = ShapeError;

    fn try_from(shape: UncheckedShape) -> Result<Self, ShapeError> {
        Self::new(shape.count, shape.length, shape.decoys, shape.first_port..=shape.last_port)
    }
}

/// Which figure of a book is outside its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// Outside [`BOOK_COUNTS`].
    Count,
    /// Outside [`SEQUENCE_LENGTHS`].
    Length,
    /// Outside [`DECOY_COUNTS`].
    Decoys,
    /// A sequence needs more distinct ports than there are decoys.
    LengthAboveDecoys,
    /// Port 0, or a range that ends before it begins.
    Ports,
    /// Fewer ports than decoys.
    TooFewPorts,
}

impl core::fmt::Display for ShapeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (lengths, decoys, counts) = (SEQUENCE_LENGTHS, DECOY_COUNTS, BOOK_COUNTS);
        match self {
            Self::Count => write!(f, "a book has {} to {} knocks", counts.start(), counts.end()),
            Self::Length => write!(f, "a sequence has {} to {} ports", lengths.start(), lengths.end()),
            Self::Decoys => write!(f, "a gate has {} to {} decoys", decoys.start(), decoys.end()),
            Self::LengthAboveDecoys => f.write_str("a sequence cannot have more ports than there are decoys"),
            Self::Ports => {
                f.write_str("the port range begins at 1 or later and does not end before it begins")
            }
            Self::TooFewPorts => f.write_str("the port range has fewer ports than there are decoys"),
        }
    }
}

impl core::error::Error for ShapeError {}

impl Shape {
    /// A book of `count` sequences of `length` ports, out of `decoys` ports drawn from `ports`.
    ///
    /// # Errors
    /// [`ShapeError`] if a figure is outside its limits.
    pub fn new(count: u32, length: u8, decoys: u16, ports: RangeInclusive<u16>) -> Result<Self, ShapeError> {
        let (first_port, last_port) = (*ports.start(), *ports.end());
        if !BOOK_COUNTS.contains(&count) {
            return Err(ShapeError::Count);
        }
        if !SEQUENCE_LENGTHS.contains(&length) {
            return Err(ShapeError::Length);
        }
        if !DECOY_COUNTS.contains(&decoys) {
            return Err(ShapeError::Decoys);
        }
        if u16::from(length) > decoys {
            return Err(ShapeError::LengthAboveDecoys);
        }
        if first_port == 0 || last_port < first_port {
            return Err(ShapeError::Ports);
        }
        if u32::from(last_port - first_port) + 1 < u32::from(decoys) {
            return Err(ShapeError::TooFewPorts);
        }
        Ok(Self { count, length, decoys, first_port, last_port })
    }

    /// How many knocks.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Ports of one knock.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Ports to choose from.
    pub fn decoys(&self) -> u16 {
        self.decoys
    }

    /// Where the decoys are drawn from.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.first_port..=self.last_port
    }

    /// How many different knocks an attacker must reckon with: `decoys! / (decoys - length)!`, and without order
    /// `decoys` choose `length`.
    pub fn keyspace(&self, order: Order) -> f64 {
        let ordered: f64 = (0..self.length).map(|drawn| f64::from(self.decoys) - f64::from(drawn)).product();
        match order {
            Order::Strict => ordered,
            Order::Any => ordered / (1..=self.length).map(f64::from).product::<f64>(),
        }
    }

    /// Whether `left` numbers are few for this book.
    pub fn is_low(&self, left: u32) -> bool {
        left <= (self.count / LOW_WATER_DIVISOR).max(LOW_WATER_MIN.min(self.count / 2))
    }

    fn port_count(&self) -> u32 {
        u32::from(self.last_port - self.first_port) + 1
    }
}

/// What the decoys of a gate are computed from.
#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct DecoySeed([u8; 32]);

impl DecoySeed {
    /// A new seed from a cryptographic generator.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self(seed)
    }

    /// The seed made of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// The decoys of a gate, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoys(Vec<u16, MAX_DECOYS>);

impl Decoys {
    /// Draws the decoys of `shape` from `seed`. Rule: `docs/protocol.md`, section 2.2.
    pub fn draw(seed: &DecoySeed, shape: &Shape) -> Self {
        let mut stream = Stream::new(&seed.0, 0, b"decoys\0\0");
        let mut ports: Vec<u16, MAX_DECOYS> = Vec::new();
        while ports.len() < usize::from(shape.decoys) {
            let offset = stream.below(shape.port_count());
            let port = u16::try_from(u32::from(shape.first_port) + offset).unwrap_or(shape.last_port);
            if let Err(at) = ports.binary_search(&port) {
                ports.insert(at, port).expect("a shape has at most MAX_DECOYS decoys");
            }
        }
        Self(ports)
    }

    /// The ports, ascending.
    pub fn ports(&self) -> &[u16] {
        &self.0
    }

    /// Whether `port` is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.binary_search(&port).is_ok()
    }
}

/// A knock book.
#[derive(Clone, Serialize, Deserialize)]
pub struct Book {
    id: BookId,
    shape: Shape,
    decoy_seed: DecoySeed,
    seed: Seed,
}

#[derive(Clone, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
struct Seed([u8; 32]);

const FORMAT: Format = Format { mark: *b"KGbk", version: 1 };

impl Book {
    /// Longest file of a book, in bytes.
    pub const MAX_FILE: usize = 96 + file::OVERHEAD;

    /// A new book over the decoys of a gate.
    pub fn generate(shape: Shape, decoy_seed: DecoySeed, rng: &mut impl CryptoRng) -> Self {
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        rng.fill_bytes(&mut id);
        rng.fill_bytes(&mut seed);
        Self { id: BookId(id), shape, decoy_seed, seed: Seed(seed) }
    }

    /// The book's name.
    pub fn id(&self) -> BookId {
        self.id
    }

    /// The book's figures.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The ports that this book's sequences are drawn from.
    pub fn decoys(&self) -> Decoys {
        Decoys::draw(&self.decoy_seed, &self.shape)
    }

    /// Whether those ports are drawn from `seed`.
    pub fn is_drawn_from(&self, seed: &DecoySeed) -> bool {
        self.decoy_seed.0 == seed.0
    }

    /// The sequence of `number`, counted from 0; `None` past the end of the book. Rule: `docs/protocol.md`, section 2.3.
    pub fn sequence(&self, number: u32, decoys: &Decoys) -> Option<Sequence> {
        if number >= self.shape.count {
            return None;
        }
        let choices =
            u32::try_from(decoys.ports().len()).ok().filter(|&n| n >= u32::from(self.shape.length))?;
        let mut stream = Stream::new(&self.seed.0, number, b"sequence");
        let mut sequence = Sequence::new();
        while sequence.len() < usize::from(self.shape.length) {
            let port = *decoys.ports().get(usize::try_from(stream.below(choices)).ok()?)?;
            if !sequence.contains(&port) {
                sequence.push(port).ok()?;
            }
        }
        Some(sequence)
    }

    /// Writes the book's file into `buffer` ([`Book::MAX_FILE`] bytes are enough) and returns the part that is the file.
    ///
    /// # Errors
    /// [`FileError::TooLong`] if the buffer is too small.
    pub fn encode<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8], FileError> {
        file::encode(FORMAT, self, buffer)
    }

    /// Reads a book's file.
    ///
    /// # Errors
    /// [`FileError`] says what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        file::decode(FORMAT, bytes)
    }
}

/// A ChaCha20 keystream as a source of unbiased draws.
struct Stream {
    cipher: ChaCha20,
}

impl Stream {
    fn new(key: &[u8; 32], number: u32, label: &[u8; 8]) -> Self {
        let mut nonce = [0; 12];
        let (low, high) = nonce.split_at_mut(4);
        low.copy_from_slice(&number.to_le_bytes());
        high.copy_from_slice(label);
        Self { cipher: ChaCha20::new(key.into(), &nonce.into()) }
    }

    /// A number below `bound` (not 0). Words past the last multiple of `bound` are thrown away, so that none is favoured.
    fn below(&mut self, bound: u32) -> u32 {
        let unfair = u32::MAX - (u32::MAX % bound + 1) % bound;
        loop {
            let mut word = [0; 4];
            self.cipher.apply_keystream(&mut word);
            let word = u32::from_le_bytes(word);
            if word <= unfair {
                return word % bound;
            }
        }
    }
}

#[cfg(test)]
mod tests;
