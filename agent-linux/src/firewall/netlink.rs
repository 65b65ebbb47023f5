//! Netlink messages: what is needed to change set elements in microseconds and to read what the host has, and no more.
//!
//! A message is `nlmsghdr` (16 bytes), a head of its subsystem (`nfgenmsg` has 4 bytes), then attributes of a length, a type
//! and a value, padded to four bytes. Changes to nf_tables travel in a batch that the kernel commits whole or not at all. Decoding never
//! panics: what is cut short ends the iteration, and the reader misses a field instead of the process its life.
//! Layout: `linux/netlink.h`, `linux/netfilter/nfnetlink.h`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt,
};

/// Large enough for the kernel's largest dump message (32 KiB since 4.x) and for any datagram of ours.
const RECEIVE_BYTES: usize = 64 * 1024;
/// The kernel answers inside `send`, so this is only reached when somebody stole our answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A dump that others keep changing under our hands is read again, this often.
const DUMP_TRIES: usize = 16;

const HEADER_BYTES: usize = 16;
const NFGEN_BYTES: usize = 4;
const ATTRIBUTE_HEADER_BYTES: usize = 4;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFNL_SUBSYS_NFTABLES: u16 = 10;

pub(crate) const NLM_F_REQUEST: u16 = 0x001;
pub(crate) const NLM_F_ACK: u16 = 0x004;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_DUMP_INTR: u16 = 0x010;

const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;

pub(crate) const AF_UNSPEC: u8 = 0;
/// `NFPROTO_INET`: the family of our table.
pub(crate) const NFPROTO_INET: u8 = 1;

/// Interfaces, addresses, routes: number 0 of the subsystems (`NETLINK_ROUTE`), which to sockets is the default.
pub(crate) const ROUTING: Option<Protocol> = None;

/// Messages being written, one behind the other, in a buffer that is used again and again.
#[derive(Default)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    message: usize,
}

/// Where a nested attribute began.
#[must_use]
pub(crate) struct Nest(usize);

impl Encoder {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.message = 0;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn begin(&mut self, kind: u16, flags: u16, sequence: u32, family: u8, resource: u16) {
        self.message = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]); // port id: the kernel knows
        self.bytes.extend_from_slice(&[family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
    }

    pub(crate) fn end(&mut self) {
        let length = u32::try_from(self.bytes.len() - self.message)
            .expect("a message holds a few set elements and is far below 4 GiB");
        self.bytes[self.message..self.message + 4].copy_from_slice(&length.to_ne_bytes());
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = attribute_length(ATTRIBUTE_HEADER_BYTES + value.len());
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    /// A string attribute; the kernel wants the closing zero.
    pub(crate) fn text(&mut self, kind: u16, text: &str) {
        let length = attribute_length(ATTRIBUTE_HEADER_BYTES + text.len() + 1);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.pad();
    }

    pub(crate) fn nest(&mut self, kind: u16) -> Nest {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        Nest(start)
    }

    pub(crate) fn end_nest(&mut self, Nest(start): Nest) {
        let length = attribute_length(self.bytes.len() - start);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// What is left of a head that is longer than that of nfnetlink.
    pub(crate) fn head(&mut self, rest: &[u8]) {
        self.bytes.extend_from_slice(rest);
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

fn attribute_length(length: usize) -> u16 {
    u16::try_from(length).expect("an attribute holds a name, a key or at most 64 elements, far below 64 KiB")
}

/// The attributes of one message or nest.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes(array(self.0, 0)?));
        let kind = u16::from_ne_bytes(array(self.0, 2)?) & NLA_TYPE_MASK;
        let value = self.0.get(ATTRIBUTE_HEADER_BYTES..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

impl<'a> Attributes<'a> {
    pub(crate) fn find(mut self, wanted: u16) -> Option<&'a [u8]> {
        Iterator::find(&mut self, |(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    pub(crate) fn nested(self, wanted: u16) -> Option<Attributes<'a>> {
        self.find(wanted).map(Attributes)
    }

    pub(crate) fn u32(self, wanted: u16) -> Option<u32> {
        Some(u32::from_be_bytes(array(self.find(wanted)?, 0)?))
    }

    pub(crate) fn u64(self, wanted: u16) -> Option<u64> {
        Some(u64::from_be_bytes(array(self.find(wanted)?, 0)?))
    }

    pub(crate) fn text(self, wanted: u16) -> Option<&'a str> {
        let value = self.find(wanted)?;
        std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
    }
}

/// `N` bytes from `at`, if they are there.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// One received message.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// What stands behind `nfgenmsg`.
    pub(crate) fn attributes(self) -> Attributes<'a> {
        Attributes(self.body.get(NFGEN_BYTES..).unwrap_or_default())
    }

    /// The head of another subsystem, of `N` bytes, and what stands behind it.
    pub(crate) fn headed<const N: usize>(self) -> Option<([u8; N], Attributes<'a>)> {
        let (head, attributes) = self.body.split_first_chunk()?;
        Some((*head, Attributes(attributes)))
    }

    /// The error an `NLMSG_ERROR` or `NLMSG_DONE` carries; `Some(Ok)` is an acknowledgement.
    fn verdict(self) -> Option<Result<(), Errno>> {
        match self.kind {
            NLMSG_ERROR | NLMSG_DONE => {
                let code = array(self.body, 0).map_or(0, i32::from_ne_bytes);
                Some(if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code.saturating_neg())) })
            }
            _ => None,
        }
    }
}

