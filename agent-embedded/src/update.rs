//! A new site image over the air: received into the slot that is not in force, checked as a start checks it, and only then
//! chosen for the next start.
//!
//! Whatever interrupts it, the image in force stays in force. What was received and is not fit for use is wiped out, so that
//! no later start can fall back to it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Range;

use knockgate_core::key::GateId;
use spin::Mutex;

use crate::board::Flash;
use crate::site::{Fit, Judge, Unfit};
use crate::storage::{Choice, Journal, Other, Slot, ready};

/// Takes a new site image, piece by piece.
pub trait Updates {
    /// Bytes of the longest image, with its signature.
    fn room(&self) -> u32;

    /// An image of so many bytes begins. One that was begun before is given up.
    ///
    /// # Errors
    /// It cannot be taken.
    fn begin(&mut self, length: u32) -> Result<(), UpdateError>;

    /// Takes the piece that begins at byte `at`, and returns where the next one begins. A piece that was taken already is
    /// answered likewise, so that it can be sent again.
    ///
    /// # Errors
    /// It is not the next one, or it cannot be stored.
    fn piece(&mut self, at: u32, bytes: &[u8]) -> Result<u32, UpdateError>;

    /// Checks the whole image and chooses it for the next start.
    ///
    /// # Errors
    /// It is not fit for use; the image in force stays as it is.
    fn finish(&mut self) -> Result<(), UpdateError>;
}

/// Why an image was not taken.
#[derive(Debug)]
pub enum UpdateError {
    /// It does not fit into its slot.
    TooLong {
        /// Bytes of the longest one.
        room: u32,
    },
    /// Another piece comes next.
    NotNext {
        /// Where it begins.
        next: u32,
    },
    /// More has come than was announced.
    TooMuch,
    /// Nothing was begun, or not everything has come.
    Unfinished,
    /// It is longer or shorter than was announced.
    Length,
    /// It is not fit for use here.
    Unfit(Box<Unfit>),
    /// It is the image of another gate.
    OtherGate,
    /// It is not newer than the one in force.
    NotNewer {
        /// Its number.
        serial: u32,
        /// That of the image in force.
        in_force: u32,
    },
    /// The flash failed.
    Flash,
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { room } => {
                write!(
                    f,
                    "the image is longer than the {room} bytes of its slot; leave policies or clients out"
                )
            }
            Self::NotNext { next } => write!(f, "the next piece begins at byte {next}; send that one"),
            Self::TooMuch => {
                f.write_str("more has come than was announced; send the image from the beginning")
            }
            Self::Unfinished => f.write_str("the image has not come as a whole; send it from the beginning"),
            Self::Length => f.write_str(
                "the image is not as long as was announced; send the whole file, and nothing else",
            ),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::OtherGate => {
                f.write_str("this is the image of another gate; send it there, or write it with the cable")
            }
            Self::NotNewer { serial, in_force } => write!(
                f,
                "image {serial} is not newer than image {in_force}, which is in force; make a new one, or write it with the cable"
            ),
            Self::Flash => f.write_str(
                "the flash did not take the image; send it again, and if it fails again the board is broken",
            ),
        }
    }
}

impl core::error::Error for UpdateError {}

/// The new image of a gateway whose image in force is known.
pub struct Updater<F: Flash> {
    journal: Arc<Mutex<Journal<F>>>,
    judge: Judge,
    in_force: InForce,
    state: State,
}

/// The image that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Where it lies.
    pub slot: Slot,
    /// Its number.
    pub serial: u32,
    /// Whose it is.
    pub gate: GateId,
}

enum State {
    Idle,
    Receiving(Receiving),
    /// Another image is chosen for the next start.
    Chosen,
}

/// Bytes of the longest word of a flash.
const LONGEST_WORD: usize = 32;

struct Receiving {
    length: u32,
    /// Bytes that have come.
    come: u32,
    /// The bytes since the last whole word.
    rest: heapless::Vec<u8, LONGEST_WORD>,
}

impl<F: Flash> Updater<F> {
    /// For a gateway with that image in force.
    pub fn new(journal: Arc<Mutex<Journal<F>>>, judge: Judge, in_force: InForce) -> Self {
        Self { journal, judge, in_force, state: State::Idle }
    }

    /// Whether another image is chosen for the next start.
    pub fn is_chosen(&self) -> bool {
        matches!(self.state, State::Chosen)
    }

    /// The image in force.
    pub fn in_force(&self) -> InForce {
        self.in_force
    }

    fn place(&self) -> Range<u32> {
        self.in_force.slot.other().range(self.journal.lock().layout())
    }

