//! Connect mode: one listener behind all decoys.
//!
//! The rule set redirects connections from every decoy to it; the port that was meant is remembered by conntrack. One
//! IPv6 socket takes both families. Strangers cannot reach it: they meet the bare host on decoys, and the guard drops
//! what comes to the listener's own port.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsFd;

use socket2::{Protocol, SockRef, Type};

use super::dual;

/// A holder knocks one port after the other, so this is room for many holders at once.
const BACKLOG: i32 = 1024;

/// A connection on a decoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoyTouched {
    pub source: IpAddr,
    /// The port that the client dialled.
    pub port: u16,
}

/// Listens for both families on one port (0: any), without blocking. A host without IPv6 gets IPv4 alone.
///
/// # Errors
/// The port is taken, or may not be.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = dual::bind(Type::STREAM, Protocol::TCP, port, |socket| socket.set_reuse_address(true))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Who touched which decoy. `None`: nobody redirected this connection, it came to the listener's own port (from this
/// host itself, or over an interface that is not guarded).
///
/// # Errors
/// The connection is gone, or conntrack has forgotten it.
pub fn touched(stream: &impl AsFd) -> io::Result<Option<DecoyTouched>> {
    let socket = SockRef::from(stream);
    let source = address(socket.peer_addr()?)?.ip();
    let own = address(socket.local_addr()?)?;
    let original = match source {
        IpAddr::V4(_) => socket.original_dst_v4(),
        IpAddr::V6(_) => socket.original_dst_v6(),
    };
    let original = match original {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) => {
            return Ok(None);
        }
        other => address(other?)?,
    };
    Ok((original.port() != own.port()).then_some(DecoyTouched { source, port: original.port() }))
}

/// With a v4 address in v6 clothes undressed.
fn address(address: socket2::SockAddr) -> io::Result<SocketAddr> {
    let address = address.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}
