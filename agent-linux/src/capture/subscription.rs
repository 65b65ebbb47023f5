//! What the guard drops and reports: one NFLOG group, read packet by packet.
//!
//! The kernel sends each report at once (queue threshold 1) and in order; under a flood it drops what we are too slow to
//! read and says so, which is counted in [`Subscription::lost`]. Only CAP_NET_ADMIN is needed, and only when binding.
//! Layout: `linux/netfilter/nfnetlink_log.h`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};

use super::opener::{Needed, NotOpened, Opener};
use crate::firewall::netlink::{
    AF_UNSPEC, Encoder, Message, Messages, NLM_F_ACK, NLM_F_REQUEST, Socket, receive,
};

/// Room in the socket for about a thousand reports, so that a busy moment of ours is not a loss.
const QUEUE_BYTES: usize = 1024 * 1024;
/// A message holds the copied bytes of one packet and a dozen small attributes; a few are batched at times.
const INBOX_BYTES: usize = 16 * 1024;

const ULOG_SUBSYSTEM: u16 = 4 << 8;
pub(crate) const PACKET: u16 = ULOG_SUBSYSTEM;
const CONFIG: u16 = ULOG_SUBSYSTEM | 1;

/// Asks nf_tables for its generation, which changes nothing.
const NFT_GETGEN: u16 = (10 << 8) | 16;

const CFG_CMD: u16 = 1;
const CFG_MODE: u16 = 2;
const CFG_QUEUE_THRESHOLD: u16 = 5;
const CMD_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
pub(super) const IFINDEX_INDEV: u16 = 4;
pub(super) const PAYLOAD: u16 = 9;

/// Why knocks cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum NflogError {
    #[error("not allowed to watch knocks; run as root or with CAP_NET_ADMIN")]
    NotAllowed,
    #[error("NFLOG group {0} is taken by another program; give the agent another one")]
    GroupTaken(u16),
    #[error(
        "this kernel has no NFLOG; load the module nfnetlink_log, or use connect mode and `mode = \"socket\"` for packet knocks"
    )]
    NoNflog,
    #[error("the kernel does not report knocks of NFLOG group {group} ({source}); see `dmesg`")]
    Kernel { group: u16, source: io::Error },
}

/// One reported packet.
#[derive(Clone, Copy)]
pub(crate) struct Report<'a> {
    pub(crate) packet: &'a [u8],
    /// The number of the interface that it came in by.
    pub(crate) interface: Option<u32>,
}

/// A subscription to one NFLOG group, whose packets `read` turns into `T`.
pub(super) struct Subscription<T> {
    fd: OwnedFd,
    inbox: Box<[u8]>,
    /// What of the inbox is still to be read.
    unread: std::ops::Range<usize>,
    read: fn(Report<'_>) -> Option<T>,
    lost: u64,
    unreadable: u64,
}

impl<T> Subscription<T> {
    /// `copied` is how many bytes of a packet the guard's rule copies.
    ///
    /// # Errors
    /// Somebody else has the group, or whoever opens it may not.
    pub(super) fn bind(
        opener: &dyn Opener,
        group: u16,
        copied: u32,
        read: fn(Report<'_>) -> Option<T>,
    ) -> Result<Self, NflogError> {
        let fd = opener.open(Needed::Reports { group, copied }).map_err(|error| blame(group, error))?;
        let inbox = vec![0; INBOX_BYTES].into_boxed_slice();
        Ok(Self { fd, inbox, unread: 0..0, read, lost: 0, unreadable: 0 })
    }

    /// The next packet, or `None` if none is there now.
    ///
    /// # Errors
    /// The subscription is broken.
    pub(super) fn try_recv(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(packet) = self.next_unread() {
                return Ok(Some(packet));
            }
            match self.fill() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                other => other?,
            }
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn fill(&mut self) -> io::Result<()> {
        self.unread = 0..0;
        match receive(&self.fd, &mut self.inbox, RecvFlags::DONTWAIT) {
            Ok(length) => self.unread = 0..length,
            Err(Errno::NOBUFS) => self.lost = self.lost.saturating_add(1),
            Err(Errno::MSGSIZE) => self.unreadable = self.unreadable.saturating_add(1),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn next_unread(&mut self) -> Option<T> {
        loop {
            let bytes = self.inbox.get(self.unread.clone())?;
            let mut messages = Messages(bytes);
            let message = messages.next()?;
            self.unread.start = self.unread.end - messages.0.len();
            if message.kind != PACKET {
                continue;
            }
            match report(message).and_then(self.read) {
                Some(packet) => return Some(packet),
                None => self.unreadable = self.unreadable.saturating_add(1),
            }
        }
    }
}

impl<T> AsFd for Subscription<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn blame(group: u16, error: NotOpened) -> NflogError {
    let error = match error {
        NotOpened::Taken => return NflogError::GroupTaken(group),
        NotOpened::Kernel(error) => error,
    };
    match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::ACCESS) => NflogError::NotAllowed,
        Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT) => NflogError::NoNflog,
        Some(_) | None => NflogError::Kernel { group, source: error },
    }
}

/// A socket to which the kernel sends what is reported to the group.
pub(super) fn socket(group: u16, copied: u32) -> Result<OwnedFd, NotOpened> {
    let mut socket = Socket::open()?;
    // Beyond the system's limit where we may; what is refused there is asked for plainly.
    sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE_BYTES)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, QUEUE_BYTES))
        .map_err(io::Error::from)?;
    let mut mode = copied.to_be_bytes().to_vec();
    mode.extend_from_slice(&[COPY_PACKET, 0]);
    let settings: [(u16, &[u8]); 3] =
        [(CFG_CMD, &[CMD_BIND]), (CFG_MODE, &mode), (CFG_QUEUE_THRESHOLD, &1_u32.to_be_bytes())];
    for (kind, value) in settings {
        let set = socket.request(|out, sequence| configure(out, sequence, group, kind, value));
        set.map_err(|errno| match is_taken(&mut socket, errno) {
            true => NotOpened::Taken,
            false => NotOpened::Kernel(errno.into()),
        })?;
    }
    Ok(socket.into_fd())
}

