//! What is done to a journal, and what must be found in it afterwards.

use std::collections::BTreeMap;

use knockgate_core::book::BookId;
use knockgate_core::replay::{Span, Used};
use knockgate_core::site::Owner;
use knockgate_core::{ClientId, Outcome, Record};
use knockgate_gateway::board::Layout;
use knockgate_gateway::storage::{self, Journal, JournalError, Recalled, Use};

use crate::stage::chip::{Chip, Noise};

/// The owner's page, two slots of a page that nobody uses here, and so many pages of journal.
pub(crate) fn layout(page: usize, journal: usize) -> Layout {
    let bound = |pages: usize| u32::try_from(pages * page).unwrap();
    Layout {
        owner: bound(0)..bound(1),
        slots: [bound(1)..bound(2), bound(2)..bound(3)],
        journal: bound(3)..bound(3 + journal),
    }
}

/// A chip on which the owner was written with the cable, and nothing else.
pub(crate) fn installed<const WORD: usize, const PAGE: usize>(journal: usize) -> Chip<WORD, PAGE> {
    let chip = Chip::new(3 + journal);
    let mut buffer = [0; Owner::MAX_LEN];
    let owner = Owner { key_id: [7; 8], key: [9; 32] };
    chip.flash(layout(PAGE, journal).owner, owner.encode(&mut buffer).unwrap());
    chip
}

/// Starts: reads the owner's page and the journal.
pub(crate) fn start<const WORD: usize, const PAGE: usize>(
    chip: &Chip<WORD, PAGE>,
    journal: usize,
) -> Result<(Journal<Chip<WORD, PAGE>>, Recalled), JournalError> {
    let layout = layout(PAGE, journal);
    let (_, used) = storage::read_owner(&mut chip.clone(), &layout.owner).unwrap();
    Journal::open(chip.clone(), layout, used)
}

pub(crate) fn is_fresh<const WORD: usize, const PAGE: usize>(chip: &Chip<WORD, PAGE>) -> bool {
    let (_, used) = storage::read_owner(&mut chip.clone(), &layout(PAGE, 2).owner).unwrap();
    used == Use::Fresh
}

/// What was reported as stored, and what was only tried.
#[derive(Clone, Default)]
pub(crate) struct Model {
    counters: BTreeMap<u32, (u64, u64)>,
    cursors: BTreeMap<u8, (u32, u32)>,
    next: u64,
}

impl Model {
    /// Remembers a few things more, until something fails. Clients and books take turns at random.
    pub(crate) fn run<const WORD: usize, const PAGE: usize>(
        &mut self,
        journal: &mut Journal<Chip<WORD, PAGE>>,
        stores: u32,
        noise: &mut Noise,
    ) -> bool {
        (0..stores).all(|_| {
            let record = self.record(noise);
            let outcome = journal.remember(&record);
            self.note(&record, outcome);
            outcome == Outcome::Done
        })
    }

    fn record(&mut self, noise: &mut Noise) -> Record {
        self.next += 1 + noise.next() % 1000;
        let number = noise.next();
        let client = ClientId(u32::try_from(number % 5).unwrap());
        let ahead =
            number.is_multiple_of(3).then_some(Span { first: u64::MAX - 9, last: u64::MAX - self.next % 9 });
        let used = Used { last: self.next, ahead, code_step: self.next / 30 };
        if number.is_multiple_of(4) {
            let book = u8::try_from(number % 3).unwrap();
            let next = self.cursors.get(&book).map_or(0, |(_, tried)| *tried) + 1;
            return Record::Offer { client, used, book: BookId([book; 8]), next };
        }
        Record::Counter { client, used }
    }

    fn note(&mut self, record: &Record, outcome: Outcome) {
        let done = outcome == Outcome::Done;
        let (Record::Counter { client, used } | Record::Offer { client, used, .. }) = *record;
        let (stored, tried) = self.counters.entry(client.0).or_default();
        *tried = used.last;
        *stored = if done { used.last } else { *stored };
        let Record::Offer { book, next, .. } = *record else { return };
        let (stored, tried) = self.cursors.entry(book.0[0]).or_default();
        *tried = next;
        *stored = if done { next } else { *stored };
    }

    /// What is recalled is nothing lower than what was reported as stored, and nothing that was never tried.
    pub(crate) fn check(&mut self, recalled: &Recalled, case: &str) {
        for (client, (stored, tried)) in &mut self.counters {
            let last = recalled.used(ClientId(*client)).last;
            assert!(
                (*stored..=*tried).contains(&last),
                "{case}: client {client} has {last}, not {stored}..={tried}"
            );
            (*stored, *tried) = (last, last);
        }
        for (book, (stored, tried)) in &mut self.cursors {
            let next = recalled.cursor(BookId([*book; 8]));
            assert!(
                (*stored..=*tried).contains(&next),
                "{case}: book {book} has {next}, not {stored}..={tried}"
            );
            (*stored, *tried) = (next, next);
        }
    }
}
