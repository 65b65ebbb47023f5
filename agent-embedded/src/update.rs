//! A new site image over the air: received into the slot that is not in force, checked as a start checks it, and only then
//! chosen for the next start.

use core::fmt;

/// Takes a new site image, piece by piece.
pub trait Updates {
    /// Bytes of the longest image, with its signature.
    fn room(&self) -> u32;

    /// An image of so many bytes begins. One that was begun before is given up.
    ///
    /// # Errors
    /// It cannot be taken.
    fn begin(&mut self, length: u32) -> Result<(), UpdateError>;

    /// Takes the piece that begins at byte `at`, and returns where the next one begins. A piece that was taken already is
    /// answered likewise, so that it can be sent again.
    ///
    /// # Errors
    /// It is not the next one, or it cannot be stored.
    fn piece(&mut self, at: u32, bytes: &[u8]) -> Result<u32, UpdateError>;

    /// Checks the whole image and chooses it for the next start.
    ///
    /// # Errors
    /// It is not fit for use; the image in force stays as it is.
    fn finish(&mut self) -> Result<(), UpdateError>;
}

/// Why an image was not taken.
#[derive(Debug)]
pub enum UpdateError {
    /// It does not fit into its slot.
    TooLong {
        /// Bytes of the longest one.
        room: u32,
    },
    /// Another piece comes next.
    NotNext {
        /// Where it begins.
        next: u32,
    },
    /// Nothing was begun, or not everything has come.
    Unfinished,
    /// The flash failed.
    Flash,
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { room } => {
                write!(
                    f,
                    "the image is longer than the {room} bytes of its slot; leave policies or clients out"
                )
            }
            Self::NotNext { next } => write!(f, "the next piece begins at byte {next}; send that one"),
            Self::Unfinished => f.write_str("the image has not come as a whole; send it from the beginning"),
            Self::Flash => f.write_str(
                "the flash did not take the image; send it again, and if it fails again the board is broken",
            ),
        }
    }
}

impl core::error::Error for UpdateError {}
