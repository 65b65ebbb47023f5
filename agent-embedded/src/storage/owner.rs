//! The owner's page: whose images count, and whether this gateway was ever in use.
//!
//! The key is written with the cable, and with it everything else of the page is erased. The gateway itself writes one word,
//! at the end of the page, before it stores the first counter. So a journal that is empty although the gateway was in use is
//! noticed: it would let old knocks in again.

use core::fmt;
use core::ops::Range;

use knockgate_core::board::ERASED;
use knockgate_core::file::FileError;
use knockgate_core::site::Owner;

use crate::board::Flash;
use crate::storage::look;
use crate::storage::ready::ready;

/// Bytes of the longest word.
const LONGEST_WORD: usize = 32;

/// Whether this gateway was in use since its owner was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Never.
    Fresh,
    /// It was.
    Begun,
}

/// Why there is no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerError {
    /// Nothing is written there.
    None,
    /// Something is, and it is no owner, or a damaged one.
    Unreadable(FileError),
}

impl fmt::Display for OwnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::None => "this gateway has no owner",
            Self::Unreadable(FileError::Version(_)) => {
                "the owner is written in a form that this firmware does not know"
            }
            Self::Unreadable(
                FileError::Truncated
                | FileError::Foreign
                | FileError::Damaged
                | FileError::Nonsense
                | FileError::TooLong,
            ) => "the owner's key is damaged",
        };
        write!(f, "{what}; write owner and site with the cable (`knockgated gateway` makes both)")
    }
}

impl core::error::Error for OwnerError {}

/// Reads the owner's `page`: who it is, and whether the gateway was in use.
///
/// # Errors
/// [`OwnerError`].
pub fn read<F: Flash>(flash: &mut F, page: &Range<u32>) -> Result<(Owner, Use), OwnerError> {
    let bytes = look(flash, page.clone());
    let owner = Owner::decode(bytes).map_err(|error| {
        let written =
            bytes.get(..Owner::MAX_LEN).is_none_or(|owner| owner.iter().any(|byte| *byte != ERASED));
        if written { OwnerError::Unreadable(error) } else { OwnerError::None }
    })?;
    Ok((owner, usage(flash, page)))
}

/// Whether the mark is there. A word whose writing was cut off is read by the driver, not where it lies: some chips answer
/// that with a fault.
fn usage<F: Flash>(flash: &mut F, page: &Range<u32>) -> Use {
    let mut bytes = [0; LONGEST_WORD];
    let read = match (mark_at::<F>(page), bytes.get_mut(..word_len::<F>())) {
        (Some(at), Some(word)) => ready(flash.read(at, word)),
        (None, _) | (_, None) => None,
    };
    let erased = bytes.iter().take(word_len::<F>()).all(|byte| *byte == ERASED);
    if matches!(read, Some(Ok(()))) && erased { Use::Fresh } else { Use::Begun }
}

/// Writes down that the gateway is in use; returns whether it reads so.
pub(crate) fn begin<F: Flash>(flash: &mut F, page: &Range<u32>) -> bool {
    let (Some(at), Some(mark)) = (mark_at::<F>(page), [0; LONGEST_WORD].get(..word_len::<F>())) else {
        return false;
    };
    matches!(ready(flash.write(at, mark)), Some(Ok(()))) && usage(flash, page) == Use::Begun
}

fn mark_at<F: Flash>(page: &Range<u32>) -> Option<u32> {
    page.end.checked_sub(u32::try_from(word_len::<F>()).ok()?)
}

fn word_len<F: Flash>() -> usize {
    F::WRITE_SIZE.max(F::READ_SIZE).min(LONGEST_WORD)
}
