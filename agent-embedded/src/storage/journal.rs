//! The journal: what must outlast a power cut, as one map in flash.
//!
//! A value is the old one or the new one whenever the power is cut, and the new one as soon as [`Journal::remember`] has said
//! so. It is all read once, at the start; afterwards the journal is only written to. What the flash refuses to take is not
//! remembered, and whoever asked is told.
//!
//! Wear: on a chip with words of 32 bytes (STM32H743) the counter of a client with a calendar takes 64 bytes. So a page bears
//! 1006 stores, less what is carried over from the page before, until the next one is erased; that store then takes as long
//! as an erasure. What is stored of a client stays after its enrolment has ended, so that its number can never be used again;
//! a journal that is full of such takes nothing new, and refuses.

use alloc::vec::Vec;
use core::fmt;

use knockgate_core::book::BookId;
use knockgate_core::replay::Used;
use knockgate_core::{ClientId, Outcome, Record};
use sequential_storage::cache::Cache;
use sequential_storage::cache::key_pointers::HeapKeyPointers;
use sequential_storage::cache::page_pointers::HeapPagePointers;
use sequential_storage::cache::page_states::HeapPageStates;
use sequential_storage::map::{MapConfig, MapStorage};
use serde::{Deserialize, Serialize};

use crate::board::{Flash, Layout};
use crate::storage::numbers::{Numbers, PolicyId};
use crate::storage::owner::{self, Use};
use crate::storage::pages::Pages;
use crate::storage::ready::ready;
use crate::storage::slots::Choice;

/// Bytes of the longest value with its key, a multiple of every word: the numbers of a policy, 16 times 15 bytes.
const LONGEST: usize = 288;
/// Keys whose places are remembered, at 16 bytes each, so that moving the journal need not search for them: a counter and a cursor
/// for each of 64 clients, four policies, and what there is one of.
const PLACES: usize = 140;

/// A key as bytes: what it is, then which.
type Key = [u8; 9];
type Map<F> = MapStorage<Key, Pages<F>, Cache<HeapPageStates, HeapPagePointers, HeapKeyPointers<Key>, Key>>;

/// Everything that is kept under a key of its own. Their numbers are in flash and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Counter(ClientId),
    Cursor(BookId),
    Numbers(PolicyId),
    Choice,
    Begun,
}

/// The journal in flash.
pub struct Journal<F: Flash> {
    map: Map<F>,
    layout: Layout,
    pub(crate) numbers: Vec<(PolicyId, Numbers)>,
}

/// What was in the journal at the start.
#[derive(Debug, Default)]
pub struct Recalled {
    /// What clients have used up.
    pub counters: Vec<(ClientId, Used)>,
    /// Numbers of books that were never offered.
    pub cursors: Vec<(BookId, u32)>,
    /// The slot in force; none if only the cable has ever written one.
    pub choice: Option<Choice>,
    begun: bool,
}

/// Why the journal cannot be used. The gate stays shut: nobody knows what was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// It is empty, and the gateway was in use.
    Lost,
    /// It cannot be read.
    Damaged,
    /// It does not take anything.
    ReadOnly,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Lost => "the journal is empty although this gateway was in use",
            Self::Damaged => "the journal is damaged",
            Self::ReadOnly => return f.write_str("the flash does not take the journal; the board is broken"),
        };
        write!(
            f,
            "{what}, so knocks that were used could be played again; make the site anew, with new keys for gate and clients, and \
             write owner and site with the cable"
        )
    }
}

impl core::error::Error for JournalError {}

/// The flash or the journal in it has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotStored;

