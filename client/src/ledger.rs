//! What a profile has used up: its last counter, and the highest number of every knock book.
//!
//! A counter that was sent once is worthless to everybody and must not be sent again, so it is on disk before the message
//! leaves. A number that was offered is on disk before the last port of its sequence is knocked: should the gate ever offer
//! it again, its state was rolled back, and the sequence may already be known to whoever listened. So no sequence is knocked
//! to its end twice. The disk works while the ports before the last one are knocked. Rule: `docs/protocol.md`, section 6.5.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use knockgate_core::book::BookId;
use knockgate_core::limits::MAX_AHEAD;
use knockgate_core::replay::{counter_after_silence, next_counter};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::private_file::{self, FileFault, plain};

/// Counters that are reserved with one write: a knock asks a handful of questions and shall not wait for the disk each time.
const RESERVE: u64 = 64;
/// How far ahead of this machine's clock a counter may jump. A gate keeps counters apart that are twice as far ahead of its
/// own; and nobody is silent so often because of a crash.
const FARTHEST: Duration = Duration::from_secs(MAX_AHEAD.as_secs() / 2);
/// Two hundred books of one profile; more is no ledger of ours.
const MAX_FILE: usize = 16 * 1024;
/// How often it is tried again to lock a ledger that another client has.
const LOCK_RETRY: Duration = Duration::from_millis(20);

#[derive(Debug, Error)]
pub(crate) enum LedgerFault {
    #[error(transparent)]
    File(#[from] FileFault),
    #[error(
        "{}: damaged ({source}); delete it: counters then start again from the clock, \
         but which numbers of the book were used is no longer known here", .path.display()
    )]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error(
        "another knockgate uses this profile; wait until it has finished, or give it longer with --timeout"
    )]
    InUse,
    #[error("{}: cannot lock: {}; keep the client's directory on a disk that knows file locks", .path.display(), plain(.source))]
    Lock { path: PathBuf, source: io::Error },
    #[error(
        "the counters of this profile are used up, because this machine's clock once was at the end of time; \
         ask the gate's administrator for a new profile"
    )]
    NoCounters,
}

/// The ledger of one profile, locked against other clients on this machine.
pub(crate) struct Ledger {
    path: PathBuf,
    entries: Entries,
    /// The counter that was handed out last; those up to `entries.counter` may follow without a write.
    last: u64,
    /// Puts the newest entries on disk, aside.
    writing: Option<JoinHandle<Result<(), FileFault>>>,
    _lock: File,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Entries {
    /// No counter above this one was ever sent.
    counter: u64,
    /// The highest number that was offered, by book.
    #[serde(default)]
    used: BTreeMap<String, u32>,
}

/// A number that was offered before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsedBefore {
    pub(crate) highest: u32,
}

impl Ledger {
    /// Opens the ledger at `path`. Calls `waiting` once if another client has it, and gives up at `deadline`.
    pub(crate) fn open(path: &Path, deadline: Instant, waiting: impl FnOnce()) -> Result<Self, LedgerFault> {
        let lock = lock(&path.with_extension("lock"), deadline, waiting)?;
        let entries = if path.exists() { parse(path)? } else { Entries::default() };
        Ok(Self { path: path.to_owned(), last: entries.counter, entries, writing: None, _lock: lock })
    }

    /// A counter above every earlier one, which no crash can make this client use again.
    pub(crate) fn next_counter(&mut self) -> Result<u64, LedgerFault> {
        let reserved = self.last.checked_add(1).filter(|&counter| counter <= self.entries.counter);
        let counter = match reserved {
            Some(counter) => counter,
            None => {
                let counter = next_counter(self.entries.counter, unix_micros());
                self.reserve_from(counter.ok_or(LedgerFault::NoCounters)?)?
            }
        };
        self.last = counter;
        Ok(counter)
    }

    /// A counter for a question that was met with silence before: beyond all that a crash of the gate may have burnt.
    pub(crate) fn counter_after_silence(&mut self) -> Result<u64, LedgerFault> {
        let now = unix_micros();
        let farthest = now.saturating_add(u64::try_from(FARTHEST.as_micros()).unwrap_or(u64::MAX));
        if self.last > farthest {
            return self.next_counter();
        }
        let counter = counter_after_silence(self.last, now).ok_or(LedgerFault::NoCounters)?;
        self.reserve_from(counter)
    }

    /// Notes that `number` is used up from now on. It is on its way to the disk then; [`Ledger::settle`] waits for it.
    pub(crate) fn use_number(
        &mut self,
        book: BookId,
        number: u32,
    ) -> Result<Result<(), UsedBefore>, LedgerFault> {
        let book = book.to_string();
        if let Some(&highest) = self.entries.used.get(&book).filter(|&&highest| number <= highest) {
            return Ok(Err(UsedBefore { highest }));
        }
        self.entries.used.insert(book, number);
        self.store_aside()?;
        Ok(Ok(()))
    }

