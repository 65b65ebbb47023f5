//! The flash: two 16-bit chips of Intel's command set side by side, as QEMU builds its second flash device.
//!
//! Every command goes to both chips at once, and both must have done it. Between two calls the chips are in array mode, where
//! their bytes can be read like memory.

use core::ops::Range;

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use crate::sys;

/// Bytes that are erased at once.
pub(crate) const SECTOR: u32 = 256 << 10;
/// Bytes that are written at once: a word of each chip.
const WORD: u32 = 4;

/// Commands and answers of both chips, one in each half of a word.
const QUERY: u32 = both(0x98);
const READ_ARRAY: u32 = both(0xff);
const PROGRAM: u32 = both(0x40);
const ERASE: u32 = both(0x20);
const CONFIRM: u32 = both(0xd0);
const CLEAR_STATUS: u32 = both(0x50);
const READY: u32 = both(0x80);
/// Failed to erase, to program, for want of voltage, because of a lock.
const FAILED: u32 = both(0x20 | 0x10 | 0x08 | 0x02);
/// How often the status is read before the chips are taken for broken. A real erasure takes up to 4 s; QEMU needs one look.
const PATIENCE: usize = 10_000_000;

const fn both(half: u16) -> u32 {
    (half as u32) << 16 | half as u32
}

/// The chips, found to be what this driver can drive.
pub(crate) struct Flash(());

/// Why bytes were not written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlashError {
    /// Not on the boundary of a word or a sector.
    NotAligned,
    /// Beyond the end.
    OutOfBounds,
    /// Writing can only turn ones into zeros.
    NotErased,
    /// The chips have refused, or have not finished.
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

impl Flash {
    /// The chips, if they tell of themselves what this driver expects. Source: JEDEC JESD68.01, the common flash interface.
    pub(crate) fn find() -> Option<Self> {
        sys::flash_word(0x55 * 4).write(QUERY);
        // Byte `n` of a chip's description lies in its word `n`.
        let described = |byte: u32| sys::flash_word(byte * 4).read();
        let mark = [0x10, 0x11, 0x12].map(described) == [b'Q', b'R', b'Y'].map(|letter| both(letter.into()));
        let intel = [0x13, 0x14].map(described) == [both(1), both(0)];
        let size = described(0x27) & 0xff;
        let one_kind_of_sector = described(0x2c) == both(1);
        let sector = (described(0x2f) & 0xff | (described(0x30) & 0xff) << 8) << 8;
        sys::flash_word(0).write(READ_ARRAY);
        let fits = sector * 2 == SECTOR && 1_u32.checked_shl(size + 1) == Some(sys::FLASH_SIZE);
        (mark && intel && one_kind_of_sector && fits).then_some(Self(()))
    }

    fn within(range: Range<u32>, unit: u32) -> Result<(), FlashError> {
        if range.start > range.end || range.end > sys::FLASH_SIZE {
            return Err(FlashError::OutOfBounds);
        }
        let aligned = range.start.is_multiple_of(unit) && range.end.is_multiple_of(unit);
        aligned.then_some(()).ok_or(FlashError::NotAligned)
    }

    fn program(&mut self, offset: u32, value: u32) -> Result<(), FlashError> {
        let word = sys::flash_word(offset);
        word.write(PROGRAM);
        word.write(value);
        Self::finish(offset)
    }

    fn erase_sector(&mut self, offset: u32) -> Result<(), FlashError> {
        let word = sys::flash_word(offset);
        word.write(ERASE);
        word.write(CONFIRM);
        Self::finish(offset)
    }

    /// Waits for both chips.
    fn finish(offset: u32) -> Result<(), FlashError> {
        let word = sys::flash_word(offset);
        let status = (0..PATIENCE).map(|_| word.read()).find(|status| status & READY == READY);
        if status.is_some_and(|status| status & FAILED == 0) {
            return Ok(());
        }
        word.write(CLEAR_STATUS);
        Err(FlashError::Failed)
    }

    /// `work`, and back to array mode.
    fn commanding(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), FlashError>,
    ) -> Result<(), FlashError> {
        let done = work(self);
        sys::flash_word(0).write(READ_ARRAY);
        done
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let length = u32::try_from(bytes.len()).map_err(|_| FlashError::OutOfBounds)?;
        let range = offset..offset.saturating_add(length);
        Self::within(range.clone(), 1)?;
        bytes.copy_from_slice(sys::flash_bytes(range));
        Ok(())
    }

    fn capacity(&self) -> usize {
        sys::FLASH_SIZE as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD as usize;
    const ERASE_SIZE: usize = SECTOR as usize;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        Self::within(from..to, SECTOR)?;
        self.commanding(|flash| (from..to).step_by(SECTOR as usize).try_for_each(|at| flash.erase_sector(at)))
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let length = u32::try_from(bytes.len()).map_err(|_| FlashError::OutOfBounds)?;
        let range = offset..offset.saturating_add(length);
        Self::within(range.clone(), WORD)?;
        // QEMU would take any bits; a chip would keep its zeros.
        let mut before = sys::flash_bytes(range.clone()).iter().zip(bytes);
        if before.any(|(old, new)| old & new != *new) {
            return Err(FlashError::NotErased);
        }
        let (words, _) = bytes.as_chunks::<{ Self::WRITE_SIZE }>();
        self.commanding(|flash| {
            range
                .step_by(Self::WRITE_SIZE)
                .zip(words)
                .try_for_each(|(at, word)| flash.program(at, u32::from_le_bytes(*word)))
        })
    }
}

impl knockgate_gateway::board::Flash for Flash {
    fn lend(&self, range: Range<u32>) -> &'static [u8] {
        sys::flash_bytes(range)
    }
}
