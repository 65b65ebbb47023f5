//! Numbers that this policy keeps between events. Needs the capability `state`.

use knockgate_policy_abi::Refusal;

use crate::{act, sys};

/// The number under `key`, 0 when there is none.
#[must_use]
pub fn load(key: u32) -> u64 {
    sys::load(key)
}

/// Keeps a number under `key`; 0 forgets it. Happens only if `decide` commits.
///
/// # Errors
/// Not permitted, or too many numbers.
pub fn store(key: u32, value: u64) -> Result<(), Refusal> {
    act::answer(sys::store(key, value))
}