    /// Waits until everything that was noted is on disk.
    pub(crate) fn settle(&mut self) -> Result<(), LedgerFault> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(written?)
    }

    fn reserve_from(&mut self, counter: u64) -> Result<u64, LedgerFault> {
        self.entries.counter = self.entries.counter.max(counter.saturating_add(RESERVE - 1));
        self.store()?;
        self.last = counter;
        Ok(counter)
    }

    fn store(&mut self) -> Result<(), LedgerFault> {
        self.settle()?;
        Ok(private_file::write(&self.path, &self.json())?)
    }

    fn store_aside(&mut self) -> Result<(), LedgerFault> {
        self.settle()?;
        let (path, json) = (self.path.clone(), self.json());
        let writing = thread::Builder::new().name("ledger".into());
        match writing.spawn(move || private_file::write(&path, &json)) {
            Ok(writing) => self.writing = Some(writing),
            // No room for a thread: then it takes its time here.
            Err(_) => self.store()?,
        }
        Ok(())
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(&self.entries).expect("a ledger is plain JSON")
    }
}

/// What is being written is on disk, whole, before another client may have the ledger.
impl Drop for Ledger {
    fn drop(&mut self) {
        // Whoever wanted to know has asked before.
        let _ = self.writing.take().map(JoinHandle::join);
    }
}

fn parse(path: &Path) -> Result<Entries, LedgerFault> {
    let bytes = private_file::read(path, MAX_FILE)?;
    serde_json::from_slice(&bytes).map_err(|source| LedgerFault::Damaged { path: path.to_owned(), source })
}

fn lock(path: &Path, deadline: Instant, waiting: impl FnOnce()) -> Result<File, LedgerFault> {
    let file = private_file::open_or_create(path)?;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                thread::sleep(LOCK_RETRY);
            }
            Err(TryLockError::WouldBlock) => return Err(LedgerFault::InUse),
            Err(TryLockError::Error(source)) => {
                return Err(LedgerFault::Lock { path: path.to_owned(), source });
            }
        }
    }
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: BookId = BookId([1; 8]);

    fn open(path: &Path) -> Ledger {
        Ledger::open(path, Instant::now(), || ()).unwrap()
    }

    #[test]
    fn counters_rise_within_a_run_and_over_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.json");
        let mut last = 0;
        for _ in 0..3 {
            let mut ledger = open(&path);
            for _ in 0..RESERVE + 10 {
                let counter = ledger.next_counter().unwrap();
                assert!(counter > last);
                last = counter;
            }
        }
    }

    #[test]
    fn a_counter_is_on_disk_before_it_is_handed_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.json");
        let mut ledger = open(&path);
        for _ in 0..2 * RESERVE + 1 {
            let counter = ledger.next_counter().unwrap();
            assert!(parse(&path).unwrap().counter >= counter);
        }
    }

    #[test]
    fn after_silence_counters_jump_once_and_are_on_disk_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.json");
        let mut ledger = open(&path);
        let first = ledger.next_counter().unwrap();

        let jumped = ledger.counter_after_silence().unwrap();

        assert!(jumped >= first + 120_000_000);
        assert_eq!(ledger.next_counter().unwrap(), jumped + 1);
        assert!(parse(&path).unwrap().counter > jumped);
    }

    #[test]
    fn counters_do_not_jump_out_of_the_present() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = open(&dir.path().join("home.json"));
        for _ in 0..1000 {
            ledger.counter_after_silence().unwrap();
        }
        let last = ledger.next_counter().unwrap();
        assert!(last < unix_micros() + u64::try_from(MAX_AHEAD.as_micros()).unwrap());
    }

    #[test]
    fn a_number_is_used_once_even_by_a_later_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.json");
        assert_eq!(open(&path).use_number(BOOK, 7).unwrap(), Ok(()));
        for number in [0, 6, 7] {
            assert_eq!(open(&path).use_number(BOOK, number).unwrap(), Err(UsedBefore { highest: 7 }));
        }
        assert_eq!(open(&path).use_number(BOOK, 8).unwrap(), Ok(()));
        assert_eq!(open(&path).use_number(BookId([2; 8]), 7).unwrap(), Ok(()), "another book");
    }

    #[test]
    fn a_number_is_on_disk_once_the_ledger_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.json");
        let mut ledger = open(&path);
        assert_eq!(ledger.use_number(BOOK, 7).unwrap(), Ok(()));
        ledger.settle().unwrap();
        assert_eq!(parse(&path).unwrap().used[&BOOK.to_string()], 7);
    }

    #[test]
    fn a_number_that_cannot_be_written_is_told_when_the_ledger_settles() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.json");
        let mut ledger = open(&path);
        std::fs::create_dir(&path).unwrap();
        assert_eq!(ledger.use_number(BOOK, 7).unwrap(), Ok(()));
        assert!(matches!(ledger.settle(), Err(LedgerFault::File(FileFault::Io { .. }))));
    }

    #[test]
    fn two_clients_cannot_use_one_ledger_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.json");
        let _first = open(&path);
        let mut told = false;
        let deadline = Instant::now() + Duration::from_millis(50);
        let second = Ledger::open(&path, deadline, || told = true);
        assert!(matches!(second, Err(LedgerFault::InUse)));
        assert!(told);
    }

    #[test]
    fn a_damaged_ledger_is_refused_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home.json");
        private_file::write(&path, b"{\"counter\": 12").unwrap();
        let fault = Ledger::open(&path, Instant::now(), || ()).err().unwrap().to_string();
        assert!(fault.contains("home.json: damaged (") && fault.contains("delete it:"), "{fault}");
    }
}
