//! A profile under a passphrase: who copies the file, or the disk, still has to guess.
//!
//! ```text
//! KGlk, version 1, in the container of core/src/file.rs. Content (postcard):
//!   memory u32 (KiB) | passes u32 | lanes u32 | salt 16 | nonce 24 | sealed profile file (length, bytes, tag 16)
//! ```
//!
//! key = Argon2id (version 0x13) of the passphrase, salt and cost, 32 bytes; sealed with XChaCha20-Poly1305, mark and
//! version as associated data. Salt and cost need no seal of their own: another one makes another key. Who rewrites a
//! locked profile keeps the key and draws a new nonce; 192 bits of nonce are drawn without a thought of repetition.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use knockgate_core::file::{self, FileError, Format, OVERHEAD};
use knockgate_core::profile::Profile;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// First bytes of a locked profile's file.
pub(crate) const MARK: [u8; 4] = *b"KGlk";
/// Longest file of a locked profile: three costs, salt, nonce, a length, the profile and its tag.
pub(crate) const MAX_FILE: usize = OVERHEAD + 3 * 5 + SALT_LEN + NONCE_LEN + 3 + Profile::MAX_FILE + TAG_LEN;

const FORMAT: Format = Format { mark: MARK, version: 1 };
const ASSOCIATED: &[u8] = b"KGlk\x01";
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const KEY_LEN: usize = 32;

/// What one guess costs. Written into the file, so that it can be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// The second recommended option of RFC 9106, section 4 (64 MiB, 3 passes), for machines with little memory, above
    /// OWASP's minimum for passwords (Password Storage Cheat Sheet: 19 MiB, 2 passes). One lane instead of four: this
    /// code fills the lanes one after the other, so more of them would only help whoever guesses.
    pub(crate) const USUAL: Self = Self { memory: 64 * 1024, passes: 3, lanes: 1 };

    /// What tests can pay many times.
    #[cfg(test)]
    pub(crate) const CHEAP: Self = Self { memory: 8, passes: 1, lanes: 1 };

    /// Beyond this the file was not written by knockgate, but by somebody who wants to use up memory or time.
    const LARGEST: Self = Self { memory: 1024 * 1024, passes: 100, lanes: 16 };

    fn params(self) -> Result<Params, LockFault> {
        let Self { memory, passes, lanes } = Self::LARGEST;
        if self.memory > memory || self.passes > passes || self.lanes > lanes {
            return Err(LockFault::Absurd(self));
        }
        Params::new(self.memory, self.passes, self.lanes, Some(KEY_LEN)).map_err(|_| LockFault::Absurd(self))
    }
}

/// Why a locked profile stays locked.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum LockFault {
    #[error("wrong passphrase; try again, or ask the gate's administrator for a new profile")]
    WrongPassphrase,
    #[error(
        "its passphrase would cost {} MiB and {} passes, which knockgate never writes; \
         take the profile from where it was first stored, or ask the gate's administrator for a new one",
        .0.memory / 1024, .0.passes
    )]
    Absurd(Cost),
    #[error("its passphrase costs {0} KiB of memory, which this machine does not have; close other programs")]
    NoMemory(u32),
    #[error("it was locked anew meanwhile; try again")]
    OtherLock,
}

/// The key that a passphrase made, and how it was made: enough to write the profile again.
pub(crate) struct Seal {
    cost: Cost,
    salt: [u8; SALT_LEN],
    key: Zeroizing<[u8; KEY_LEN]>,
}

/// A locked profile's file.
pub(crate) struct Locked(Content);

#[derive(Serialize, Deserialize)]
struct Content {
    cost: Cost,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

/// Whether the file is that of a locked profile, whole or not.
pub(crate) fn is_locked(bytes: &[u8]) -> bool {
    bytes.starts_with(&MARK)
}

impl Locked {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        file::decode(FORMAT, bytes).map(Self)
    }

