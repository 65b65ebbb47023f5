//! Where boards keep a site, apart from the firmware: one table for the firmware that reads it and for the tools that write
//! it.
//!
//! A board's *site region* is a part of its flash that holds nothing else. At fixed places in it are the owner's key, two
//! slots for site images and the journal of what has been used up. All places are multiples of the size that the chip erases
//! at once, and count from the first byte of the region.

use core::ops::Range;

/// What an erased byte of flash reads as.
pub const ERASED: u8 = 0xff;

/// A kind of board and its site region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// What the tools call it.
    pub name: &'static str,
    /// Where a flasher writes the region to; 0 if the region is a chip or a file of its own.
    pub address: u32,
    /// Bytes that are erased at once.
    pub erase: u32,
    /// The owner's key.
    pub owner: Range<u32>,
    /// The site images; what is written with the cable goes into the first.
    pub slots: [Range<u32>; 2],
    /// What has been used up.
    pub journal: Range<u32>,
    /// Bytes of the region.
    pub size: u32,
}

const KIB: u32 = 1024;

/// QEMU's riscv32 machine `virt`: its second flash chip, which the firmware leaves alone.
pub const QEMU: Board = Board {
    name: "qemu-riscv32",
    address: 0,
    erase: 256 * KIB,
    owner: 0..256 * KIB,
    slots: [256 * KIB..768 * KIB, 768 * KIB..1280 * KIB],
    journal: 1280 * KIB..2304 * KIB,
    size: 32 * KIB * KIB,
};

/// STM32H743: the second bank of its flash, eight sectors. The firmware is in the first.
pub const STM32H743: Board = Board {
    name: "stm32h743",
    address: 0x0810_0000,
    erase: 128 * KIB,
    owner: 0..128 * KIB,
    slots: [128 * KIB..384 * KIB, 384 * KIB..640 * KIB],
    journal: 640 * KIB..1024 * KIB,
    size: 1024 * KIB,
};

/// Every board.
pub const ALL: [&Board; 2] = [&QEMU, &STM32H743];

/// The board of that name.
pub fn find(name: &str) -> Option<&'static Board> {
    ALL.into_iter().find(|board| board.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_begins_where_the_one_before_ends_and_is_erased_alone() {
        for board in ALL {
            let [first, second] = &board.slots;
            let mut end = 0;
            for part in [&board.owner, first, second, &board.journal] {
                assert_eq!(part.start, end, "{}", board.name);
                assert!(part.start < part.end && part.end % board.erase == 0, "{}", board.name);
                end = part.end;
            }
            assert!(end <= board.size && board.size % board.erase == 0, "{}", board.name);
        }
    }

    #[test]
    fn both_slots_hold_the_same_and_a_journal_moves_to_a_fresh_page() {
        for board in ALL {
            let [first, second] = &board.slots;
            assert_eq!(first.len(), second.len());
            assert!(board.journal.len() >= 2 * board.erase as usize, "{}", board.name);
        }
    }
}
