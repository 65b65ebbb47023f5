//! How far around its source a grant reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// To whom a grant opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reach {
    /// Its source alone.
    Address,
    /// Every address that shares this many leading bits with its source.
    Prefix(u8),
}

impl Reach {
    /// The first address within reach, in the family that the kernel's filter sees: a v4 address in v6 clothes is a v4
    /// address.
    #[must_use]
    pub fn network(self, source: IpAddr) -> IpAddr {
        let source = source.to_canonical();
        match self {
            Self::Address => source,
            Self::Prefix(bits) => match (source, mask(&source, bits)) {
                (IpAddr::V4(address), IpAddr::V4(mask)) => (address & mask).into(),
                (IpAddr::V6(address), IpAddr::V6(mask)) => (address & mask).into(),
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => source,
            },
        }
    }

    /// Whether a grant for `source` is one for `other` too.
    #[must_use]
    pub fn covers(self, source: IpAddr, other: IpAddr) -> bool {
        self.network(source) == self.network(other)
    }
}

/// The netmask of a length, in the family of `of`. What is longer than an address is the whole address.
pub(crate) fn mask(of: &IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match of {
        IpAddr::V4(_) => {
            let host = u32::BITS.saturating_sub(bits);
            Ipv4Addr::from_bits(u32::MAX.checked_shl(host).unwrap_or(0)).into()
        }
        IpAddr::V6(_) => {
            let host = u128::BITS.saturating_sub(bits);
            Ipv6Addr::from_bits(u128::MAX.checked_shl(host).unwrap_or(0)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_the_leading_bits() {
        let cases = [
            ("192.0.2.77", Reach::Address, "192.0.2.77"),                  // 1
            ("192.0.2.77", Reach::Prefix(24), "192.0.2.0"),                // 2
            ("192.0.2.77", Reach::Prefix(26), "192.0.2.64"),               // 3
            ("192.0.2.77", Reach::Prefix(32), "192.0.2.77"),               // 4
            ("192.0.2.77", Reach::Prefix(0), "0.0.0.0"),                   // 5
            ("192.0.2.77", Reach::Prefix(255), "192.0.2.77"),              // 6
            ("::ffff:192.0.2.77", Reach::Prefix(24), "192.0.2.0"),         // 7
            ("::ffff:192.0.2.77", Reach::Address, "192.0.2.77"),           // 8
            ("2001:db8:1:2:3:4:5:6", Reach::Prefix(64), "2001:db8:1:2::"), // 9
            ("2001:db8:1:2:3:4:5:6", Reach::Prefix(60), "2001:db8:1::"),   // 10
            ("2001:db8::6", Reach::Prefix(128), "2001:db8::6"),            // 11
            ("2001:db8::6", Reach::Prefix(0), "::"),                       // 12
        ];
        for (number, (source, reach, network)) in cases.iter().enumerate() {
            let [source, network]: [IpAddr; 2] = [source, network].map(|a| a.parse().expect("an address"));
            assert_eq!(reach.network(source), network, "{}", number + 1);
        }
    }

    #[test]
    fn a_neighbour_is_covered_and_another_family_never_is() {
        let [client, neighbour, other, v6]: [IpAddr; 4] =
            ["192.0.2.1", "192.0.2.200", "192.0.3.1", "2001:db8::1"].map(|a| a.parse().expect("an address"));
        assert!(Reach::Prefix(24).covers(client, neighbour) && !Reach::Prefix(24).covers(client, other));
        assert!(!Reach::Address.covers(client, neighbour) && Reach::Address.covers(client, client));
        assert!(!Reach::Prefix(0).covers(client, v6));
    }
}