    /// The seal that `passphrase` makes for this file. Takes as long as a guess is to take.
    pub(crate) fn seal(&self, passphrase: &[u8]) -> Result<Seal, LockFault> {
        Seal::derive(passphrase, self.0.cost, self.0.salt)
    }

    /// The profile's file.
    pub(crate) fn open(&self, seal: &Seal) -> Result<Zeroizing<Vec<u8>>, LockFault> {
        let Content { cost, salt, nonce, sealed } = &self.0;
        if (*cost, *salt) != (seal.cost, seal.salt) {
            return Err(LockFault::OtherLock);
        }
        let (text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(LockFault::WrongPassphrase)?;
        let mut plain = Zeroizing::new(text.to_vec());
        seal.cipher()
            .decrypt_in_place_detached(
                XNonce::from_slice(nonce),
                ASSOCIATED,
                &mut plain,
                Tag::from_slice(tag),
            )
            .map_err(|_| LockFault::WrongPassphrase)?;
        Ok(plain)
    }
}

impl Seal {
    /// The seal of a new passphrase.
    pub(crate) fn new(passphrase: &[u8], cost: Cost, rng: &mut impl CryptoRng) -> Result<Self, LockFault> {
        let mut salt = [0; SALT_LEN];
        rng.fill_bytes(&mut salt);
        Self::derive(passphrase, cost, salt)
    }

