//! Whose image it is: nothing of a site image is believed before its signature was checked, and only that check makes a
//! [`Verified`].
//!
//! The signature is minisign's, in its hashed form: Ed25519 over the BLAKE2b-512 of the image. Rule: `docs/protocol.md`,
//! section 8.5.

use core::fmt;

use blake2::{Blake2b512, Digest};
use ed25519_dalek::VerifyingKey;
use knockgate_core::site::{Owner, Signed};

/// A site image that the owner of this gateway has signed.
#[derive(Clone, Copy)]
pub struct Verified<'a> {
    image: &'a [u8],
}

/// Why an image does not count as the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// The owner's key as it is stored is no public key.
    OwnerKey,
    /// Somebody else has signed it.
    OtherOwner {
        /// The key that the signature names.
        signed_by: KeyId,
        /// The owner's.
        owner: KeyId,
    },
    /// The signature names the owner's key and is not of this image.
    WrongSignature,
}

/// The name of a key, shown as minisign shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerKey => f.write_str("the owner's key is damaged; write the owner again with the cable"),
            Self::OtherOwner { signed_by, owner } => write!(
                f,
                "the image is signed by key {signed_by}, and the owner of this gateway is {owner}; sign it with the owner's key"
            ),
            Self::WrongSignature => f.write_str(
                "the signature is not of this image: it is damaged, or was changed after it was signed; write it again",
            ),
        }
    }
}

impl core::error::Error for Unverified {}

impl<'a> Verified<'a> {
    /// Holds `signed` against the owner's key.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn check(owner: &Owner, signed: &Signed<'a>) -> Result<Self, Unverified> {
        let (signed_by, ours) = (KeyId(signed.signature.key_id), KeyId(owner.key_id));
        if signed_by != ours {
            return Err(Unverified::OtherOwner { signed_by, owner: ours });
        }
        let key = VerifyingKey::from_bytes(&owner.key).map_err(|_| Unverified::OwnerKey)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signed.signature.bytes);
        let hash = Blake2b512::digest(signed.image);
        // Strict: no key or nonce of small order, for which one signature would fit several messages.
        key.verify_strict(&hash, &signature).map_err(|_| Unverified::WrongSignature)?;
        Ok(Self { image: signed.image })
    }

    /// The image.
    pub fn image(&self) -> &'a [u8] {
        self.image
    }
}
