//! What the tests of storage and of a whole start have in common: a flash chip and an owner who signs.
#![allow(dead_code, reason = "each of them includes this and uses its own part")]

pub(crate) mod chip;
pub(crate) mod signer;
