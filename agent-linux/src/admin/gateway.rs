//! `knockgated gateway`: what a workstation makes for a gateway: its site image, its owner's key, and the bytes that a flasher
//! writes to a board.
//!
//! The gateway's clients, books and door key are administered here as those of a server are; each image carries all of them.

pub mod flash;
pub mod image;
mod key;
pub mod owner;
pub mod show;
mod signed;
mod site;

use std::path::Path;

use crate::state::{StateError, private_file};

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Kept,
    Replaced,
}

/// `--force` on the command line.
pub fn existing(force: bool) -> Existing {
    if force { Existing::Replaced } else { Existing::Kept }
}

/// Writes a file that only its owner can read: whole or not at all.
fn write(path: &Path, content: &[u8], existing: Existing) -> Result<(), StateError> {
    match existing {
        Existing::Replaced => private_file::replace(path, content),
        Existing::Kept => private_file::create(path, content),
    }
}

/// Says early what [`write`] would say late.
fn refuse_to_overwrite(path: &Path, existing: Existing) -> Result<(), StateError> {
    match existing {
        Existing::Kept if path.symlink_metadata().is_ok() => Err(StateError::refused(
            path,
            "exists already",
            "choose another name, or replace it with --force",
        )),
        Existing::Kept | Existing::Replaced => Ok(()),
    }
}

/// `48 213`: bytes are counted by people, too.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        let cases = [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
    }
}
