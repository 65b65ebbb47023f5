//! A telephone held in front of the screen: what a scanner reads in a QR code of block characters.

use std::process::Command;

use anyhow::{Context, Result};
use knockgate_tests::{Lab, programs};

/// Pixels of a module. A scanner wants a few.
const SCALE: usize = 4;

/// The text in the only QR code on it.
pub(crate) fn scan(lab: &Lab, screen: &str) -> Result<String> {
    let picture = lab.path("screen.pgm");
    std::fs::write(&picture, photograph(screen))?;
    let mut scanner = Command::new("zbarimg");
    let read =
        programs::output(scanner.args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"]).arg(&picture));
    let text = read.with_context(|| format!("no scanner can read this:\n{screen}"))?;
    Ok(text.trim().to_owned())
}

/// A grey picture (PGM) of the lines that consist of blocks and blanks alone, dark where a block is.
fn photograph(screen: &str) -> Vec<u8> {
    let rows: Vec<Vec<bool>> = screen.lines().filter(|line| is_of_blocks(line)).flat_map(two_rows).collect();
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut picture = format!("P5 {} {} 255\n", width * SCALE, rows.len() * SCALE).into_bytes();
    for row in &rows {
        let line: Vec<u8> =
            (0..width).flat_map(|x| [if row.get(x) == Some(&true) { 0 } else { 255 }; SCALE]).collect();
        picture.extend(line.repeat(SCALE));
    }
    picture
}

fn is_of_blocks(line: &str) -> bool {
    !line.is_empty() && line.chars().all(|character| " █▀▄".contains(character))
}

/// A line of text has two rows of modules.
fn two_rows(line: &str) -> [Vec<bool>; 2] {
    ["█▀", "█▄"].map(|dark| line.chars().map(|character| dark.contains(character)).collect())
}
