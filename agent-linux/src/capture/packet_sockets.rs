//! The way by packet sockets: one for each family, on every interface that there is or will be.
//!
//! A socket for one kind of packet stands behind the kernel's handling of VLANs, bonds and bridges, so a frame counts once, on
//! the interface whose address it was sent to, and what this host sends is never heard. It stands before the host's own
//! packet filter: the guard still drops the same packets, and need not report them. The kernel's filter lets pass what
//! [`super::bpf`] says; what is not for an address of this host is thrown away here ([`super::links`]).
//!
//! No port is open. `ss -0` on the host shows the two sockets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::{Domain, SockFilter, Socket, Type};

use super::bpf::{self, Instruction};
use super::judge::Judge;
use super::links::Links;
use super::opener::{Needed, Opener};
use super::packet;
use super::sys::{self, Batch, EtherType, KEPT};
use super::trouble::Trouble;
use super::watch::{Counts, Seen, Taken, Wanted};

/// Most room that each socket asks for, in bytes. The kernel doubles it because it counts its own bookkeeping, and then it holds about
/// 25 000 packets of a knock's size. On a host with few processors a flood keeps a thread like ours waiting for tens of milliseconds
/// at times; whatever gathers meanwhile is read faster than it came, so a client's packet among it still is in time.
const MAX_QUEUE: u64 = 16 * 1024 * 1024;
/// Each socket asks for this part of the host's memory at most, one in so many: both, doubled, take a thirty-second.
const QUEUE_SHARE: u64 = 128;

/// Why packet sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PacketSocketError {
    #[error("the capability CAP_NET_RAW is missing")]
    NotAllowed,
    #[error("the ports to be heard make a filter of {0} instructions, and the kernel takes 4096")]
    TooManyPorts(usize),
    #[error("the kernel has no room for a filter of {0} instructions (see net.core.optmem_max)")]
    NoRoomForFilter(usize),
    #[error("the kernel refuses packet sockets ({0})")]
    Kernel(#[from] io::Error),
}

/// Both sockets, and what is known about the host.
pub(super) struct PacketSockets {
    /// That of IPv4, and that of IPv6.
    sockets: [Ear; 2],
    links: Links,
    /// The interfaces that the filters let pass.
    passing: Option<Vec<u32>>,
    /// With following the host's interfaces and addresses.
    trouble: Trouble,
    judge: Judge,
    batch: Batch,
    unreadable: u64,
    foreign: u64,
    /// Which of the sockets is read first: each in its turn, so that a flood of one family does not keep the other waiting.
    first: usize,
}

struct Ear {
    socket: Socket,
    lost: AtomicU64,
}

