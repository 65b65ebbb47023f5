//! Closed mode: the probes of holders, as the guard drops and reports them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::opener::{Here, Opener};
use super::packet::{self, ProbeSeen};
use super::subscription::Subscription;

pub use super::subscription::NflogError;

/// A subscription to the probes of one NFLOG group.
pub struct ProbeLog(Subscription<ProbeSeen>);

impl ProbeLog {
    /// # Errors
    /// Somebody else has the group, or this process may not.
    pub fn bind(group: u16) -> Result<Self, NflogError> {
        Self::bound_by(&Here, group)
    }

    pub(super) fn bound_by(opener: &dyn Opener, group: u16) -> Result<Self, NflogError> {
        let copied = crate::firewall::PROBE_BYTES;
        Subscription::bind(opener, group, copied, |report| packet::parse(report.packet)).map(Self)
    }

    /// The next probe, or `None` if none is there now. To be called until then whenever the descriptor is readable.
    ///
    /// # Errors
    /// The subscription is broken.
    pub fn try_recv(&mut self) -> io::Result<Option<ProbeSeen>> {
        self.0.try_recv()
    }

    /// How often the kernel had to drop probes because we were too slow; each time it may have been many.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost()
    }

    /// Reported packets that could not be read as a probe.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.0.unreadable()
    }
}

impl AsFd for ProbeLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
