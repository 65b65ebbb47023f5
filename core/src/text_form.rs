//! Keys and profiles as one line of text: to be copied, sent, or shown as a QR code.
//!
//! ```text
//! kgpub1-      base32, lower case, of: key 32 | checksum 4    a client's public key, for the gate's administrator
//! kgprofile1-  base64url of the profile's file                a profile, secret
//! ```
//!
//! Neither is padded. The checksum is the first bytes of BLAKE2s-256 over the prefix and the key, so that a typing error
//! is noticed before somebody is enrolled with a key that nobody has. A profile's file has its own checksum.
//!
//! Written by hand, because the crates for it need a heap or more code than this. Secrets are not kept from the timing of
//! table look-ups: whoever could measure that on the machine that holds the profile can read it.

use blake2::{Blake2s256, Digest};
use heapless::String;

use crate::key::PublicKey;
use crate::limits::KEY_LEN;

/// How the text of a public key begins.
pub const PUBLIC_KEY: &str = "kgpub1-";
/// How the text of a profile begins.
pub const PROFILE: &str = "kgprofile1-";

const CHECKSUM_LEN: usize = 4;
/// Bytes of a public key's text.
pub const PUBLIC_KEY_LEN: usize = PUBLIC_KEY.len() + BASE32.len_of(KEY_LEN + CHECKSUM_LEN);

/// Most bytes that [`base32`] takes.
pub const MAX_BASE32: usize = 40;

/// Bytes in base32, lower case and without padding, for texts of others: at most [`MAX_BASE32`], more are left out.
pub fn base32(bytes: &[u8]) -> String<{ BASE32.len_of(MAX_BASE32) }> {
    BASE32.encode(bytes.iter().copied().take(MAX_BASE32)).map(char::from).collect()
}

/// Bytes of the text of a profile whose file has `len` bytes.
pub const fn profile_len(len: usize) -> usize {
    PROFILE.len() + BASE64URL.len_of(len)
}

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFault {
    /// It does not begin as such a text does.
    Foreign(&'static str),
    /// A character that does not occur in such a text, or a part is missing.
    Malformed,
    /// The checksum does not fit.
    Checksum,
    /// The buffer is too small.
    TooLong,
}

impl core::fmt::Display for TextFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Foreign(beginning) => write!(f, "it does not begin with {beginning}"),
            Self::Malformed => f.write_str("it is cut off, or has a character that does not belong there"),
            Self::Checksum => f.write_str("its checksum does not fit: a character is wrong"),
            Self::TooLong => f.write_str("it is too long"),
        }
    }
}

impl core::error::Error for TextFault {}

/// The text of a public key.
pub fn public_key(key: &PublicKey) -> String<PUBLIC_KEY_LEN> {
    let checksum = checksum(key);
    let mut text = String::new();
    let body = BASE32.encode(key.0.iter().chain(&checksum).copied());
    // The length is that of the buffer.
    let _ = text.push_str(PUBLIC_KEY);
    body.for_each(|character| drop(text.push(character.into())));
    text
}

/// Reads the text of a public key. Blanks around it are nothing; case does not matter.
///
/// # Errors
/// [`TextFault`] says what is wrong with it.
pub fn parse_public_key(text: &str) -> Result<PublicKey, TextFault> {
    let text = text.trim_ascii();
    let body = text
        .split_at_checked(PUBLIC_KEY.len())
        .filter(|(beginning, _)| beginning.eq_ignore_ascii_case(PUBLIC_KEY))
        .map(|(_, body)| body)
        .ok_or(TextFault::Foreign(PUBLIC_KEY))?;
    let mut bytes = [0; KEY_LEN + CHECKSUM_LEN];
    let lower = body.bytes().map(|byte| byte.to_ascii_lowercase());
    let read = match BASE32.decode(lower, &mut bytes) {
        Ok(read) => read,
        Err(TextFault::TooLong) => return Err(TextFault::Malformed),
        Err(fault) => return Err(fault),
    };
    let (key, sum) = read.split_first_chunk::<KEY_LEN>().ok_or(TextFault::Malformed)?;
    let key = PublicKey(*key);
    match sum.len() {
        CHECKSUM_LEN if sum == checksum(&key) => Ok(key),
        CHECKSUM_LEN => Err(TextFault::Checksum),
        _ => Err(TextFault::Malformed),
    }
}

