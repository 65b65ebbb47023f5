//! Everything that the gate hears without a socket of its own bound to a port: packet knocks, the probes of closed mode, and
//! the steps of static sequences.
//!
//! One reader, [`Watch`], over two ways into the kernel that hear the same. Whoever reads it waits for its descriptors by
//! himself: no call here blocks, and none allocates once the watch is open. What a packet claims to be is a stranger's
//! word; only its form has been checked.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::fd::BorrowedFd;

use knockgate_core::envelope::Message;

use super::ProbeSeen;
use super::nflog::NflogError;
use super::opener::{Here, Opener};
use super::packet_sockets::{PacketSocketError, PacketSockets};
use super::reports::Reports;
use crate::firewall::{Protocol, Report};

/// NFLOG group of the probes of closed mode. Any number will do that nobody else on the host uses; this is "KG".
pub(crate) const PROBE_GROUP: u16 = 0x4b47;
/// NFLOG group of packet knocks.
pub(crate) const PACKET_GROUP: u16 = PROBE_GROUP + 1;
/// NFLOG group of the steps of static sequences.
pub(crate) const STATIC_GROUP: u16 = PROBE_GROUP + 2;

/// From a group of the first set to that of the same kind in the second.
const SECOND_SET: u16 = 3;

/// Descriptors of one watch, at most: two packet sockets and one for the host's links and addresses, or three NFLOG groups.
const MAX_DESCRIPTORS: usize = 4;

/// By which way packets are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Via {
    /// Packet sockets where this process may have them, else NFLOG.
    #[default]
    Auto,
    PacketSockets,
    Nflog,
}

/// Which NFLOG groups are used. A group has one reader, so whoever begins to read before another one ends needs the other set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Groups {
    #[default]
    First,
    Second,
}

/// What shall be heard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Interfaces that count; a name may end in `*`. Empty: all but loopback.
    pub interfaces: Vec<String>,
    pub packets: WantedPackets,
    /// The decoys of closed mode: connection attempts and datagrams.
    pub probes: Vec<u16>,
    /// The steps of static sequences. A datagram to one of these is never a packet knock.
    pub statics: Vec<(Protocol, u16)>,
    pub via: Via,
    pub groups: Groups,
}

/// Where packet knocks are heard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WantedPackets {
    #[default]
    None,
    Ports(Vec<RangeInclusive<u16>>),
    /// On every UDP port but these. Flows of other programs are heard as well, if their datagrams have the size of a knock.
    Anywhere {
        except: Vec<u16>,
    },
}

/// The way that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// Nothing was wanted.
    Nothing,
    PacketSockets,
    /// The guard reports what it drops.
    Nflog {
        why: String,
        groups: Groups,
    },
}

/// What came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A datagram of a knock's size on a port of packet knocks.
    Message { source: SocketAddr, destination: SocketAddr, message: &'a Message },
    /// On a decoy or a port of a static sequence: a SYN, or any datagram.
    Probe(ProbeSeen),
}

/// What one reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Handed over, or thrown away as unreadable or foreign.
    pub packets: usize,
    /// There may be more to read now.
    pub more: bool,
}

/// What was not handed over, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Dropped by the kernel because we were too slow. Over NFLOG the kernel says only that it was some, which counts as 1.
    pub lost: u64,
    /// Not what the kernel was asked for.
    pub unreadable: u64,
    /// For an address that is not this host's.
    pub foreign: u64,
}

/// Why nothing can be heard.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    Nflog(#[from] NflogError),
    #[error(
        "[capture] wants packet sockets, but {0}; run as root or mend that, or set via = \"auto\" to hear by NFLOG where it has to be"
    )]
    PacketSockets(#[source] PacketSocketError),
}

/// Hears what is [`Wanted`].
pub struct Watch {
    ears: Ears,
    means: Means,
}

enum Ears {
    Nothing,
    // Boxed: it holds a batch and the host's addresses.
    PacketSockets(Box<PacketSockets>),
    Nflog(Reports),
}

impl Watch {
    /// # Errors
    /// This process may not, or the kernel cannot.
    pub fn open(wanted: &Wanted) -> Result<Self, WatchError> {
        Self::opened_by(&Here, wanted)
    }

