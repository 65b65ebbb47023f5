//! Asks a running agent, for commands: waits for the answer, and says what to do if there is none.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::protocol::{self, LineError};
use super::{Door, Need, Reply, Request};

/// How long an agent may take. It answers between two batches of packets; a new configuration takes it a compilation.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer: a roster of 100 000 clients has some 30 MB.
const MAX_REPLY: u64 = 256 * 1024 * 1024;

/// A connection to a running agent.
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("no agent answers at {}; is it running? `systemctl status knockgated`, or `knockgated run`", .0.display())]
    NoAgent(PathBuf),
    #[error("{}: this user may not ask there; run as root, or to look as a member of `group` in [control]", .0.display())]
    NotAllowed(PathBuf),
    #[error("{}: {what}: {error}; ask again, and if it stays so look into the agent's log", path.display())]
    Broken { path: PathBuf, what: &'static str, error: io::Error },
    #[error("{}: the answer cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: LineError },
    #[error("{0}")]
    Refused(String),
}

/// Asks once, at the socket that the request needs.
///
/// # Errors
/// If nobody answers, or what is asked was not done.
pub fn ask(directory: &Path, request: &Request) -> Result<Reply, AskError> {
    let door = match request.needs() {
        Need::Reading => Door::Status,
        Need::Changing => Door::Control,
    };
    Client::connect(directory, door)?.ask(request)
}

impl Client {
    /// Connects to one of the sockets in this directory.
    ///
    /// # Errors
    /// If nobody listens there, or not to this user.
    pub fn connect(directory: &Path, door: Door) -> Result<Self, AskError> {
        let path = door.path(directory);
        match connect(&path) {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream), path }),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NoAgent(path),
                io::ErrorKind::PermissionDenied => AskError::NotAllowed(path),
                _ => AskError::Broken { path, what: "cannot connect", error },
            }),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// If there is no answer, or what is asked was not done.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, AskError> {
        let line = self.exchange(request).map_err(|(what, error)| self.broken(what, error))?;
        match protocol::decode(&line) {
            Ok(Reply::Refused { why }) => Err(AskError::Refused(why)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(AskError::Unreadable { path: self.path.clone(), error }),
        }
    }

    fn exchange(&mut self, request: &Request) -> Result<Vec<u8>, (&'static str, io::Error)> {
        let question = protocol::encode(request).map_err(|error| ("cannot ask", error.into()))?;
        self.stream.get_mut().write_all(&question).map_err(|error| ("cannot ask", error))?;
        let mut line = Vec::new();
        let mut bounded = self.stream.by_ref().take(MAX_REPLY);
        bounded.read_until(b'\n', &mut line).map_err(|error| ("no answer", error))?;
        if line.last() != Some(&b'\n') {
            return Err(("the answer ends in the middle", io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(line)
    }

    fn broken(&self, what: &'static str, error: io::Error) -> AskError {
        AskError::Broken { path: self.path.clone(), what, error }
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Holds for connecting as well: the queue of one who does not accept is full some day.
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(std::os::fd::OwnedFd::from(socket).into())
}
