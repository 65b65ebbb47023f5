//! Plots of lines: latency, survival against noise, memory, number of clients.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::super::document::{Document, Noise, Sources};
use super::super::page::distinct;
use super::super::statistics::{grouped, percentile};
use super::{Area, Entry, colour, letters, sheet};

const HEIGHT: u32 = 420;

/// Points of one line, and how it is told from others.
struct Line {
    entry: Entry,
    points: Vec<(f64, f64)>,
    dots: Dots,
}

/// Whether the points themselves are seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dots {
    Seen,
    Hidden,
}

impl Line {
    fn of(id: &str, words: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            entry: Entry { words: words.into(), colour: colour(id), width: 2 },
            points,
            dots: Dots::Hidden,
        }
    }

    fn dotted(self) -> Self {
        Self { dots: Dots::Seen, ..self }
    }
}

/// The share of knocks that were open after so long: a step upwards for each.
pub(super) fn latency(run: &Document, title: &'static str) -> Result<Option<String>> {
    let measured = run.latency.iter().filter(|row| !row.ms.is_empty());
    let lines: Vec<Line> =
        measured.map(|row| Line::of(&row.id, row.words.as_str(), cumulative(&row.ms))).collect();
    let Some(times) = decades(lines.iter().flat_map(|line| &line.points).map(|point| point.0)) else {
        return Ok(None);
    };
    let axes = Axes { x: "ms (logarithmic)", y: "share of knocks, %", x_labels: &|ms| plain(*ms) };
    draw(title, lines, |area, lines| axes.draw(area, times.log_scale(), 0.0..100.0, lines)).map(Some)
}

fn cumulative(ms: &[f64]) -> Vec<(f64, f64)> {
    let mut sorted = ms.to_vec();
    sorted.sort_by(f64::total_cmp);
    let share = |count: u32| 100.0 * f64::from(count) / sorted.len() as f64;
    (0..)
        .zip(&sorted)
        .flat_map(|(before, time)| [(*time, share(before)), (*time, share(before + 1))])
        .collect()
}

/// One picture for each kind of noise, side by side. Lines that lie on each other are drawn from the widest to the thinnest.
pub(super) fn noise(run: &Document, title: &'static str) -> Result<Option<String>> {
    let loud: Vec<&Noise> = run.noise.iter().filter(|row| row.sent_per_s > 0.0).collect();
    let Some(rates) = decades(loud.iter().map(|row| row.sent_per_s)) else { return Ok(None) };
    // What was tried at the maximum alone is no line; the page has it.
    let kinds = distinct(loud.iter().filter(|row| !row.is_at_maximum()).map(|row| row.noise.as_str()));
    if kinds.is_empty() {
        return Ok(None);
    }
    let ids = distinct(loud.iter().map(|row| row.id.as_str()));
    let entries = || (0..).zip(&ids).filter_map(|(place, id)| entry(&loud, id, 2 * (ids.len() - place)));
    let svg = sheet(title, HEIGHT, &entries().collect::<Vec<_>>(), |area| {
        for (kind, part) in kinds.iter().zip(area.split_evenly((1, kinds.len()))) {
            let lines: Vec<Line> =
                ids.iter().zip(entries()).map(|(id, entry)| survival(&loud, kind, id, entry)).collect();
            let x = format!("{kind}: packets/s (logarithmic)");
            let axes = Axes { x: &x, y: "share of knocks, %", x_labels: &|rate| short(*rate) };
            axes.draw(&part, rates.clone().log_scale(), -3.0..103.0, &lines)?;
        }
        Ok(())
    });
    svg.map(Some)
}

fn entry(rows: &[&Noise], id: &str, width: usize) -> Option<Entry> {
    let row = rows.iter().find(|row| row.id == id)?;
    Some(Entry { words: row.words.clone(), colour: colour(id), width: u32::try_from(width).ok()? })
}

fn survival(rows: &[&Noise], kind: &str, id: &str, entry: Entry) -> Line {
    let rows = rows.iter().filter(|row| row.id == id && row.noise == kind);
    let mut points: Vec<(f64, f64)> = rows.map(|row| (row.sent_per_s, 100.0 * row.share())).collect();
    points.sort_by(|one, two| one.0.total_cmp(&two.0));
    Line { entry, points, dots: Dots::Seen }
}

