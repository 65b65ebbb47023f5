//! The journal's pages, each one erasure of the flash: an erasure that was cut off is finished before anybody reads.
//!
//! A page whose erasure was cut off can hold anything, also what looks like old records. So a part of each page is kept back
//! for notes about erasures of the *next* page: one before it is erased, one when it is done. After a cut the youngest note
//! without its second half names the page that is to be erased again. A note has a number of its own, greater than all
//! before, because the page that is being erased may still show old notes.
//!
//! A word whose writing was cut off can be anything, too. At the beginning and the end of a page any word that is not erased
//! counts as the mark that the map puts there, so that no word is ever written twice.

use core::fmt;
use core::ops::Range;

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use knockgate_core::board::ERASED;

use crate::board::Flash;

/// Notes for each page. One is used when the page after it is emptied, and one more each time that emptying it is cut off
/// before its erasure began. The page's own erasure makes them free again.
const NOTES: usize = 16;
/// Bytes of the number of a note and its check.
const NUMBER_LEN: usize = 8;
/// Bytes of a page at most, where the flash erases more at once. A page is searched item by item when the journal moves, and that
/// must not take longer than an erasure does.
const LONGEST_PAGE: usize = 64 * 1024;
/// Bytes of the longest word.
const LONGEST_WORD: usize = 32;

/// The journal's part of the flash, as consecutive pages that are a little shorter than an erasure.
pub(crate) struct Pages<F> {
    flash: F,
    part: Range<u32>,
    /// The number of the youngest note.
    youngest: u32,
}

/// Why something could not be done with a page.
#[derive(Debug)]
pub(crate) enum PageError {
    /// The flash says so.
    Flash,
    /// No such page, or not as a whole.
    Bounds,
    /// Emptying a page was cut off too often.
    NoNoteLeft,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flash => "the flash failed",
            Self::Bounds => "outside the journal",
            Self::NoNoteLeft => "the power was cut too often while the journal was moved",
        })
    }
}

impl NorFlashError for PageError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Flash | Self::NoNoteLeft => NorFlashErrorKind::Other,
            Self::Bounds => NorFlashErrorKind::OutOfBounds,
        }
    }
}

/// Where a note is, from the beginning of the part.
#[derive(Clone, Copy)]
struct Place {
    page: u32,
    note: usize,
}

impl<F: Flash> Pages<F> {
    const WORD: usize = if F::WRITE_SIZE > F::READ_SIZE { F::WRITE_SIZE } else { F::READ_SIZE };
    const NUMBER: usize = NUMBER_LEN.next_multiple_of(Self::WORD);
    const NOTE: usize = Self::NUMBER + Self::WORD;
    const KEPT_BACK: usize = NOTES * Self::NOTE;
    /// Bytes of a page that the map may use.
    const PAGE: usize = Self::USED.saturating_sub(Self::KEPT_BACK);
    const USED: usize = if F::ERASE_SIZE < LONGEST_PAGE { F::ERASE_SIZE } else { LONGEST_PAGE };

    /// Whether a journal can be kept in this kind of flash at all.
    pub(crate) const CAN_BE_KEPT: bool = Self::WORD <= LONGEST_WORD
        && Self::WORD.is_multiple_of(F::WRITE_SIZE)
        && Self::WORD.is_multiple_of(F::READ_SIZE)
        && F::ERASE_SIZE.is_multiple_of(Self::WORD)
        && F::ERASE_SIZE >= 4 * Self::KEPT_BACK
        && F::ERASE_SIZE < u32::MAX as usize;

    /// `part` was checked. Finishes the erasure that was cut off last, if there is one.
    pub(crate) fn open(flash: F, part: Range<u32>) -> Result<Self, PageError> {
        let mut pages = Self { flash, part, youngest: 0 };
        let mut unfinished = None;
        for place in pages.places() {
            let Some(number) = pages.number(place)? else { continue };
            if number > pages.youngest {
                pages.youngest = number;
                unfinished = pages.is_erased(pages.end_of(place), Self::WORD)?.then_some(place);
            }
        }
        if let Some(place) = unfinished {
            pages.erase_whole(pages.after(place.page))?;
            pages.put(pages.end_of(place), &[0; LONGEST_WORD], Self::WORD)?;
        }
        Ok(pages)
    }

    /// Erases everything that is not, without notes: for a journal in which nothing counts.
    pub(crate) fn clear(&mut self) -> Result<(), PageError> {
        for page in 0..self.count() {
            if !self.is_page_erased(page)? {
                self.erase_whole(page)?;
            }
        }
        self.youngest = 0;
        Ok(())
    }

    /// Bytes that the map may use, from 0 on.
    pub(crate) fn range(&self) -> Range<u32> {
        0..self.count() * Self::page_len()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        (self.part.end - self.part.start) / Self::erase_len()
    }

    /// The flash, beyond the journal.
    pub(crate) fn flash(&mut self) -> &mut F {
        &mut self.flash
    }

    /// The flash, to look at.
    pub(crate) fn flash_ref(&self) -> &F {
        &self.flash
    }