    /// Checks what was received.
    fn judge(&self, length: u32) -> Result<(), UpdateError> {
        let place = self.place();
        let mut journal = self.journal.lock();
        let bytes = journal.look(place.start..place.start.saturating_add(length));
        let Fit { site, length: whole, .. } =
            self.judge.examine(bytes).map_err(|unfit| UpdateError::Unfit(Box::new(unfit)))?;
        let (serial, in_force) = (site.head.serial, self.in_force.serial);
        if whole != bytes.len() {
            return Err(UpdateError::Length);
        }
        if site.head.gate != self.in_force.gate {
            return Err(UpdateError::OtherGate);
        }
        if serial <= in_force {
            return Err(UpdateError::NotNewer { serial, in_force });
        }
        Ok(())
    }

    fn choose(&self, other: Other) -> Result<(), UpdateError> {
        let choice = Choice { in_force: self.in_force.slot, other };
        self.journal.lock().choose(choice).map_err(|_| UpdateError::Flash)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), UpdateError> {
        let place = self.place();
        let State::Receiving(receiving) = &mut self.state else { return Err(UpdateError::Unfinished) };
        let mut journal = self.journal.lock();
        for byte in bytes {
            receiving.come += 1;
            // There is room: a whole word is written at once.
            let _ = receiving.rest.push(*byte);
            if receiving.rest.len() == word_len::<F>() {
                receiving.write(journal.flash_mut(), &place)?;
            }
        }
        Ok(())
    }

    /// Writes what is left of the last word.
    fn end(&mut self) -> Result<u32, UpdateError> {
        let place = self.place();
        let State::Receiving(receiving) = &mut self.state else { return Err(UpdateError::Unfinished) };
        if receiving.come != receiving.length {
            return Err(UpdateError::Unfinished);
        }
        if !receiving.rest.is_empty() {
            let _ = receiving.rest.resize(word_len::<F>(), knockgate_core::board::ERASED);
            receiving.write(self.journal.lock().flash_mut(), &place)?;
        }
        Ok(receiving.length)
    }
}

impl<F: Flash> Updates for Updater<F> {
    fn room(&self) -> u32 {
        let place = self.place();
        place.end - place.start
    }

    fn begin(&mut self, length: u32) -> Result<(), UpdateError> {
        let room = self.room();
        if length > room {
            return Err(UpdateError::TooLong { room });
        }
        // From here on there is no going back to what is there now.
        self.choose(Other::Nothing)?;
        self.state = State::Receiving(Receiving { length, come: 0, rest: heapless::Vec::new() });
        Ok(())
    }

    fn piece(&mut self, at: u32, bytes: &[u8]) -> Result<u32, UpdateError> {
        let State::Receiving(Receiving { length, come, .. }) = self.state else {
            return Err(UpdateError::Unfinished);
        };
        let end = u32::try_from(bytes.len()).ok().and_then(|length| at.checked_add(length));
        let end = end.filter(|end| *end <= length).ok_or(UpdateError::TooMuch)?;
        if at != come {
            return if end <= come { Ok(come) } else { Err(UpdateError::NotNext { next: come }) };
        }
        self.take(bytes).inspect_err(|_| self.state = State::Idle)?;
        Ok(end)
    }

    fn finish(&mut self) -> Result<(), UpdateError> {
        let length = self.end()?;
        self.state = State::Idle;
        if let Err(error) = self.judge(length) {
            let place = self.place();
            wipe(self.journal.lock().flash_mut(), place).map_err(|Broken| UpdateError::Flash)?;
            return Err(error);
        }
        self.choose(Other::New)?;
        self.state = State::Chosen;
        Ok(())
    }
}

impl Receiving {
    /// Writes the word that is whole. Where it is the first of an erasure, that is done before.
    fn write<F: Flash>(&mut self, flash: &mut F, place: &Range<u32>) -> Result<(), UpdateError> {
        let written = (self.come - 1) / word::<F>() * word::<F>();
        let at = place.start + written;
        let page = u32::try_from(F::ERASE_SIZE).map_err(|_| UpdateError::Flash)?;
        if at.is_multiple_of(page) {
            stored(flash.erase(at, at + page))?;
        }
        stored(flash.write(at, &self.rest))?;
        self.rest.clear();
        Ok(())
    }
}

/// The flash has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Makes the image in `place` unreadable.
pub(crate) fn wipe<F: Flash>(flash: &mut F, place: Range<u32>) -> Result<(), Broken> {
    let page = u32::try_from(F::ERASE_SIZE).map_err(|_| Broken)?;
    stored(flash.erase(place.start, place.start + page)).map_err(|_| Broken)
}

fn stored<E>(future: impl Future<Output = Result<(), E>>) -> Result<(), UpdateError> {
    match ready(future) {
        Some(Ok(())) => Ok(()),
        Some(Err(_)) | None => Err(UpdateError::Flash),
    }
}

const fn word_len<F: Flash>() -> usize {
    if F::WRITE_SIZE > F::READ_SIZE { F::WRITE_SIZE } else { F::READ_SIZE }
}

#[expect(clippy::cast_possible_truncation, reason = "a layout was checked to have words of 32 bytes at most")]
const fn word<F: Flash>() -> u32 {
    word_len::<F>() as u32
}
