//! The audit log: what happened at the gate, one JSON object in a line, only ever appended.
//!
//! A knock never waits for the disk: records go through a bounded channel to a thread that writes them. When the disk
//! cannot keep up or is full, records are dropped and counted, and the next line that gets through says how many. Strangers
//! cannot fill the log: what they do is counted, and told in one record a minute.

mod decision;
mod file;
mod noise;
mod record;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use file::AuditFile;

pub use decision::{Decided, Heard, Opinion, Waits};
pub use noise::Noise;
pub use record::{AuditRecord, Names};

/// Records that wait for the disk. A knock makes five; two hundred knocks at once find room.
const QUEUE: usize = 1024;
/// Records that are written together.
const BATCH: usize = 128;
/// What is written outlives a power cut after this time; a crash of the agent it outlives at once. A knock leaves several records one
/// after the other, and a sync costs more than all of them.
const DURABLE_WITHIN: Duration = Duration::from_millis(100);

/// The audit log. Shared by reference; dropping it writes what is left.
pub struct Audit {
    /// `None` only while the log is being dropped.
    queue: Option<SyncSender<Entry>>,
    lost: Arc<AtomicU64>,
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
        Self::start(file, QUEUE).map_err(refused)
    }

    fn start(file: AuditFile, capacity: usize) -> std::io::Result<Self> {
        let (queue, entries) = sync_channel(capacity);
        let lost = Arc::default();
        let writer = Writer::new(file, &lost);
        let writer = std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&entries))?;
        Ok(Self { queue: Some(queue), lost, writer: Some(writer) })
    }

    /// Writes what has just happened, or counts it. Never waits.
    pub fn write(&self, record: AuditRecord) {
        self.write_at(SystemTime::now(), record);
    }

    /// The same for what happened at `time`.
    pub fn write_at(&self, time: SystemTime, record: AuditRecord) {
        let entry = Entry { time, record };
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

struct Writer {
    file: AuditFile,
    lost: Arc<AtomicU64>,
    /// The last write failed: said once, not for every batch.
    failing: bool,
    /// Something was written that a power cut would take away.
    sync_due: Option<Instant>,
}

impl Writer {
    fn new(file: AuditFile, lost: &Arc<AtomicU64>) -> Self {
        Self { file, lost: Arc::clone(lost), failing: false, sync_due: None }
    }

    fn run(mut self, entries: &Receiver<Entry>) {
        loop {
            match self.wait(entries) {
                Ok(first) => {
                    let rest = entries.try_iter().take(BATCH - 1);
                    self.append(std::iter::once(first).chain(rest).collect());
                    // Records that never cease do not put it off.
                    self.sync_if(|due| due <= Instant::now());
                }
                Err(RecvTimeoutError::Timeout) => self.sync_if(|_| true),
                Err(RecvTimeoutError::Disconnected) => return self.sync_if(|_| true),
            }
        }
    }

    fn wait(&self, entries: &Receiver<Entry>) -> Result<Entry, RecvTimeoutError> {
        match self.sync_due {
            Some(due) => entries.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => entries.recv().map_err(RecvTimeoutError::from),
        }
    }

    fn sync_if(&mut self, is_time: impl FnOnce(Instant) -> bool) {
        if self.sync_due.take_if(|due| is_time(*due)).is_some()
            && let Err(error) = self.file.sync()
        {
            self.complain(&error);
        }
    }

    fn append(&mut self, batch: Vec<Entry>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let records = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let told = (lost > 0).then(|| entry(AuditRecord::Lost { records: lost }));
        let entries: Vec<Entry> = told.into_iter().chain(batch).collect();
        match self.file.append(entries.iter().map(|entry| (entry.time, &entry.record))) {
            Ok(()) => {
                self.failing = false;
                self.sync_due.get_or_insert_with(|| Instant::now() + DURABLE_WITHIN);
            }
            Err(error) => {
                // What this batch told about earlier losses is lost with it and counted again.
                self.lost.fetch_add(lost.saturating_add(records), Ordering::Relaxed);
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
