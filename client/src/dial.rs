//! From a host name to a TCP connection, or to a socket for datagrams.
//!
//! Every address of the name is tried in the resolver's order. All connections of one knock leave from one address for
//! one address, because the gate opens for exactly the source that it talked to.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::private_file::plain;
use crate::settings::Family;

/// How long one address may take to accept a connection: the first SYN and its retransmission after a second, over any path.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// Why a name led to no address.
#[derive(Debug, Error)]
pub(crate) enum ResolveFault {
    #[error("{host} cannot be resolved: {}; check the network, and the name with the gate's administrator", plain(.source))]
    Failed { host: String, source: io::Error },
    #[error(
        "{host} cannot be resolved in time; check the network and its name server, or give it longer with --timeout"
    )]
    Slow { host: String },
    #[error("{host} has no IPv4 address; leave -4 away")]
    NoIpv4 { host: String },
    #[error("{host} has no IPv6 address; leave -6 away")]
    NoIpv6 { host: String },
    #[error("{host} has no address; check the name with the gate's administrator")]
    NoAddress { host: String },
}

/// The addresses of `host`, in the resolver's order and each once.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    family: Family,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ResolveFault> {
    let found = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => look_up(host, port, deadline)?,
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.into_iter().filter(|address| is_of(family, address)) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let host = || host.to_owned();
    match (addresses.is_empty(), family) {
        (false, _) => Ok(addresses),
        (true, Family::Ipv4) => Err(ResolveFault::NoIpv4 { host: host() }),
        (true, Family::Ipv6) => Err(ResolveFault::NoIpv6 { host: host() }),
        (true, Family::Any) => Err(ResolveFault::NoAddress { host: host() }),
    }
}

/// The system's resolver knows no deadline, so it runs aside. A thread that is late ends with the process.
fn look_up(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, ResolveFault> {
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    thread::spawn(move || {
        // Nobody listens any more once the deadline has passed.
        let _ = sender.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect));
    });
    let left = deadline.saturating_duration_since(Instant::now());
    let answer = receiver.recv_timeout(left).map_err(|_| ResolveFault::Slow { host: host.to_owned() })?;
    answer.map_err(|source| ResolveFault::Failed { host: host.to_owned(), source })
}

fn is_of(family: Family, address: &SocketAddr) -> bool {
    match family {
        Family::Any => true,
        Family::Ipv4 => address.is_ipv4(),
        Family::Ipv6 => address.is_ipv6(),
    }
}

/// Connects to `to`, leaving from `from` (whose port is ignored) if it is given.
pub(crate) fn connect(to: SocketAddr, from: Option<SocketAddr>, wait: Duration) -> io::Result<TcpStream> {
    Dialler::ready(to, from)?.connect(wait)
}

/// A connection of which everything is done but its first packet.
pub(crate) struct Dialler {
    socket: Socket,
    to: SocketAddr,
}

impl Dialler {
    /// Gets ready to connect to `to`, leaving from `from` (whose port is ignored) if it is given. Sends nothing.
    pub(crate) fn ready(to: SocketAddr, from: Option<SocketAddr>) -> io::Result<Self> {
        Ok(Self { socket: socket(to, from)?, to })
    }

    pub(crate) fn connect(self, wait: Duration) -> io::Result<TcpStream> {
        let Self { socket, to } = self;
        // A timeout of zero is an error of its own kind.
        socket.connect_timeout(&to.into(), wait.max(Duration::from_millis(1)))?;
        Ok(socket.into())
    }
}

/// Sends the first packet of a connection that is not expected to come about, and forgets it.
pub(crate) fn probe(to: SocketAddr, from: SocketAddr) -> io::Result<()> {
    let socket = socket(to, Some(from))?;
    socket.set_nonblocking(true)?;
    // In progress, refused, unreachable: the packet has left, or the network has lost it. The gate never says which.
    let _ = socket.connect(&to.into());
    Ok(())
}

/// A socket for datagrams to `to` alone, leaving from `from` (whose port is ignored) if it is given. Sends nothing.
pub(crate) fn datagrams(to: SocketAddr, from: Option<SocketAddr>) -> io::Result<UdpSocket> {
    let socket = bound((Domain::for_address(to), Type::DGRAM, Protocol::UDP), from)?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// The address of this machine that packets to `to` leave from. Sends nothing.
pub(crate) fn route(to: SocketAddr) -> io::Result<SocketAddr> {
    // Port 0 is no place to connect to.
    let to = if to.port() == 0 { with_port(to, 9) } else { to };
    datagrams(to, None)?.local_addr()
}

pub(crate) fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    let mut address = address;
    address.set_port(port);
    address
}

fn socket(to: SocketAddr, from: Option<SocketAddr>) -> io::Result<Socket> {
    bound((Domain::for_address(to), Type::STREAM, Protocol::TCP), from)
}

fn bound((domain, kind, protocol): (Domain, Type, Protocol), from: Option<SocketAddr>) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, Some(protocol))?;
    if let Some(mut from) = from {
        from.set_port(0);
        socket.bind(&from.into())?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn an_address_needs_no_resolver_and_is_of_one_family() {
        #[rustfmt::skip]
        let cases = [
            (1, "127.0.0.1", Family::Any, true), (2, "127.0.0.1", Family::Ipv4, true), (3, "127.0.0.1", Family::Ipv6, false),
            (4, "::1", Family::Any, true), (5, "::1", Family::Ipv6, true), (6, "::1", Family::Ipv4, false),
        ];
        for (case, host, family, found) in cases {
            assert_eq!(resolve(host, 1, family, Instant::now()).is_ok(), found, "case {case}");
        }
    }

    #[test]
    fn an_address_is_listed_once() {
        let found = resolve("localhost", 1, Family::Ipv4, soon()).unwrap();
        assert_eq!(found, ["127.0.0.1:1".parse().unwrap()]);
    }

    #[test]
    fn a_connection_leaves_from_the_address_that_was_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let from = "127.0.0.1:9".parse().unwrap();
        let stream = connect(listener.local_addr().unwrap(), Some(from), CONNECT_WAIT).unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), from.ip());
        assert_ne!(stream.local_addr().unwrap().port(), 9);
    }

    #[test]
    fn a_probe_of_a_shut_port_is_no_error() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(probe(port, "127.0.0.1:0".parse().unwrap()).is_ok());
    }
}
