//! The sockets that take a right to open, and who opens them: this process, or another one that has the right and hands them over.

use std::io;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use super::{answer, packet_sockets, subscription};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Needed {
    /// Hears packets once it is bound to a kind of them. CAP_NET_RAW.
    Packets,
    /// Sends whole packets of IPv4, and hears none. CAP_NET_RAW.
    AnswersV4,
    /// The same of IPv6.
    AnswersV6,
    /// Hears what the guard reports to this group, so many bytes of each packet. CAP_NET_ADMIN.
    Reports { group: u16, copied: u32 },
}

/// Why there is none.
#[derive(Debug)]
pub enum NotOpened {
    /// Another program has the group.
    Taken,
    Kernel(io::Error),
}

/// Whoever opens them.
pub trait Opener {
    /// # Errors
    /// [`NotOpened`]; what was opened before is as it was.
    fn open(&self, needed: Needed) -> Result<OwnedFd, NotOpened>;
}

/// This process, by the rights that it has.
#[derive(Debug)]
pub struct Here;

impl Opener for Here {
    fn open(&self, needed: Needed) -> Result<OwnedFd, NotOpened> {
        match needed {
            Needed::Packets => Ok(packet_sockets::socket()?),
            Needed::AnswersV4 => Ok(answer::socket(socket2::Domain::IPV4)?),
            Needed::AnswersV6 => Ok(answer::socket(socket2::Domain::IPV6)?),
            Needed::Reports { group, copied } => subscription::socket(group, copied),
        }
    }
}

/// Nobody has the right any more.
#[derive(Debug)]
pub struct Nobody;

impl Opener for Nobody {
    fn open(&self, _: Needed) -> Result<OwnedFd, NotOpened> {
        Err(NotOpened::Kernel(rustix::io::Errno::PERM.into()))
    }
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

impl NotOpened {
    /// Of what nobody else can have.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Taken => io::ErrorKind::ResourceBusy.into(),
            Self::Kernel(error) => error,
        }
    }
}
