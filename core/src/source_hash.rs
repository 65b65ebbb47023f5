//! A keyed hash of addresses: where a source belongs in a table that strangers fill.
//!
//! Without the key nobody can choose addresses that meet in one place. SipHash-1-3, as in the hash tables of Rust's standard
//! library. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF".

use core::net::IpAddr;

use siphasher::sip::SipHasher13;

/// Hashes under one key.
#[derive(Clone)]
pub(crate) struct SourceHash([u8; 16]);

/// What is left of an address. Two addresses share one by a chance of one in 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Hashed(u64);

impl SourceHash {
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// Of this address. A v4-mapped IPv6 address counts as IPv4.
    pub(crate) fn of(&self, source: IpAddr) -> Hashed {
        let address = match source {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Hashed(SipHasher13::new_with_key(&self.0).hash(&address.octets()))
    }
}

impl Hashed {
    /// One of `places`, each as likely as the others; 0 if there is none.
    pub(crate) fn place(self, places: usize) -> usize {
        let places = u64::try_from(places).unwrap_or(0).min(1 << 32);
        usize::try_from((self.0 >> 32).wrapping_mul(places) >> 32).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v4_mapped_address_is_the_ipv4_address_and_every_key_has_its_own_order() {
        let hash = SourceHash::new([1; 16]);
        let of = |text: &str| hash.of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("192.0.2.1"), SourceHash::new([2; 16]).of("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn every_place_is_taken_and_none_outside() {
        let hash = SourceHash::new([1; 16]);
        let mut taken = [0_u32; 8];
        for last in 0..=255 {
            taken[hash.of(IpAddr::from([192, 0, 2, last])).place(8)] += 1;
        }
        assert!(taken.iter().all(|&sources| sources > 10), "{taken:?}");
        assert_eq!(Hashed(u64::MAX).place(1), 0);
        assert_eq!(Hashed(u64::MAX).place(0), 0);
    }
}
