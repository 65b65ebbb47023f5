//! What the tests of storage and of a whole start have in common: a flash chip and an owner who signs.

pub(crate) mod chip;
pub(crate) mod signer;
