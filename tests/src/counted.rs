//! Other people's daemons: running, with every byte that they write counted and only the first ones kept.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::waiting;
use anyhow::{Context, Result, bail};

/// Enough to see a daemon come up. Under noise some write megabytes.
const KEPT: usize = 1 << 16;

/// From start to the line that says that it listens.
const START: Duration = Duration::from_secs(10);

/// Ends when it is dropped.
pub struct Counted {
    child: Child,
    said: Arc<Said>,
    /// A file in which it writes, too.
    log_file: Option<PathBuf>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Said {
    bytes: AtomicU64,
    beginning: Mutex<Vec<u8>>,
}

impl Counted {
    pub fn start(command: &mut Command, log_file: Option<PathBuf>) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let said = Arc::new(Said::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stream| count(stream, &said)));
        readers.extend(child.stderr.take().map(|stream| count(stream, &said)));
        Ok(Self { child, said, log_file, readers })
    }

    /// Waits until it has said that it listens, in its file or to us.
    pub fn wait_for(&mut self, words: &str) -> Result<()> {
        waiting::until(&format!("{words:?} of a daemon"), START, || self.has_said(words).transpose())?
            .with_context(|| format!("so far it said:\n{}", self.beginning()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes.
    pub fn written(&self) -> u64 {
        let file = self.log_file.as_ref().and_then(|file| std::fs::metadata(file).ok());
        self.said.bytes.load(Ordering::Relaxed) + file.map_or(0, |file| file.len())
    }

    fn has_said(&mut self, words: &str) -> Result<Option<()>> {
        let file =
            self.log_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        if file.contains(words) || self.beginning().contains(words) {
            return Ok(Some(()));
        }
        match self.child.try_wait()? {
            Some(status) => bail!("it ended with {status}"),
            None => Ok(None),
        }
    }

    fn beginning(&self) -> String {
        let beginning = self.said.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&beginning).into_owned()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            // A reader that panicked has already said so.
            let _ = reader.join();
        }
    }
}

fn count(mut stream: impl Read + Send + 'static, said: &Arc<Said>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut buffer = [0; 1 << 12];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            said.note(buffer.get(..length).unwrap_or_default());
        }
    })
}

impl Said {
    fn note(&self, bytes: &[u8]) {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let mut beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(beginning.len());
        beginning.extend(bytes.iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_the_beginning_kept() {
        let said = Said::default();
        said.note(b"up\n");
        (0..100).for_each(|_| said.note(&[b'x'; 1 << 10]));
        assert_eq!(said.bytes.load(Ordering::Relaxed), 3 + (100 << 10));
        assert_eq!(said.beginning.lock().unwrap().len(), KEPT);
    }

    #[test]
    fn a_daemon_that_ends_is_not_waited_for() {
        let mut daemon = Counted::start(&mut Command::new("true"), None).unwrap();
        assert!(daemon.wait_for("never said").is_err());
    }
}