pub(crate) fn report(message: Message<'_>) -> Option<Report<'_>> {
    let attributes = message.attributes();
    Some(Report { packet: attributes.find(PAYLOAD)?, interface: attributes.u32(IFINDEX_INDEV) })
}

fn configure(out: &mut Encoder, sequence: u32, group: u16, kind: u16, value: &[u8]) {
    out.begin(CONFIG, NLM_F_REQUEST | NLM_F_ACK, sequence, AF_UNSPEC, group);
    out.attribute(kind, value);
    out.end();
}

/// A group of somebody else and a missing capability are the same error. Without the capability, no other question is
/// answered either.
fn is_taken(socket: &mut Socket, errno: Errno) -> bool {
    let asked = |out: &mut Encoder, sequence| {
        out.begin(NFT_GETGEN, NLM_F_REQUEST | NLM_F_ACK, sequence, AF_UNSPEC, 0);
        out.end();
    };
    errno == Errno::BUSY || (errno == Errno::PERM && socket.request(asked) != Err(Errno::PERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_its_payload_and_its_interface() {
        let with = written(Some(7));
        let with = report(Messages(&with).next().expect("one message")).expect("a report");
        assert_eq!((with.packet, with.interface), (&b"a packet"[..], Some(7)));
        let without = written(None);
        let without = report(Messages(&without).next().expect("one message")).expect("a report");
        assert_eq!((without.packet, without.interface), (&b"a packet"[..], None));
    }

    #[test]
    fn reports_cut_at_every_length_are_none() {
        let whole = written(Some(7));
        for length in 0..whole.len() {
            assert!(Messages(&whole[..length]).next().and_then(report).is_none(), "{length}");
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_setting_has_these_bytes() {
        let mut out = Encoder::default();
        configure(&mut out, 3, 0x0102, CFG_CMD, &[CMD_BIND]);
        #[rustfmt::skip]
        assert_eq!(out.as_bytes(), [
            28, 0, 0, 0,  1, 4,  5, 0,  3, 0, 0, 0,  0, 0, 0, 0, // CONFIG, request + ack, number 3
            0, 0, 1, 2,                                          // any family, group in network order
            5, 0, 1, 0,  1, 0, 0, 0,                             // CFG_CMD: bind
        ]);
    }

    /// As the kernel reports it: packet header, interface, prefix, payload.
    fn written(interface: Option<u32>) -> Vec<u8> {
        let mut out = Encoder::default();
        out.begin(PACKET, 0, 0, 2, 62);
        out.attribute(1, &[8, 0, 1, 0]);
        if let Some(number) = interface {
            out.attribute(IFINDEX_INDEV, &number.to_be_bytes());
        }
        out.text(10, "");
        out.attribute(PAYLOAD, b"a packet");
        out.end();
        out.as_bytes().to_vec()
    }
}
