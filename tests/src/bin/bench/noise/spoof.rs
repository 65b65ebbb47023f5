//! Addresses that are nobody's in the lab.

use std::net::Ipv4Addr;

/// Shared address space of carriers (RFC 6598), with room for four million; the lab has none of it.
const BASE: u32 = u32::from_be_bytes([100, 64, 0, 0]);
/// Addresses in it.
const ROOM: u32 = 1 << 22;

/// Draws addresses out of so many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources(u32);

impl Sources {
    /// At least one, at most as many as there is room for.
    pub(super) fn of(count: u32) -> Self {
        Self(count.clamp(1, ROOM))
    }

    pub(super) fn draw(self, random: &mut Random) -> Ipv4Addr {
        let [drawn, _] = halves(random.next());
        // The high half of the product is even over the range and needs no division.
        let [place, _] = halves(u64::from(drawn) * u64::from(self.0));
        Ipv4Addr::from_bits(BASE + place)
    }
}

/// Fast numbers without any other merit (xorshift64 by Marsaglia).
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nearly_all_of_so_many_addresses_are_drawn_and_no_other() {
        let (mut random, sources) = (Random::seeded(1), Sources::of(1_000));
        let drawn: HashSet<u32> = (0..20_000).map(|_| sources.draw(&mut random).to_bits()).collect();
        assert!(drawn.len() > 990, "{}", drawn.len());
        assert!(drawn.iter().all(|address| (BASE..BASE + 1_000).contains(address)));
    }

    #[test]
    fn one_source_is_always_the_same() {
        let mut random = Random::seeded(2);
        assert!((0..10).all(|_| Sources::of(0).draw(&mut random) == Ipv4Addr::new(100, 64, 0, 0)));
    }

    #[test]
    fn a_million_addresses_are_out_of_the_labs_way() {
        let mut random = Random::seeded(3);
        let all = (0..100_000).map(|_| Sources::of(1_000_000).draw(&mut random));
        assert!(all.into_iter().all(|address| address.octets()[0] == 100));
    }
}
