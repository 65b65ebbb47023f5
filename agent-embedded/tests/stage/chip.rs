//! A flash chip in memory: NOR, with a power switch.
//!
//! Bits only fall, a word is written once between two erasures, and after a cut the word or page that was worked on holds
//! anything. A program that breaks the chip's rules is stopped by a panic.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use knockgate_gateway::board::Flash;
use rand_core::{TryCryptoRng, TryRng};

/// A chip of words of `WORD` bytes that erases `PAGE` bytes at once. Clones are the same chip.
#[derive(Clone)]
pub(crate) struct Chip<const WORD: usize, const PAGE: usize>(Arc<Mutex<Cells>>);

struct Cells {
    bytes: Vec<u8>,
    power: Power,
    /// Words written and pages erased so far.
    steps: u32,
    noise: Noise,
    /// What was lent: a place that has not changed is lent again.
    lent: Vec<(u32, &'static [u8])>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Power {
    /// On for good.
    On,
    /// Cut in the middle of the step after so many.
    For(u32),
    Off,
}

/// The chip has no power.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoPower;

impl NorFlashError for NoPower {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// SplitMix64: the same noise in every run.
#[derive(Clone)]
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

impl TryRng for Noise {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.next().to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill_with(|| self.byte());
        Ok(())
    }
}

// Not for keys of anybody.
impl TryCryptoRng for Noise {}

impl<const WORD: usize, const PAGE: usize> Chip<WORD, PAGE> {
    /// An erased chip of so many pages.
    pub(crate) fn new(pages: usize) -> Self {
        Self(Arc::new(Mutex::new(Cells {
            bytes: vec![0xff; pages * PAGE],
            power: Power::On,
            steps: 0,
            noise: Noise(0),
            lent: Vec::new(),
        })))
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap()
    }

    /// Another chip that holds the same.
    pub(crate) fn copy(&self) -> Self {
        let cells = self.cells();
        Self(Arc::new(Mutex::new(Cells {
            bytes: cells.bytes.clone(),
            power: Power::On,
            steps: 0,
            noise: Noise(0),
            lent: cells.lent.clone(),
        })))
    }

    /// Cuts the power in the middle of the step after `steps` more; `noise` decides what the cut leaves behind.
    pub(crate) fn cut_after(&self, steps: u32, noise: u64) {
        let mut cells = self.cells();
        cells.power = Power::For(steps);
        cells.noise = Noise(noise);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.cells().power == Power::Off
    }

    pub(crate) fn power_on(&self) {
        self.cells().power = Power::On;
    }

    /// Words written and pages erased so far.
    pub(crate) fn steps(&self) -> u32 {
        self.cells().steps
    }

    /// Writes with the cable: the pages of `range` are erased, and `bytes` stand at their beginning.
    pub(crate) fn flash(&self, range: Range<u32>, bytes: &[u8]) {
        let mut cells = self.cells();
        let place = &mut cells.bytes[range.start as usize..range.end as usize];
        place.fill(0xff);
        place[..bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn bytes(&self, range: Range<u32>) -> Vec<u8> {
        self.cells().bytes[range.start as usize..range.end as usize].to_vec()
    }
}

impl Cells {
    /// Takes a step; `Err` if the power fails in the middle of it.
    fn step(&mut self) -> Result<(), NoPower> {
        match self.power {
            Power::On => {}
            Power::For(0) => {
                self.power = Power::Off;
                return Err(NoPower);
            }
            Power::For(left) => self.power = Power::For(left - 1),
            Power::Off => return Err(NoPower),
        }
        self.steps += 1;
        Ok(())
    }

    fn write_word(&mut self, at: usize, word: &[u8]) -> Result<(), NoPower> {
        let was_on = self.power != Power::Off;
        let done = self.step();
        let noise = &mut self.noise;
        let place = &mut self.bytes[at..at + word.len()];
        if was_on {
            assert!(place.iter().all(|byte| *byte == 0xff), "the word at {at:#x} is written twice");
        }
        match done {
            Ok(()) => place.copy_from_slice(word),
            // One cut in four leaves no trace, one leaves the whole word; else some of the bits have fallen.
            Err(NoPower) if was_on => match noise.next() % 4 {
                0 => {}
                1 => place.copy_from_slice(word),
                _ => place.iter_mut().zip(word).for_each(|(to, from)| *to = from | noise.byte()),
            },
            Err(NoPower) => {}
        }
        done
    }

    fn erase_page(&mut self, at: usize, page: usize) -> Result<(), NoPower> {
        let was_on = self.power != Power::Off;
        let done = self.step();
        let noise = &mut self.noise;
        let place = &mut self.bytes[at..at + page];
        match done {
            Ok(()) => place.fill(0xff),
            Err(NoPower) if was_on => half_erase(place, noise),
            Err(NoPower) => {}
        }
        done
    }
}

/// Every way in which an erasure can be half done: not begun, done, up to or from some byte, bit by bit, or anything at all.
fn half_erase(page: &mut [u8], noise: &mut Noise) {
    let border = usize::try_from(noise.next()).unwrap() % page.len();
    match noise.next() % 6 {
        0 => {}
        1 => page.fill(0xff),
        2 => page[..border].fill(0xff),
        3 => page[border..].fill(0xff),
        4 => page.iter_mut().for_each(|byte| *byte |= noise.byte()),
        _ => page.iter_mut().for_each(|byte| *byte = noise.byte()),
    }
}

impl<const WORD: usize, const PAGE: usize> ErrorType for Chip<WORD, PAGE> {
    type Error = NoPower;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for Chip<WORD, PAGE> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        let cells = self.cells();
        if cells.power == Power::Off {
            return Err(NoPower);
        }
        bytes.copy_from_slice(&cells.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.cells().bytes.len()
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for Chip<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
        let (from, to) = (from as usize, to as usize);
        assert!(from.is_multiple_of(PAGE) && to.is_multiple_of(PAGE), "{from:#x} to {to:#x} are no pages");
        let mut cells = self.cells();
        (from..to).step_by(PAGE).try_for_each(|page| cells.erase_page(page, PAGE))
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        let offset = offset as usize;
        assert!(offset.is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD), "no words at {offset:#x}");
        let mut cells = self.cells();
        let mut words = bytes.chunks(WORD).enumerate();
        words.try_for_each(|(index, word)| cells.write_word(offset + index * WORD, word))
    }
}

impl<const WORD: usize, const PAGE: usize> Flash for Chip<WORD, PAGE> {
    fn lend(&self, range: Range<u32>) -> &'static [u8] {
        let mut cells = self.cells();
        let now = cells.bytes[range.start as usize..range.end as usize].to_vec();
        let before = cells.lent.iter().find(|(at, bytes)| *at == range.start && *bytes == now);
        if let Some((_, bytes)) = before {
            return bytes;
        }
        let bytes: &'static [u8] = Vec::leak(now);
        cells.lent.push((range.start, bytes));
        bytes
    }
}
