//! A text as a QR code in the terminal.

use std::io::IsTerminal;

use anyhow::Context;
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around it. The standard wants four; every reader is content with two, and a profile then fits into 80 columns.
const QUIET: usize = 2;
/// Black on white, whatever the terminal's own colours are.
const COLOURS: (&str, &str) = ("\u{1b}[38;5;16;48;5;231m", "\u{1b}[0m");

/// Lines to be printed.
pub(super) fn code(text: &str) -> anyhow::Result<String> {
    let colours = if std::io::stdout().is_terminal() { COLOURS } else { ("", "") };
    coloured(text, colours)
}

fn coloured(text: &str, (begin, end): (&str, &str)) -> anyhow::Result<String> {
    // A screen has no dirt on it; the lowest level makes the smallest code.
    let code = QrCode::with_error_correction_level(text, EcLevel::L)
        .context("this does not fit into a QR code; use the text")?;
    let (inner, width) = (code.width(), code.width() + 2 * QUIET);
    let is_dark = |x: usize, y: usize| {
        let inside = x.checked_sub(QUIET).zip(y.checked_sub(QUIET)).filter(|(x, y)| *x < inner && *y < inner);
        inside.is_some_and(|at| code[at] == Color::Dark)
    };
    let mut lines = String::new();
    // Two rows of modules in one line of text.
    for y in (0..width).step_by(2) {
        lines += begin;
        lines.extend((0..width).map(|x| match (is_dark(x, y), is_dark(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        }));
        lines += end;
        lines.push('\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_shown_and_the_quiet_zone_is_light() {
        let text = "kgprofile1-AAAA";
        let lines = coloured(text, ("", "")).unwrap();
        let shown: usize =
            lines.chars().map(|c| if c == '█' { 2 } else { usize::from(c == '▀' || c == '▄') }).sum();
        let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
        assert_eq!(shown, code.to_colors().into_iter().filter(|color| *color == Color::Dark).count());
        assert!(lines.lines().all(|line| line.starts_with("  ") && line.ends_with("  ")), "{lines}");
        assert!(lines.lines().next().is_some_and(|line| line.trim().is_empty()));
    }
}
