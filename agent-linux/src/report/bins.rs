//! Time in equal pieces, so many that a chart can show them.

/// Most pieces: a bar of each is still wider than a hair on a small page.
const MOST: u64 = 60;
/// Widths that people think in, in seconds.
const WIDTHS: [u64; 12] =
    [1, 10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400];

/// What a report is about, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) since: u64,
    pub(super) until: u64,
    /// Of one piece.
    pub(super) width: u64,
}

impl Span {
    pub(super) fn new(since: u64, until: u64) -> Self {
        let until = until.max(since.saturating_add(1));
        let fits = |width: &u64| (until - since).div_ceil(*width) < MOST;
        let width = WIDTHS.into_iter().find(fits).unwrap_or((until - since).div_ceil(MOST - 1));
        // Pieces begin where clocks strike.
        Self { since, until, width }
    }

    pub(super) fn contains(&self, second: u64) -> bool {
        (self.since..self.until).contains(&second)
    }

    pub(super) fn len(&self) -> usize {
        usize::try_from(self.last().saturating_sub(self.first()) + 1).unwrap_or(1)
    }

    /// Which piece the second is in.
    pub(super) fn at(&self, second: u64) -> usize {
        let piece = (second / self.width).clamp(self.first(), self.last()) - self.first();
        usize::try_from(piece).unwrap_or(0)
    }

    /// When a piece begins.
    pub(super) fn begin(&self, at: usize) -> u64 {
        self.first().saturating_add(u64::try_from(at).unwrap_or(u64::MAX)).saturating_mul(self.width)
    }

    fn first(&self) -> u64 {
        self.since / self.width
    }

    fn last(&self) -> u64 {
        self.until.saturating_sub(1) / self.width
    }
}

/// How often, in each piece.
#[derive(Clone, Debug)]
pub(super) struct Bins(pub(super) Vec<u64>);

impl Bins {
    pub(super) fn new(span: Span) -> Self {
        Self(vec![0; span.len()])
    }

    pub(super) fn add(&mut self, at: usize, count: u64) {
        if let Some(bin) = self.0.get_mut(at) {
            *bin = bin.saturating_add(count);
        }
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum, bin| sum.saturating_add(*bin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_few_begin_where_clocks_strike_and_cover_all() {
        for (since, until, width) in
            [(100, 130, 1), (0, 7 * 86_400, 3 * 3600), (5, 86_400, 3600), (0, u64::MAX / 2, 0), (9, 9, 1)]
        {
            let span = Span::new(since, until);
            assert!(width == 0 || span.width == width, "{span:?}");
            assert!(span.len() <= 61, "{span:?}");
            assert!(span.begin(0) <= since && span.begin(0) + span.width > since, "{span:?}");
            assert_eq!((span.at(since), span.at(until.max(since + 1) - 1)), (0, span.len() - 1), "{span:?}");
        }
    }
}
