//! Source addresses and the prefix by which a source is locked out.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::{SOURCE_PREFIX_V4, SOURCE_PREFIX_V6};

/// The addresses that one party is assumed to own: an IPv4 address or an IPv6 /64.
///
/// A host can use any address of its /64, so a lockout of one of them would be no lockout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourcePrefix(IpAddr);

impl SourcePrefix {
    /// The prefix that `source` belongs to. A v4-mapped IPv6 address counts as IPv4.
    pub fn of(source: IpAddr) -> Self {
        match source.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(Ipv4Addr::from_bits(mask_v4(v4.to_bits())))),
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(mask_v6(v6.to_bits())))),
        }
    }

    /// First address of the prefix.
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// Length of the prefix in bits.
    pub fn bits(self) -> u8 {
        match self.0 {
            IpAddr::V4(_) => SOURCE_PREFIX_V4,
            IpAddr::V6(_) => SOURCE_PREFIX_V6,
        }
    }
}

fn mask_v4(bits: u32) -> u32 {
    bits & u32::MAX.checked_shl(u32::BITS - u32::from(SOURCE_PREFIX_V4)).unwrap_or(0)
}

fn mask_v6(bits: u128) -> u128 {
    bits & u128::MAX.checked_shl(u128::BITS - u32::from(SOURCE_PREFIX_V6)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_share_a_prefix_only_in_the_same_ipv6_subnet() {
        #[rustfmt::skip]
        let cases = [
            (1, "192.0.2.1", "192.0.2.1", true),
            (2, "192.0.2.1", "192.0.2.2", false),
            (3, "::ffff:192.0.2.1", "192.0.2.1", true),
            (4, "2001:db8::1", "2001:db8::ffff:2", true),
            (5, "2001:db8::1", "2001:db8:0:1::1", false),
        ];
        for (case, a, b, same) in cases {
            let prefix = |text: &str| SourcePrefix::of(text.parse().unwrap());
            assert_eq!(prefix(a) == prefix(b), same, "case {case}");
        }
    }
}
