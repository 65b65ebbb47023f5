//! What a board brings: two ports, flash, a generator of random numbers, a console, and its word that compiled policies of a
//! signed image may run.

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use knockgate_policy_host::precompiled::{Precompiled, Trusted};
use smoltcp::wire::EthernetAddress;

use crate::storage::Verified;

/// The flash that holds owner, site images and journal.
///
/// Every future of its methods is ready when it is first polled: a gateway has no executor. Reading must never fail because a
/// write or an erasure was cut off: the bytes of such a place may be any, also anew at each start.
pub trait Flash: NorFlash + Send + 'static {
    /// The bytes of `range` where they lie.
    ///
    /// The library writes to no place that it has been lent and still uses: the slot of the image in force is lent for good,
    /// every other place only until the next write.
    fn lend(&self, range: Range<u32>) -> &'static [u8];
}

/// Where in the flash everything is. All bounds are multiples of the size of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The owner's public key, written with the cable; one erasure long.
    pub owner: Range<u32>,
    /// Two signed site images: the one in force and the one before or after it.
    pub slots: [Range<u32>; 2],
    /// Counters, cursors, policies' numbers and the choice of the slot; two erasures long at least.
    pub journal: Range<u32>,
}

/// Turns a compiled policy of an image whose signature was checked into one that may run.
///
/// `Verified` is the proof: only the check of the signature makes one, and the policy lies inside that image.
pub type Vouch = for<'a> fn(&Verified<'a>, Precompiled<'a>) -> Trusted<'a>;

/// Everything that a gateway is built from.
pub struct Parts<Outer, Inner, F, G, C> {
    /// The port that faces everybody. It takes frames for any address.
    pub outer: Outer,
    /// The port that faces the machines to protect. It takes frames for any address.
    pub inner: Inner,
    /// The hardware address of the outer port.
    pub hardware: EthernetAddress,
    /// The flash.
    pub flash: F,
    /// Where in it everything is.
    pub layout: Layout,
    /// The generator of random numbers.
    pub rng: G,
    /// The console that is wired to the board, a [`Write`](core::fmt::Write).
    pub console: C,
    /// Bytes of the heap in use, and the most that ever were.
    pub heap: fn() -> (u32, u32),
    /// The board's word for policies of a signed image.
    pub vouch: Vouch,
}
