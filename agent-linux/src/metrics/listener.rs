//! Where scrapers connect. Opened before the agent gives up any right, and never where anybody but this host can come.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::{Control, Metrics};
use crate::control::{self, SocketError};

/// Nobody is accepted yet.
pub enum Listener {
    Loopback(TcpListener),
    Unix(UnixListener),
}

/// Why there can be none.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    #[error("metrics.listen: cannot listen at {address}: {error}; choose another port")]
    Address { address: SocketAddr, error: io::Error },
    #[error("metrics.socket: {} is there and no socket; choose another path", .0.display())]
    NoSocket(PathBuf),
    #[error("metrics.socket: another program listens at {}; stop it, or choose another path", .0.display())]
    Taken(PathBuf),
    #[error("metrics.socket: {0}")]
    Socket(#[from] SocketError),
}

impl Listener {
    /// Opens what the configuration names. A Unix socket is for root and for the group that may look. What cannot be opened is told of
    /// and left out: whoever wants to come in does not need figures.
    #[must_use]
    pub fn open(metrics: &Metrics, control: &Control) -> Vec<Self> {
        let port = metrics.listen.map(Self::at_port);
        let socket = metrics.socket.as_deref().map(|path| Self::at_path(path, control));
        let told = |error: &ListenerError| tracing::error!("no figures there: {error}");
        port.into_iter().chain(socket).filter_map(|opened| opened.inspect_err(told).ok()).collect()
    }

    fn at_port(address: SocketAddr) -> Result<Self, ListenerError> {
        let listener = TcpListener::bind(address);
        listener.map(Self::Loopback).map_err(|error| ListenerError::Address { address, error })
    }

    fn at_path(path: &Path, control: &Control) -> Result<Self, ListenerError> {
        make_room(path)?;
        Ok(Self::Unix(control::listen_for_reading(path, control)?))
    }
}

/// What a killed agent has left is taken away, and nothing else.
fn make_room(path: &Path) -> Result<(), ListenerError> {
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(()) };
    if !there.file_type().is_socket() {
        return Err(ListenerError::NoSocket(path.to_owned()));
    }
    match connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(()) | Err(_) => Err(ListenerError::Taken(path.to_owned())),
    }
}

/// Never waits: the queue of one who does not accept is full some day.
fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn at(path: &Path) -> Result<Listener, ListenerError> {
        Listener::at_path(path, &control())
    }

    fn control() -> Control {
        Control { directory: "/nowhere".into(), group: None }
    }

    #[test]
    fn what_a_killed_agent_has_left_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics");
        let first = at(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o660);
        assert!(matches!(at(&path), Err(ListenerError::Taken(_))));
        drop(first);
        at(&path).unwrap();

        let file = folder.path().join("precious");
        fs::write(&file, "kept").unwrap();
        assert!(matches!(at(&file), Err(ListenerError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_the_remedy_and_costs_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap();
        let refused = Listener::at_port(taken).map(drop).unwrap_err();
        assert!(refused.to_string().contains("choose another port"), "{refused}");
        let metrics = Metrics { listen: Some(taken), socket: Some(folder.path().join("metrics")) };
        assert!(matches!(Listener::open(&metrics, &control()).as_slice(), [Listener::Unix(_)]));
    }
}