pub(super) fn memory(run: &Document, title: &'static str) -> Result<Option<String>> {
    let rows = || run.sources.iter().filter(|row| row.rss_mib.len() > 1);
    let lines: Vec<Line> = rows().map(|row| Line::of(&row.id, row.words.as_str(), over_time(row))).collect();
    let highest =
        |of: fn(&(f64, f64)) -> f64| lines.iter().flat_map(|line| &line.points).map(of).reduce(f64::max);
    let Some((minutes, most)) = highest(|point| point.0).zip(highest(|point| point.1)) else {
        return Ok(None);
    };
    let addresses: Vec<String> = rows().map(|row| grouped(f64::from(row.sources))).collect();
    let x = format!(
        "minutes of flood from {} addresses",
        distinct(addresses.iter().map(String::as_str)).join(" or ")
    );
    let axes = Axes { x: &x, y: "resident memory, MiB", x_labels: &|minutes| plain(*minutes) };
    draw(title, lines, |area, lines| axes.draw(area, 0.0..minutes, 0.0..most * 1.1, lines)).map(Some)
}

/// Minutes and MiB.
fn over_time(row: &Sources) -> Vec<(f64, f64)> {
    let step = row.seconds / 60.0 / (row.rss_mib.len() - 1) as f64;
    row.rss_mib.iter().enumerate().map(|(sample, memory)| (sample as f64 * step, *memory)).collect()
}

pub(super) fn clients(run: &Document, title: &'static str) -> Result<Option<String>> {
    let of = |percent| {
        let rows = run.clients.iter();
        rows.filter_map(move |row| Some((f64::from(row.clients), percentile(&row.ms, percent)?))).collect()
    };
    let start = run.clients.iter().map(|row| (f64::from(row.clients), row.start_ms)).collect();
    let lines = vec![
        Line::of("packet", "a knock: first packet to SYN-ACK, median", of(50)).dotted(),
        Line::of("packet-client", "the same, 99th percentile", of(99)).dotted(),
        Line::of("sequence", "start of the gate until it is up", start).dotted(),
    ];
    let points = || lines.iter().flat_map(|line| &line.points);
    let Some((counts, times)) =
        decades(points().map(|point| point.0)).zip(decades(points().map(|point| point.1)))
    else {
        return Ok(None);
    };
    let axes = Axes {
        x: "clients on the roster (logarithmic)",
        y: "ms (logarithmic)",
        x_labels: &|count| grouped(*count),
    };
    draw(title, lines, |area, lines| axes.draw(area, counts.log_scale(), times.log_scale(), lines)).map(Some)
}

fn draw(
    title: &str,
    lines: Vec<Line>,
    chart: impl FnOnce(&Area<'_>, &[Line]) -> Result<()>,
) -> Result<String> {
    let legend: Vec<Entry> =
        lines.iter().map(|line| Entry { words: line.entry.words.clone(), ..line.entry }).collect();
    sheet(title, HEIGHT, &legend, |area| chart(area, &lines))
}

struct Axes<'a> {
    x: &'a str,
    y: &'a str,
    x_labels: &'a dyn Fn(&f64) -> String,
}

impl Axes<'_> {
    fn draw<X, Y>(&self, area: &Area<'_>, x: X, y: Y, lines: &[Line]) -> Result<()>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .margin_right(24)
            .margin_left(12)
            .x_label_area_size(48)
            .y_label_area_size(58)
            .build_cartesian_2d(x, y)?;
        let faint = RGBColor(225, 225, 225);
        chart
            .configure_mesh()
            .max_light_lines(0)
            .bold_line_style(faint)
            .x_desc(self.x)
            .y_desc(self.y)
            .x_labels(8)
            .label_style(letters(13))
            .axis_desc_style(letters(14))
            .x_label_formatter(self.x_labels)
            .y_label_formatter(&|y| plain(*y))
            .draw()?;
        for line in lines {
            let style = line.entry.colour.stroke_width(line.entry.width);
            chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
            if line.dots == Dots::Seen {
                let radius = line.entry.width + 1;
                chart.draw_series(
                    line.points.iter().map(|point| Circle::new(*point, radius, line.entry.colour.filled())),
                )?;
            }
        }
        Ok(())
    }
}

/// From the power of ten below the least to the one above the greatest.
fn decades(figures: impl Iterator<Item = f64> + Clone) -> Option<Range<f64>> {
    let positive = || figures.clone().filter(|figure| *figure > 0.0);
    let (least, most) = positive().reduce(f64::min).zip(positive().reduce(f64::max))?;
    let (low, high) = (least.log10().floor(), most.log10().ceil());
    let high = if high > low { high } else { low + 1.0 };
    Some(10f64.powf(low)..10f64.powf(high))
}

/// Thousands and millions by a letter, where room is scarce.
fn short(figure: f64) -> String {
    match figure {
        small if small < 1e3 => plain(small),
        thousands if thousands < 1e6 => format!("{} k", plain(thousands / 1e3)),
        millions => format!("{} M", plain(millions / 1e6)),
    }
}

/// Without places that say nothing.
fn plain(figure: f64) -> String {
    let shown = format!("{figure:.3}");
    shown.trim_end_matches('0').trim_end_matches('.').to_owned()
}
