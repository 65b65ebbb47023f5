//! Lines for the journal of systemd, in its own protocol: with a priority, and every field by itself.
//!
//! An entry says what the line on a terminal would, fields and all, so that `journalctl -u knockgated` reads as before; and it has
//! each field as `KNOCKGATE_NAME` besides, to search for. Nothing here ever waits for the journal. What its socket does not take
//! goes to standard error, with the priority in front; what that does not take at once is lost, and counted. The socket is made
//! before the process is confined, and a journal that was started anew is found by its path. Written here because the crate
//! for it leaves the fields out of the line, and waits.
//!
//! Rule: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::fmt::{Debug, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::stderr;

const SOCKET: &str = "/run/systemd/journal/socket";
/// Set by systemd: device and inode of the standard error that it has given to a service.
const STREAM: &str = "JOURNAL_STREAM";
/// What these fields begin with, so that they are nobody else's.
const PREFIX: &str = "KNOCKGATE_";

/// Where entries go.
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// Lines that nobody took, and that no later one has told of.
    lost: AtomicU64,
}

impl Journal {
    /// There if standard error is connected with it.
    pub(super) fn behind_stderr() -> Option<Self> {
        let stream = std::env::var(STREAM).ok()?;
        let stderr = rustix::fs::fstat(io::stderr()).ok()?;
        if !is_stream(&stream, (stderr.st_dev, stderr.st_ino)) {
            return None;
        }
        Self::at(Path::new(SOCKET)).ok()
    }

    fn at(path: &Path) -> io::Result<Self> {
        // Whoever has no journal there writes to standard error.
        std::fs::metadata(path)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), lost: AtomicU64::new(0) })
    }

    fn take(&self, entry: &Entry) {
        if self.send(entry).is_ok() {
            self.tell_of_lost();
        } else if stderr::write_at_once(io::stderr().lock(), entry.prefixed().as_bytes()).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn send(&self, entry: &Entry) -> io::Result<usize> {
        self.socket.send_to(&entry.encoded(), &self.path)
    }

    fn tell_of_lost(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        let message = format!("the journal did not take {lost} lines before this one");
        if self.send(&Entry { message, ..Entry::new(Level::WARN) }).is_err() {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

/// A service may have sent its standard error elsewhere.
fn is_stream(variable: &str, stderr: (u64, u64)) -> bool {
    let numbers = variable.split_once(':');
    numbers.and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?))) == Some(stderr)
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::new(*event.metadata().level());
        event.record(&mut entry);
        self.take(&entry);
    }
}

/// One line.
struct Entry {
    /// As syslog counts: 3 is an error, 7 for those who look for one.
    priority: u8,
    message: String,
    fields: Vec<Value>,
}

struct Value {
    name: &'static str,
    value: String,
    /// As a terminal shows it: a text in quotes.
    shown: String,
}

impl Entry {
    fn new(level: Level) -> Self {
        let priority = match level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        Self { priority, message: String::new(), fields: Vec::new() }
    }

    fn note(&mut self, field: &Field, value: String, shown: String) {
        match field.name() {
            "message" => self.message = value,
            // Where a library's own line comes from.
            name if name.starts_with("log.") => {}
            name => self.fields.push(Value { name, value, shown }),
        }
    }

    /// What a terminal would show.
    fn line(&self) -> String {
        let mut line = self.message.clone();
        for Value { name, shown, .. } in &self.fields {
            let space = if line.is_empty() { "" } else { " " };
            // A string takes whatever is written into it.
            let _ = write!(line, "{space}{name}={shown}");
        }
        line
    }

    /// For standard error: with the priority in front.
    fn prefixed(&self) -> String {
        format!("<{}>{}\n", self.priority, self.line().replace('\n', " "))
    }

    fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        put(&mut bytes, "PRIORITY", &self.priority.to_string());
        put(&mut bytes, "SYSLOG_IDENTIFIER", "knockgated");
        put(&mut bytes, "MESSAGE", &self.line());
        for Value { name, value, .. } in &self.fields {
            put(&mut bytes, &journal_name(name), value);
        }
        bytes
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value.to_owned(), format!("{value:?}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        self.note(field, value.clone(), value);
    }
}

