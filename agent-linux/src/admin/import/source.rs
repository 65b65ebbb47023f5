//! Files of the old configuration, line by line.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};

use super::finding::{Place, shown};

/// No configuration of an administrator is longer, in bytes. The examples of both packages have less than ten thousand.
const MAX_FILE: u64 = 256 * 1024;

/// A line that says something, without the blanks around it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) text: String,
}

/// Every line that is neither empty nor a comment.
pub(super) fn lines(path: &Path) -> anyhow::Result<Vec<Line>> {
    let bytes = read(path)?;
    let mut lines = Vec::new();
    for (number, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let place = Place::new(path, number);
        let Ok(text) = str::from_utf8(bytes) else {
            return Err(place.wrong("this line is not UTF-8; correct it, or leave it out"));
        };
        // A control character of the old file would reach the terminal, or the new file.
        if text.trim().contains(|letter: char| letter.is_control() && letter != '\t') {
            return Err(place.wrong("this line has a control character; take it out"));
        }
        let text = text.trim();
        if !text.is_empty() && !text.starts_with('#') {
            lines.push(Line { place, text: text.to_owned() });
        }
    }
    Ok(lines)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).with_context(|| {
        format!("{}: cannot be read; name the old configuration, and run as root", shown(path))
    })?;
    if !file.metadata()?.is_file() {
        bail!("{}: is no file; name the old configuration", shown(path));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).with_context(|| shown(path))?;
    if bytes.len() as u64 > MAX_FILE {
        bail!(
            "{}: has more than {MAX_FILE} bytes, so it is no such configuration; name the right file",
            shown(path)
        );
    }
    Ok(bytes)
}
