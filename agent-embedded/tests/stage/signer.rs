//! An owner who signs images with the real minisign.

use std::io::Cursor;

use knockgate_core::site::{Owner, SIGNATURE_LEN};
use minisign::KeyPair;

/// Somebody with a key pair.
pub(crate) struct Signer(KeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    /// What a gateway keeps of him. minisign's binary form is two letters, eight bytes of name, and the key.
    pub(crate) fn owner(&self) -> Owner {
        let bytes = self.0.pk.to_bytes();
        Owner { key_id: bytes[2..10].try_into().unwrap(), key: bytes[10..42].try_into().unwrap() }
    }

    /// The name of his key, as minisign shows it.
    pub(crate) fn name(&self) -> String {
        format!("{:016X}", u64::from_le_bytes(self.owner().key_id))
    }

    /// `image` with his signature behind it.
    pub(crate) fn sign(&self, image: &[u8]) -> Vec<u8> {
        let text = minisign::sign(None, &self.0.sk, Cursor::new(image), None, None).unwrap().to_string();
        let mut signed = image.to_vec();
        signed.extend(base64(text.lines().nth(1).unwrap()));
        assert_eq!(signed.len(), image.len() + SIGNATURE_LEN);
        signed
    }
}

fn base64(letters: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets: Vec<u32> = letters
        .chars()
        .map_while(|letter| ALPHABET.find(letter))
        .map(|at| u32::try_from(at).unwrap())
        .collect();
    let bits = sextets.len() * 6;
    let all = sextets.chunks(4).flat_map(|four| {
        let word = (0..4).fold(0, |word, at| word << 6 | four.get(at).copied().unwrap_or(0));
        word.to_be_bytes().into_iter().skip(1)
    });
    all.take(bits / 8).collect()
}
