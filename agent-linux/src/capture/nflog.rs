//! Closed mode: the probes of holders, as the guard drops and reports them.
//!
//! The kernel sends each one at once (queue threshold 1) and in order; under a flood it drops what we are too slow to
//! read and says so, which is counted in [`ProbeLog::lost`]. Only CAP_NET_ADMIN is needed, and only when binding.
//! Layout: `linux/netfilter/nfnetlink_log.h`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};

use super::packet::{self, ProbeSeen};
use crate::firewall::netlink::{
    AF_UNSPEC, Encoder, Message, Messages, NLM_F_ACK, NLM_F_REQUEST, Socket, receive,
};

/// Room in the socket for about a thousand probes, so that a busy moment of ours is not a loss.
const QUEUE_BYTES: usize = 1024 * 1024;
/// A message holds one packet of at most [`COPY_BYTES`] and a dozen small attributes; a few are batched at times.
const INBOX_BYTES: usize = 16 * 1024;
/// As much as the guard's rule copies.
const COPY_BYTES: u32 = crate::firewall::PROBE_BYTES;

const ULOG_SUBSYSTEM: u16 = 4 << 8;
const PACKET: u16 = ULOG_SUBSYSTEM;
const CONFIG: u16 = ULOG_SUBSYSTEM | 1;

/// Asks nf_tables for its generation, which changes nothing.
const NFT_GETGEN: u16 = (10 << 8) | 16;

const CFG_CMD: u16 = 1;
const CFG_MODE: u16 = 2;
const CFG_QUEUE_THRESHOLD: u16 = 5;
const CMD_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const PAYLOAD: u16 = 9;

/// Why probes cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum NflogError {
    #[error("not allowed to watch probes; run as root or with CAP_NET_ADMIN")]
    NotAllowed,
    #[error("NFLOG group {0} is taken by another program; give the agent another one")]
    GroupTaken(u16),
    #[error("this kernel has no NFLOG; load the module nfnetlink_log or use connect mode")]
    NoNflog,
    #[error("the kernel does not report probes of NFLOG group {group} ({source}); see `dmesg`")]
    Kernel { group: u16, source: io::Error },
}

/// A subscription to one NFLOG group.
pub struct ProbeLog {
    fd: OwnedFd,
    inbox: Box<[u8]>,
    /// What of the inbox is still to be read.
    unread: std::ops::Range<usize>,
    lost: u64,
    unreadable: u64,
}

impl ProbeLog {
    /// # Errors
    /// Somebody else has the group, or this process may not.
    pub fn bind(group: u16) -> Result<Self, NflogError> {
        let blame = |errno: Errno| match errno {
            Errno::PERM | Errno::ACCESS => NflogError::NotAllowed,
            Errno::INVAL | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT => NflogError::NoNflog,
            other => NflogError::Kernel { group, source: other.into() },
        };
        let from_io = |error: io::Error| match Errno::from_io_error(&error) {
            Some(errno) => blame(errno),
            None => NflogError::Kernel { group, source: error },
        };
        let mut socket = Socket::open().map_err(from_io)?;
        // Beyond the system's limit where we may; what is refused there is asked for plainly.
        sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE_BYTES)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, QUEUE_BYTES))
            .map_err(blame)?;
        let mut mode = COPY_BYTES.to_be_bytes().to_vec();
        mode.extend_from_slice(&[COPY_PACKET, 0]);
        let settings: [(u16, &[u8]); 3] =
            [(CFG_CMD, &[CMD_BIND]), (CFG_MODE, &mode), (CFG_QUEUE_THRESHOLD, &1_u32.to_be_bytes())];
        for (kind, value) in settings {
            let set = socket.request(|out, sequence| configure(out, sequence, group, kind, value));
            set.map_err(|errno| {
                if is_taken(&mut socket, errno) { NflogError::GroupTaken(group) } else { blame(errno) }
            })?;
        }
        let fd = socket.into_fd();
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, None).map_err(blame)?;
        let inbox = vec![0; INBOX_BYTES].into_boxed_slice();
        Ok(Self { fd, inbox, unread: 0..0, lost: 0, unreadable: 0 })
    }

    /// Waits for the next probe.
    ///
    /// # Errors
    /// The subscription is broken.
    pub fn recv(&mut self) -> io::Result<ProbeSeen> {
        loop {
            if let Some(probe) = self.next_unread() {
                return Ok(probe);
            }
            self.fill(RecvFlags::empty())?;
        }
    }

    /// The next probe, or `None` if none is there now. To be called until then whenever the descriptor is readable.
    ///
    /// # Errors
    /// The subscription is broken.
    pub fn try_recv(&mut self) -> io::Result<Option<ProbeSeen>> {
        loop {
            if let Some(probe) = self.next_unread() {
                return Ok(Some(probe));
            }
            match self.fill(RecvFlags::DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                other => other?,
            }
        }
    }

    /// How often the kernel had to drop probes because we were too slow; each time it may have been many.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Reported packets that could not be read as a probe.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn fill(&mut self, flags: RecvFlags) -> io::Result<()> {
        self.unread = 0..0;
        match receive(&self.fd, &mut self.inbox, flags) {
            Ok(length) => self.unread = 0..length,
            Err(Errno::NOBUFS) => self.lost = self.lost.saturating_add(1),
            Err(Errno::MSGSIZE) => self.unreadable = self.unreadable.saturating_add(1),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn next_unread(&mut self) -> Option<ProbeSeen> {
        loop {
            let bytes = self.inbox.get(self.unread.clone())?;
            let mut messages = Messages(bytes);
            let message = messages.next()?;
            self.unread.start = self.unread.end - messages.0.len();
            if message.kind != PACKET {
                continue;
            }
            match parse_report(message) {
                Some(probe) => return Some(probe),
                None => self.unreadable = self.unreadable.saturating_add(1),
            }
        }
    }
}

impl AsFd for ProbeLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
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

fn parse_report(message: Message<'_>) -> Option<ProbeSeen> {
    packet::parse(message.attributes().find(PAYLOAD)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_its_payload() {
        let report = report();
        let message = Messages(&report).next().expect("one message");
        let probe = parse_report(message).expect("a probe");
        assert_eq!((probe.port, probe.source), (53, [192, 0, 2, 1].into()));
    }

    #[test]
    fn reports_cut_at_every_length_are_no_probes() {
        let report = report();
        for length in 0..report.len() {
            assert!(Messages(&report[..length]).next().and_then(parse_report).is_none(), "{length}");
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

    /// A datagram to port 53 as the kernel reports it: packet header, prefix, payload.
    fn report() -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        packet.extend_from_slice(&[0xc3, 0x50, 0, 53, 0, 8, 0, 0]);
        let mut out = Encoder::default();
        out.begin(PACKET, 0, 0, 2, 62);
        out.attribute(1, &[8, 0, 1, 0]);
        out.text(10, "");
        out.attribute(PAYLOAD, &packet);
        out.end();
        out.as_bytes().to_vec()
    }
}
