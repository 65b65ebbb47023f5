//! The container of every file that Knockgate writes: a mark, a version, the content in postcard, a checksum.
//!
//! `mark 4 | version 1 | content | checksum 8`. The checksum (the first bytes of BLAKE2s-256 over all before it) finds
//! damage, not forgery: files are protected by their permissions. Rule: `docs/protocol.md`, section 8.

use blake2::{Blake2s256, Digest};
use serde::Serialize;
use serde::de::DeserializeOwned;

const MARK_LEN: usize = 4;
const CHECKSUM_LEN: usize = 8;

/// Bytes that the container adds to the content.
pub const OVERHEAD: usize = MARK_LEN + 1 + CHECKSUM_LEN;

/// What kind of file it is, and which version of that kind this code writes and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// First four bytes of the file.
    pub mark: [u8; MARK_LEN],
    /// Fifth byte.
    pub version: u8,
}

/// Why a file was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileError {
    /// Shorter than any file of this kind, or cut off.
    Truncated,
    /// Another kind of file: the mark is different.
    Foreign,
    /// A version that this code does not know.
    Version(u8),
    /// The checksum does not fit: damaged, or cut off.
    Damaged,
    /// The checksum fits but the content does not make sense: written by a faulty program.
    Nonsense,
    /// The buffer is too small for the file.
    TooLong,
}

/// Writes `content` into `buffer` and returns the part that is the file.
///
/// # Errors
/// [`FileError::TooLong`] if the buffer is too small.
pub fn encode<'a>(
    format: Format,
    content: &impl Serialize,
    buffer: &'a mut [u8],
) -> Result<&'a [u8], FileError> {
    let (head, rest) = buffer.split_at_mut_checked(MARK_LEN + 1).ok_or(FileError::TooLong)?;
    let (mark, version) = head.split_at_mut(MARK_LEN);
    mark.copy_from_slice(&format.mark);
    version.fill(format.version);
    let content_len = postcard::to_slice(content, rest).map_err(|_| FileError::TooLong)?.len();

    let checked_len = MARK_LEN + 1 + content_len;
    let file = buffer.get_mut(..checked_len + CHECKSUM_LEN).ok_or(FileError::TooLong)?;
    let (checked, tail) = file.split_at_mut(checked_len);
    tail.copy_from_slice(&checksum(checked));
    Ok(file)
}

/// Reads a file.
///
/// # Errors
/// [`FileError`] says what is wrong with it.
pub fn decode<T: DeserializeOwned>(format: Format, file: &[u8]) -> Result<T, FileError> {
    let content = content(format, file)?;
    match postcard::take_from_bytes(content) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(FileError::Nonsense),
    }
}

fn content(format: Format, file: &[u8]) -> Result<&[u8], FileError> {
    let mark = file.get(..MARK_LEN).ok_or(FileError::Truncated)?;
    if mark != format.mark {
        return Err(FileError::Foreign);
    }
    let version = *file.get(MARK_LEN).ok_or(FileError::Truncated)?;
    if version != format.version {
        return Err(FileError::Version(version));
    }
    let checked_len = file.len().checked_sub(CHECKSUM_LEN).ok_or(FileError::Truncated)?;
    let (checked, tail) = file.split_at(checked_len);
    let content = checked.get(MARK_LEN + 1..).ok_or(FileError::Truncated)?;
    if tail != checksum(checked) {
        return Err(FileError::Damaged);
    }
    Ok(content)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut checksum = [0; CHECKSUM_LEN];
    for (to, from) in checksum.iter_mut().zip(Blake2s256::digest(bytes)) {
        *to = from;
    }
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format { mark: *b"KGxx", version: 1 };

    fn written(buffer: &mut [u8]) -> &[u8] {
        encode(FORMAT, &(7u32, "word"), buffer).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let mut buffer = [0; 64];
        let file = written(&mut buffer);
        assert_eq!(decode(FORMAT, file), Ok((7u32, heapless::String::<8>::try_from("word").unwrap())));
    }

    #[test]
    fn a_file_cut_off_anywhere_is_refused() {
        let mut buffer = [0; 64];
        let file = written(&mut buffer);
        for len in 0..file.len() {
            let error = decode::<(u32, heapless::String<8>)>(FORMAT, &file[..len]).unwrap_err();
            assert!(matches!(error, FileError::Truncated | FileError::Damaged), "{len} bytes: {error:?}");
        }
    }

    #[test]
    fn a_damaged_byte_anywhere_is_noticed() {
        let mut buffer = [0; 64];
        let file = written(&mut buffer);
        for at in 0..file.len() {
            let mut damaged = [0; 64];
            damaged[..file.len()].copy_from_slice(file);
            damaged[at] ^= 0x10;
            assert!(
                decode::<(u32, heapless::String<8>)>(FORMAT, &damaged[..file.len()]).is_err(),
                "byte {at} of {}",
                file.len()
            );
        }
    }

    #[test]
    fn another_kind_and_another_version_are_told_apart() {
        let mut buffer = [0; 64];
        let file = written(&mut buffer);
        let other_kind = Format { mark: *b"KGyy", version: 1 };
        let newer = Format { mark: *b"KGxx", version: 2 };
        assert_eq!(decode::<(u32, heapless::String<8>)>(other_kind, file), Err(FileError::Foreign));
        assert_eq!(decode::<(u32, heapless::String<8>)>(newer, file), Err(FileError::Version(1)));
    }

    #[test]
    fn a_buffer_that_is_too_small_is_an_error_at_every_size() {
        let mut buffer = [0; 64];
        let len = written(&mut buffer).len();
        for size in 0..len {
            let mut small = [0; 64];
            assert_eq!(encode(FORMAT, &(7u32, "word"), &mut small[..size]), Err(FileError::TooLong));
        }
    }
}