    /// By sockets that somebody else opens where that takes a right.
    ///
    /// # Errors
    /// That one may not, or the kernel cannot.
    pub fn opened_by(opener: &dyn Opener, wanted: &Wanted) -> Result<Self, WatchError> {
        if wanted.is_nothing() {
            return Ok(Self { ears: Ears::Nothing, means: Means::Nothing });
        }
        match wanted.via {
            Via::PacketSockets => Self::by_packet_sockets(opener, wanted).map_err(WatchError::PacketSockets),
            Via::Nflog => Self::over_nflog(opener, wanted, "the configuration wants it so".to_owned()),
            Via::Auto => match Self::by_packet_sockets(opener, wanted) {
                Err(unusable) => Self::over_nflog(opener, wanted, unusable.to_string()),
                Ok(watch) => Ok(watch),
            },
        }
    }

    fn by_packet_sockets(opener: &dyn Opener, wanted: &Wanted) -> Result<Self, PacketSocketError> {
        let sockets = PacketSockets::open(opener, wanted)?;
        Ok(Self { ears: Ears::PacketSockets(Box::new(sockets)), means: Means::PacketSockets })
    }

    fn over_nflog(opener: &dyn Opener, wanted: &Wanted, why: String) -> Result<Self, WatchError> {
        let means = Means::Nflog { why, groups: wanted.groups };
        Ok(Self { ears: Ears::Nflog(Reports::open(opener, wanted)?), means })
    }

    #[must_use]
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// What to wait for: each is readable when there is something for [`Watch::read`].
    #[must_use]
    pub fn fds(&self) -> heapless::Vec<BorrowedFd<'_>, MAX_DESCRIPTORS> {
        match &self.ears {
            Ears::Nothing => heapless::Vec::new(),
            Ears::PacketSockets(sockets) => sockets.fds().collect(),
            Ears::Nflog(reports) => reports.fds().collect(),
        }
    }

    /// Hands over what is there now, at most `most` packets. Never blocks.
    ///
    /// # Errors
    /// The watch is broken; what was handed over is good.
    pub fn read(&mut self, most: usize, each: &mut dyn FnMut(Seen<'_>)) -> io::Result<Taken> {
        match &mut self.ears {
            Ears::Nothing => Ok(Taken { packets: 0, more: false }),
            Ears::PacketSockets(sockets) => sockets.read(most, each),
            Ears::Nflog(reports) => reports.read(most, each),
        }
    }

    /// To be called every second: what has changed on the host and could not be read then is tried again.
    pub fn look_after(&mut self) {
        match &mut self.ears {
            Ears::PacketSockets(sockets) => sockets.follow(),
            Ears::Nothing | Ears::Nflog(_) => {}
        }
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        match &self.ears {
            Ears::Nothing => Counts::default(),
            Ears::PacketSockets(sockets) => sockets.counts(),
            Ears::Nflog(reports) => reports.counts(),
        }
    }
}

impl Wanted {
    pub(crate) fn is_nothing(&self) -> bool {
        self.packets == WantedPackets::None && self.probes.is_empty() && self.statics.is_empty()
    }
}

impl Means {
    /// What the guard's rules have to do so that the probes of closed mode are heard.
    #[must_use]
    pub fn probes(&self) -> Report {
        self.report(PROBE_GROUP)
    }

    /// The same for packet knocks.
    #[must_use]
    pub fn packets(&self) -> Report {
        self.report(PACKET_GROUP)
    }

    /// The same for the steps of static sequences.
    #[must_use]
    pub fn statics(&self) -> Report {
        self.report(STATIC_GROUP)
    }

    fn report(&self, group: u16) -> Report {
        match self {
            Self::Nothing | Self::PacketSockets => Report::Unneeded,
            Self::Nflog { groups, .. } => Report::Nflog { group: groups.of(group) },
        }
    }
}

impl Groups {
    /// The group of that kind in this set.
    pub(super) fn of(self, group: u16) -> u16 {
        match self {
            Self::First => group,
            Self::Second => group + SECOND_SET,
        }
    }

    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost.saturating_add(other.lost),
            unreadable: self.unreadable.saturating_add(other.unreadable),
            foreign: self.foreign.saturating_add(other.foreign),
        }
    }
}

/// As the log says it.
impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "no packets are watched"),
            Self::PacketSockets => write!(f, "packets are heard by packet sockets"),
            Self::Nflog { why, .. } => write!(f, "packets are heard by NFLOG: {why}"),
        }
    }
}