/// Writes the text of a profile, made of its file's bytes, into `buffer` ([`profile_len`] bytes are needed).
///
/// # Errors
/// [`TextFault::TooLong`] if the buffer is too small.
pub fn profile<'a>(file: &[u8], buffer: &'a mut [u8]) -> Result<&'a str, TextFault> {
    let text = buffer.get_mut(..profile_len(file.len())).ok_or(TextFault::TooLong)?;
    let characters = PROFILE.bytes().chain(BASE64URL.encode(file.iter().copied()));
    text.iter_mut().zip(characters).for_each(|(to, from)| *to = from);
    Ok(str::from_utf8(text).expect("prefix and alphabet are ASCII"))
}

/// Whether it looks like the text of a profile.
pub fn is_profile(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(PROFILE.as_bytes())
}

/// Reads the bytes of a profile's file from its text into `buffer`. Blanks and line ends anywhere are nothing: a mail may
/// have put them in.
///
/// # Errors
/// [`TextFault`] says what is wrong with it. Whether the bytes are a profile is not looked at.
pub fn parse_profile<'a>(text: &[u8], buffer: &'a mut [u8]) -> Result<&'a [u8], TextFault> {
    let mut body = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    if !PROFILE.bytes().all(|expected| body.next() == Some(expected)) {
        return Err(TextFault::Foreign(PROFILE));
    }
    BASE64URL.decode(body, buffer)
}

fn checksum(key: &PublicKey) -> [u8; CHECKSUM_LEN] {
    let digest = Blake2s256::new().chain_update(PUBLIC_KEY).chain_update(key.0).finalize();
    let mut checksum = [0; CHECKSUM_LEN];
    checksum.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    checksum
}

/// Characters that stand for a few bits each, the first bits of a byte first. Source: RFC 4648, sections 5 and 6.
struct Alphabet {
    bits: u32,
    characters: &'static [u8],
}

