//! The kernel's note of when a packet passed. The only unsafe code of the tests.

use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Opcode, ioctl, opcode};

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
