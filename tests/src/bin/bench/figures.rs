//! Many measurements of one thing, and what is said of them.

/// Milliseconds.
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    /// Median, 90th and 99th percentile.
    pub(crate) fn summary(&self) -> [f64; 3] {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        [50, 90, 99].map(|percent| nearest_rank(&sorted, percent))
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// The smallest measurement that at least this share of all does not exceed; nothing is interpolated.
fn nearest_rank(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measurements() {
        let figures: Figures = (1..=200).rev().map(f64::from).collect();
        assert_eq!(figures.summary(), [100.0, 180.0, 198.0]);
    }

    #[test]
    fn one_measurement_is_every_percentile() {
        let figures: Figures = [7.0].into_iter().collect();
        assert_eq!(figures.summary(), [7.0; 3]);
    }
}
