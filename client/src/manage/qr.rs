//! A profile as a QR code: in the terminal, or as a picture in a file.
//!
//! It carries the profile's text, which is secret; a locked profile stays locked.

use std::fmt::Write;
use std::io::{self, IsTerminal};

use qrcode::{Color, EcLevel, QrCode};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Told, sentence};
use crate::cli::{Qr, Show};
use crate::kept::{self, Peek};
use crate::private_file;
use crate::store::Store;
use crate::voice::Voice;

/// Light modules around a picture. Source: ISO/IEC 18004, section 9.1.
const PICTURE_QUIET: usize = 4;
/// On a screen half of that is enough for every reader, and a profile fits into 80 columns.
const SCREEN_QUIET: usize = 2;

pub(crate) fn run(qr: &Qr, voice: &Voice) -> Result<Told, String> {
    let name = &qr.profile;
    let store = Store::find().map_err(sentence)?;
    let choices = store.settings().map_err(sentence)?.of(name);
    let path = store.path_of(name, &choices).map_err(sentence)?;
    let (bytes, peek) = kept::peek_bytes(&path).map_err(sentence)?;
    let text = kept::text(&bytes);
    let secret = match peek {
        Peek::Open(_) => "it holds the secret key: whoever sees it can knock",
        Peek::Locked => "whoever sees it can try to guess its passphrase",
    };

    let show = qr.show();
    if let Show::Picture(file) = &show {
        private_file::write(file, svg(&modules(&text, PICTURE_QUIET)?).as_bytes()).map_err(sentence)?;
        let line =
            format!("{}: profile \"{name}\" as a QR code; {secret}. Delete it after use", file.display());
        return Ok(Told { lines: vec![line], facts: json!({}) });
    }
    if !io::stdout().is_terminal() && !qr.force {
        return Err(format!(
            "stdout is not a terminal, and {secret}; use --svg FILE, or --force if it is meant to go there"
        ));
    }
    voice.warning(&format!(
        "this is profile \"{name}\"; {secret}. Use a profile on one machine at a time, and clear the screen afterwards"
    ));
    let lines = match show {
        Show::Text => vec![text.to_string()],
        Show::Picture(_) | Show::Code => {
            let modules = modules(&text, SCREEN_QUIET)?;
            voice.notice(&format!("it needs {} columns", modules.width));
            half_blocks(&modules)
        }
    };
    Ok(Told { lines, facts: json!({}) })
}

/// A square of modules, with its quiet zone.
struct Modules {
    width: usize,
    dark: Zeroizing<Vec<bool>>,
}

impl Modules {
    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark.get(y * self.width + x).copied().unwrap_or(false)
    }
}

fn modules(text: &str, quiet: usize) -> Result<Modules, String> {
    // A screen has no dirt on it; the lowest level makes the smallest code.
    let code = QrCode::with_error_correction_level(text, EcLevel::L)
        .map_err(|error| format!("the profile does not fit into a QR code: {error}; use --text"))?;
    let inner = code.width();
    let width = inner + 2 * quiet;
    let mut dark = Zeroizing::new(vec![false; width * width]);
    for (index, color) in code.to_colors().into_iter().enumerate() {
        let at = (index / inner + quiet) * width + index % inner + quiet;
        if let Some(module) = dark.get_mut(at) {
            *module = color == Color::Dark;
        }
    }
    Ok(Modules { width, dark })
}

/// Two rows of modules in one line of text, black on white whatever the terminal's own colours are.
fn half_blocks(modules: &Modules) -> Vec<String> {
    let line = |y: usize| {
        let cells: String = (0..modules.width)
            .map(|x| match (modules.is_dark(x, y), modules.is_dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect();
        format!("\u{1b}[38;5;16;48;5;231m{cells}\u{1b}[0m")
    };
    (0..modules.width).step_by(2).map(line).collect()
}

fn svg(modules: &Modules) -> Zeroizing<String> {
    let width = modules.width;
    let mut svg = Zeroizing::new(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {width}\" shape-rendering=\"crispEdges\">\n\
         <rect width=\"{width}\" height=\"{width}\" fill=\"#fff\"/>\n<path d=\""
    ));
    for y in 0..width {
        for x in (0..width).filter(|&x| modules.is_dark(x, y)) {
            let _ = write!(svg, "M{x} {y}h1v1h-1z");
        }
    }
    svg.push_str("\"/>\n</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: usize = 4;

    #[test]
    fn the_quiet_zone_is_light_and_the_finder_is_dark() {
        let modules = modules("kgprofile1-AAAA", QUIET).unwrap();
        for at in 0..modules.width {
            for edge in 0..QUIET {
                assert!(!modules.is_dark(at, edge) && !modules.is_dark(edge, at), "{at} {edge}");
            }
        }
        assert!((0..7).all(|at| modules.is_dark(QUIET + at, QUIET)), "upper left finder");
    }

    #[test]
    fn the_terminal_and_the_picture_show_every_module() {
        let modules = modules("kgprofile1-AAAA", QUIET).unwrap();
        let lines = half_blocks(&modules);
        assert_eq!(lines.len(), modules.width.div_ceil(2));
        let dark = modules.dark.iter().filter(|&&dark| dark).count();
        let shown: usize = lines
            .concat()
            .chars()
            .map(|c| match c {
                '█' => 2,
                '▀' | '▄' => 1,
                _ => 0,
            })
            .sum();
        assert_eq!((shown, svg(&modules).matches('M').count()), (dark, dark));
    }

    #[test]
    fn the_longest_profile_fits_locked_and_open() {
        assert!(modules(&kept::text(&[255; crate::locked::MAX_FILE]), QUIET).is_ok());
    }
}