    /// The locked file of a profile's file.
    pub(crate) fn lock(&self, profile_file: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        // It becomes cipher text before it could be left behind anywhere.
        let mut sealed = Vec::with_capacity(profile_file.len() + TAG_LEN);
        sealed.extend_from_slice(profile_file);
        let tag = self
            .cipher()
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), ASSOCIATED, &mut sealed)
            .expect("a profile is shorter than 256 GiB");
        sealed.extend_from_slice(&tag);
        let content = Content { cost: self.cost, salt: self.salt, nonce, sealed };
        let mut buffer = [0; MAX_FILE];
        file::encode(FORMAT, &content, &mut buffer).expect("MAX_FILE is the longest locked profile").to_vec()
    }

    fn derive(passphrase: &[u8], cost: Cost, salt: [u8; SALT_LEN]) -> Result<Self, LockFault> {
        let params = cost.params()?;
        let no_memory = LockFault::NoMemory(cost.memory);
        let blocks = params.block_count();
        let mut memory = Zeroizing::new(Vec::new());
        memory.try_reserve_exact(blocks).map_err(|_| no_memory)?;
        memory.resize(blocks, Block::new());
        let mut key = Zeroizing::new([0; KEY_LEN]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, &salt, key.as_mut_slice(), memory.as_mut_slice())
            .map_err(|_| LockFault::Absurd(cost))?;
        Ok(Self { cost, salt, key })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(self.key.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    const CHEAP: Cost = Cost::CHEAP;
    const PROFILE: &[u8] = b"the bytes of a profile";

    fn seal(passphrase: &[u8]) -> Seal {
        Seal::new(passphrase, CHEAP, &mut UnwrapErr(SysRng)).unwrap()
    }

    fn lock(seal: &Seal, profile: &[u8]) -> Vec<u8> {
        seal.lock(profile, &mut UnwrapErr(SysRng))
    }

    #[test]
    fn only_the_right_passphrase_opens_it() {
        let file = lock(&seal(b"correct horse"), PROFILE);
        let locked = Locked::decode(&file).unwrap();
        let open =
            |passphrase: &[u8]| locked.open(&locked.seal(passphrase).unwrap()).map(|plain| plain.to_vec());
        assert_eq!(open(b"correct horse"), Ok(PROFILE.to_vec()));
        for wrong in [&b"Correct horse"[..], b"correct horse ", b"", b"correct"] {
            assert_eq!(open(wrong), Err(LockFault::WrongPassphrase), "{wrong:?}");
        }
    }

    #[test]
    fn a_kept_seal_opens_what_it_wrote_later() {
        let seal = seal(b"passphrase");
        let [first, second] = [lock(&seal, PROFILE), lock(&seal, b"changed")];
        assert_ne!(first, lock(&seal, PROFILE), "the nonce is new each time");
        assert_eq!(**Locked::decode(&second).unwrap().open(&seal).unwrap(), *b"changed");
    }

    #[test]
    fn a_file_that_was_locked_anew_is_told_from_a_wrong_passphrase() {
        let [old, new] = [seal(b"passphrase"), seal(b"passphrase")];
        let locked = Locked::decode(&lock(&new, PROFILE)).unwrap();
        assert_eq!(locked.open(&old).unwrap_err(), LockFault::OtherLock);
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let seal = seal(b"passphrase");
        let file = lock(&seal, PROFILE);
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(Locked::decode(&changed).is_err(), "byte {at}");
        }
        let Content { cost, salt, nonce, sealed } = Locked::decode(&file).unwrap().0;
        for at in 0..sealed.len() {
            let mut sealed = sealed.clone();
            sealed[at] ^= 1;
            let forged = Locked(Content { cost, salt, nonce, sealed });
            assert_eq!(forged.open(&seal).unwrap_err(), LockFault::WrongPassphrase, "byte {at}");
        }
    }

    #[test]
    fn an_absurd_cost_is_refused_before_it_is_paid() {
        #[rustfmt::skip]
        let cases = [
            (1, Cost { memory: u32::MAX, ..CHEAP }), (2, Cost { memory: 1024 * 1024 + 1, ..CHEAP }), (3, Cost { passes: u32::MAX, ..CHEAP }),
            (4, Cost { lanes: 1 << 24, ..CHEAP }), (5, Cost { memory: 0, ..CHEAP }), (6, Cost { passes: 0, ..CHEAP }),
            (7, Cost { lanes: 0, ..CHEAP }), (8, Cost { lanes: 2, ..CHEAP }),
        ];
        for (case, cost) in cases {
            let locked = Locked(Content { cost, salt: [1; 16], nonce: [2; 24], sealed: vec![0; 40] });
            assert_eq!(locked.seal(b"x").err(), Some(LockFault::Absurd(cost)), "case {case}");
        }
    }

    #[test]
    fn the_longest_profile_fits_and_a_short_seal_is_refused() {
        let file = lock(&seal(b"passphrase"), &[255; Profile::MAX_FILE]);
        assert!(file.len() <= MAX_FILE && is_locked(&file));
        let short = Locked(Content { cost: CHEAP, salt: [0; 16], nonce: [0; 24], sealed: vec![0; 15] });
        assert_eq!(short.open(&short.seal(b"x").unwrap()).unwrap_err(), LockFault::WrongPassphrase);
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let seal = Seal::derive(b"passphrase", CHEAP, [7; 16]).unwrap();
        let content = Content { cost: CHEAP, salt: [7; 16], nonce: [9; 24], sealed: vec![1; 20] };
        let mut buffer = [0; MAX_FILE];
        let file = file::encode(FORMAT, &content, &mut buffer).unwrap();
        let written: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = [
            "4b476c6b01",                                       // mark, version
            "080101",                                           // cost: 8 KiB, 1 pass, 1 lane
            "07070707070707070707070707070707",                 // salt
            "090909090909090909090909090909090909090909090909", // nonce
            "14",                                               // length of what is sealed
            "0101010101010101010101010101010101010101",
        ];
        assert!(written.starts_with(&expected.concat()), "{written}");
        let key: String = seal.key.iter().map(|byte| format!("{byte:02x}")).collect();
        // As argon2-cffi 25.1 computes it.
        assert_eq!(key, "f7a532bd11b673546936e975e1b7a1afa19629123d31092a8149ca2ae6a80b0e");
    }
}
