//! X25519 that refuses a shared secret of zeros.
//!
//! A public key of low order makes the shared secret zero whatever the other key is. Whoever names one as his own static
//! key can write a first message that looks authentic without having any secret key. Noise leaves the check to the
//! application (its section 12.1) and `clatter` does not make it. Rule: `docs/protocol.md`, section 4.3.

use clatter::KeyPair;
use clatter::bytearray::{ByteArray, SensitiveByteArray};
use clatter::crypto::dh::X25519;
use clatter::error::{DhError, DhResult};
use clatter::traits::{CryptoComponent, Dh, Rng};

use crate::handshake::Failed;
use crate::key::{Identity, PublicKey, SharedSecret};
use crate::limits::KEY_LEN;

/// What the owners of both keys share.
///
/// # Errors
/// [`Failed`] if `other` is of low order.
pub(super) fn shared(own: &Identity, other: &PublicKey) -> Result<SharedSecret, Failed> {
    let shared = Contributory::dh(&own.pair().secret, &other.0).map_err(|_| Failed)?;
    Ok(SharedSecret::from_bytes(*shared))
}

#[derive(Clone)]
pub(super) struct Contributory;

impl CryptoComponent for Contributory {
    fn name() -> &'static str {
        X25519::name()
    }
}

impl Dh for Contributory {
    type PrivateKey = SensitiveByteArray<[u8; KEY_LEN]>;
    type PubKey = [u8; KEY_LEN];
    type Output = SensitiveByteArray<[u8; KEY_LEN]>;

    fn genkey_rng<R: Rng>(rng: &mut R) -> DhResult<KeyPair<Self::PubKey, Self::PrivateKey>> {
        X25519::genkey_rng(rng)
    }

    fn pubkey(secret: &Self::PrivateKey) -> Self::PubKey {
        X25519::pubkey(secret)
    }

    fn dh(secret: &Self::PrivateKey, public: &Self::PubKey) -> DhResult<Self::Output> {
        let shared = X25519::dh(secret, public)?;
        // Every byte is looked at, so that time tells nothing about a secret that is not zero.
        match shared.as_slice().iter().fold(0, |seen, byte| seen | byte) {
            0 => Err(DhError::KeyGeneration),
            _ => Ok(shared),
        }
    }
}
