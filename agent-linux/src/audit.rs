//! The audit log: what happened at the gate, one JSON object in a line, only ever appended.
//!
//! A knock never waits for the disk: records go through a bounded channel to a thread that writes them. When the disk
//! cannot keep up or is full, records are dropped and counted, and the next line that gets through says how many. Strangers
//! cannot fill the log: past a budget their connections are counted instead of listed.

mod budget;
mod decision;
mod file;
mod record;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use budget::{Budget, WINDOW};
use file::AuditFile;

pub use decision::Answered;
pub use record::{AuditRecord, Names};

/// Records that wait for the disk. A knock makes five; two hundred knocks at once find room.
const QUEUE: usize = 1024;
/// Records that are written and made durable together.
const BATCH: usize = 128;

/// The audit log. Shared by reference; dropping it writes what is left.
pub struct Audit {
    /// `None` only while the log is being dropped.
    queue: Option<SyncSender<Entry>>,
    lost: Arc<AtomicU64>,
    strangers: Arc<Mutex<Budget>>,
    writer: Option<JoinHandle<()>>,
}

/// The log could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{}: the audit log cannot be opened: {error}; make its directory and let this user write there", path.display())]
pub struct AuditError {
    path: PathBuf,
    error: std::io::Error,
}

struct Entry {
    time: SystemTime,
    record: AuditRecord,
}

impl Audit {
    /// Opens the log for appending, making it if it is missing.
    ///
    /// # Errors
    /// If it cannot be opened, or no thread can be started.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let refused = |error| AuditError { path: path.to_owned(), error };
        let file = AuditFile::open(path).map_err(refused)?;
        Self::start(file, Instant::now(), QUEUE).map_err(refused)
    }

    fn start(file: AuditFile, now: Instant, capacity: usize) -> std::io::Result<Self> {
        let (queue, entries) = sync_channel(capacity);
        let (lost, strangers) = (Arc::default(), Arc::new(Mutex::new(Budget::new(now))));
        let writer =
            Writer { file, lost: Arc::clone(&lost), strangers: Arc::clone(&strangers), failing: false };
        let writer = std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&entries))?;
        Ok(Self { queue: Some(queue), lost, strangers, writer: Some(writer) })
    }

    /// Writes a record, or counts it. Never waits.
    pub fn write(&self, record: AuditRecord) {
        if record.is_by_a_stranger() && !budget(&self.strangers).admits(Instant::now()) {
            return;
        }
        let entry = Entry { time: SystemTime::now(), record };
        let queue = self.queue.as_ref().expect("the queue is there until the log is dropped");
        if queue.try_send(entry).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
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

fn budget(strangers: &Mutex<Budget>) -> MutexGuard<'_, Budget> {
    // A budget is a few numbers; whatever a panic left of them is a budget.
    strangers.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    file: AuditFile,
    lost: Arc<AtomicU64>,
    strangers: Arc<Mutex<Budget>>,
    /// The last write failed: said once, not for every batch.
    failing: bool,
}

impl Writer {
    fn run(mut self, entries: &Receiver<Entry>) {
        loop {
            // Wakes up without an entry, too, so that the sum of a quiet minute is written in the next one.
            match entries.recv_timeout(WINDOW) {
                Ok(first) => {
                    let rest = entries.try_iter().take(BATCH - 1);
                    let batch: Vec<Entry> = std::iter::once(first).chain(rest).collect();
                    self.append(batch);
                }
                Err(RecvTimeoutError::Timeout) => self.append(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let uncounted = budget(&self.strangers).close();
        let last = uncounted.map(strangers_record).into_iter().collect();
        self.append(last);
    }

    fn append(&mut self, batch: Vec<Entry>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let strangers = budget(&self.strangers).sum_due(Instant::now());
        let mut entries: Vec<Entry> = strangers.map(strangers_record).into_iter().collect();
        entries.extend((lost > 0).then(|| entry(AuditRecord::Lost { records: lost })));
        let told = u64::from(lost > 0) + u64::from(strangers.is_some());
        entries.extend(batch);
        if entries.is_empty() {
            return;
        }
        match self.file.append(entries.iter().map(|entry| (entry.time, &entry.record))) {
            Ok(()) => self.failing = false,
            Err(error) => {
                // What this batch told about earlier losses is lost with it and counted again.
                let records = u64::try_from(entries.len()).unwrap_or(u64::MAX).saturating_sub(told);
                self.lost.fetch_add(lost.saturating_add(records), Ordering::Relaxed);
                if let Some(sum) = strangers {
                    budget(&self.strangers).take_back(sum);
                }
                self.complain(&error);
            }
        }
    }

    fn complain(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            let path = self.file.path().display();
            tracing::warn!(
                "{path}: the audit log cannot be written: {error}; lost records are counted until it can"
            );
        }
    }
}

fn entry(record: AuditRecord) -> Entry {
    Entry { time: SystemTime::now(), record }
}

fn strangers_record(connections: u64) -> Entry {
    entry(AuditRecord::Strangers { connections, within_seconds: Duration::as_secs(&WINDOW) })
}
