//! Brings a new site image to a gateway, piece by piece as it asks for them.

use std::path::{Path, PathBuf};

use knockgate_core::console::{Ask, Tell};
use knockgate_core::limits::MAX_PIECE;
use knockgate_core::site::{Signed, Site, SiteError};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::outcome::Failure;
use crate::print::Facts;
use crate::private_file::{self, FileFault};
use crate::voice::Voice;

use super::conversation::{Conversation, Pace, TalkFault};

/// Bytes of a file that are looked at: more than any board has flash memory for a site.
const MAX_IMAGE: usize = 8 << 20;

/// Why a file is not sent.
#[derive(Debug, Error)]
pub(crate) enum ImageFault {
    #[error(transparent)]
    File(#[from] FileFault),
    #[error("{} is {source}", .path.display())]
    Site { path: PathBuf, source: SiteError },
}

/// A whole image, whose signature only the gateway can check.
pub(crate) struct Image {
    file: Zeroizing<Vec<u8>>,
    length: usize,
    /// What it is told by.
    pub(crate) serial: u32,
}

impl Image {
    /// It holds the gate's keys, so nobody but its owner may read the file.
    pub(crate) fn read(path: &Path) -> Result<Self, ImageFault> {
        let file = private_file::read(path, MAX_IMAGE)?;
        let fault = |source| ImageFault::Site { path: path.to_owned(), source };
        let signed = Signed::find(&file).map_err(fault)?;
        let serial = Site::read(signed.image).map_err(fault)?.head.serial;
        let length = signed.length();
        Ok(Self { file, length, serial })
    }

    /// With its signature, and without what follows.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.file.get(..self.length).unwrap_or_default()
    }
}

/// Returns once the gateway has checked the image and is about to start with it.
pub(crate) fn send(
    conversation: &mut Conversation,
    image: &Image,
    facts: &Facts,
    voice: &Voice,
) -> Result<(), Failure> {
    let (bytes, gate) = (image.bytes(), facts.gate_and_address());
    let length = u32::try_from(bytes.len()).map_err(|_| Failure::Unexpected)?;
    voice.step(format!("{gate} makes room for the site image"));
    conversation.ask(&Ask::Update { length })?;
    let mut at = next(conversation, Pace::Slow)?;
    voice.step(format!("sending the site image to {gate}"));
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        voice.progress(format!("sending the site image to {gate}: {} %", percent(at, bytes.len())));
        let piece = rest.get(..MAX_PIECE).unwrap_or(rest);
        let place = u32::try_from(at).map_err(|_| Failure::Unexpected)?;
        conversation.ask(&Ask::Piece { at: place, bytes: piece })?;
        // A gate that asks for the same piece again would be sent it for ever.
        at = Some(next(conversation, Pace::Prompt)?).filter(|&next| next > at).ok_or(Failure::Unexpected)?;
    }
    voice.step(format!("{gate} checks the site image"));
    conversation.ask(&Ask::Finish)?;
    Ok(conversation.hear_done(Pace::Slow)?)
}

/// Where the piece begins that the gateway wants.
fn next(conversation: &mut Conversation, pace: Pace) -> Result<usize, Failure> {
    let Tell::Next { at } = conversation.hear(pace)? else {
        return Err(TalkFault::NotUnderstood.into());
    };
    usize::try_from(at).map_err(|_| Failure::Unexpected)
}

fn percent(done: usize, all: usize) -> usize {
    done.saturating_mul(100).checked_div(all).unwrap_or(100)
}
