//! Bars over time, as SVG that needs nothing beside it.

use std::fmt::Write;

use super::bins::{Bins, Span};
use super::html::escaped;
use super::text::{moment, width};

/// A page of 600 pixels still shows letters of 10.
const WIDTH: usize = 720;
const HEIGHT: usize = 220;
const LEFT: usize = 56;
const RIGHT: usize = 12;
const TOP: usize = 12;
const BOTTOM: usize = 40;
/// Letters have half the width of their height, at most so many labels fit.
const LABELS: usize = 6;

/// What is counted, and how it looks.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'a str,
    pub(super) bins: &'a Bins,
}

/// Series upon each other. `what` is the unit of the upright axis.
pub(super) fn over_time(title: &str, what: &str, span: Span, series: &[Series<'_>]) -> String {
    let sums: Vec<u64> = (0..span.len()).map(|at| series.iter().map(|one| one.count(at)).sum()).collect();
    let scale = Scale::for_most(sums.iter().copied().max().unwrap_or(0));
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\"><title>{}</title>\n",
        escaped(title),
        escaped(title)
    );
    for tick in scale.ticks() {
        let y = scale.y(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/><text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6,
            y + 4,
            short(tick)
        );
    }
    bars(&mut svg, span, series, &scale);
    labels(&mut svg, span);
    let _ = writeln!(
        svg,
        "<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{} in each {} (UTC)</text></svg>",
        (LEFT + WIDTH - RIGHT) / 2,
        HEIGHT - 4,
        escaped(what),
        width(span.width)
    );
    svg
}

fn bars(svg: &mut String, span: Span, series: &[Series<'_>], scale: &Scale) {
    let slot = slot(span);
    for at in 0..span.len() {
        let (mut below, x) = (0u64, left_of(at, slot));
        for one in series.iter().filter(|one| one.count(at) > 0) {
            let above = below.saturating_add(one.count(at));
            let (top, bottom) = (scale.y(above), scale.y(below));
            let _ = writeln!(
                svg,
                "<rect class=\"{}\" x=\"{x:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\"><title>{}: {} {}</title></rect>",
                one.class,
                (slot * 0.8).max(1.0),
                bottom.saturating_sub(top).max(1),
                moment(span.begin(at)),
                one.count(at),
                escaped(one.name)
            );
            below = above;
        }
    }
}

fn labels(svg: &mut String, span: Span) {
    let slot = slot(span);
    let step = span.len().div_ceil(LABELS).max(1);
    for at in (0..span.len()).step_by(step) {
        let x = left_of(at, slot);
        let _ = writeln!(
            svg,
            "<line class=\"axis-line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{}\">{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 4,
            HEIGHT - BOTTOM + 16,
            label(span, at)
        );
    }
}

/// Day and hour, or what of it differs.
fn label(span: Span, at: usize) -> String {
    let text = moment(span.begin(at));
    let part = match span.width {
        86_400.. => text.get(..10),
        3600.. => text.get(5..16),
        60.. => text.get(11..16),
        _ => text.get(11..19),
    };
    part.unwrap_or(&text).to_owned()
}

#[allow(clippy::cast_precision_loss, reason = "a page has some hundred pixels")]
fn slot(span: Span) -> f64 {
    (WIDTH - LEFT - RIGHT) as f64 / span.len() as f64
}

#[allow(clippy::cast_precision_loss, reason = "a chart has some sixty bars")]
fn left_of(at: usize, slot: f64) -> f64 {
    LEFT as f64 + at as f64 * slot
}

impl Series<'_> {
    fn count(&self, at: usize) -> u64 {
        self.bins.0.get(at).copied().unwrap_or(0)
    }
}

/// The upright axis, from nothing to a round figure.
struct Scale {
    step: u64,
    most: u64,
}

impl Scale {
    fn for_most(most: u64) -> Self {
        let most = most.max(1);
        let mut step: u64 = 1;
        // 1, 2, 5, 10, 20, 50 and so on.
        for factor in [2, 5, 10].iter().cycle() {
            if step.saturating_mul(4) >= most {
                break;
            }
            let decade = 10u64.saturating_pow(step.ilog10());
            step = decade.saturating_mul(*factor);
        }
        Self { step, most: most.div_ceil(step).saturating_mul(step) }
    }

    fn ticks(&self) -> impl Iterator<Item = u64> {
        (0..=self.most / self.step).map(|tick| tick.saturating_mul(self.step))
    }

    fn y(&self, count: u64) -> usize {
        let height = u128::try_from(HEIGHT - TOP - BOTTOM).unwrap_or(0);
        let part = u128::from(count) * height / u128::from(self.most.max(1));
        (HEIGHT - BOTTOM).saturating_sub(usize::try_from(part).unwrap_or(0))
    }
}

/// `1200`, `45 k`, `3 M`.
pub(super) fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{} k", count / 1000),
        _ => format!("{} M", count / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_figure_above_the_most() {
        for most in [0, 1, 3, 4, 5, 9, 99, 101, 2501, 1_000_000, u64::MAX / 3] {
            let scale = Scale::for_most(most);
            let ticks: Vec<_> = scale.ticks().collect();
            assert!(ticks.len() <= 6 && *ticks.last().unwrap() >= most, "{most}: {ticks:?}");
            assert_eq!((scale.y(0), scale.y(scale.most)), (HEIGHT - BOTTOM, TOP), "{most}");
        }
    }
}
