//! Networks: to whom something is opened, and the prefix by which a source is locked out.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::{SOURCE_PREFIX_V4, SOURCE_PREFIX_V6};

/// One address, or all that share a prefix. Never v4-mapped: those count as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of `bits` bits that `address` is in; more bits than an address has are that address alone.
    pub fn of(address: IpAddr, bits: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                Self { address: Ipv4Addr::from_bits(v4.to_bits() & mask).into(), bits }
            }
            IpAddr::V6(v6) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                Self { address: Ipv6Addr::from_bits(v6.to_bits() & mask).into(), bits }
            }
        }
    }

    /// The network of this address alone.
    pub fn host(address: IpAddr) -> Self {
        Self::of(address, u8::MAX)
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits its addresses share.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// Whether it is one address alone.
    pub fn is_host(self) -> bool {
        self == Self::host(self.address)
    }

    /// Whether `address` is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::of(address, self.bits) == self
    }
}

/// `192.0.2.7`, `192.0.2.0/24`.
impl core::fmt::Display for Network {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.is_host() {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.bits),
        }
    }
}

/// The addresses that one party is assumed to own: an IPv4 address or an IPv6 /64.
///
/// A host can use any address of its /64, so a lockout of one of them would be no lockout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourcePrefix(Network);

impl SourcePrefix {
    /// The prefix that `source` belongs to. A v4-mapped IPv6 address counts as IPv4.
    pub fn of(source: IpAddr) -> Self {
        let bits = if source.to_canonical().is_ipv4() { SOURCE_PREFIX_V4 } else { SOURCE_PREFIX_V6 };
        Self(Network::of(source, bits))
    }

    /// First address of the prefix.
    pub fn address(self) -> IpAddr {
        self.0.address
    }

    /// Whether `address` is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(address)
    }

    /// Length of the prefix in bits.
    pub fn bits(self) -> u8 {
        self.0.bits
    }
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

    #[test]
    fn a_network_contains_what_shares_its_first_bits() {
        #[rustfmt::skip]
        let cases = [
            (1, "192.0.2.7", 24, "192.0.2.250", true, "192.0.2.0/24"),
            (2, "192.0.2.7", 24, "192.0.3.7", false, "192.0.2.0/24"),
            (3, "192.0.2.7", 32, "192.0.2.7", true, "192.0.2.7"),
            (4, "192.0.2.7", 200, "192.0.2.8", false, "192.0.2.7"),
            (5, "::ffff:192.0.2.7", 24, "192.0.2.9", true, "192.0.2.0/24"),
            (6, "2001:db8::1", 64, "2001:db8::2:3", true, "2001:db8::/64"),
            (7, "2001:db8::1", 64, "192.0.2.7", false, "2001:db8::/64"),
            (8, "2001:db8::1", 128, "2001:db8::1", true, "2001:db8::1"),
            (9, "192.0.2.7", 0, "10.0.0.1", true, "0.0.0.0/0"),
        ];
        for (case, inside, bits, other, contains, shown) in cases {
            let network = Network::of(inside.parse().unwrap(), bits);
            assert_eq!(network.contains(other.parse().unwrap()), contains, "case {case}");
            assert_eq!(std::format!("{network}"), shown, "case {case}");
        }
    }
}