impl<F: Flash> Journal<F> {
    /// Reads the journal; begins one if the gateway was never in use. `layout` was checked.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(flash: F, layout: Layout, used: Use) -> Result<(Self, Recalled), JournalError> {
        let pages = Pages::open(flash, layout.journal.clone()).map_err(|_| JournalError::Damaged)?;
        let mut journal = Self { map: map(pages)?, layout, numbers: Vec::new() };
        let recalled = journal.recall();
        match (recalled, used) {
            (Ok(recalled), Use::Begun) if recalled.begun => Ok((journal, recalled)),
            (Ok(recalled), Use::Fresh) if recalled.begun => journal.mark_begun(recalled),
            (Ok(_), Use::Begun) => Err(JournalError::Lost),
            (Err(_), Use::Begun) => Err(JournalError::Damaged),
            // Nothing was stored before the mark on the owner's page, so nothing counts.
            (Ok(_) | Err(_), Use::Fresh) => journal.begin(),
        }
    }

    fn begin(self) -> Result<(Self, Recalled), JournalError> {
        let Self { map: old, layout, .. } = self;
        let (mut pages, _) = old.destroy();
        pages.clear().map_err(|_| JournalError::ReadOnly)?;
        let mut journal = Self { map: map(pages)?, layout, numbers: Vec::new() };
        journal.store(Entry::Begun, &()).map_err(|NotStored| JournalError::ReadOnly)?;
        journal.mark_begun(Recalled { begun: true, ..Recalled::default() })
    }

    fn mark_begun(mut self, recalled: Recalled) -> Result<(Self, Recalled), JournalError> {
        let page = self.layout.owner.clone();
        if owner::begin(self.flash_mut(), &page) { Ok((self, recalled)) } else { Err(JournalError::ReadOnly) }
    }

    /// Makes `record` durable.
    pub fn remember(&mut self, record: &Record) -> Outcome {
        let stored = match *record {
            Record::Counter { client, used } => self.store(Entry::Counter(client), &used),
            // The cursor first: if the power is cut between the two, a number is lost and not offered twice.
            Record::Offer { client, used, book, next } => self
                .store(Entry::Cursor(book), &next)
                .and_then(|()| self.store(Entry::Counter(client), &used)),
        };
        stored.map_or(Outcome::Failed, |()| Outcome::Done)
    }

    /// Makes the choice of a slot durable.
    ///
    /// # Errors
    /// [`NotStored`].
    pub fn choose(&mut self, choice: Choice) -> Result<(), NotStored> {
        self.store(Entry::Choice, &choice)
    }

    /// Makes all numbers of a policy durable, in place of those before.
    pub(crate) fn store_numbers(&mut self, policy: PolicyId, numbers: &Numbers) -> Result<(), NotStored> {
        self.store(Entry::Numbers(policy), numbers)
    }

    /// Where everything is.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The flash, beyond the journal.
    pub(crate) fn flash_mut(&mut self) -> &mut F {
        self.map.flash().flash()
    }

    /// The bytes of `range`, until the next write. See [`Flash::lend`].
    pub(crate) fn look(&mut self, range: core::ops::Range<u32>) -> &[u8] {
        super::look(self.map.flash().flash_ref(), range)
    }

    fn store(&mut self, entry: Entry, value: &impl Serialize) -> Result<(), NotStored> {
        let (mut value_bytes, mut buffer) = ([0; LONGEST], [0; LONGEST]);
        let value: &[u8] = postcard::to_slice(value, &mut value_bytes).map_err(|_| NotStored)?;
        match ready(self.map.store_item(&mut buffer, &entry.key(), &value)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(NotStored),
        }
    }

    /// Reads everything, the oldest first.
    fn recall(&mut self) -> Result<Recalled, Unreadable> {
        let mut buffer = [0; LONGEST];
        let mut recalled = Recalled::default();
        let mut items =
            ready(self.map.fetch_all_items(&mut buffer)).ok_or(Unreadable)?.map_err(|_| Unreadable)?;
        let numbers = &mut self.numbers;
        while let Some((key, value)) =
            ready(items.next::<&[u8]>(&mut buffer)).ok_or(Unreadable)?.map_err(|_| Unreadable)?
        {
            // What a later firmware has stored is left as it is.
            let Some(entry) = Entry::of(&key) else { continue };
            recalled.take(entry, value, numbers)?;
        }
        Ok(recalled)
    }
}

/// The journal cannot be read.
struct Unreadable;

impl Recalled {
    fn take(
        &mut self,
        entry: Entry,
        value: &[u8],
        numbers: &mut Vec<(PolicyId, Numbers)>,
    ) -> Result<(), Unreadable> {
        match entry {
            Entry::Counter(client) => {
                let used: Used = read(value)?;
                let before = put(&mut self.counters, client, used);
                *before = before.merged(used);
            }
            Entry::Cursor(book) => {
                let next = read(value)?;
                let before = put(&mut self.cursors, book, next);
                *before = next.max(*before);
            }
            Entry::Numbers(policy) => {
                let all: Numbers = read(value)?;
                *put(numbers, policy, Numbers::new()) = all;
            }
            Entry::Choice => self.choice = Some(read(value)?),
            Entry::Begun => self.begun = true,
        }
        Ok(())
    }

    /// What a client has used up.
    pub fn used(&self, client: ClientId) -> Used {
        self.counters.iter().find(|(known, _)| *known == client).map_or(Used::NOTHING, |(_, used)| *used)
    }

    /// The first number of a book that was never offered.
    pub fn cursor(&self, book: BookId) -> u32 {
        self.cursors.iter().find(|(known, _)| *known == book).map_or(0, |(_, next)| *next)
    }
}

/// The value under `key`, put there if there is none.
fn put<K: PartialEq, V>(list: &mut Vec<(K, V)>, key: K, value: V) -> &mut V {
    let at = list.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        list.push((key, value));
        list.len() - 1
    });
    let (_, value) = list.get_mut(at).expect("the position was found in this very list or is its end");
    value
}

fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, Unreadable> {
    postcard::take_from_bytes(value).map(|(value, _)| value).map_err(|_| Unreadable)
}

fn map<F: Flash>(pages: Pages<F>) -> Result<Map<F>, JournalError> {
    let config = MapConfig::try_new(pages.range()).map_err(|_| JournalError::ReadOnly)?;
    let count = usize::try_from(pages.count()).map_err(|_| JournalError::ReadOnly)?;
    let cache =
        Cache::new(HeapPageStates::new(count), HeapPagePointers::new(count), HeapKeyPointers::new(PLACES));
    Ok(MapStorage::new(pages, config, cache))
}

impl Entry {
    fn key(self) -> Key {
        let mut key = [0; 9];
        let (kind, rest): (u8, &[u8]) = match &self {
            Self::Counter(ClientId(id)) => (1, &id.to_le_bytes()),
            Self::Cursor(BookId(id)) => (2, id),
            Self::Numbers(PolicyId(id)) => (3, id),
            Self::Choice => (4, &[]),
            Self::Begun => (5, &[]),
        };
        for (to, from) in key.iter_mut().zip([kind].iter().chain(rest)) {
            *to = *from;
        }
        key
    }

    fn of(key: &Key) -> Option<Self> {
        let [kind, id @ ..] = *key;
        let [a, b, c, d, ..] = id;
        match kind {
            1 => Some(Self::Counter(ClientId(u32::from_le_bytes([a, b, c, d])))),
            2 => Some(Self::Cursor(BookId(id))),
            3 => Some(Self::Numbers(PolicyId(id))),
            4 => Some(Self::Choice),
            5 => Some(Self::Begun),
            _ => None,
        }
    }
}
