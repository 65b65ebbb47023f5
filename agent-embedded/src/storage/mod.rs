//! What lasts in flash: the owner's key, two site images, and the journal.

mod image;

pub use image::{Unverified, Verified};