impl PacketSockets {
    pub(super) fn open(opener: &dyn Opener, wanted: &Wanted) -> Result<Self, PacketSocketError> {
        let judge = Judge::new(wanted);
        // The question that a capability decides comes first, for the error to be the right one.
        let ears = [Ear::opened_by(opener)?, Ear::opened_by(opener)?];
        let links = Links::open(&wanted.interfaces)?;
        let batch = Batch::new();
        let mut sockets = Self {
            sockets: ears,
            links,
            passing: None,
            trouble: Trouble::default(),
            judge,
            batch,
            unreadable: 0,
            foreign: 0,
            first: 0,
        };
        sockets.filter()?;
        for (ear, kind) in sockets.sockets.iter().zip([EtherType::IPV4, EtherType::IPV6]) {
            sys::bind(&ear.socket, kind, 0)?;
        }
        Ok(sockets)
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|ear| ear.socket.as_fd()).chain([self.links.as_fd()])
    }

    pub(super) fn read(&mut self, most: usize, each: &mut dyn FnMut(Seen<'_>)) -> io::Result<Taken> {
        self.follow();
        self.first = (self.first + 1) % self.sockets.len();
        let mut taken = 0;
        let mut more = false;
        for turn in 0..self.sockets.len() {
            let place = (self.first + turn) % self.sockets.len();
            let Some(ear) = self.sockets.get(place) else { continue };
            let room = most.saturating_sub(taken).min(sys::BATCH);
            if room == 0 {
                return Ok(Taken { packets: taken, more: true });
            }
            let read = match sys::read(&ear.socket, &mut self.batch, room) {
                Err(error) if is_passing(&error) => 0,
                other => other?,
            };
            taken += read;
            more |= read == room;
            self.hand_over(each);
        }
        Ok(Taken { packets: taken, more })
    }

    /// What the last reading brought.
    fn hand_over(&mut self, each: &mut dyn FnMut(Seen<'_>)) {
        for (frame, interface) in self.batch.packets() {
            let packet = packet::without_padding(frame, KEPT);
            let heard = packet.and_then(|packet| self.judge.read(packet, interface));
            match heard {
                None => self.unreadable = self.unreadable.saturating_add(1),
                Some(heard) if !self.links.is_own(&heard.asked()) => {
                    self.foreign = self.foreign.saturating_add(1);
                }
                Some(heard) => each(heard.as_seen()),
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let lost = self.sockets.iter().map(Ear::lost).fold(0, u64::saturating_add);
        Counts { lost, unreadable: self.unreadable, foreign: self.foreign }
    }

    /// The host may have other interfaces and addresses than before. What fails is tried again when there is something to read, and by
    /// whoever calls this every second: where nothing comes through an old filter, there is nothing to read. Until then what was known
    /// counts.
    pub(super) fn follow(&mut self) {
        if !self.links.are_stale() && self.is_filtered() {
            return;
        }
        let now = Instant::now();
        if self.trouble.rests(now) {
            return;
        }
        match self.catch_up() {
            Ok(()) => self.trouble.is_over(),
            Err(error) if self.trouble.has_failed(now) => tracing::warn!(
                "the host's interfaces or addresses have changed and cannot be followed, trying again every second: {error}"
            ),
            Err(_) => {}
        }
    }

    fn catch_up(&mut self) -> Result<(), PacketSocketError> {
        if self.links.are_stale() {
            self.links.read_again()?;
        }
        if self.is_filtered() { Ok(()) } else { self.filter() }
    }

    /// Whether the filters are for the interfaces that count now.
    fn is_filtered(&self) -> bool {
        self.passing.as_deref() == self.links.interfaces()
    }

    fn filter(&mut self) -> Result<(), PacketSocketError> {
        let interfaces = self.links.interfaces();
        let passing = self.judge.passing(interfaces);
        let [v4_socket, v6_socket] = &self.sockets;
        v4_socket.filter(&bpf::v4(&passing))?;
        v6_socket.filter(&bpf::v6(&passing))?;
        self.passing = interfaces.map(<[u32]>::to_vec);
        Ok(())
    }
}

impl Ear {
    /// It hears nothing before it is bound: the filter is there first.
    fn opened_by(opener: &dyn Opener) -> Result<Self, PacketSocketError> {
        let socket = opener.open(Needed::Packets).map_err(|error| blame(error.into_io()))?;
        Ok(Self { socket: socket.into(), lost: AtomicU64::new(0) })
    }

    /// Takes the place of the filter that is there, between two packets.
    fn filter(&self, program: &[Instruction]) -> Result<(), PacketSocketError> {
        let length = program.len();
        if length > bpf::MAX_INSTRUCTIONS {
            return Err(PacketSocketError::TooManyPorts(length));
        }
        let program: Vec<_> = program.iter().copied().map(SockFilter::from).collect();
        self.socket.attach_filter(&program).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOMEM | Errno::NOBUFS) => PacketSocketError::NoRoomForFilter(length),
            _ => PacketSocketError::Kernel(error),
        })
    }

    fn lost(&self) -> u64 {
        // Asking sets the kernel's own count to zero. A socket that cannot say it has lost nothing that we know of.
        let more = sys::take_lost(&self.socket).unwrap_or_default();
        let before = self.lost.fetch_add(more.into(), Ordering::Relaxed);
        before.saturating_add(more.into())
    }
}

/// One that hears nothing yet.
pub(super) fn socket() -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
    let bytes = queue(sys::memory());
    // Beyond the system's limit where we may; what is refused there is asked for plainly.
    sockopt::set_socket_recv_buffer_size_force(&socket, bytes)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, bytes))?;
    Ok(socket.into())
}

/// Bytes of a socket's queue on a host with so many bytes of memory.
fn queue(memory: Option<u64>) -> usize {
    let share = memory.map_or(MAX_QUEUE, |memory| memory / QUEUE_SHARE);
    usize::try_from(share.min(MAX_QUEUE)).unwrap_or(usize::MAX)
}

fn blame(error: io::Error) -> PacketSocketError {
    match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::ACCESS) => PacketSocketError::NotAllowed,
        _ => PacketSocketError::Kernel(error),
    }
}

/// Nothing is there, an interface has gone down, or the kernel has no room just now: the socket is as good as before.
fn is_passing(error: &io::Error) -> bool {
    use Errno as E;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(E::AGAIN | E::INTR | E::NETDOWN | E::NOBUFS | E::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_flood_takes_little_of_a_small_routers_memory() {
        let both_doubled = 4 * queue(Some(64 * MIB)) as u64;
        assert_eq!(both_doubled, 2 * MIB);
    }

    #[test]
    fn a_server_has_the_whole_queue() {
        assert_eq!(queue(Some(4096 * MIB)) as u64, MAX_QUEUE);
        assert_eq!(queue(None) as u64, MAX_QUEUE);
    }

    #[test]
    fn this_host_says_how_much_memory_it_has() {
        assert!(sys::memory().is_some_and(|memory| memory > 64 * MIB));
    }
}
