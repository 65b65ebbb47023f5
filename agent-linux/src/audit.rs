//! The audit log: what happened at the gate, one JSON object in a line, only ever appended.
//!
//! A knock never waits for the disk: records go through a bounded channel to a thread that writes them. When the disk
//! cannot keep up or is full, records are dropped and counted, and the next line that gets through says how many. Strangers
//! cannot fill the log: what they do is counted, and told in one record a minute. The lines are a chain, and the log is put away
//! in time, file by file, so that it never takes more than its room.

mod chain;
mod decision;
mod file;
mod lines;
mod noise;
mod record;
mod series;
#[cfg(test)]
mod tests;
mod torn;
mod verify;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use file::AuditFile;
use writer::Writer;

pub use chain::Link;
pub use decision::{Decided, Heard, Opinion, Waits};
pub(crate) use lines::Lines;
pub use noise::{Noise, NoiseFrom};
pub use record::{AuditRecord, Names};
pub(crate) use series::Series;
pub(crate) use verify::{Finding, Point, verify};

/// Records that wait for the disk. A knock makes five; two hundred knocks at once find room.
const QUEUE: usize = 1024;

/// The audit log. Shared by reference; dropping it writes what is left.
pub struct Audit {
    /// `None` only while the log is being dropped.
    queue: Option<SyncSender<Entry>>,
    state: Arc<State>,
    writer: Option<JoinHandle<()>>,
}

/// Files are put away for their age not more often than that.
pub(crate) const SHORTEST_AGE: Duration = Duration::from_secs(3600);

/// When a file of the log is put away, and how many that were are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// In bytes; it is passed by what is written at once.
    pub size: u64,
    pub age: Option<Duration>,
    pub keep: usize,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { size: DEFAULT_SIZE, age: None, keep: DEFAULT_KEEP }
    }
}

/// A knock leaves one or two thousand bytes, so this is some ten thousand of them, and an editor still opens it.
const DEFAULT_SIZE: u64 = 16 << 20;
/// With the one that is written, 256 MiB at most.
const DEFAULT_KEEP: usize = 15;

/// How the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The last try to write it succeeded.
    pub is_writable: bool,
    /// Records that could not be written and that the log has not told of yet.
    pub lost: u64,
}

/// The log could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{}: the audit log cannot be opened: {error}; make its directory and let this user write there", path.display())]
pub struct AuditError {
    path: PathBuf,
    error: std::io::Error,
}

/// What the writer does next.
enum Entry {
    Record { time: SystemTime, record: AuditRecord },
    Reopen,
}

/// What the writer and those who have something to write know of each other.
#[derive(Default)]
struct State {
    lost: AtomicU64,
    is_failing: AtomicBool,
    reopen: AtomicBool,
}

impl Audit {
    /// Opens the log for appending, making it if it is missing.
    ///
    /// # Errors
    /// If it cannot be opened, or no thread can be started.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        Self::open_with(path, Rotation::default())
    }

    /// The same for a log that is put away otherwise.
    ///
    /// # Errors
    /// As above.
    pub fn open_with(path: &Path, rotation: Rotation) -> Result<Self, AuditError> {
        let refused = |error| AuditError { path: path.to_owned(), error };
        let file = AuditFile::open(path, rotation).map_err(refused)?;
        Self::start(file, QUEUE).map_err(refused)
    }

    fn start(file: AuditFile, capacity: usize) -> std::io::Result<Self> {
        let (queue, entries) = sync_channel(capacity);
        let state = Arc::default();
        let writer = Writer::new(file, &state);
        let writer = std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&entries))?;
        Ok(Self { queue: Some(queue), state, writer: Some(writer) })
    }

    /// Writes what has just happened, or counts it. Never waits.
    pub fn write(&self, record: AuditRecord) {
        self.write_at(SystemTime::now(), record);
    }

    /// The same for what happened at `time`.
    pub fn write_at(&self, time: SystemTime, record: AuditRecord) {
        if self.send(Entry::Record { time, record }) == Sent::NoRoom {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Goes on in the file that has the log's name now, for somebody has put the other one away. Never waits.
    pub fn reopen(&self) {
        // Seen with the next entry if there is no room for one of its own.
        self.state.reopen.store(true, Ordering::Release);
        self.send(Entry::Reopen);
    }

    /// How the log is now, as far as the writer has found out.
    pub fn health(&self) -> Health {
        Health {
            is_writable: !self.state.is_failing.load(Ordering::Relaxed),
            lost: self.state.lost.load(Ordering::Relaxed),
        }
    }

    fn send(&self, entry: Entry) -> Sent {
        let queue = self.queue.as_ref().expect("the queue is there until the log is dropped");
        if queue.try_send(entry).is_err() { Sent::NoRoom } else { Sent::Waits }
    }
}

#[derive(PartialEq, Eq)]
enum Sent {
    Waits,
    NoRoom,
}

impl Health {
    /// Everything that happens is written down.
    pub fn is_whole(self) -> bool {
        self.is_writable && self.lost == 0
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has told so itself.
            let _ = writer.join();
        }
    }
}
