//! What the gate shares with clients who have knocked: their next knock costs an X25519 operation less.
//!
//! A shared secret is made of the gate's key and one key of a client, and both last. So it is never wrong, only unwanted: it is
//! forgotten when its key leaves the roster, and with the agent. It is as secret as the gate's key, stays in memory, and is
//! wiped when it is forgotten.
//!
//! The table has a fixed size, and a key has one place in it, so nothing is allocated while somebody waits. Two keys that meet
//! in a place take it from each other; that costs them the operation, and nobody else anything.

use knockgate_core::key::{PublicKey, SharedSecret};

/// Keys that can be known at the same time: 64 KiB.
const PLACES: usize = 1024;

pub(super) struct Acquaintances(Box<[Option<Acquaintance>]>);

struct Acquaintance {
    key: PublicKey,
    shared: SharedSecret,
}

impl Acquaintances {
    pub(super) fn new() -> Self {
        Self(std::iter::repeat_with(|| None).take(PLACES).collect())
    }

    pub(super) fn shared(&self, key: &PublicKey) -> Option<&SharedSecret> {
        let known = self.0.get(place(key))?.as_ref().filter(|known| known.key == *key)?;
        Some(&known.shared)
    }

    /// To be called for keys of the roster alone.
    pub(super) fn keep(&mut self, key: PublicKey, shared: SharedSecret) {
        if let Some(place) = self.0.get_mut(place(&key)) {
            *place = Some(Acquaintance { key, shared });
        }
    }

    /// Forgets everybody of whom this is not true.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&PublicKey) -> bool) {
        let unwanted =
            |place: &&mut Option<Acquaintance>| place.as_ref().is_some_and(|known| !is_wanted(&known.key));
        self.0.iter_mut().filter(unwanted).for_each(|place| *place = None);
    }
}

/// A public key looks like chance, whoever has made it. Who searches for one that meets another client's gains nothing.
fn place(key: &PublicKey) -> usize {
    let [low, high, ..] = key.0;
    usize::from(u16::from_le_bytes([low, high])) % PLACES
}
