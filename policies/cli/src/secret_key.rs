//! Secret keys in the format of minisign, as both of the programs that make them write them.

use minisign::{ErrorKind, PError, SecretKey, SecretKeyBox};

/// Where the check sum of a key begins; the key ends with it.
const CHECK_SUM: usize = 126;
/// Length of a key.
const BYTES: usize = 158;
/// Where it says how the key is encrypted. Zeros: not at all.
const ENCRYPTION: std::ops::Range<usize> = 2..4;

/// A key that needs no passphrase; `None` if this one is none.
///
/// minisign 0.11 and older write no check sum into such a key and look at none; the library that we use insists on one.
pub(crate) fn unencrypted(text: &str) -> Option<SecretKey> {
    if let Ok(key) = boxed(text).and_then(SecretKeyBox::into_unencrypted_secret_key) {
        return Some(key);
    }
    let key = decode(text.lines().nth(1)?.trim_end())?;
    let is_zero = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0));
    let is_meant = key.len() == BYTES && is_zero(key.get(ENCRYPTION)) && is_zero(key.get(CHECK_SUM..));
    is_meant.then(|| SecretKey::from_bytes(&key).ok()).flatten()
}

/// A key that needs this passphrase.
pub(crate) fn decrypted(text: &str, passphrase: &str) -> Result<SecretKey, PError> {
    boxed(text)?.into_secret_key(Some(passphrase.to_owned()))
}

fn boxed(text: &str) -> Result<SecretKeyBox, PError> {
    SecretKeyBox::from_string(text).map_err(|_| PError::new(ErrorKind::Io, "no secret key"))
}

/// Base64 with padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let symbols = text.trim_end_matches('=').bytes().map(sextet).collect::<Option<Vec<_>>>()?;
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
