//! Counts by name, for as many names as a page can show and a flood of names cannot fill.

use std::collections::BTreeMap;

/// Names that are told apart. A gate has fewer clients than that, and a log may have been tampered with.
const MOST_NAMES: usize = 4096;
/// Longest name that is shown, in characters.
const LONGEST: usize = 80;

/// Two counts for each name, such as opened and refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Top {
    counts: BTreeMap<String, [u64; 2]>,
    /// Of names that found no room.
    others: [u64; 2],
}

impl Top {
    /// Counts the first of the two.
    pub(super) fn first(&mut self, name: &str, count: u64) {
        self.add(name, [count, 0]);
    }

    pub(super) fn second(&mut self, name: &str, count: u64) {
        self.add(name, [0, count]);
    }

    /// Counts the first of the two for nobody who is named.
    pub(super) fn nameless(&mut self, count: u64) {
        let [first, _] = &mut self.others;
        *first = first.saturating_add(count);
    }

    pub(super) fn has_names(&self) -> bool {
        !self.counts.is_empty()
    }

    fn add(&mut self, name: &str, more: [u64; 2]) {
        let name: String = name.chars().take(LONGEST).collect();
        let has_room = self.counts.len() < MOST_NAMES || self.counts.contains_key(&name);
        let counts = if has_room { self.counts.entry(name).or_default() } else { &mut self.others };
        for (count, more) in counts.iter_mut().zip(more) {
            *count = count.saturating_add(more);
        }
    }

    /// The names with most, and the rest as one.
    pub(super) fn highest(&self, rows: usize) -> Vec<(String, [u64; 2])> {
        let sum = |counts: &[u64; 2]| counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
        let mut all: Vec<_> = self.counts.iter().map(|(name, counts)| (name.clone(), *counts)).collect();
        all.sort_by_key(|(_, counts)| std::cmp::Reverse(sum(counts)));
        let rest = all.split_off(all.len().min(rows));
        let others = rest
            .iter()
            .map(|(_, counts)| counts)
            .chain([&self.others])
            .fold([0; 2], |[a, b]: [u64; 2], [c, d]| [a.saturating_add(*c), b.saturating_add(*d)]);
        if sum(&others) > 0 {
            all.push(("all others".into(), others));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_names_fills_no_memory_and_no_count_is_lost() {
        let mut top = Top::default();
        (0..3 * MOST_NAMES).for_each(|at| top.first(&format!("name {at}"), 1));
        top.second(&"x".repeat(1000), 9);
        assert_eq!(top.counts.len(), MOST_NAMES);
        let sum: u64 = top.highest(5).iter().map(|(_, [a, b])| a + b).sum();
        assert_eq!(sum, 3 * 4096 + 9);
        assert_eq!(top.highest(5).len(), 6);
    }
}
