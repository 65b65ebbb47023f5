//! What shall be done. Everything is queued and happens only if `decide` returns [`crate::Verdict::Commit`].

use knockgate_policy_abi::Refusal;

use crate::sys;

/// Opens a service to the knocker's address.
///
/// # Errors
/// The service is not granted, or not for so long.
pub fn open(service: u32, seconds: u32) -> Result<(), Refusal> {
    answer(sys::open(service, seconds))
}

/// Opens a service to the knocker's whole prefix of so many bits.
///
/// # Errors
/// As [`open`], or the prefix is too wide or too long.
pub fn open_prefix(service: u32, bits: u32, seconds: u32) -> Result<(), Refusal> {
    answer(sys::open_prefix(service, bits, seconds))
}

/// Lets a grant last so many seconds from now.
///
/// # Errors
/// The grant is not this client's, or the time is too long.
pub fn extend(grant: u64, seconds: u32) -> Result<(), Refusal> {
    answer(sys::extend(grant, seconds))
}

/// Closes a grant.
///
/// # Errors
/// The grant is not this client's.
pub fn revoke(grant: u64) -> Result<(), Refusal> {
    answer(sys::revoke(grant))
}

/// Locks the source out for so many seconds.
///
/// # Errors
/// Not permitted, or longer than a day.
pub fn lockout(seconds: u32) -> Result<(), Refusal> {
    answer(sys::lockout(seconds))
}

/// Starts a unit of the host's table.
///
/// # Errors
/// The unit is not in the table.
pub fn start(unit: u32) -> Result<(), Refusal> {
    answer(sys::start(unit))
}

/// Sends a code to a channel of the host's table.
///
/// # Errors
/// The channel is not in the table.
pub fn notify(channel: u32, code: u32) -> Result<(), Refusal> {
    answer(sys::notify(channel, code))
}

pub(crate) fn answer(code: i32) -> Result<(), Refusal> {
    match code {
        0 => Ok(()),
        // A host never answers anything else; if a newer one did, the act was not queued.
        code => Err(Refusal::from_code(code).unwrap_or(Refusal::NotOnThisHost)),
    }
}
