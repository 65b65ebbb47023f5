//! Sets of ports, as few ranges as there can be. Looking one up costs a binary search.

use std::ops::RangeInclusive;

/// Ascending, and between two ranges there is always a port that is in neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ports(Vec<RangeInclusive<u16>>);

impl Ports {
    pub(super) fn of(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        sorted.sort_unstable_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u16>> = Vec::new();
        for range in sorted {
            match merged.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    pub(super) fn single(ports: impl IntoIterator<Item = u16>) -> Self {
        Self::of(ports.into_iter().map(|port| port..=port))
    }

    /// Every port from 1 on that is not here.
    pub(super) fn others(&self) -> Self {
        let mut gaps = Vec::new();
        let mut next = Some(1);
        for range in &self.0 {
            if let Some(first) = next
                && let Some(last) = range.start().checked_sub(1)
            {
                gaps.push(first..=last);
            }
            next = range.end().checked_add(1);
        }
        gaps.extend(next.map(|first| first..=u16::MAX));
        Self::of(gaps)
    }

    pub(super) fn and(&self, more: &Self) -> Self {
        Self::of(self.0.iter().chain(&more.0).cloned())
    }

    pub(super) fn without(&self, less: &Self) -> Self {
        // Neither has port 0, which `others` leaves out too.
        self.others().and(less).others()
    }

    pub(super) fn contains(&self, port: u16) -> bool {
        let behind = self.0.partition_point(|range| *range.start() <= port);
        behind.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|range| *range.end() >= port)
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0.iter().map(|range| (u32::from(*range.start()), u32::from(*range.end())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_in_the_set_if_a_range_has_it() {
        let ports = Ports::of([9..=9, 40_000..=65_535, 3..=5, 6..=6, 4..=4]);
        assert_eq!(ports, Ports::of([3..=6, 9..=9, 40_000..=65_535]));
        for port in 0..=u16::MAX {
            let expected = (3..=6).contains(&port) || port == 9 || port >= 40_000;
            assert_eq!(ports.contains(port), expected, "{port}");
            assert_eq!(ports.others().contains(port), !expected && port != 0, "{port}");
            assert_eq!(Ports::default().others().contains(port), port != 0, "{port}");
        }
    }

    #[test]
    fn sets_are_added_and_taken_away() {
        let (some, more) = (Ports::of([1..=10, 20..=30]), Ports::of([5..=21]));
        assert_eq!(some.and(&more), Ports::of([1..=30]));
        assert_eq!(some.without(&more), Ports::of([1..=4, 22..=30]));
        assert_eq!(some.without(&some), Ports::default());
        assert_eq!(Ports::single([1, 2, 65_535, 1]), Ports::of([1..=2, 65_535..=65_535]));
        assert_eq!(Ports::of([1..=65_535]).others(), Ports::default());
    }
}
