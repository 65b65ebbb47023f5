//! Notices to a program on this host: a Unix stream socket, one line of JSON for each.
//!
//! A connection for every notice: whoever listens may be started anew at any time, and nothing has to be noticed here.

use std::io::{self, Write};
use std::net::Shutdown;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::channel::Trouble;

/// Delivers one message. Whoever listens need not answer.
pub(super) fn send(path: &Path, timeout: Duration, message: &str) -> Result<(), Trouble> {
    write_line(path, timeout, message).map_err(|error| {
        let path = path.display();
        Trouble::Passing(match error.kind() {
            io::ErrorKind::NotFound => {
                format!("{path}: there is no such socket; start the program that listens there")
            }
            io::ErrorKind::ConnectionRefused => {
                format!("{path}: nobody listens; start the program that does")
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("{path}: it was not taken within {}", humantime::format_duration(timeout))
            }
            _ => format!("{path}: {error}"),
        })
    })
}

fn write_line(path: &Path, timeout: Duration, message: &str) -> io::Result<()> {
    let mut socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Holds for connecting as well: the queue of one who does not accept is full some day.
    socket.set_write_timeout(Some(timeout))?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.write_all(format!("{message}\n").as_bytes())?;
    socket.shutdown(Shutdown::Write)
}