    #[expect(clippy::cast_possible_truncation, reason = "`CAN_BE_KEPT` says that an erasure's length fits")]
    const fn erase_len() -> u32 {
        F::ERASE_SIZE as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "shorter than an erasure")]
    const fn page_len() -> u32 {
        Self::PAGE as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "`CAN_BE_KEPT` says that it is short")]
    const fn word() -> u32 {
        Self::WORD as u32
    }

    fn after(&self, page: u32) -> u32 {
        (page + 1) % self.count()
    }

    fn before(&self, page: u32) -> u32 {
        (page + self.count() - 1) % self.count()
    }

    fn places(&self) -> impl Iterator<Item = Place> + use<F> {
        (0..self.count()).flat_map(|page| (0..NOTES).map(move |note| Place { page, note }))
    }

    /// The address of a note's first half.
    #[expect(clippy::cast_possible_truncation, reason = "within a page")]
    fn start_of(&self, place: Place) -> u32 {
        let kept_back = self.part.start + place.page * Self::erase_len() + Self::page_len();
        kept_back + (place.note * Self::NOTE) as u32
    }

    /// The address of its second half.
    #[expect(clippy::cast_possible_truncation, reason = "within a page")]
    fn end_of(&self, place: Place) -> u32 {
        self.start_of(place) + Self::NUMBER as u32
    }

    /// The number of a note whose first half was written as a whole.
    fn number(&mut self, place: Place) -> Result<Option<u32>, PageError> {
        let mut bytes = [0; LONGEST_WORD];
        self.get(self.start_of(place), &mut bytes, Self::NUMBER)?;
        let [number, check, ..] = bytes.as_chunks::<4>().0 else { return Ok(None) };
        let (number, check) = (u32::from_le_bytes(*number), u32::from_le_bytes(*check));
        Ok((check == !number).then_some(number))
    }

    /// Erases a page so that a cut in the middle is noticed.
    fn erase_noted(&mut self, page: u32) -> Result<(), PageError> {
        let before = self.before(page);
        let mut free = None;
        for note in 0..NOTES {
            let place = Place { page: before, note };
            if self.is_erased(self.start_of(place), Self::NOTE)? {
                free = Some(place);
                break;
            }
        }
        let place = free.ok_or(PageError::NoNoteLeft)?;
        let number = self.youngest.checked_add(1).ok_or(PageError::NoNoteLeft)?;
        let mut bytes = [0; LONGEST_WORD];
        for (to, from) in
            bytes.iter_mut().zip(number.to_le_bytes().into_iter().chain((!number).to_le_bytes()))
        {
            *to = from;
        }
        self.put(self.start_of(place), &bytes, Self::NUMBER)?;
        self.youngest = number;
        self.erase_whole(page)?;
        self.put(self.end_of(place), &[0; LONGEST_WORD], Self::WORD)
    }

    fn erase_whole(&mut self, page: u32) -> Result<(), PageError> {
        let start = self.part.start + page * Self::erase_len();
        now(self.flash.erase(start, start + Self::erase_len()))
    }

    fn get(&mut self, at: u32, bytes: &mut [u8], length: usize) -> Result<(), PageError> {
        now(self.flash.read(at, bytes.get_mut(..length).ok_or(PageError::Bounds)?))
    }

    fn put(&mut self, at: u32, bytes: &[u8], length: usize) -> Result<(), PageError> {
        now(self.flash.write(at, bytes.get(..length).ok_or(PageError::Bounds)?))
    }

    fn is_erased(&mut self, at: u32, length: usize) -> Result<bool, PageError> {
        let mut bytes = [0; 3 * LONGEST_WORD];
        self.get(at, &mut bytes, length)?;
        Ok(bytes.iter().take(length).all(|byte| *byte == ERASED))
    }

    fn is_page_erased(&mut self, page: u32) -> Result<bool, PageError> {
        let (mut at, end) = (page * Self::erase_len(), (page + 1) * Self::erase_len());
        while at < end {
            if !self.is_erased(self.part.start + at, Self::WORD)? {
                return Ok(false);
            }
            at += Self::word();
        }
        Ok(true)
    }

    /// The address in the flash of so many bytes that lie in one page.
    fn place(&self, offset: u32, length: usize) -> Result<u32, PageError> {
        let (page, within) = (offset / Self::page_len(), offset % Self::page_len());
        let fits = u32::try_from(length).is_ok_and(|length| length <= Self::page_len() - within);
        if page >= self.count() || !fits {
            return Err(PageError::Bounds);
        }
        Ok(self.part.start + page * Self::erase_len() + within)
    }

    /// Whether what is read at `offset` is one of the map's marks: the first or the last word of a page.
    fn mark(&self, offset: u32, length: usize) -> Option<u32> {
        let page = offset / Self::page_len() * Self::page_len();
        let last = page + Self::page_len() - Self::word();
        if length != F::READ_SIZE {
            return None;
        }
        (offset == page).then_some(page).or_else(|| (offset >= last).then_some(last))
    }
}

/// What a future of the flash gives; it is ready at once.
fn now<E>(future: impl Future<Output = Result<(), E>>) -> Result<(), PageError> {
    match super::ready::ready(future) {
        Some(Ok(())) => Ok(()),
        Some(Err(_)) | None => Err(PageError::Flash),
    }
}

impl<F> ErrorType for Pages<F> {
    type Error = PageError;
}

impl<F: Flash> ReadNorFlash for Pages<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PageError> {
        if let Some(word) = self.mark(offset, bytes.len()) {
            let erased = self.is_erased(self.place(word, Self::WORD)?, Self::WORD)?;
            bytes.fill(if erased { ERASED } else { 0 });
            return Ok(());
        }
        let at = self.place(offset, bytes.len())?;
        now(self.flash.read(at, bytes))
    }

    fn capacity(&self) -> usize {
        self.range().len()
    }
}

impl<F: Flash> NorFlash for Pages<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = Self::PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PageError> {
        if !from.is_multiple_of(Self::page_len()) || !to.is_multiple_of(Self::page_len()) {
            return Err(PageError::Bounds);
        }
        let (first, end) = (from / Self::page_len(), to / Self::page_len());
        if end > self.count() {
            return Err(PageError::Bounds);
        }
        (first..end).try_for_each(|page| self.erase_noted(page))
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PageError> {
        let at = self.place(offset, bytes.len())?;
        now(self.flash.write(at, bytes))
    }
}
