//! Secret keys in the format of minisign and what is signed with them: policies, and the site images of gateways.
//!
//! Where a passphrase comes from is the caller's matter.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use std::io::Cursor;

use minisign::{ErrorKind, PError, PublicKey, SecretKeyBox};

/// Where the check sum of a key begins; the key ends with it.
const CHECK_SUM: usize = 126;
/// Length of a key.
const BYTES: usize = 158;
/// Where it says how the key is encrypted. Zeros: not at all.
const ENCRYPTION: core::ops::Range<usize> = 2..4;
/// Bytes of a signature without its comments: algorithm, number of the key, Ed25519.
const SIGNATURE: usize = 2 + 8 + 64;

/// A key that signs.
pub struct SecretKey(minisign::SecretKey);

/// What the file of a secret key holds.
pub enum KeyFile<'t> {
    /// A key that needs no passphrase.
    Open(SecretKey),
    /// One that does.
    Locked(LockedKey<'t>),
}

/// A key that a passphrase opens.
pub struct LockedKey<'t>(&'t str);

/// Why there is no key to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is something else.
    #[error("is no secret key; name the .key file that `knockgate-policy keygen` or minisign has made")]
    NotOne,
    /// The passphrase does not open it.
    #[error("the passphrase is wrong; try again")]
    Passphrase,
}

/// The key signs nothing: the system has no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("not signed: {0}; try again")]
pub struct NotSigned(PError);

/// The public half of a key, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicHalf {
    /// Names the key.
    pub key_id: [u8; 8],
    /// An Ed25519 public key.
    pub key: [u8; 32],
}

/// The text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no public key; name the .pub file that `knockgate-policy keygen` or minisign has made, or give its second line"
)]
pub struct NoPublicKey;

impl<'t> KeyFile<'t> {
    /// Reads the text of a key's file.
    ///
    /// # Errors
    /// [`KeyError::NotOne`].
    pub fn parse(text: &'t str) -> Result<Self, KeyError> {
        let bytes = text.lines().nth(1).and_then(decode).filter(|bytes| bytes.len() == BYTES);
        let bytes = bytes.ok_or(KeyError::NotOne)?;
        Ok(match unencrypted(boxed(text)?, &bytes) {
            Some(key) => Self::Open(SecretKey(key)),
            None => Self::Locked(LockedKey(text)),
        })
    }
}

impl LockedKey<'_> {
    /// Opens the key, which takes a second or so.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(&self, passphrase: &str) -> Result<SecretKey, KeyError> {
        let opened = boxed(self.0)?.into_secret_key(Some(passphrase.to_owned()));
        opened.map(SecretKey).map_err(|error| match error.kind() {
            ErrorKind::Verify => KeyError::Passphrase,
            _ => KeyError::NotOne,
        })
    }
}

impl SecretKey {
    /// The signature of `message` as the text of a `.minisig` file, with a comment that is signed and one that is not.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn sign(&self, message: &[u8], comment: &str, untrusted: &str) -> Result<String, NotSigned> {
        let signed = minisign::sign(None, &self.0, Cursor::new(message), Some(comment), Some(untrusted));
        Ok(signed.map_err(NotSigned)?.into_string())
    }

    /// The signature of `message` without comments: the bytes in the second line of a `.minisig` file.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn sign_bare(&self, message: &[u8]) -> Result<[u8; SIGNATURE], NotSigned> {
        let text = self.sign(message, "", "")?;
        let bytes = text.lines().nth(1).and_then(decode);
        Ok(bytes
            .and_then(|bytes| bytes.try_into().ok())
            .expect("minisign writes a signature of its own format"))
    }

    /// The public half.
    ///
    /// # Errors
    /// [`KeyError::NotOne`] if the file was made without it.
    pub fn public(&self) -> Result<PublicHalf, KeyError> {
        let public = PublicKey::from_secret_key(&self.0).map_err(|_| KeyError::NotOne)?;
        PublicHalf::of(&public).map_err(|_| KeyError::NotOne)
    }
}

impl PublicHalf {
    /// Reads the text of a `.pub` file, or its second line alone.
    ///
    /// # Errors
    /// [`NoPublicKey`].
    pub fn parse(text: &str) -> Result<Self, NoPublicKey> {
        let line = text.lines().find(|line| !line.starts_with("untrusted comment:")).ok_or(NoPublicKey)?;
        Self::of(&PublicKey::from_base64(line.trim()).map_err(|_| NoPublicKey)?)
    }

