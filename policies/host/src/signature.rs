//! Detached signatures of policies, in the format of minisign: `FILE.minisig` beside `FILE`.
//!
//! A signature is checked over the whole file before anything of it is parsed. Both forms are taken: signed by hash, which
//! minisign writes today, and signed as a whole, which old versions wrote. Signatures are for compiled modules: text is
//! translated on the way, so what would run is not what was signed. Who holds which key, and whether a signature is wanted at
//! all, is the configuration's matter.

use alloc::string::String;
use alloc::vec::Vec;

use minisign_verify::Signature;

/// A key whose signatures count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(minisign_verify::PublicKey);

/// Why a module does not count as signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("it is not signed; sign it (`knockgate-policy sign FILE`) and put FILE.minisig beside it")]
    Unsigned,
    /// The signature cannot be read.
    #[error(
        "its signature is damaged: {0}; copy FILE.minisig again, all four lines of it, or sign the module anew"
    )]
    Malformed(&'static str),
    /// It is signed by somebody whose key is not listed.
    #[error(
        "it is signed by key {key_id}, which is not listed; sign it with a key that is, or add the public key to `keys` if you \
         trust its owner"
    )]
    UnknownKey {
        /// The key that the signature names, as minisign prints it.
        key_id: String,
    },
    /// The signature names a listed key and does not belong to this file.
    #[error(
        "its signature is not of this file; the module has changed since it was signed, or FILE.minisig belongs to another \
         file: build or copy both again, and sign what you trust"
    )]
    WrongSignature,
}

/// A line that is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no public key; give the second line of the `.pub` file, 56 letters that begin with RW (`knockgate-policy keygen` makes one)"
)]
pub struct PublicKeyError;

impl PublicKey {
    /// Reads a key as one line of base64, the second line of a `.pub` file.
    ///
    /// # Errors
    /// The line is no such key.
    pub fn parse(line: &str) -> Result<Self, PublicKeyError> {
        let key = minisign_verify::PublicKey::from_base64(line.trim()).map_err(|_| PublicKeyError)?;
        Ok(Self(key))
    }
}

/// Checks that one of `keys` has signed `module`. `signature` is the text of the file beside it, if there is one.
///
/// # Errors
/// There is none, it cannot be read, nobody who counts has made it, or it belongs to another file.
pub fn verify(keys: &[PublicKey], module: &[u8], signature: Option<&str>) -> Result<(), SignatureError> {
    let text = signature.ok_or(SignatureError::Unsigned)?;
    let signature = Signature::decode(text).map_err(|error| malformed(&error))?;
    let mut signed_by_listed_key = false;
    for PublicKey(key) in keys {
        match key.verify(module, &signature, true) {
            Ok(()) => return Ok(()),
            Err(minisign_verify::Error::UnexpectedKeyId) => {}
            Err(_) => signed_by_listed_key = true,
        }
    }
    Err(if signed_by_listed_key {
        SignatureError::WrongSignature
    } else {
        SignatureError::UnknownKey { key_id: key_id(text) }
    })
}

fn malformed(error: &minisign_verify::Error) -> SignatureError {
    SignatureError::Malformed(match error {
        minisign_verify::Error::UnsupportedAlgorithm => {
            "it is made by an algorithm that minisign does not have"
        }
        _ => "it is not what minisign writes",
    })
}

/// The key that a signature names: bytes 2 to 9 of its second line, which minisign prints as one number.
fn key_id(signature: &str) -> String {
    /// Where the number is: three of base64's groups of four letters hold bytes 0 to 8, the next begins with byte 9.
    const LETTERS: usize = 16;
    let line = signature.lines().nth(1).unwrap_or_default();
    let bytes = line.get(..LETTERS).map(base64).unwrap_or_default();
    let id = bytes.get(2..10).unwrap_or_default();
    id.iter().rev().map(|byte| alloc::format!("{byte:02X}")).collect()
}

fn base64(letters: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets: Vec<u8> = letters
        .chars()
        .map_while(|letter| ALPHABET.find(letter).and_then(|place| u8::try_from(place).ok()))
        .collect();
    let group = |four: &[u8]| four.iter().fold(0_u32, |word, sextet| (word << 6) | u32::from(*sextet));
    sextets.chunks_exact(4).flat_map(|four| group(four).to_be_bytes().into_iter().skip(1)).collect()
}
