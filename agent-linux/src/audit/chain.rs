//! The chain: each line carries a value made of the value before it and of the line itself.
//!
//! A line ends with `,"hash":"` 32 hex digits `"}`. They are the first 16 bytes of SHA-256 over the 16 bytes of the value before
//! and all bytes of the line up to that comma. There is no key: whoever can write the log can make a chain, so it shows what was
//! changed or taken out without making the rest anew; against more helps a value that was noted somewhere else.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Bytes of a value. Nobody finds another line for a given value of that length.
const LEN: usize = 16;
const OPENING: &[u8] = br#","hash":""#;
const CLOSING: &[u8] = br#""}"#;

/// A value of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link([u8; LEN]);

impl Link {
    /// Before the first record of all.
    pub(super) const NONE: Self = Self([0; LEN]);

    /// The value of the line whose bytes before `,"hash"` are `record`.
    pub(super) fn next(self, record: &[u8]) -> Self {
        Self::of(&Sha256::new().chain_update(self.0).chain_update(record).finalize())
    }

    /// The first bytes of a hash.
    pub(super) fn of(hash: &[u8]) -> Self {
        let mut link = [0; LEN];
        link.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
        Self(link)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no value of the chain; it has 32 digits of 0 to 9 and a to f");
        if text.len() != 2 * LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let mut link = [0; LEN];
        for (byte, digits) in link.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| refused())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
        }
        Ok(Self(link))
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Puts the value into a line that is one JSON object so far, and returns it.
pub(super) fn seal(line: &mut Vec<u8>, before: Link) -> Link {
    // What follows closes the object again.
    line.pop();
    let link = before.next(line);
    line.extend_from_slice(OPENING);
    line.extend_from_slice(link.to_string().as_bytes());
    line.extend_from_slice(CLOSING);
    link
}

/// A line without its end: what its value was made of, and the value. `None` if it carries none.
pub(super) fn split(line: &[u8]) -> Option<(&[u8], Link)> {
    let line = line.strip_suffix(CLOSING)?;
    let (rest, digits) = line.split_at_checked(line.len().checked_sub(2 * LEN)?)?;
    let link = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((rest.strip_suffix(OPENING)?, link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_the_value_of_what_stands_before_it() {
        let mut line = br#"{"seq":0}"#.to_vec();
        let link = seal(&mut line, Link::NONE);
        // (head -c16 /dev/zero; printf '{"seq":0') | sha256sum | cut -c1-32
        assert_eq!(line, br#"{"seq":0,"hash":"fa5a7f1ea1c086e4bdec72473d3d933e"}"#);
        assert_eq!(split(&line), Some((br#"{"seq":0"#.as_slice(), link)));
        assert_eq!(link.to_string().parse(), Ok(link));
        assert_ne!(link, link.next(br#"{"seq":0"#), "the value before counts");
    }

    #[test]
    fn what_carries_no_value_is_told_apart() {
        let good = r#"{"seq":0,"hash":"00112233445566778899aabbccddeeff"}"#;
        assert!(split(good.as_bytes()).is_some());
        #[rustfmt::skip]
        let cases = [
            (1, ""), (2, "{}"), (3, r#"{"seq":0}"#), (4, &good[..good.len() - 1]), (5, r#"{"hash":"00112233445566778899aabbccddeeff"}"#),
            (6, r#"{"seq":0,"hash":"00112233445566778899aabbccddeefg"}"#), (7, r#"{"seq":0,"hash":"+0112233445566778899aabbccddeeff"}"#),
        ];
        for (case, line) in cases {
            assert!(split(line.as_bytes()).is_none(), "case {case}");
        }
    }
}
