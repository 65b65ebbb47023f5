//! The envelope: a message of fixed size that looks like random bytes to everybody without the door key.
//!
//! Opening costs one ChaCha20 block and one Poly1305 over 160 bytes, so junk of the right size is thrown away before any
//! public-key work. The door key proves nothing about who sent a message, since every client has it; that is the work of
//! [`handshake`](crate::handshake). Rule: `docs/protocol.md`, section 3.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use heapless::Vec;
use rand_core::CryptoRng;

use crate::key::{DoorKey, GateId};
use crate::limits::{INNER_LEN, MAX_DOOR_KEYS, MESSAGE_LEN, NONCE_LEN, TAG_LEN};

/// A message as it travels.
pub type Message = [u8; MESSAGE_LEN];
/// What is inside an envelope.
pub type Inner = [u8; INNER_LEN];

/// Which way a message goes. A question that is sent back is noise, not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a client to the gate.
    Request,
    /// From the gate to a client.
    Answer,
}

/// Tells messages of clients from noise. Can be asked wherever messages come in, also on another thread than the gate's.
#[derive(Clone)]
pub struct Doorkeeper {
    gate: GateId,
    keys: Vec<DoorKey, MAX_DOOR_KEYS>,
}

/// What was sealed under a door key. Only a [`Doorkeeper`] makes one.
pub struct Unsealed {
    pub(crate) inner: Inner,
    pub(crate) door_key: DoorKey,
}

impl Unsealed {
    /// Whether it was sealed under this key.
    pub fn is_under(&self, key: &DoorKey) -> bool {
        self.door_key.is(key)
    }
}

impl Doorkeeper {
    /// Of a gate that accepts these keys, the current one first.
    pub(crate) fn new(gate: GateId, keys: Vec<DoorKey, MAX_DOOR_KEYS>) -> Self {
        Self { gate, keys }
    }

    /// The door key in force.
    pub(crate) fn current(&self) -> Option<&DoorKey> {
        self.keys.first()
    }

    /// Opens a message that was sealed for this gate; `None` is noise.
    pub fn unseal(&self, message: &Message) -> Option<Unsealed> {
        self.keys.iter().find_map(|key| {
            let inner = open(key, self.gate, Direction::Request, message)?;
            Some(Unsealed { inner, door_key: key.clone() })
        })
    }
}

const PREFIX: &[u8; 11] = b"knockgate/1";
const AD_LEN: usize = PREFIX.len() + 1 + 16;

/// Seals `inner` under `key` with a random nonce: `nonce 24 | tag 16 | sealed inner 160`.
pub fn seal(
    key: &DoorKey,
    gate: GateId,
    direction: Direction,
    inner: &Inner,
    rng: &mut impl CryptoRng,
) -> Option<Message> {
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let mut sealed = *inner;
    let tag = XChaCha20Poly1305::new(key.bytes().into())
        .encrypt_in_place_detached(XNonce::from_slice(&nonce), &associated_data(gate, direction), &mut sealed)
        .ok()?;

    let mut message = [0; MESSAGE_LEN];
    let (head, body) = message.split_at_mut(NONCE_LEN + TAG_LEN);
    let (head_nonce, head_tag) = head.split_at_mut(NONCE_LEN);
    head_nonce.copy_from_slice(&nonce);
    head_tag.copy_from_slice(&tag);
    body.copy_from_slice(&sealed);
    Some(message)
}

/// What is inside `message`, if it was sealed under `key` for this gate and this direction.
pub fn open(key: &DoorKey, gate: GateId, direction: Direction, message: &Message) -> Option<Inner> {
    let (head, body) = message.split_at(NONCE_LEN + TAG_LEN);
    let (nonce, tag) = head.split_at(NONCE_LEN);
    let mut inner: Inner = body.try_into().ok()?;
    XChaCha20Poly1305::new(key.bytes().into())
        .decrypt_in_place_detached(
            XNonce::from_slice(nonce),
            &associated_data(gate, direction),
            &mut inner,
            Tag::from_slice(tag),
        )
        .ok()?;
    Some(inner)
}

fn associated_data(gate: GateId, direction: Direction) -> [u8; AD_LEN] {
    let mut data = [0; AD_LEN];
    let (prefix, rest) = data.split_at_mut(PREFIX.len());
    let (way, id) = rest.split_at_mut(1);
    prefix.copy_from_slice(PREFIX);
    way.fill(match direction {
        Direction::Request => b'Q',
        Direction::Answer => b'A',
    });
    id.copy_from_slice(&gate.0);
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestRng;

    const GATE: GateId = GateId([7; 16]);

    fn sealed() -> (DoorKey, Message) {
        let key = DoorKey::from_bytes([1; 32]);
        let message = seal(&key, GATE, Direction::Request, &[9; INNER_LEN], &mut TestRng::new(1)).unwrap();
        (key, message)
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let (key, message) = sealed();
        assert_eq!(open(&key, GATE, Direction::Request, &message), Some([9; INNER_LEN]));
    }

    #[test]
    fn every_flipped_bit_makes_it_noise() {
        let (key, message) = sealed();
        for bit in 0..MESSAGE_LEN * 8 {
            let mut damaged = message;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, GATE, Direction::Request, &damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn it_is_noise_to_another_key_another_gate_and_the_other_direction() {
        let (key, message) = sealed();
        assert_eq!(open(&DoorKey::from_bytes([2; 32]), GATE, Direction::Request, &message), None);
        assert_eq!(open(&key, GateId([8; 16]), Direction::Request, &message), None);
        assert_eq!(open(&key, GATE, Direction::Answer, &message), None);
    }
}
