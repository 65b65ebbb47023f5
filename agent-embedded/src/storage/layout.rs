//! Whether a board's layout can be worked with, and the layout of the boards that the tools know.

use core::fmt;
use core::ops::Range;

use knockgate_core::board::Board;

use crate::board::{Flash, Layout};
use crate::storage::pages::Pages;

/// Bytes of a journal in use, beside the erasure that is kept free: twice what 64 clients with a book each and four policies
/// take on a chip with words of 32 bytes, so that it is not moved at every second store.
const LEAST_JOURNAL: u32 = 48 * 1024;

/// Why a layout cannot be worked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// A part that is empty, does not begin and end with an erasure, or is not in the flash.
    Part(Range<u32>),
    /// Two parts share bytes.
    Overlap(Range<u32>, Range<u32>),
    /// The journal has not enough erasures.
    Journal {
        /// Bytes that it needs.
        least: u32,
    },
    /// The flash is written in words that are longer than the journal can handle, or that do not fit its erasures.
    Words,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => write!(
                f,
                "bytes {:#x} to {:#x} are no whole erasures of this flash; mend the board's layout",
                part.start, part.end
            ),
            Self::Overlap(one, two) => write!(
                f,
                "the parts at {:#x} and {:#x} of the flash overlap; mend the board's layout",
                one.start, two.start
            ),
            Self::Journal { least } => {
                write!(f, "the journal needs {least:#x} bytes of flash; mend the board's layout")
            }
            Self::Words => f.write_str(
                "the flash has words of more than 32 bytes or too small erasures; no journal can be kept in it",
            ),
        }
    }
}

impl core::error::Error for LayoutError {}

impl From<&Board> for Layout {
    fn from(board: &Board) -> Self {
        Self { owner: board.owner.clone(), slots: board.slots.clone(), journal: board.journal.clone() }
    }
}

impl Layout {
    /// Whether everything has its own place in a flash of kind `F` with so many bytes.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn check<F: Flash>(&self, capacity: usize) -> Result<(), LayoutError> {
        let [first, second] = &self.slots;
        let parts = [&self.owner, first, second, &self.journal];
        for (index, part) in parts.iter().enumerate() {
            let whole =
                |bound: u32| usize::try_from(bound).is_ok_and(|bound| bound.is_multiple_of(F::ERASE_SIZE));
            let inside = usize::try_from(part.end).is_ok_and(|end| end <= capacity);
            if part.is_empty() || !whole(part.start) || !whole(part.end) || !inside {
                return Err(LayoutError::Part((*part).clone()));
            }
            let clash =
                parts.iter().skip(index + 1).find(|other| part.start < other.end && other.start < part.end);
            if let Some(other) = clash {
                return Err(LayoutError::Overlap((*part).clone(), (*other).clone()));
            }
        }
        check_journal::<F>(&self.journal)
    }
}

fn check_journal<F: Flash>(journal: &Range<u32>) -> Result<(), LayoutError> {
    let erase = u32::try_from(F::ERASE_SIZE).map_err(|_| LayoutError::Words)?;
    if !Pages::<F>::CAN_BE_KEPT {
        return Err(LayoutError::Words);
    }
    let least = LEAST_JOURNAL.div_ceil(erase).saturating_add(1).saturating_mul(erase);
    if journal.end - journal.start < least {
        return Err(LayoutError::Journal { least });
    }
    Ok(())
}
