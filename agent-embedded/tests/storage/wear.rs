//! How many stores a page bears, as the journal's documentation says, and which layouts leave room for that.

use knockgate_core::board;
use knockgate_core::replay::Used;
use knockgate_core::{ClientId, Outcome, Record};
use knockgate_gateway::board::Layout;
use knockgate_gateway::storage::LayoutError;

use crate::script::{installed, start};
use crate::stage::chip::Chip;

const SECTOR: usize = 128 * 1024;

#[test]
fn a_page_of_an_stm32h743_bears_a_thousand_stores() {
    let chip = installed::<32, SECTOR>(2);
    let (mut journal, _) = start(&chip, 2).unwrap();
    let mut stores = 0;
    // A store is three words; the one that begins the next page takes more.
    let mut before = chip.steps();
    while chip.steps() - before <= 3 {
        before = chip.steps();
        let used = Used { last: 1_790_000_000_000_000 + stores, ahead: None, code_step: 0 };
        let outcome = journal.remember(&Record::Counter { client: ClientId(1), used });
        assert_eq!(outcome, Outcome::Done);
        stores += 1;
    }
    // The journal's own mark is in that page, too, and the last store is in the next one.
    assert_eq!(stores - 1, 1006);
}

#[test]
fn the_boards_that_the_tools_know_have_layouts_that_work() {
    let check = |board: &board::Board| match board.erase {
        0x2_0000 => Layout::from(board).check::<Chip<32, 0x2_0000>>(board.size as usize),
        0x4_0000 => Layout::from(board).check::<Chip<4, 0x4_0000>>(board.size as usize),
        other => panic!("{} erases {other} bytes: add its kind of chip here", board.name),
    };
    for board in board::ALL {
        assert_eq!(check(board), Ok(()), "{}", board.name);
    }
}

#[test]
fn a_layout_that_cannot_work_is_refused_with_what_to_do() {
    let good = Layout { owner: 0..4096, slots: [4096..8192, 8192..12_288], journal: 12_288..65_536 };
    let check = |layout: &Layout| layout.check::<Chip<4, 4096>>(65_536);
    assert_eq!(check(&good), Ok(()));
    #[rustfmt::skip]
    let cases: [(u32, Layout, LayoutError); 6] = [
        (1, Layout { owner: 0..0, ..good.clone() }, LayoutError::Part(0..0)),
        (2, Layout { owner: 0..100, ..good.clone() }, LayoutError::Part(0..100)),
        (3, Layout { journal: 12_288..69_632, ..good.clone() }, LayoutError::Part(12_288..69_632)),
        (4, Layout { slots: [4096..8192, 4096..8192], ..good.clone() }, LayoutError::Overlap(4096..8192, 4096..8192)),
        (5, Layout { owner: 4096..8192, ..good.clone() }, LayoutError::Overlap(4096..8192, 4096..8192)),
        (6, Layout { journal: 12_288..20_480, ..good.clone() }, LayoutError::Journal { least: 13 * 4096 }),
    ];
    for (case, layout, error) in cases {
        assert_eq!(check(&layout), Err(error.clone()), "case {case}");
        assert!(error.to_string().ends_with("mend the board's layout"), "case {case}: {error}");
    }
    let words = good.check::<Chip<64, 4096>>(65_536);
    assert_eq!(words, Err(LayoutError::Words));
}