/// The journal knows capital letters, digits and underscores, 64 at most.
fn journal_name(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    PREFIX.chars().chain(name.chars().map(letter)).take(64).collect()
}

/// A value of several lines says how long it is, so that none of them can be taken for another field.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
        bytes.push(b'\n');
        bytes.extend_from_slice(&length.to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The other end, which reads when it is asked.
    struct Theirs(UnixDatagram);

    impl Theirs {
        fn next(&self) -> Option<String> {
            let mut buffer = [0; 4096];
            let length = self.0.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        }
    }

    fn journal(folder: &Path) -> (Journal, Theirs) {
        let path = folder.join("socket");
        let theirs = UnixDatagram::bind(&path).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Journal::at(&path).unwrap(), Theirs(theirs))
    }

    /// What comes to a journal while this is done.
    fn entries(work: impl FnOnce()) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let (journal, theirs) = journal(folder.path());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), work);
        std::iter::from_fn(|| theirs.next()).collect()
    }

    #[test]
    fn an_entry_has_a_priority_a_line_for_people_and_every_field() {
        let client = "alice";
        let got = entries(|| tracing::info!(grant = 17, client, open_to = %"192.0.2.7", "opened {}", "ssh"));
        let expected = "PRIORITY=6\nSYSLOG_IDENTIFIER=knockgated\n\
                        MESSAGE=opened ssh grant=17 client=\"alice\" open_to=192.0.2.7\n\
                        KNOCKGATE_GRANT=17\nKNOCKGATE_CLIENT=alice\nKNOCKGATE_OPEN_TO=192.0.2.7\n";
        assert_eq!(got, [expected]);
    }

    #[test]
    fn a_value_of_several_lines_makes_no_field_of_its_own() {
        let got = entries(|| tracing::warn!("bad\nPRIORITY=0"));
        assert_eq!(
            got,
            ["PRIORITY=4\nSYSLOG_IDENTIFIER=knockgated\nMESSAGE\n\u{e}\0\0\0\0\0\0\0bad\nPRIORITY=0\n"]
        );
    }

    #[test]
    fn every_level_has_its_priority() {
        let got = entries(|| {
            tracing::error!("e");
            tracing::debug!("d");
            tracing::trace!("t");
        });
        let priorities: Vec<_> = got.iter().filter_map(|entry| entry.lines().next()).collect();
        assert_eq!(priorities, ["PRIORITY=3", "PRIORITY=7", "PRIORITY=7"]);
    }

    #[test]
    fn only_the_very_stream_that_the_journal_has_given_is_the_journal() {
        let cases =
            [(1, "8:12", true), (2, "8:13", false), (3, "9:12", false), (4, "8", false), (5, "", false)];
        for (case, variable, expected) in cases {
            assert_eq!(is_stream(variable, (8, 12)), expected, "case {case}");
        }
    }

    #[test]
    fn what_a_journal_did_not_take_is_told_once_it_takes_something() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, theirs) = journal(folder.path());
        journal.lost.store(7, Ordering::Relaxed);
        journal.take(&Entry { message: "back".to_owned(), ..Entry::new(Level::INFO) });
        assert!(theirs.next().unwrap().contains("MESSAGE=back\n"));
        assert!(
            theirs.next().unwrap().contains("MESSAGE=the journal did not take 7 lines before this one\n")
        );
        assert_eq!((theirs.next(), journal.lost.into_inner()), (None, 0));
    }

    #[test]
    fn a_journal_that_does_not_read_refuses_at_once_and_one_that_was_started_anew_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, theirs) = journal(folder.path());
        let entry = Entry { message: "x".to_owned(), ..Entry::new(Level::INFO) };
        // A socket that waited would never come to an end here.
        let refused = std::iter::from_fn(|| Some(journal.send(&entry))).find_map(Result::err).unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        assert!(journal.send(&entry).is_err());
        std::fs::remove_file(&journal.path).unwrap();
        let anew = UnixDatagram::bind(&journal.path).unwrap();
        journal.send(&entry).unwrap();
        assert!(anew.recv(&mut [0; 512]).unwrap() > 0);
    }

    #[test]
    fn without_a_socket_there_is_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Journal::at(&folder.path().join("socket")).is_err());
    }
}
