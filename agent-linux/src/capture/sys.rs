//! Packet sockets, as far as no safe interface knows them: their address, reading many packets at once, what was lost, and how much
//! memory the host has for them.
//!
//! The crate's only unsafe code. Every structure that the kernel reads or fills is a plain value of the C library's own
//! type or a buffer of ours that outlives the call, and its length is given beside it. `packet(7)`, `recvmmsg(2)`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

/// Packets in one reading.
pub(crate) const BATCH: usize = 64;
/// Bytes of a packet that are kept: IPv6 with 256 bytes of extension headers, and a datagram of a knock's size.
pub(crate) const KEPT: usize = 512;

/// What kind of packet a packet socket is for, as in an Ethernet frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EtherType(pub(crate) u16);

impl EtherType {
    pub(crate) const IPV4: Self = Self(0x0800);
    pub(crate) const IPV6: Self = Self(0x86dd);
}

/// Room for what one reading brings.
pub(crate) struct Batch {
    packets: Box<[[u8; KEPT]; BATCH]>,
    places: Box<[Place; BATCH]>,
    filled: usize,
}

#[derive(Clone, Copy, Default)]
struct Place {
    length: usize,
    interface: u32,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { packets: Box::new([[0; KEPT]; BATCH]), places: Box::new([Place::default(); BATCH]), filled: 0 }
    }

    /// Every packet, cut to [`KEPT`] bytes, and the number of the interface that it came in by.
    pub(crate) fn packets(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let filled = self.packets.iter().zip(self.places.iter()).take(self.filled);
        filled.filter_map(|(packet, place)| Some((packet.get(..place.length)?, place.interface)))
    }
}

/// Lets a packet socket hear one kind of packet on one interface, by its number, or on all (0).
pub(crate) fn bind(socket: impl AsFd, kind: EtherType, interface: u32) -> io::Result<()> {
    let mut address = link_address();
    address.sll_protocol = kind.0.to_be();
    address.sll_ifindex = i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?;
    let length = length_of::<libc::sockaddr_ll>();
    // SAFETY: the address is a whole sockaddr_ll that lives until the call returns, and its length is its own.
    let bound = unsafe { libc::bind(raw(&socket), ptr::from_ref(&address).cast(), length) };
    checked(bound).map(drop)
}

/// Takes up to `most` packets that are there now, and never waits. `WouldBlock` if there is none.
pub(crate) fn read(socket: impl AsFd, batch: &mut Batch, most: usize) -> io::Result<usize> {
    batch.filled = 0;
    let most = most.min(BATCH);
    let mut addresses = [link_address(); BATCH];
    let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut headers = [message_header(); BATCH];
    let places = batch.packets.iter_mut().zip(&mut addresses).zip(&mut vectors).zip(&mut headers);
    for (((packet, address), vector), header) in places.take(most) {
        *vector = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: packet.len() };
        header.msg_hdr.msg_name = ptr::from_mut(address).cast();
        header.msg_hdr.msg_namelen = length_of::<libc::sockaddr_ll>();
        header.msg_hdr.msg_iov = ptr::from_mut(vector);
        header.msg_hdr.msg_iovlen = 1;
    }
    let count = u32::try_from(most).expect("a batch is small");
    // SAFETY: the first `count` headers each point to an address and to one vector, which points to a buffer of this batch of the
    // length that it names. All of them outlive the call, and nothing else uses them meanwhile.
    let received = unsafe {
        libc::recvmmsg(raw(&socket), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _, ptr::null_mut())
    };
    let received = usize::try_from(checked(received)?).unwrap_or_default();
    for ((place, header), address) in batch.places.iter_mut().zip(&headers).zip(&addresses).take(received) {
        place.length = usize::try_from(header.msg_len).unwrap_or_default().min(KEPT);
        place.interface = u32::try_from(address.sll_ifindex).unwrap_or_default();
    }
    batch.filled = received;
    Ok(received)
}

/// How many packets passed the filter and found no room, since this was last asked.
pub(crate) fn take_lost(socket: impl AsFd) -> io::Result<u32> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = length_of::<libc::tpacket_stats>();
    // SAFETY: the kernel writes at most `length` bytes, which is the size of this structure of two numbers.
    let asked = unsafe {
        libc::getsockopt(
            raw(&socket),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            ptr::from_mut(&mut statistics).cast(),
            &raw mut length,
        )
    };
    checked(asked).map(|_| statistics.tp_drops)
}

/// Has the kernel refuse questions that it does not understand, and so answer those about one table with that table alone.
pub(crate) fn ask_strictly(netlink: impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads one number of the length that is given.
    let set = unsafe {
        libc::setsockopt(
            raw(&netlink),
            libc::SOL_NETLINK,
            libc::NETLINK_GET_STRICT_CHK,
            ptr::from_ref(&on).cast(),
            length_of::<libc::c_int>(),
        )
    };
    checked(set).map(drop)
}

/// Memory of the host, in bytes, if it says. `sysconf(3)`.
pub(crate) fn memory() -> Option<u64> {
    system(libc::_SC_PHYS_PAGES)?.checked_mul(system(libc::_SC_PAGESIZE)?)
}

fn system(asked: libc::c_int) -> Option<u64> {
    // SAFETY: a question about one number, which touches nothing of ours.
    let answer = unsafe { libc::sysconf(asked) };
    u64::try_from(answer).ok()
}

fn link_address() -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).expect("an address family is small"),
        sll_protocol: 0,
        sll_ifindex: 0,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

fn message_header() -> libc::mmsghdr {
    // SAFETY: numbers and pointers, for which all zeros are values: nothing, nowhere.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("a structure of the kernel is small")
}

fn raw(socket: &impl AsFd) -> i32 {
    socket.as_fd().as_raw_fd()
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
