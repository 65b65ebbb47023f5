//! The thread that writes the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::file::{AuditFile, Partly, PutAway};
use super::{AuditRecord, Entry, State};

/// Records that are written together.
const BATCH: usize = 128;
/// What is written outlives a power cut after this time; a crash of the agent it outlives at once. A knock leaves several records one
/// after the other, and a sync costs more than all of them.
const DURABLE_WITHIN: Duration = Duration::from_millis(100);
/// A log that could not be written is tried again after this time, whether or not there is something to write: knocks may wait
/// for it to be well again.
const RETRY: Duration = Duration::from_secs(1);
/// A file that could not be put away is so after this time, and grows meanwhile.
const ROTATE_AGAIN: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    file: AuditFile,
    state: Arc<State>,
    /// Something was written that a power cut would take away.
    pub(super) sync_due: Option<Instant>,
    retry_due: Option<Instant>,
    rotate_from: Instant,
}

type Record = (SystemTime, AuditRecord);

impl Writer {
    pub(super) fn new(file: AuditFile, state: &Arc<State>) -> Self {
        Self { file, state: Arc::clone(state), sync_due: None, retry_due: None, rotate_from: Instant::now() }
    }

    pub(super) fn run(mut self, entries: &Receiver<Entry>) {
        loop {
            match self.wait(entries) {
                Ok(first) => {
                    let rest = entries.try_iter().take(BATCH - 1);
                    self.take(std::iter::once(first).chain(rest));
                    // Records that never cease do not put it off.
                    self.sync_if(|due| due <= Instant::now());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.sync_if(|due| due <= Instant::now());
                    self.retry();
                }
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            }
        }
    }

    fn wait(&self, entries: &Receiver<Entry>) -> Result<Entry, RecvTimeoutError> {
        match self.sync_due.into_iter().chain(self.retry_due).min() {
            Some(due) => entries.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => entries.recv().map_err(RecvTimeoutError::from),
        }
    }

    fn take(&mut self, entries: impl Iterator<Item = Entry>) {
        let batch: Vec<Record> = entries
            .filter_map(|entry| match entry {
                Entry::Record { time, record } => Some((time, record)),
                Entry::Reopen => None,
            })
            .collect();
        if self.state.reopen.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        if !batch.is_empty() {
            self.append(batch);
        }
    }

    pub(super) fn sync_if(&mut self, is_time: impl FnOnce(Instant) -> bool) {
        if self.sync_due.take_if(|due| is_time(*due)).is_some()
            && let Err(error) = self.file.sync()
        {
            self.complain(&error);
        }
    }

    /// Appends records, and before them how many were lost.
    pub(super) fn append(&mut self, batch: Vec<Record>) {
        self.put_away_if_full();
        let lost = self.state.lost.load(Ordering::Relaxed);
        let told = (lost > 0).then(|| (SystemTime::now(), AuditRecord::Lost { records: lost }));
        let records: Vec<Record> = told.into_iter().chain(batch).collect();
        let result = self.file.append(records.iter().map(|(time, record)| (*time, record)));
        let written = result.as_ref().map_or_else(|partly| partly.written, |()| records.len());
        self.count(lost, records.len(), written);
        match result {
            Ok(()) => self.is_well(),
            Err(Partly { error, .. }) => self.complain(&error),
        }
    }

    /// What was lost is told, or is not, and of `records`, which begin with that, the first ones are written.
    fn count(&self, lost: u64, records: usize, written: usize) {
        let told = if written > 0 { lost } else { 0 };
        // What this batch tells of earlier losses is not a loss of its own.
        let more = records.saturating_sub(written.max(usize::from(lost > 0)));
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        self.state.lost.fetch_add(more, Ordering::Relaxed);
        self.state.lost.fetch_sub(told, Ordering::Relaxed);
    }

    fn is_well(&mut self) {
        self.sync_due.get_or_insert_with(|| Instant::now() + DURABLE_WITHIN);
        self.retry_due = None;
        if self.state.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("{}: the audit log can be written again", self.file.path().display());
        }
    }

    /// Nobody need have something to say for a log to be found well again.
    fn retry(&mut self) {
        if self.retry_due.take_if(|due| *due <= Instant::now()).is_some() {
            let lost = self.state.lost.load(Ordering::Relaxed);
            // With nothing lost it was a sync that failed, and this tells that something may be missing.
            self.append(if lost > 0 { Vec::new() } else { vec![now(AuditRecord::Lost { records: 0 })] });
        }
    }

    fn complain(&mut self, error: &std::io::Error) {
        self.retry_due = Some(Instant::now() + RETRY);
        if !self.state.is_failing.swap(true, Ordering::Relaxed) {
            let path = self.file.path().display();
            tracing::warn!(
                "{path}: the audit log cannot be written: {error}; lost records are counted until it can; make room on its file system, or make it writable"
            );
        }
    }

    fn put_away_if_full(&mut self) {
        if self.rotate_from > Instant::now() || !self.file.is_full(SystemTime::now()) {
            return;
        }
        match self.file.put_away(SystemTime::now()) {
            Ok(PutAway { file, last }) => {
                tracing::info!("{}: put away; the chain is at {last}", file.display());
            }
            Err(error) => {
                self.rotate_from = Instant::now() + ROTATE_AGAIN;
                let path = self.file.path().display();
                tracing::warn!(
                    "{path}: the audit log cannot be put away, so it grows: {error}; let this user write in its directory"
                );
            }
        }
    }

    fn reopen(&mut self) {
        let path = self.file.path().to_owned();
        match self.file.reopen() {
            Ok(true) => {
                tracing::info!("{}: opened again; the chain is at {}", path.display(), self.file.last())
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(
                "{}: the audit log cannot be opened again: {error}; it goes on in the old file; make its directory writable and ask again",
                path.display()
            ),
        }
    }

    fn end(mut self) {
        if self.state.lost.load(Ordering::Relaxed) > 0 {
            self.append(Vec::new());
        }
        self.sync_if(|_| true);
        tracing::info!("the audit log ends at {}", self.file.last());
    }
}

pub(super) fn now(record: AuditRecord) -> Record {
    (SystemTime::now(), record)
}
