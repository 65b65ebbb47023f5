//! What lasts in flash: the owner's key, two site images, and the journal of what has been used up.

mod image;
mod journal;
mod layout;
mod numbers;
mod owner;
mod pages;
mod ready;
mod slots;

use core::ops::Range;

pub use image::{KeyId, Unverified, Verified};
pub use journal::{Journal, JournalError, NotStored, Recalled};
pub use layout::LayoutError;
pub use numbers::PolicyNumbers;
pub use owner::{OwnerError, Use, read as read_owner};
pub use slots::{Choice, Other, Slot};

pub(crate) use ready::ready;

use crate::board::Flash;

/// The bytes of `range`, until the next write.
pub(crate) fn look<F: Flash>(flash: &F, range: Range<u32>) -> &[u8] {
    flash.lend(range)
}
