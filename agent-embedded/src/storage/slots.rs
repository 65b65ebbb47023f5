//! The two places for site images, and which of them is in force.

use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::board::Layout;

/// One of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// The first. What is written with the cable goes here.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// What is chosen once a new image in this slot has come up.
    pub(crate) const fn proven(self) -> Choice {
        Choice { in_force: self, other: Other::Before }
    }

    /// Where it is.
    pub fn range(self, layout: &Layout) -> Range<u32> {
        let [first, second] = &layout.slots;
        match self {
            Self::A => first.clone(),
            Self::B => second.clone(),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "slot A",
            Self::B => "slot B",
        })
    }
}

/// Which slot is in force, and what becomes of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The slot whose image has come up before, or was written with the cable.
    pub in_force: Slot,
    /// What is known of an image in the other slot.
    pub other: Other,
}

/// What is known of the slot that is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Other {
    /// Nothing: it may be empty, half written, or not fit for use.
    Nothing,
    /// Its image was in force before, and can be gone back to.
    Before,
    /// A new image, to be tried at the next start.
    New,
    /// A new image that a start has begun to try. Unless that start has come up, it never will.
    Tried,
}

impl Choice {
    /// After the cable: the first slot.
    pub const FIRST: Self = Self { in_force: Slot::A, other: Other::Nothing };

    /// The same slot in force, and this about the other.
    pub const fn with(self, other: Other) -> Self {
        Self { other, ..self }
    }
}