    fn of(key: &PublicKey) -> Result<Self, NoPublicKey> {
        let bytes = key.to_bytes();
        let (key_id, key) = bytes.get(2..).and_then(<[u8]>::split_first_chunk::<8>).ok_or(NoPublicKey)?;
        Ok(Self { key_id: *key_id, key: key.try_into().map_err(|_| NoPublicKey)? })
    }

    /// The key's number as minisign prints it.
    #[must_use]
    pub fn name(&self) -> String {
        alloc::format!("{:016X}", u64::from_le_bytes(self.key_id))
    }
}

fn boxed(text: &str) -> Result<SecretKeyBox, KeyError> {
    SecretKeyBox::from_string(text).map_err(|_| KeyError::NotOne)
}

/// A key that needs no passphrase; `None` if this one is none.
///
/// minisign 0.11 and older write no check sum into such a key and look at none; the library that we use insists on one.
fn unencrypted(boxed: SecretKeyBox, key: &[u8]) -> Option<minisign::SecretKey> {
    if let Ok(key) = boxed.into_unencrypted_secret_key() {
        return Some(key);
    }
    let is_zero = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0));
    let is_meant = is_zero(key.get(ENCRYPTION)) && is_zero(key.get(CHECK_SUM..));
    is_meant.then(|| minisign::SecretKey::from_bytes(key).ok()).flatten()
}

/// Base64 with padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end().trim_end_matches('=');
    let symbols = text.bytes().map(sextet).collect::<Option<Vec<_>>>()?;
    let bytes = symbols.chunks(4).flat_map(|four| {
        let bits = (0..4).fold(0_u32, |bits, at| bits << 6 | four.get(at).copied().unwrap_or(0));
        let [_, bytes @ ..] = bits.to_be_bytes();
        bytes.into_iter().take(four.len() * 6 / 8)
    });
    Some(bytes.collect())
}

fn sextet(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> (minisign::KeyPair, SecretKey) {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let text = pair.sk.to_box(None).unwrap().into_string();
        let KeyFile::Open(key) = KeyFile::parse(&text).unwrap() else { panic!("no passphrase was given") };
        (pair, key)
    }

    #[test]
    fn minisigns_verifier_accepts_what_was_signed_and_nothing_else() {
        let (pair, key) = key();
        let text = key.sign(b"image", "comment", "other").unwrap();
        let public = minisign_verify::PublicKey::from_base64(&pair.pk.to_base64()).unwrap();
        let signature = minisign_verify::Signature::decode(&text).unwrap();
        assert!(public.verify(b"image", &signature, false).is_ok());
        assert!(public.verify(b"imagE", &signature, false).is_err());
    }

    #[test]
    fn a_bare_signature_is_the_second_line_and_names_its_key() {
        let (pair, key) = key();
        let bytes = key.sign_bare(b"image").unwrap();
        assert_eq!((&bytes[..2], &bytes[2..10]), (b"ED".as_slice(), pair.pk.keynum()));
        assert_eq!(key.public().unwrap().key_id, bytes[2..10]);
    }

    #[test]
    fn the_public_half_of_a_key_is_what_its_public_file_says() {
        let (pair, key) = key();
        let file = pair.pk.to_box().unwrap().into_string();
        for text in [file.as_str(), &pair.pk.to_base64()] {
            assert_eq!(PublicHalf::parse(text), key.public().map_err(|_| NoPublicKey));
        }
        assert!(file.contains(&key.public().unwrap().name()), "{file}");
        for text in ["", "untrusted comment: x", "RWQ", &pair.sk.to_box(None).unwrap().into_string()] {
            assert_eq!(PublicHalf::parse(text), Err(NoPublicKey), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let (pair, _) = key();
        let good = pair.sk.to_box(None).unwrap().into_string();
        let public = pair.pk.to_box().unwrap().into_string();
        for text in ["", "one line", "[gate]\naddress = 1\n", &public, &good[..good.len() - 5]] {
            assert_eq!(KeyFile::parse(text).err(), Some(KeyError::NotOne), "{text}");
        }
    }

    #[test]
    fn a_locked_key_opens_with_its_passphrase_alone() {
        let pair = minisign::KeyPair::generate_encrypted_keypair(Some("correct".into())).unwrap();
        let text = pair.sk.to_box(None).unwrap().into_string();
        let KeyFile::Locked(locked) = KeyFile::parse(&text).unwrap() else { panic!("it has a passphrase") };
        assert_eq!(locked.open("wrong").err(), Some(KeyError::Passphrase));
        assert_eq!(locked.open("correct").unwrap().public().unwrap().key_id, pair.pk.keynum());
    }
}
