//! What a crash or a full disk has left of a record. It stays in the file; the next record says how much it is.

use sha2::{Digest, Sha256};

use super::AuditRecord;
use super::chain::Link;

/// Bytes after the last whole record: parts of lines.
#[derive(Clone)]
pub(super) struct Torn {
    /// Without the end of the last line.
    bytes: u64,
    hasher: Sha256,
    is_ended: bool,
}

impl Torn {
    pub(super) fn of(piece: &[u8]) -> Self {
        let mut torn = Self { bytes: 0, hasher: Sha256::new(), is_ended: false };
        torn.grow(piece);
        torn
    }

    /// More has followed.
    pub(super) fn grow(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if self.is_ended {
            self.take(b"\n");
        }
        let rest = piece.strip_suffix(b"\n");
        self.is_ended = rest.is_some();
        self.take(rest.unwrap_or(piece));
    }

    fn take(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        self.hasher.update(piece);
    }

    pub(super) fn to_be_ended(&self) -> &'static [u8] {
        if self.is_ended { b"" } else { b"\n" }
    }

    /// How the log tells it.
    pub(super) fn record(&self) -> AuditRecord {
        AuditRecord::Torn { bytes: self.bytes, digest: self.digest() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn digest(&self) -> Link {
        Link::of(&self.hasher.clone().finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_count_as_what_stands_in_the_file_less_the_last_end() {
        let whole = Torn::of(b"one\ntwo");
        let mut pieces = Torn::of(b"on");
        assert_eq!(pieces.to_be_ended(), b"\n");
        pieces.grow(b"e\n");
        assert_eq!((pieces.bytes(), pieces.to_be_ended()), (3, b"".as_slice()));
        pieces.grow(b"");
        pieces.grow(b"two\n");
        assert_eq!((pieces.bytes(), pieces.digest()), (whole.bytes(), whole.digest()));
    }
}
