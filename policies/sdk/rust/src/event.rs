//! What happened. Keys are in [`crate::attr`].

use knockgate_policy_abi::Head;

use crate::sys;

/// The attributes that almost every policy reads.
#[must_use]
pub fn head() -> Head {
    sys::head()
}

/// A number or flag; `None` when this event does not have it.
#[must_use]
pub fn number(key: u32) -> Option<u64> {
    match sys::attr(key) {
        0 if sys::has(key) == 0 => None,
        value => Some(value),
    }
}

/// Reads a text into `buffer` and returns what fits; empty when this event does not have it.
pub fn text(key: u32, buffer: &mut [u8]) -> &[u8] {
    let length = usize::try_from(sys::attr(key)).unwrap_or(usize::MAX).min(buffer.len());
    let text = &mut buffer[..length];
    for (chunk, offset) in text.chunks_mut(8).zip((0u32..).step_by(8)) {
        let word = sys::text(key, offset).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    text
}
