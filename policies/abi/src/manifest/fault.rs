//! What can be wrong with a manifest.

use core::fmt;

use crate::limits;

/// What is wrong, and in which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The line, counted from 1; 0 when the manifest as a whole is meant.
    pub line: u32,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Longer than [`limits::MAX_MANIFEST_BYTES`].
    TooLong,
    /// A byte outside printable ASCII.
    NotAscii,
    /// A line without `=`.
    NoEqualsSign,
    /// A key that this ABI does not have.
    UnknownKey,
    /// A key that was there before.
    Twice,
    /// A version that is not `major.minor`.
    NotAVersion,
    /// A name with other characters than allowed, or too long.
    NotAName,
    /// A service that is not a number from 1 to 65535.
    NotAService,
    /// A number that is 0, too large or no number.
    NotANumber,
    /// A capability that this ABI does not have.
    UnknownCapability,
    /// A cause that this ABI does not have.
    UnknownCause,
    /// A parameter that is not `name:kind`.
    NotAParameter,
    /// A parameter of which there is one of that name before.
    ParameterTwice,
    /// More than [`limits::MAX_PARAMETERS`] parameters.
    TooManyParameters,
    /// A key that must be there.
    Missing(&'static str),
}

impl core::error::Error for ManifestError {}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        self.fault.fmt(f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::TooLong => return write!(f, "more than {} bytes; shorten it", limits::MAX_MANIFEST_BYTES),
            Fault::NotAName => {
                return write!(
                    f,
                    "not a name; use 1 to {} lower-case letters, digits and hyphens",
                    limits::MAX_NAME_BYTES
                );
            }
            Fault::TooManyParameters => {
                return write!(f, "more than {} parameters; make do with fewer", limits::MAX_PARAMETERS);
            }
            Fault::Missing(key) => return write!(f, "no line `{key}=`; add it"),
            Fault::NotAscii => "a character that is not plain ASCII; remove it",
            Fault::NoEqualsSign => "no `=`; write `key=value`, or `#` before a comment",
            Fault::UnknownKey => {
                "unknown key; use abi, name, version, services, max-seconds, capabilities, causes, fuel, pages, \
                 optional or parameters"
            }
            Fault::Twice => "this key was there before; put everything in one line, separated by spaces",
            Fault::NotAVersion => "not a version; write it like `abi=1.0`",
            Fault::NotAService => "not a service; list numbers from 1 to 65535 separated by spaces, or write `*`",
            Fault::NotANumber => "not a number from 1 up, or too large for this key; write it in digits",
            Fault::UnknownCapability => {
                "unknown capability; use open, open-prefix, extend, revoke, lockout, start, notify, state or log"
            }
            Fault::NotAParameter => {
                "not a parameter; write `name:kind` with a kind of number, numbers, seconds, minute, days or networks"
            }
            Fault::ParameterTwice => "two parameters of one name; rename one",
            Fault::UnknownCause => {
                "unknown cause; use sequence, packet, renew, close, expiry, lockout, failed-attempt or start-up"
            }
        })
    }
}
