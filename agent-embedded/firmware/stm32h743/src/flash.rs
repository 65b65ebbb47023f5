//! The second bank of the chip's flash: eight sectors of 128 KiB, written in words of 32 bytes.
//!
//! Each word has check bits. A write that was cut off leaves a word whose check bits are wrong, and reading that is a fault of the
//! bus; so every word is read with faults held back, and one that cannot be read reads as zeros, which nothing valid consists
//! of. A word is written once: bits that were cleared earlier would spoil its check bits.
//!
//! An erasure takes up to some seconds, in which the gateway does nothing else.

use core::ops::Range;

use embassy_stm32::flash::{Blocking, Error};
use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use knockgate_core::board::{ERASED, STM32H743};

use crate::sys;

const WORD: usize = 32;
/// Where the bank begins, counted from the first byte of the flash.
const BANK: u32 = STM32H743.address - 0x0800_0000;

pub(crate) struct Flash(pub(crate) embassy_stm32::flash::Flash<'static, Blocking>);

/// Why bytes were not written, erased or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlashError {
    /// Not on the boundary of a word or a sector.
    NotAligned,
    /// Beyond the end.
    OutOfBounds,
    /// A word was written already.
    NotErased,
    /// The chip has refused.
    Failed,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotErased | Self::Failed => NorFlashErrorKind::Other,
        }
    }
}

impl From<Error> for FlashError {
    fn from(error: Error) -> Self {
        match error {
            Error::Size => Self::OutOfBounds,
            Error::Unaligned => Self::NotAligned,
            Error::Prog | Error::Miss | Error::Seq | Error::Protected | Error::Parallelism => Self::Failed,
        }
    }
}

/// The part from `offset` on that is so long.
fn part(offset: u32, length: usize, unit: usize) -> Result<Range<u32>, FlashError> {
    let length = u32::try_from(length).map_err(|_| FlashError::OutOfBounds)?;
    let end = offset.checked_add(length).filter(|end| *end <= STM32H743.size);
    let range = offset..end.ok_or(FlashError::OutOfBounds)?;
    let is_aligned = [range.start, range.end].iter().all(|at| (*at as usize).is_multiple_of(unit));
    if is_aligned { Ok(range) } else { Err(FlashError::NotAligned) }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let range = part(offset, bytes.len(), 1)?;
        let mut at = range.start as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = sys::site_word(at / WORD).unwrap_or([0; WORD]);
            let from = word.get(at % WORD..).unwrap_or_default();
            let (now, later) = rest.split_at_mut(from.len().min(rest.len()));
            now.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            at += now.len();
            rest = later;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        STM32H743.size as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = STM32H743.erase as usize;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let length = to.checked_sub(from).ok_or(FlashError::OutOfBounds)?;
        let range = part(from, length as usize, Self::ERASE_SIZE)?;
        Ok(self.0.blocking_erase(BANK + range.start, BANK + range.end)?)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let range = part(offset, bytes.len(), WORD)?;
        let is_erased = |at: u32| sys::site_word(at as usize / WORD) == Some([ERASED; WORD]);
        if !range.clone().step_by(WORD).all(is_erased) {
            return Err(FlashError::NotErased);
        }
        Ok(self.0.blocking_write(BANK + range.start, bytes)?)
    }
}

impl knockgate_gateway::board::Flash for Flash {
    /// What lies behind a word that cannot be read is not lent.
    fn lend(&self, range: Range<u32>) -> &'static [u8] {
        let Some(length) = range.end.checked_sub(range.start) else { return &[] };
        let Ok(range) = part(range.start, length as usize, 1) else { return &[] };
        let words = range.start as usize / WORD..(range.end as usize).div_ceil(WORD);
        let readable = words.clone().find(|word| sys::site_word(*word).is_none()).unwrap_or(words.end);
        let end = (range.end as usize).min(readable * WORD);
        sys::site().get(range.start as usize..end).unwrap_or_default()
    }
}
