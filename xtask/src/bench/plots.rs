//! The plots beside the page, as SVG. The same document makes the same bytes.
//!
//! Their background is opaque, so that they can be read on a page of any colour. Letters are those of whoever looks, so their
//! width is not known here: everything has room to the right of it.

mod bars;
mod lines;

use std::collections::BTreeMap;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::document::Document;

pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) file: &'static str,
    draw: fn(&Document, &'static str) -> Result<Option<String>>,
}

pub(super) const LATENCY: Plot = Plot {
    title: "Time from the first packet of a knock to the SYN-ACK of the port",
    file: "latency.svg",
    draw: lines::latency,
};
pub(super) const NOISE: Plot =
    Plot { title: "Knocks that open within two seconds under noise", file: "noise.svg", draw: lines::noise };
pub(super) const FAULTS: Plot = Plot {
    title: "Knocks that open over a bad network, and beside a stranger",
    file: "faults.svg",
    draw: bars::faults,
};
pub(super) const MEMORY: Plot =
    Plot { title: "Memory under a flood from many addresses", file: "memory.svg", draw: lines::memory };
pub(super) const CLIENTS: Plot =
    Plot { title: "Time and number of clients", file: "clients.svg", draw: lines::clients };

/// Files and what is in them. What was not measured has no plot.
pub(super) fn all(run: &Document) -> Result<BTreeMap<&'static str, String>> {
    let mut drawn = BTreeMap::new();
    for plot in [LATENCY, NOISE, FAULTS, MEMORY, CLIENTS] {
        if let Some(svg) = (plot.draw)(run, plot.title)? {
            drawn.insert(plot.file, svg);
        }
    }
    Ok(drawn)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 900;
const TITLE: u32 = 38;
/// Of a line of the legend.
const LINE: u32 = 20;
/// Above and below the legend.
const GAP: u32 = 12;
const LEFT: i32 = 70;

fn letters(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&RGBColor(40, 40, 40))
}

/// A white sheet with a title above and a legend below; the part between them is for `draw`.
fn sheet(
    title: &str,
    height: u32,
    legend: &[Entry],
    draw: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<String> {
    let rows = u32::try_from(legend.len())?.div_ceil(LEGEND_COLUMNS);
    let below = rows * LINE + 2 * GAP;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, TITLE + height + below)).into_drawing_area();
        root.fill(&WHITE)?;
        root.draw(&Text::new(title.to_owned(), (LEFT, 12), letters(18)))?;
        let (_, rest) = root.split_vertically(TITLE);
        let (middle, bottom) = rest.split_vertically(height);
        draw(&middle)?;
        explain(&bottom, legend)?;
        root.present()?;
    }
    Ok(svg)
}

/// A line of the legend.
struct Entry {
    words: String,
    colour: RGBColor,
    width: u32,
}

const LEGEND_COLUMNS: u32 = 2;

fn explain(area: &Area<'_>, legend: &[Entry]) -> Result<()> {
    let (column, line) = (i32::try_from((WIDTH - 70) / LEGEND_COLUMNS)?, i32::try_from(LINE)?);
    for (place, entry) in (0..).zip(legend) {
        let columns = i32::try_from(LEGEND_COLUMNS)?;
        let (x, y) = (LEFT + (place % columns) * column, (place / columns) * line + i32::try_from(GAP)? + 6);
        area.draw(&PathElement::new([(x, y), (x + 24, y)], entry.colour.stroke_width(entry.width)))?;
        area.draw(&Text::new(entry.words.clone(), (x + 32, y - 7), letters(13)))?;
    }
    Ok(())
}

/// Who has which colour in all plots: colours that people who see few of them can tell apart (Okabe and Ito).
fn colour(id: &str) -> RGBColor {
    match id {
        "packet" => RGBColor(0, 158, 115),
        "packet-client" => RGBColor(86, 180, 233),
        "static" => RGBColor(0, 114, 178),
        "sequence" => RGBColor(204, 121, 167),
        "sequence-20ms" => RGBColor(140, 80, 160),
        "floor" => RGBColor(0, 0, 0),
        "floor-packet" => RGBColor(80, 80, 80),
        "floor-nflog" => RGBColor(120, 120, 120),
        "kernel" => RGBColor(180, 180, 180),
        "knockd" => RGBColor(213, 94, 0),
        "fwknop" => RGBColor(230, 159, 0),
        "fwknop-udp" => RGBColor(150, 110, 0),
        _ => RGBColor(110, 60, 30),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_same_document_makes_the_same_bytes() {
        assert_eq!(all(&fixture::run()).unwrap(), all(&fixture::run()).unwrap());
    }

    #[test]
    fn every_part_that_was_measured_has_a_plot_on_an_opaque_sheet() {
        let drawn = all(&fixture::run()).unwrap();
        assert_eq!(
            drawn.keys().copied().collect::<Vec<_>>(),
            ["clients.svg", "faults.svg", "latency.svg", "memory.svg", "noise.svg"]
        );
        for (file, svg) in drawn {
            assert!(svg.contains("opacity=\"1\" fill=\"#FFFFFF\""), "{file} can be looked through");
        }
    }

    #[test]
    fn what_was_not_measured_has_no_plot() {
        assert!(
            all(&Document { latency: Vec::new(), noise: Vec::new(), ..fixture::nothing() })
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn names_with_signs_of_xml_do_not_break_a_plot() {
        let mut run = fixture::run();
        run.latency[0].words = "a <b> & c: d".to_owned();
        assert!(all(&run).unwrap()["latency.svg"].contains("a &lt;b&gt; &amp; c"));
    }
}
