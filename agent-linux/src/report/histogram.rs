//! How long things took: counted in steps that double, so that any length fits.

/// Doublings of a microsecond; the last one is 19 hours.
const STEPS: usize = 37;

/// Counts of durations in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    steps: [u64; STEPS],
    pub(super) count: u64,
    pub(super) longest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { steps: [0; STEPS], count: 0, longest: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, micros: u64) {
        let step = usize::try_from(u64::BITS - micros.leading_zeros()).unwrap_or(STEPS);
        if let Some(count) = self.steps.get_mut(step.min(STEPS - 1)) {
            *count = count.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        self.longest = self.longest.max(micros);
    }

    /// So many in a hundred took not longer than that, but for the width of a step.
    pub(super) fn percentile(&self, percent: u64) -> u64 {
        let wanted = self.count.saturating_mul(percent).div_ceil(100);
        let mut seen = 0u64;
        for (step, count) in self.steps.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= wanted {
                return (1u64 << step).saturating_sub(1).min(self.longest);
            }
        }
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_right_but_for_a_doubling_and_never_above_the_longest() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|micros| histogram.add(micros));
        histogram.add(u64::MAX);
        assert!((50..=100).contains(&histogram.percentile(50)), "{}", histogram.percentile(50));
        assert_eq!(histogram.percentile(100), (1 << 36) - 1);
        assert_eq!((histogram.count, histogram.longest), (101, u64::MAX));
    }
}
