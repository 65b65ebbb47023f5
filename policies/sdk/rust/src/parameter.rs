//! What the configuration gives to this policy, under the names in its manifest's `parameters=`. Parameters are numbered from
//! 0 in the order of that line.

use knockgate_policy_abi::attr::{PARAMETER_KEYS, PARAMETERS};

use crate::event;

/// How many values a parameter has; 0 when it is not given.
#[must_use]
pub fn count(index: u32) -> u32 {
    event::number(key(index)).and_then(|count| count.try_into().ok()).unwrap_or(0)
}

/// Value number `at` of a parameter; `None` when it is not there.
#[must_use]
pub fn value(index: u32, at: u32) -> Option<u64> {
    if at < count(index) { event::number(key(index) + 1 + at) } else { None }
}

/// All values of a parameter.
pub fn values(index: u32) -> impl Iterator<Item = u64> {
    (0..count(index)).map_while(move |at| value(index, at))
}

fn key(index: u32) -> u32 {
    PARAMETERS + PARAMETER_KEYS * index
}
