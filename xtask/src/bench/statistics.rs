//! What is said of many measurements of one thing. Percentiles are measurements, nothing is interpolated.

/// The smallest measurement that at least this share of all does not exceed; `None` of nothing.
pub(super) fn percentile(measured: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = measured.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

pub(super) fn median(measured: &[f64]) -> Option<f64> {
    percentile(measured, 50)
}

/// For a person: two places below a hundred, fewer above, more for what is small; groups of thousands.
pub(super) fn shown(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.01 => format!("{figure:.4}"),
        size if size < 0.1 => format!("{figure:.3}"),
        size if size < 100.0 => format!("{figure:.2}"),
        size if size < 1_000.0 => format!("{figure:.1}"),
        _ => grouped(figure),
    }
}

/// A whole number with a space between thousands.
pub(super) fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digits.as_bytes()[place - 1] != b'-' {
            shown.push(' ');
        }
        shown.push(digit);
    }
    shown
}

/// To so many digits that count, as the kept document has them.
pub(super) fn rounded(figure: f64) -> f64 {
    // Through text, so that the same figure comes out when the document is read again.
    format!("{figure:.3e}").parse().unwrap_or(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measurements() {
        let measured: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let found = [50, 90, 99].map(|percent| percentile(&measured, percent));
        assert_eq!(found, [Some(100.0), Some(180.0), Some(198.0)]);
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn figures_are_shown_to_people() {
        #[rustfmt::skip]
        let cases = [
            (1, 0.314_159, "0.31"), (2, 99.994, "99.99"), (3, 128.26, "128.3"), (4, 163_234.4, "163 234"), (5, 1_000_000.0, "1 000 000"),
            (6, -163_234.0, "-163 234"), (7, 0.0, "0"), (8, 0.001_234, "0.0012"), (9, 0.04, "0.040"),
        ];
        for (case, figure, expected) in cases {
            assert_eq!(shown(figure), expected, "case {case}");
        }
    }

    #[test]
    fn a_rounded_figure_stays_as_it_is() {
        for figure in [0.314_159, 1e-9, 163_234.4, 0.0, -2.999_96] {
            assert_eq!(rounded(rounded(figure)).to_bits(), rounded(figure).to_bits());
        }
    }
}
