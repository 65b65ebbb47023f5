//! Keys and profiles as one line of text: to be copied, sent, or shown as a QR code.
//!
//! ```text
//! kgpub1-      base32, lower case, of: key 32 | checksum 4    a client's public key, for the gate's administrator
//! kgprofile1-  base64url of the profile's file                a profile, secret
//! ```
//!
//! Neither is padded. The checksum is the first bytes of BLAKE2s-256 over the prefix and the key, so that a typing error
//! is noticed before somebody is enrolled with a key that nobody has. A profile's file has its own checksum; a locked
//! one has the same text form. A profile's text is never accepted on a command line, because other users can read that.

use blake2::{Blake2s256, Digest};
use data_encoding::{BASE32_NOPAD_NOCASE, BASE64URL_NOPAD};
use knockgate_core::key::PublicKey;
use knockgate_core::limits::KEY_LEN;
use thiserror::Error;
use zeroize::Zeroizing;

/// How the text of a public key begins.
pub const PUBLIC_KEY: &str = "kgpub1-";
/// How the text of a profile begins.
pub const PROFILE: &str = "kgprofile1-";

const CHECKSUM_LEN: usize = 4;

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextFault {
    /// Another kind of text.
    #[error("it does not begin with {0}")]
    Foreign(&'static str),
    /// A character that does not occur in such a text, or a part is missing.
    #[error("it is cut off, or has a character that does not belong there")]
    Malformed,
    /// The checksum does not fit.
    #[error("its checksum does not fit: a character is wrong")]
    Checksum,
}

/// The text of a public key.
pub fn public_key(key: &PublicKey) -> String {
    let bytes = [&key.0[..], &checksum(key)].concat();
    format!("{PUBLIC_KEY}{}", BASE32_NOPAD_NOCASE.encode(&bytes).to_ascii_lowercase())
}

/// Reads the text of a public key. Blanks around it are nothing; case does not matter.
///
/// # Errors
/// [`TextFault`] says what is wrong with it.
pub fn parse_public_key(text: &str) -> Result<PublicKey, TextFault> {
    let text = text.trim().to_ascii_lowercase();
    let body = text.strip_prefix(PUBLIC_KEY).ok_or(TextFault::Foreign(PUBLIC_KEY))?;
    let bytes = BASE32_NOPAD_NOCASE.decode(body.as_bytes()).map_err(|_| TextFault::Malformed)?;
    let (key, sum) = bytes.split_first_chunk::<KEY_LEN>().ok_or(TextFault::Malformed)?;
    let key = PublicKey(*key);
    match <[u8; CHECKSUM_LEN]>::try_from(sum) {
        Ok(sum) if sum == checksum(&key) => Ok(key),
        Ok(_) => Err(TextFault::Checksum),
        Err(_) => Err(TextFault::Malformed),
    }
}

/// The text of a profile, made of its file's bytes.
pub fn profile(file: &[u8]) -> Zeroizing<String> {
    let mut text =
        Zeroizing::new(String::with_capacity(PROFILE.len() + BASE64URL_NOPAD.encode_len(file.len())));
    text.push_str(PROFILE);
    BASE64URL_NOPAD.encode_append(file, &mut text);
    text
}

/// Whether it looks like the text of a profile.
pub fn is_profile(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(PROFILE.as_bytes())
}

/// The bytes of a profile's file from its text. Blanks and line ends anywhere are nothing: a mail may have put them in.
///
/// # Errors
/// [`TextFault`] says what is wrong with it. Whether the bytes are a profile is not looked at.
pub fn parse_profile(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, TextFault> {
    // The capacity leaves no copy of a secret behind.
    let mut compact = Zeroizing::new(Vec::with_capacity(text.len()));
    compact.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let body = compact.strip_prefix(PROFILE.as_bytes()).ok_or(TextFault::Foreign(PROFILE))?;
    BASE64URL_NOPAD.decode(body).map(Zeroizing::new).map_err(|_| TextFault::Malformed)
}

fn checksum(key: &PublicKey) -> [u8; CHECKSUM_LEN] {
    let sum = Blake2s256::new().chain_update(PUBLIC_KEY).chain_update(key.0).finalize();
    std::array::from_fn(|at| sum[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PublicKey = PublicKey([7; KEY_LEN]);

    #[test]
    fn what_was_written_is_read() {
        let text = public_key(&KEY);
        assert!(
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{text}"
        );
        for text in [text.clone(), format!(" {text}\r\n"), text.to_ascii_uppercase()] {
            assert_eq!(parse_public_key(&text), Ok(KEY), "{text}");
        }
        for file in [&b""[..], b"x", b"KGpr\x01\xff\xfe"] {
            assert_eq!(**parse_profile(profile(file).as_bytes()).unwrap(), *file);
        }
    }

    #[test]
    fn the_texts_stay_as_they_are() {
        assert_eq!(public_key(&KEY), "kgpub1-a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dtsoaoey");
        assert_eq!(profile(b"KGpr\x01\xff").as_str(), "kgprofile1-S0dwcgH_");
    }

    #[test]
    fn a_wrong_character_anywhere_in_a_public_key_is_noticed() {
        let text = public_key(&KEY);
        for at in PUBLIC_KEY.len()..text.len() {
            for wrong in ["a", "z", "7", "1", "", "é"] {
                let changed = [&text[..at], wrong, &text[at + 1..]].concat();
                assert!(changed == text || parse_public_key(&changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn a_text_of_another_kind_is_told() {
        let secret = profile(b"x");
        #[rustfmt::skip]
        let cases = [
            (1, parse_public_key(&secret).err(), TextFault::Foreign(PUBLIC_KEY)),
            (2, parse_public_key("kgpub1-").err(), TextFault::Malformed),
            (3, parse_public_key("").err(), TextFault::Foreign(PUBLIC_KEY)),
            (4, parse_profile(public_key(&KEY).as_bytes()).err(), TextFault::Foreign(PROFILE)),
            (5, parse_profile(b"kgprofile1-A").err(), TextFault::Malformed),
            (6, parse_profile(b"kgprofile1-AA==").err(), TextFault::Malformed),
            (7, parse_profile(b"kgprofile1-A+/A").err(), TextFault::Malformed),
        ];
        for (case, found, expected) in cases {
            assert_eq!(found, Some(expected), "case {case}");
        }
    }

    #[test]
    fn line_ends_in_a_profiles_text_are_nothing() {
        let text = profile(&[9; 100]);
        let wrapped: Vec<_> = text.as_bytes().chunks(20).collect();
        let wrapped = [b"\n  ", wrapped.join(&b"\r\n"[..]).as_slice(), b"\n"].concat();
        assert!(is_profile(&wrapped));
        assert_eq!(**parse_profile(&wrapped).unwrap(), [9; 100]);
    }
}
