//! What a firmware's file says about itself: the sections that take up memory of the board.
//!
//! Reads ELF of 32 bits, little-endian, as linkers write it for every board here. Source: System V ABI, chapter 4.

use anyhow::{Context, Result, ensure};

/// A section that lies in the memory of the board.
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) bytes: u32,
}

const MAGIC: [u8; 6] = [0x7f, b'E', b'L', b'F', 1, 1];
/// In the header: where the table of sections begins, and entry size, number of entries, entry with the names.
const TABLE: usize = 32;
const COUNTS: usize = 46;
/// In the flags of a section: it takes up memory when the program runs.
const ALLOCATED: u32 = 2;

/// Every section that takes up memory, in the order of the file.
pub(crate) fn sections(file: &[u8]) -> Result<Vec<Section>> {
    ensure!(file.starts_with(&MAGIC), "this is no ELF file of a 32-bit board; build the firmware again");
    let start = word(file, TABLE)? as usize;
    let [size, count, names] = [0, 2, 4].map(|at| half(file, COUNTS + at));
    let (size, count, names) = (size? as usize, count? as usize, names? as usize);
    let header = |number: usize| {
        let at = start + number * size;
        file.get(at..at + size).context("the file is cut off; build the firmware again")
    };
    let names = word(header(names)?, 16)? as usize;
    let mut found = Vec::new();
    for number in 0..count {
        let header = header(number)?;
        if word(header, 8)? & ALLOCATED != 0 {
            let name = text(file, names + word(header, 0)? as usize)?;
            found.push(Section { name, bytes: word(header, 20)? });
        }
    }
    Ok(found)
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    Ok(u32::from_le_bytes(*bytes.context("the file is cut off; build the firmware again")?))
}

fn half(bytes: &[u8], at: usize) -> Result<u16> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    Ok(u16::from_le_bytes(*bytes.context("the file is cut off; build the firmware again")?))
}

/// A name, which ends with a zero.
fn text(bytes: &[u8], at: usize) -> Result<String> {
    let rest = bytes.get(at..).context("the file is cut off; build the firmware again")?;
    let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}
