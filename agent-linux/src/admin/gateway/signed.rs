//! Image and signature in one file, and whether they belong together: the same check as the gateway's.

use anyhow::bail;
use blake2::{Blake2b512, Digest};
use ed25519_dalek::VerifyingKey;
use knockgate_core::site::{Owner, Signed};
use knockgate_policy_host::signing::SecretKey;

use super::key;

/// The image with its signature behind it, checked once: a key whose halves do not belong together signs for nobody.
pub(super) fn sign(mut image: Vec<u8>, key: &SecretKey) -> anyhow::Result<(Vec<u8>, Owner)> {
    let owner = key::into_owner(key.public()?);
    image.extend(key.sign_bare(&image)?);
    check(&Signed::find(&image)?, &owner)?;
    Ok((image, owner))
}

/// Whether the owner has signed it.
pub(super) fn check(signed: &Signed<'_>, owner: &Owner) -> anyhow::Result<()> {
    let (by, ours) = (key::name(signed.signature.key_id), key::name(owner.key_id));
    if by != ours {
        bail!(
            "it is signed by key {by}, and this public key is {ours}; sign it with that one, or name the other"
        );
    }
    let Ok(public) = VerifyingKey::from_bytes(&owner.key) else {
        bail!("key {ours} is no Ed25519 key; name the .pub file of the key that signs");
    };
    let signature = ed25519_dalek::Signature::from_bytes(&signed.signature.bytes);
    let hash = Blake2b512::digest(signed.image);
    // Strict, as on the gateway: no key or nonce of small order, for which one signature would fit several messages.
    if public.verify_strict(&hash, &signature).is_err() {
        bail!("the signature is not of this image: it is damaged or was changed; make it again");
    }
    Ok(())
}
