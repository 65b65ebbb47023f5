//! Lines for the operator.

use knockgate_policy_abi::LogLevel;

use crate::sys;

/// Writes a line. Kept only with the capability `log`; a client never sees it.
pub fn log(level: LogLevel, message: &str) {
    sys::log(level as u32, message);
}
