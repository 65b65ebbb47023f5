//! The plot of bars: who opens over which bad network.

use anyhow::Result;
use plotters::prelude::*;

use super::super::document::{Document, Fault};
use super::super::page::distinct;
use super::{Entry, LEFT, WIDTH, colour, letters, sheet};

/// Of one fault: its name, and a bar for each who was measured.
const NAME: i32 = 24;
const BAR: i32 = 16;
const GAP: i32 = 14;
/// The rightmost words are beside a full bar.
const ROOM: i32 = 80;

/// Lying bars, so that names of faults have room. A bar has its figures beside it, for one of length nothing says nothing.
pub(super) fn faults(run: &Document, title: &'static str) -> Result<Option<String>> {
    if run.faults.is_empty() {
        return Ok(None);
    }
    let kinds = distinct(run.faults.iter().map(|row| row.fault.as_str()));
    let who = distinct(run.faults.iter().map(|row| row.words.as_str()));
    let rows_of = |kind: &str| -> Vec<&Fault> {
        who.iter()
            .filter_map(|words| run.faults.iter().find(|row| row.words == *words && row.fault == kind))
            .collect()
    };
    let legend: Vec<Entry> = who
        .iter()
        .filter_map(|words| run.faults.iter().find(|row| row.words == *words))
        .map(|row| Entry { words: row.words.clone(), colour: colour(&row.id), width: 8 })
        .collect();
    let bars: usize = kinds.iter().map(|kind| rows_of(kind).len()).sum();
    let height = i32::try_from(kinds.len())? * (NAME + GAP) + i32::try_from(bars)? * BAR;
    let svg = sheet(title, u32::try_from(height)?, &legend, |area| {
        let mut y = 0;
        for kind in &kinds {
            area.draw(&Text::new((*kind).to_owned(), (LEFT, y + 4), letters(14)))?;
            y += NAME;
            for row in rows_of(kind) {
                bar(area, y, row)?;
                y += BAR;
            }
            y += GAP;
        }
        Ok(())
    });
    svg.map(Some)
}

fn bar(area: &super::Area<'_>, y: i32, row: &Fault) -> Result<()> {
    let full = i32::try_from(WIDTH)? - LEFT - ROOM;
    let length = i64::from(full) * i64::from(row.opened) / i64::from(row.knocks.max(1));
    let end = LEFT + i32::try_from(length)?;
    let frame = RGBColor(225, 225, 225);
    area.draw(&Rectangle::new([(LEFT, y), (LEFT + full, y + BAR - 3)], frame.stroke_width(1)))?;
    area.draw(&Rectangle::new([(LEFT, y), (end, y + BAR - 3)], colour(&row.id).filled()))?;
    let figures = format!("{} of {}", row.opened, row.knocks);
    Ok(area.draw(&Text::new(figures, (LEFT + full + 8, y), letters(12)))?)
}
