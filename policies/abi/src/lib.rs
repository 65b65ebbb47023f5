//! The policy ABI, version 1.0: everything that a host and a policy must agree on, in one place.
//!
//! `policy.wit` beside this crate is the interface as text; [`interface`] is the same as core-module imports. The
//! attribute table is [`attr::TABLE`]; the C header and the tables in `docs/policies.md` come from it, and tests fail when
//! one of them differs. Growth: an interface never changes after release. New data is a new attribute key, which an older
//! host answers with 0; a new function is a new interface, which an older host refuses by name at load time.
//!
//! This crate knows no other. It has no heap, no I/O and no unsafe code, so guests, hosts and firmware all use it.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod attr;
mod capability;
mod cause;
mod code;
mod head;
pub mod interface;
pub mod limits;
pub mod manifest;
mod parameter;
mod section;

pub use capability::{Capabilities, Capability};
pub use cause::{Cause, Causes};
pub use code::{HostKind, LogLevel, Refusal, VERDICT_ABSTAIN, VERDICT_COMMIT, VERDICT_DENY};
pub use head::Head;
pub use manifest::{Manifest, ManifestError};
pub use parameter::ParameterKind;
pub use section::manifest_section;

/// The version of the ABI that this crate describes, as `abi=` in a manifest names it.
pub const VERSION: Version = Version { major: 1, minor: 0 };

/// A version of the ABI. A host runs policies of its own major version up to its own minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Changes when a policy must be built anew. Not planned to ever happen.
    pub major: u16,
    /// Changes when interfaces or manifest keys are added.
    pub minor: u16,
}

impl Version {
    /// Whether a host of this version can run a policy that was built for `wanted`.
    #[must_use]
    pub fn runs(self, wanted: Version) -> bool {
        self.major == wanted.major && self.minor >= wanted.minor
    }
}

impl core::fmt::Display for Version {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
