//! One socket for both address families. A host without IPv6 gets IPv4 alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// A socket without blocking on one port (0: any) of all addresses, after `prepare` has had it.
pub(super) fn bind(
    kind: Type,
    protocol: Protocol,
    port: u16,
    prepare: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    let open = |domain, any: IpAddr| {
        let socket = Socket::new(domain, kind, Some(protocol))?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        prepare(&socket)?;
        socket.bind(&SocketAddr::new(any, port).into())?;
        Ok(socket)
    };
    match open(Domain::IPV6, Ipv6Addr::UNSPECIFIED.into()) {
        Err(error) if no_v6(&error) => open(Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()),
        other => other,
    }
}

/// The kernel has no IPv6, or it is switched off.
pub(super) fn no_v6(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}
