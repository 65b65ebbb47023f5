//! `knockgated gateway flash-file`: the site region of a board as any flasher writes it.
//!
//! It begins a new life of the gateway: an owner, one image, and nothing that was used up. On a box that was in use, change the
//! keys first: what it has admitted is forgotten, and old knocks would count again.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use knockgate_core::board::{self, Board, ERASED};
use knockgate_core::site::{Signed, Site};

use super::{Existing, grouped, key, owner, signed};
use crate::state::private_file;

/// What was asked for.
pub struct Request {
    pub board: &'static Board,
    pub image: PathBuf,
    /// The owner's public key, or its file.
    pub public_key: String,
    pub out: PathBuf,
    pub existing: Existing,
}

/// A board on the command line.
pub fn board(text: &str) -> Result<&'static Board, String> {
    let known: Vec<_> = board::ALL.iter().map(|board| board.name).collect();
    board::find(text).ok_or_else(|| format!("there is no board {text:?}; known are {}", known.join(", ")))
}

/// Puts owner and image in their places.
pub fn run(request: &Request) -> anyhow::Result<String> {
    let Request { board, image: path, public_key, out, existing } = request;
    let owner = key::owner(public_key)?;
    let file = private_file::read(path)?;
    let serial = checked(&file, &owner).with_context(|| path.display().to_string())?;
    let region = region(board, &owner::page(&owner)?, &file)
        .with_context(|| format!("{} does not fit board {}", path.display(), board.name))?;
    super::write(out, &region, *existing)?;
    Ok(format!(
        "{}: {} bytes for board {}, with image {serial} and the owner {}, and nothing used up.\n{}",
        out.display(),
        grouped(region.len()),
        board.name,
        key::name(owner.key_id),
        how_to_write(board, out),
    ))
}

/// The serial number of an image that the owner has signed.
fn checked(file: &[u8], owner: &knockgate_core::site::Owner) -> anyhow::Result<u32> {
    let found = Signed::find(file)?;
    signed::check(&found, owner)?;
    if found.length() != file.len() {
        bail!("something follows the image; make it again");
    }
    Ok(Site::read(found.image)?.head.serial)
}

fn region(board: &Board, owner: &[u8], image: &[u8]) -> anyhow::Result<Vec<u8>> {
    let [first, _] = &board.slots;
    let mut region = vec![ERASED; usize::try_from(board.size)?];
    put(&mut region, &board.owner, owner)?;
    put(&mut region, first, image)?;
    Ok(region)
}

fn put(region: &mut [u8], place: &Range<u32>, bytes: &[u8]) -> anyhow::Result<()> {
    let room = place.len();
    let place = region
        .get_mut(usize::try_from(place.start)?..)
        .and_then(|rest| rest.get_mut(..room))
        .and_then(|place| place.get_mut(..bytes.len()));
    let Some(place) = place else {
        let (has, room) = (grouped(bytes.len()), grouped(room));
        bail!("it has {has} bytes, and there is room for {room}; use fewer or smaller policies");
    };
    place.copy_from_slice(bytes);
    Ok(())
}

/// An address of 0 is the beginning of a file or chip of its own.
fn how_to_write(board: &Board, out: &Path) -> String {
    let (file, address) = (out.display(), board.address);
    if address == 0 {
        return format!("Next: give {file} to the machine as its flash.\n");
    }
    format!(
        "Next: write it at {address:#010x}, for example with `dfu-util -a 0 -s {address:#010x} -D {file}`.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_owner_and_image_in_their_places_and_nothing_else() {
        for board in board::ALL {
            let region = region(board, b"owner", b"image").unwrap();
            let [first, second] = &board.slots;
            let at = |place: u32, length: usize| &region[place as usize..][..length];
            assert_eq!(
                (at(board.owner.start, 6), at(first.start, 6)),
                (&b"owner\xff"[..], &b"image\xff"[..])
            );
            assert!(at(second.start, second.len()).iter().all(|byte| *byte == ERASED), "{}", board.name);
            assert!(at(board.journal.start, board.journal.len()).iter().all(|byte| *byte == ERASED));
            assert_eq!(region.len(), board.size as usize);
        }
    }

    #[test]
    fn an_image_that_is_a_byte_too_long_is_refused() {
        for board in board::ALL {
            let [first, _] = &board.slots;
            assert!(region(board, b"", &vec![0; first.len()]).is_ok());
            let error = region(board, b"", &vec![0; first.len() + 1]).unwrap_err().to_string();
            assert!(error.contains("use fewer or smaller policies"), "{error}");
        }
    }
}
