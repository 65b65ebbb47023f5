//! Which prefixes most noise comes from, found in a table of fixed size.
//!
//! A prefix has its own place as long as enough comes from it. One that finds no place takes that of the one that has least, and its
//! count on top of it (Space-Saving, by Metwally, Agrawal and El Abbadi). So a count is never too low, and it is known by how much it
//! may be too high. Places are in buckets, so that a packet costs a look at eight of them; whoever sends more than an eighth of what
//! comes to his bucket keeps his place.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand_core::Rng as _;

use crate::audit::NoiseFrom;
use crate::state::system_rng;

/// Places of a bucket: two lines of cache.
const PLACES: usize = 8;
/// Two to this power are the buckets: 512 places in 8 KiB, so a thousandth of all noise is found.
const BITS: u32 = 6;
/// Prefixes that are told of. More would make a record of a kilobyte.
const TOLD: usize = 8;
/// Whoever has sent less than one in so many is not told of.
const SHARE: u64 = 100;

/// A table of the heaviest prefixes.
pub(super) struct Heaviest {
    buckets: Box<[Bucket; 1 << BITS]>,
    /// Random and odd, so that nobody can aim at a bucket.
    factor: u64,
    counted: u64,
}

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([Place; PLACES]);

#[derive(Clone, Copy, Default)]
struct Place {
    prefix: Prefix,
    /// Never too low.
    packets: u32,
    /// By how much it may be too high.
    inherited: u32,
}

const _: () = assert!(size_of::<Bucket>() == 128);

/// An IPv4 /24 or an IPv6 /48 in one number. Zero is none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Prefix(u64);

const V4: u64 = 1 << 48;
const V6: u64 = 2 << 48;

impl Heaviest {
    pub(super) fn new() -> Self {
        let buckets = Box::new([Bucket::default(); 1 << BITS]);
        Self { buckets, factor: system_rng().next_u64() | 1, counted: 0 }
    }

    /// Counts a packet. Never allocates.
    pub(super) fn count(&mut self, source: IpAddr) {
        self.counted = self.counted.saturating_add(1);
        let prefix = Prefix::of(source);
        let at = prefix.0.wrapping_mul(self.factor) >> (u64::BITS - BITS);
        if let Some(bucket) = usize::try_from(at).ok().and_then(|at| self.buckets.get_mut(at)) {
            bucket.count(prefix);
        }
    }

    /// The prefixes that have sent at least a hundredth each, the heaviest first. Counting begins anew.
    pub(super) fn take(&mut self) -> Vec<NoiseFrom> {
        let all = std::mem::take(&mut self.counted);
        let places = self.buckets.iter().flat_map(|bucket| bucket.0).filter(|place| place.packets > 0);
        let sure =
            places.map(|place| (place.prefix, u64::from(place.packets.saturating_sub(place.inherited))));
        let mut heavy: Vec<_> = sure.filter(|(_, packets)| packets.saturating_mul(SHARE) >= all).collect();
        heavy.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
        heavy.truncate(TOLD);
        self.buckets.fill(Bucket::default());
        heavy.into_iter().map(|(prefix, packets)| NoiseFrom { prefix: prefix.to_string(), packets }).collect()
    }
}

impl Bucket {
    fn count(&mut self, prefix: Prefix) {
        if let Some(own) = self.0.iter_mut().find(|place| place.prefix == prefix) {
            own.packets = own.packets.saturating_add(1);
            return;
        }
        let Some(least) = self.0.iter_mut().min_by_key(|place| place.packets) else { return };
        let inherited = least.packets;
        *least = Place { prefix, packets: inherited.saturating_add(1), inherited };
    }
}

impl Prefix {
    fn of(source: IpAddr) -> Self {
        match source.to_canonical() {
            IpAddr::V4(address) => Self(V4 | u64::from(address.to_bits() >> 8)),
            // What is left has 48 bits.
            IpAddr::V6(address) => Self(V6 | u64::try_from(address.to_bits() >> 80).unwrap_or(0)),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0 & (V4 - 1);
        if self.0 & V6 == 0 {
            let address = u32::try_from(bits << 8).unwrap_or(0);
            write!(f, "{}/24", Ipv4Addr::from_bits(address))
        } else {
            write!(f, "{}/48", Ipv6Addr::from_bits(u128::from(bits) << 80))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(bits: u32) -> IpAddr {
        Ipv4Addr::from_bits(bits).into()
    }

    #[test]
    fn a_source_is_told_by_its_prefix() {
        #[rustfmt::skip]
        let cases = [
            (1, "192.0.2.77", "192.0.2.0/24"), (2, "255.255.255.255", "255.255.255.0/24"), (3, "0.0.0.0", "0.0.0.0/24"),
            (4, "2001:db8:7:9::1", "2001:db8:7::/48"), (5, "ffff:ffff:ffff:ffff::", "ffff:ffff:ffff::/48"), (6, "::1", "::/48"),
            (7, "::ffff:192.0.2.77", "192.0.2.0/24"),
        ];
        for (case, source, prefix) in cases {
            let mut heaviest = Heaviest::new();
            heaviest.count(source.parse().unwrap());
            assert_eq!(heaviest.take(), [NoiseFrom { prefix: prefix.to_owned(), packets: 1 }], "case {case}");
        }
    }

    #[test]
    fn the_heaviest_are_found_among_a_million_others_and_never_said_to_be_heavier() {
        let mut heaviest = Heaviest::new();
        for at in 0..1_000_000u32 {
            heaviest.count(v4(at.wrapping_mul(0x9e37_79b9)));
            if at % 10 == 0 {
                heaviest.count(v4(0xc000_0200 | (at % 256)));
            }
            if at % 30 == 0 {
                heaviest.count("2001:db8::1".parse().unwrap());
            }
        }
        let found = heaviest.take();
        let names: Vec<_> = found.iter().map(|one| one.prefix.as_str()).collect();
        assert_eq!(names, ["192.0.2.0/24", "2001:db8::/48"]);
        for (one, sent) in found.iter().zip([100_000, 33_334]) {
            assert!((sent * 8 / 10..=sent).contains(&one.packets), "{one:?}");
        }
        assert_eq!(heaviest.take(), [], "counting begins anew");
    }

    #[test]
    fn so_many_are_told_of_that_a_record_stays_short() {
        let mut heaviest = Heaviest::new();
        (0..5_000).for_each(|at| heaviest.count(v4((at % 50) << 8)));
        assert_eq!(heaviest.take().len(), TOLD);
    }
}
