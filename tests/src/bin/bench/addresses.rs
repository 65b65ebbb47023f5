//! Many addresses of one client: a port that was opened for one is shut for the next, so nobody waits for the end of a grant.

use std::net::Ipv4Addr;

use anyhow::Result;
use knockgate_tests::Lab;

use crate::wire;

/// Last bytes of the further addresses; the router has 1, the client itself 2.
const FURTHER: std::ops::RangeInclusive<u8> = 10..=249;

/// The addresses in turns. When the first is reached again, what was opened for it has long been shut.
pub(crate) struct Addresses {
    own: Ipv4Addr,
    next: u8,
}

impl Addresses {
    /// Gives them to a lab's client.
    pub(crate) fn of(lab: &Lab) -> Result<Self> {
        let own = wire::v4(&lab.client)?;
        let lines = FURTHER.map(|last| format!("addr add {}/24 dev eth0\n", beside(own, last)));
        lab.client.ip_batch(&lines.collect::<String>())?;
        Ok(Self { own, next: *FURTHER.start() })
    }

    pub(crate) fn fresh(&mut self) -> Ipv4Addr {
        let address = beside(self.own, self.next);
        self.next = if self.next < *FURTHER.end() { self.next + 1 } else { *FURTHER.start() };
        address
    }
}

/// Another address of the same subnet.
fn beside(address: Ipv4Addr, last: u8) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_again_after_all_others() {
        let mut addresses = Addresses { own: Ipv4Addr::new(10, 77, 2, 2), next: 249 };
        assert_eq!(addresses.fresh(), Ipv4Addr::new(10, 77, 2, 249));
        assert_eq!(addresses.fresh(), Ipv4Addr::new(10, 77, 2, 10));
        let rest: std::collections::BTreeSet<_> = (0..239).map(|_| addresses.fresh()).collect();
        assert_eq!(rest.len(), 239);
        assert_eq!(addresses.fresh(), Ipv4Addr::new(10, 77, 2, 10));
    }
}
