//! Who is where in the sequence: what every simple daemon keeps, with a bound.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Sources at once. When the table is full, one of them gives way.
const SOURCES: usize = 65_536;
/// From the first step to the last.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Steps {
    ports: [u16; 3],
    sources: HashMap<Ipv4Addr, (usize, Instant)>,
}

impl Steps {
    pub(super) fn of(ports: [u16; 3]) -> Self {
        Self { ports, sources: HashMap::with_capacity(SOURCES) }
    }

    /// Whether this step was a source's last one. A wrong step ends the attempt, the first one begins it anew.
    pub(super) fn take(&mut self, source: Ipv4Addr, port: u16) -> bool {
        let now = Instant::now();
        if port == self.ports[0] {
            self.make_room(source);
            self.sources.insert(source, (1, now));
            return false;
        }
        let Some((done, since)) = self.sources.get_mut(&source) else { return false };
        if self.ports.get(*done) != Some(&port) || now.duration_since(*since) > WITHIN {
            self.sources.remove(&source);
            return false;
        }
        *done += 1;
        let is_complete = *done == self.ports.len();
        if is_complete {
            self.sources.remove(&source);
        }
        is_complete
    }

    fn make_room(&mut self, source: Ipv4Addr) {
        if self.sources.len() < SOURCES || self.sources.contains_key(&source) {
            return;
        }
        if let Some(other) = self.sources.keys().next().copied() {
            self.sources.remove(&other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: [u16; 3] = [7_000, 8_000, 9_000];

    #[test]
    fn three_steps_in_order_are_a_knock() {
        #[rustfmt::skip]
        let cases: [(u8, &[u16], bool); 5] = [
            (1, &[7_000, 8_000, 9_000], true), (2, &[8_000, 7_000, 9_000], false), (3, &[7_000, 7_000, 8_000, 9_000], true),
            (4, &[7_000, 9_000, 8_000], false), (5, &[7_000, 8_000], false),
        ];
        for (case, ports, opens) in cases {
            let mut steps = Steps::of(PORTS);
            let opened = ports.iter().any(|port| steps.take(Ipv4Addr::new(10, 0, 0, case), *port));
            assert_eq!(opened, opens, "case {case}");
        }
    }

    #[test]
    fn each_source_has_steps_of_its_own_and_the_table_a_bound() {
        let mut steps = Steps::of(PORTS);
        for number in 0..u32::try_from(SOURCES + 10).unwrap() {
            assert!(!steps.take(Ipv4Addr::from_bits(number), PORTS[0]));
        }
        assert_eq!(steps.sources.len(), SOURCES);
        let stranger = Ipv4Addr::new(192, 0, 2, 1);
        assert!(!steps.take(stranger, PORTS[1]) && !steps.take(stranger, PORTS[2]));
    }
}