/// The messages of one datagram.
#[derive(Clone, Copy)]
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = usize::try_from(u32::from_ne_bytes(array(self.0, 0)?)).ok()?;
        let message = Message {
            kind: u16::from_ne_bytes(array(self.0, 4)?),
            flags: u16::from_ne_bytes(array(self.0, 6)?),
            sequence: u32::from_ne_bytes(array(self.0, 8)?),
            body: self.0.get(HEADER_BYTES..length)?,
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

/// A socket to the kernel with its buffers.
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    commits: u32,
    out: Encoder,
    inbox: Box<[u8]>,
}

impl Socket {
    /// To nfnetlink.
    pub(crate) fn open() -> io::Result<Self> {
        Self::to(Some(netlink::NETFILTER))
    }

    /// To any subsystem, or to [`ROUTING`].
    pub(crate) fn to(subsystem: Option<Protocol>) -> io::Result<Self> {
        let fd = listening(subsystem, 0)?;
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(ANSWER_WITHIN))?;
        let inbox = vec![0; RECEIVE_BYTES].into_boxed_slice();
        Ok(Self { fd, sequence: 0, commits: 0, out: Encoder::default(), inbox })
    }

    /// Sends what `write` puts between the batch's begin and end, and waits until the kernel has committed or refused
    /// it. `write` gets the sequence number for its messages, of which the last, and only that, asks for an
    /// acknowledgement.
    pub(crate) fn commit(&mut self, write: impl FnOnce(&mut Encoder, u32)) -> Result<(), Errno> {
        let begin = self.next_sequence();
        let last = self.next_sequence();
        self.out.clear();
        self.batch_edge(NFNL_MSG_BATCH_BEGIN, begin);
        write(&mut self.out, last);
        self.batch_edge(NFNL_MSG_BATCH_END, last);
        self.send()?;
        loop {
            let received = receive(&self.fd, &mut self.inbox, RecvFlags::empty())?;
            for message in Messages(self.inbox.get(..received).unwrap_or_default()) {
                // The error of an earlier message comes before the last one's acknowledgement. Errors of the batch
                // itself carry the number of its beginning. Other numbers belong to requests that are over.
                match message.verdict() {
                    Some(Err(error)) if message.sequence == begin || message.sequence == last => {
                        return Err(error);
                    }
                    Some(Ok(())) if message.sequence == last => {
                        self.commits = self.commits.wrapping_add(1);
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }
    }

    /// One message outside a batch, acknowledged.
    pub(crate) fn request(&mut self, write: impl FnOnce(&mut Encoder, u32)) -> Result<(), Errno> {
        let sequence = self.next_sequence();
        self.out.clear();
        write(&mut self.out, sequence);
        self.send()?;
        loop {
            let received = receive(&self.fd, &mut self.inbox, RecvFlags::empty())?;
            let verdict = Messages(self.inbox.get(..received).unwrap_or_default())
                .filter(|message| message.sequence == sequence)
                .find_map(Message::verdict);
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
    }

    /// How many batches of this socket the kernel has committed.
    pub(crate) fn commits(&self) -> u32 {
        self.commits
    }

    /// Asks for what there is but one of, and lets `read` gather it.
    pub(crate) fn ask<T>(
        &mut self,
        kind: u16,
        read: impl Fn(&mut Vec<T>, Message<'_>),
    ) -> Result<Vec<T>, Errno> {
        let sequence = self.next_sequence();
        self.out.clear();
        self.out.begin(kind, NLM_F_REQUEST | NLM_F_ACK, sequence, NFPROTO_INET, 0);
        self.out.end();
        self.send()?;
        Ok(self.read_dump(sequence, Vec::new(), &read)?.unwrap_or_default())
    }

    /// Asks for objects of our family and lets `read` gather them. A dump that was disturbed starts anew.
    pub(crate) fn dump<T>(
        &mut self,
        kind: u16,
        query: impl Fn(&mut Encoder),
        read: impl Fn(&mut Vec<T>, Message<'_>),
    ) -> Result<Vec<T>, Errno> {
        self.gather(kind, NFPROTO_INET, query, Vec::new, read)
    }

    /// Asks for objects of a family and lets `read` make of them what is worth keeping, which need not grow with their
    /// number. A dump that was disturbed starts anew with what `empty` gives.
    pub(crate) fn gather<T>(
        &mut self,
        kind: u16,
        family: u8,
        query: impl Fn(&mut Encoder),
        empty: impl Fn() -> T,
        read: impl Fn(&mut T, Message<'_>),
    ) -> Result<T, Errno> {
        for _ in 0..DUMP_TRIES {
            let sequence = self.next_sequence();
            self.out.clear();
            self.out.begin(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, family, 0);
            query(&mut self.out);
            self.out.end();
            self.send()?;
            if let Some(found) = self.read_dump(sequence, empty(), &read)? {
                return Ok(found);
            }
        }
        Err(Errno::INTR)
    }

    /// `None`: the dump was disturbed and is not consistent.
    fn read_dump<T>(
        &mut self,
        sequence: u32,
        mut found: T,
        read: &impl Fn(&mut T, Message<'_>),
    ) -> Result<Option<T>, Errno> {
        let mut disturbed = false;
        loop {
            let received = receive(&self.fd, &mut self.inbox, RecvFlags::empty())?;
            for message in Messages(self.inbox.get(..received).unwrap_or_default()) {
                if message.sequence != sequence {
                    continue;
                }
                disturbed |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.verdict() {
                    Some(Ok(())) => return Ok((!disturbed).then_some(found)),
                    Some(Err(Errno::INTR)) => return Ok(None),
                    Some(Err(error)) => return Err(error),
                    None => read(&mut found, message),
                }
            }
        }
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    fn batch_edge(&mut self, kind: u16, sequence: u32) {
        self.out.begin(kind, NLM_F_REQUEST, sequence, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
        self.out.end();
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn send(&self) -> Result<(), Errno> {
        let sent = net::send(&self.fd, self.out.as_bytes(), SendFlags::empty())?;
        if sent == self.out.as_bytes().len() { Ok(()) } else { Err(Errno::MSGSIZE) }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A bare socket to a subsystem that hears the notifications of some groups, a bit each.
pub(crate) fn listening(subsystem: Option<Protocol>, groups: u32) -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let fd = net::socket_with(family, kind, SocketFlags::CLOEXEC, subsystem)?;
    net::bind(&fd, &netlink::SocketAddrNetlink::new(0, groups))?;
    Ok(fd)
}

/// Receives one datagram of the kernel; what another process sent to our port is thrown away.
pub(crate) fn receive(fd: impl AsFd, inbox: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
    loop {
        let (kept, length, from) = match net::recvfrom(&fd, &mut *inbox, flags | RecvFlags::TRUNC) {
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) if !flags.contains(RecvFlags::DONTWAIT) => return Err(Errno::TIMEDOUT),
            other => other?,
        };
        let from_kernel = from
            .and_then(|address| netlink::SocketAddrNetlink::try_from(address).ok())
            .is_some_and(|address| address.pid() == 0);
        if !from_kernel {
            continue;
        }
        return if length > kept { Err(Errno::MSGSIZE) } else { Ok(kept) };
    }
}

#[cfg(test)]
mod tests;