const BASE32: Alphabet = Alphabet { bits: 5, characters: b"abcdefghijklmnopqrstuvwxyz234567" };
const BASE64URL: Alphabet =
    Alphabet { bits: 6, characters: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" };

impl Alphabet {
    /// Characters for `bytes` bytes.
    const fn len_of(&self, bytes: usize) -> usize {
        (bytes * 8).div_ceil(self.bits as usize)
    }

    fn encode(&self, mut bytes: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
        let (mut waiting, mut held) = (0_u32, 0_u32);
        core::iter::from_fn(move || {
            if held < self.bits {
                match bytes.next() {
                    Some(byte) => (waiting, held) = (waiting << 8 | u32::from(byte), held + 8),
                    None if held == 0 => return None,
                    // The last character is filled with zeros.
                    None => (waiting, held) = (waiting << (self.bits - held), self.bits),
                }
            }
            held -= self.bits;
            let at = (waiting >> held) & ((1 << self.bits) - 1);
            waiting &= (1 << held) - 1;
            self.characters.get(at as usize).copied()
        })
    }

    /// Strict: a text that no encoder would have written is refused.
    fn decode<'a>(
        &self,
        characters: impl Iterator<Item = u8>,
        buffer: &'a mut [u8],
    ) -> Result<&'a [u8], TextFault> {
        let (mut waiting, mut held, mut len) = (0_u32, 0_u32, 0);
        for character in characters {
            let value = self.characters.iter().position(|known| *known == character);
            let value = value.and_then(|value| u32::try_from(value).ok()).ok_or(TextFault::Malformed)?;
            (waiting, held) = (waiting << self.bits | value, held + self.bits);
            if held >= 8 {
                held -= 8;
                *buffer.get_mut(len).ok_or(TextFault::TooLong)? = (waiting >> held).to_le_bytes()[0];
                (waiting, len) = (waiting & ((1 << held) - 1), len + 1);
            }
        }
        let is_whole = held < self.bits && waiting == 0;
        buffer.get(..len).filter(|_| is_whole).ok_or(TextFault::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PublicKey = PublicKey([7; KEY_LEN]);

    #[test]
    fn what_was_written_is_read() {
        let text = public_key(&KEY);
        assert_eq!(text.len(), PUBLIC_KEY_LEN);
        assert_eq!(parse_public_key(&text), Ok(KEY));
        for file in [&b""[..], b"x", b"xy", b"xyz", b"KGpr\x02\xff\xfe"] {
            let (mut written, mut read) = ([0; 64], [0; 64]);
            let text = profile(file, &mut written).unwrap();
            assert_eq!(text.len(), profile_len(file.len()));
            assert_eq!(parse_profile(text.as_bytes(), &mut read), Ok(file));
        }
    }

    #[test]
    fn the_texts_stay_as_they_are() {
        assert_eq!(public_key(&KEY), "kgpub1-a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dtsoaoey");
        assert_eq!(profile(b"KGpr\x01\xff", &mut [0; 64]), Ok("kgprofile1-S0dwcgH_"));
        assert_eq!(profile(b"Ma", &mut [0; 64]), Ok("kgprofile1-TWE"));
    }

    #[test]
    fn blanks_and_case_of_a_public_key_do_not_matter() {
        let texts = [
            " kgpub1-a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dtsoaoey\r\n",
            "KGPUB1-A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DTSOAOEY",
        ];
        for text in texts {
            assert_eq!(parse_public_key(text), Ok(KEY), "{text}");
        }
    }

    #[test]
    fn a_wrong_character_anywhere_in_a_public_key_is_noticed() {
        let text = public_key(&KEY);
        for at in PUBLIC_KEY.len()..text.len() {
            for wrong in ["a", "z", "7", "1", "", "é", "aa"] {
                let mut changed = String::<80>::new();
                for part in [&text[..at], wrong, &text[at + 1..]] {
                    changed.push_str(part).unwrap();
                }
                assert!(changed == text || parse_public_key(&changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn what_no_encoder_writes_is_refused() {
        #[rustfmt::skip]
        let cases = [
            (1, "kgprofile1-A", TextFault::Malformed), (2, "kgprofile1-AA==", TextFault::Malformed),
            (3, "kgprofile1-A+/A", TextFault::Malformed), (4, "kgprofile1-AB", TextFault::Malformed),
            (5, "kgpub1-aaaa", TextFault::Foreign(PROFILE)), (6, "", TextFault::Foreign(PROFILE)),
        ];
        for (case, text, fault) in cases {
            assert_eq!(parse_profile(text.as_bytes(), &mut [0; 64]), Err(fault), "case {case}");
        }
        for (case, text) in [(1, "kgpub1-"), (2, "kgpub1-aaaa"), (3, "kgpub1-é")] {
            assert_eq!(parse_public_key(text), Err(TextFault::Malformed), "case {case}");
        }
        assert_eq!(parse_public_key("kgprofile1-AA"), Err(TextFault::Foreign(PUBLIC_KEY)));
    }

    #[test]
    fn line_ends_in_a_profiles_text_are_nothing() {
        let text = b"\n  kgprofile1-S0dw\r\ncgH_\n";
        assert!(is_profile(text));
        assert_eq!(parse_profile(text, &mut [0; 64]), Ok(&b"KGpr\x01\xff"[..]));
    }

    #[test]
    fn a_buffer_that_is_too_small_is_an_error() {
        assert_eq!(profile(b"abc", &mut [0; 14]), Err(TextFault::TooLong));
        assert_eq!(parse_profile(b"kgprofile1-YWJj", &mut [0; 2]), Err(TextFault::TooLong));
    }
}
