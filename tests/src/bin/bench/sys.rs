//! What Linux offers of packet sockets and no safe crate does. The only unsafe code of the tests.

use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd as _};
use std::ptr::from_ref;

use rustix::ioctl::{Getter, Opcode, ioctl, opcode};
use socket2::SockAddr;

/// `SIOCGSTAMPNS_NEW` of asm-generic/sockios.h.
const STAMP_OF_LAST_PACKET: Opcode = opcode::read::<[i64; 2]>(0x89, 0x07);

/// When the packet that was read last passed the interface: seconds and nanoseconds of the system clock. The first
/// call on a socket turns stamping on and finds no stamp.
pub(crate) fn stamp_of_last_packet(socket: impl AsFd) -> io::Result<[i64; 2]> {
    // SAFETY: this request only reads from the kernel, which fills exactly the two 64-bit numbers that are in the
    // opcode's size, and any bits are valid numbers.
    let stamp = unsafe { ioctl(socket, Getter::<STAMP_OF_LAST_PACKET, [i64; 2]>::new()) };
    Ok(stamp?)
}

/// Something of a packet socket that can be switched on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PacketOption {
    /// What this host sends is not heard.
    IgnoreOutgoing,
    /// What is sent goes to the interface at once, and no packet socket of this host sees it.
    PastTheQueue,
    /// In front of each frame stands what the kernel has left to the card: a checksum to fill in, segments to cut.
    WithOffloads,
}

pub(crate) fn switch_on(socket: impl AsFd, option: PacketOption) -> io::Result<()> {
    let name = match option {
        PacketOption::IgnoreOutgoing => libc::PACKET_IGNORE_OUTGOING,
        PacketOption::PastTheQueue => libc::PACKET_QDISC_BYPASS,
        PacketOption::WithOffloads => libc::PACKET_VNET_HDR,
    };
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the pointer is to a number that outlives the call, the length is its own, and the kernel only reads it.
    let done = unsafe { libc::setsockopt(descriptor, libc::SOL_PACKET, name, from_ref(&on).cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The address that binds a packet socket to an interface, for one protocol or (0) for none.
pub(crate) fn interface_address(index: u32, protocol: u16) -> io::Result<SockAddr> {
    let family = libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    let index = libc::c_int::try_from(index).map_err(io::Error::other)?;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    // SAFETY: the storage is zeroed and larger than a `sockaddr_ll`, of which every bit pattern is one; family and length are
    // set to what is written there.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, size| {
            let link = &mut *storage.cast::<libc::sockaddr_ll>();
            link.sll_family = family;
            link.sll_protocol = protocol.to_be();
            link.sll_ifindex = index;
            *size = length;
            Ok(())
        })?
    };
    Ok(address)
}
