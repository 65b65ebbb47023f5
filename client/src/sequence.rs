//! Knocks a sequence with ordinary sockets: no raw packets, no privileges. Rule: `docs/protocol.md`, section 6.5.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::dial::{self, CONNECT_WAIT, Dialler};
use crate::exchange::Route;

/// A port of the sequence that could not be knocked.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) port: u16,
    /// Counted from 1.
    pub(crate) position: usize,
    pub(crate) source: io::Error,
}

/// Why a sequence was not knocked to its end.
#[derive(Debug)]
pub(crate) enum Stopped<W> {
    Blocked(Blocked),
    /// What has to be there before the last port is not.
    Withheld(W),
}

/// Connect mode: one full TCP connection after the other. `before_last` is called when only the last port is left.
///
/// The next one is opened only after the gate has closed the one before. So the gate sees them in order, however the
/// network delays packets: it forgives no port out of turn. A gate that does not close has not seen the connection
/// complete (its last packet was lost and will be sent again), so to go on would be to knock out of turn.
pub(crate) fn connect_all<W>(
    ports: &[u16],
    route: Route,
    deadline: Instant,
    before_last: impl FnOnce() -> Result<(), W>,
) -> Result<(), Stopped<W>> {
    let ready = |port: u16| Dialler::ready(at(route.to, port), Some(route.from));
    // What does not have to wait for the gate's close is done before it, and what follows from it after the next packet.
    let mut next: Option<io::Result<Dialler>> = None;
    let mut closed: Option<TcpStream> = None;
    each_port(ports, before_last, |index, port| {
        let wait = left(deadline)?.min(CONNECT_WAIT);
        let mut stream = next.take().unwrap_or_else(|| ready(port))?.connect(wait)?;
        drop(closed.take());
        next = ports.get(index + 1).map(|&port| ready(port));
        wait_for_close(&mut stream, deadline)?;
        closed = Some(stream);
        Ok(())
    })
}

/// Closed mode: one connection attempt per port, each forgotten at once. `before_last` as above.
pub(crate) fn probe_all<W>(
    ports: &[u16],
    route: Route,
    gap: Duration,
    before_last: impl FnOnce() -> Result<(), W>,
) -> Result<(), Stopped<W>> {
    each_port(ports, before_last, |index, port| {
        if index > 0 {
            thread::sleep(gap);
        }
        dial::probe(at(route.to, port), route.from)
    })
}

fn each_port<W>(
    ports: &[u16],
    before_last: impl FnOnce() -> Result<(), W>,
    mut knock: impl FnMut(usize, u16) -> io::Result<()>,
) -> Result<(), Stopped<W>> {
    let Some((&last, first)) = ports.split_last() else { return Ok(()) };
    let mut knock = |index, port| {
        let blocked = |source| Stopped::Blocked(Blocked { port, position: index + 1, source });
        knock(index, port).map_err(blocked)
    };
    for (index, &port) in first.iter().enumerate() {
        knock(index, port)?;
    }
    before_last().map_err(Stopped::Withheld)?;
    knock(first.len(), last)
}

fn at(gate: SocketAddr, port: u16) -> SocketAddr {
    let mut address = gate;
    address.set_port(port);
    address
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Returns once the gate has closed the connection, politely or not.
fn wait_for_close(stream: &mut TcpStream, deadline: Instant) -> io::Result<()> {
    let mut ignored = [0; 64];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut ignored) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => return Ok(()),
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
                _ => return Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn listeners(count: usize) -> (Vec<TcpListener>, Vec<u16>) {
        let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        (listeners, ports)
    }

    fn route() -> Route {
        Route { to: "127.0.0.1:1".parse().unwrap(), from: "127.0.0.1:0".parse().unwrap() }
    }

    #[test]
    fn a_connection_is_opened_only_after_the_one_before_was_closed() {
        let (listeners, ports) = listeners(3);
        let (finished, is_finished) = mpsc::channel();
        let sequence = ports.clone();
        let knocking = thread::spawn(move || {
            let result = connect(&sequence, Instant::now() + SOON).map_err(|blocked| blocked.port);
            finished.send(()).unwrap();
            result
        });
        for (position, listener) in listeners.iter().enumerate() {
            let (knock, _) = listener.accept().unwrap();
            // While this connection is open, nothing may come at the next port and the client may not be through.
            if let Some(next) = listeners.get(position + 1) {
                assert!(
                    !comes_within(next, Duration::from_millis(50)),
                    "port {} came too early",
                    position + 1
                );
            }
            assert!(is_finished.try_recv().is_err());
            drop(knock);
        }
        assert_eq!(knocking.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_refused_port_ends_the_sequence_and_is_named() {
        let (mut listeners, ports) = listeners(3);
        listeners.remove(1);
        let acceptor = thread::spawn(move || drop(listeners[0].accept().unwrap()));
        let blocked = connect(&ports, Instant::now() + SOON).unwrap_err();
        assert_eq!((blocked.port, blocked.position), (ports[1], 2));
        acceptor.join().unwrap();
    }

    #[test]
    fn after_the_deadline_nothing_is_knocked() {
        let (_listeners, ports) = listeners(1);
        let blocked = connect(&ports, Instant::now()).unwrap_err();
        assert_eq!(blocked.source.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_connection_that_the_gate_does_not_close_is_followed_by_no_other() {
        let (listeners, ports) = listeners(2);
        let blocked = connect(&ports, Instant::now() + Duration::from_millis(100)).unwrap_err();
        assert_eq!((blocked.port, blocked.source.kind()), (ports[0], io::ErrorKind::TimedOut));
        assert!(!comes_within(&listeners[1], Duration::ZERO));
    }

    #[test]
    fn what_has_to_be_there_before_the_last_port_is_waited_for_after_the_others() {
        let (mut listeners, ports) = listeners(3);
        let last = listeners.pop().unwrap();
        let acceptor = thread::spawn(move || {
            for listener in &listeners {
                drop(listener.accept().unwrap());
            }
        });
        let mut closer = None;
        let before_last = || {
            acceptor.join().unwrap();
            if comes_within(&last, Duration::ZERO) {
                return Err("came too early");
            }
            closer = Some(thread::spawn(move || drop(last.accept().unwrap())));
            Ok(())
        };
        let stopped = connect_all(&ports, route(), Instant::now() + SOON, before_last);
        assert!(stopped.is_ok(), "{stopped:?}");
        closer.expect("it was called").join().unwrap();
    }

    #[test]
    fn the_last_port_is_not_knocked_in_either_mode_if_that_is_missing() {
        let (mut listeners, ports) = listeners(2);
        let last = listeners.pop().unwrap();
        let acceptor = thread::spawn(move || drop(listeners[0].accept().unwrap()));
        let stopped = connect_all(&ports, route(), Instant::now() + SOON, || Err("missing"));
        assert!(matches!(stopped, Err(Stopped::Withheld("missing"))), "{stopped:?}");
        acceptor.join().unwrap();
        let stopped = probe_all(&ports, route(), Duration::ZERO, || Err("missing"));
        assert!(matches!(stopped, Err(Stopped::Withheld("missing"))), "{stopped:?}");
        assert!(!comes_within(&last, Duration::from_millis(50)));
    }

    #[test]
    fn closed_mode_tries_every_port_and_waits_for_none() {
        let (listeners, ports) = listeners(3);
        let started = Instant::now();
        probe_all(&ports, route(), Duration::from_millis(5), ready).unwrap();
        assert!(started.elapsed() >= Duration::from_millis(10), "two gaps");
        for listener in listeners {
            assert!(comes_within(&listener, SOON));
        }
    }

    #[test]
    fn closed_mode_does_not_mind_that_every_port_is_shut() {
        let (listeners, ports) = listeners(3);
        drop(listeners);
        assert!(probe_all(&ports, route(), Duration::ZERO, ready).is_ok());
    }

    fn ready() -> Result<(), Infallible> {
        Ok(())
    }

    fn connect(ports: &[u16], deadline: Instant) -> Result<(), Blocked> {
        connect_all(ports, route(), deadline, ready).map_err(|stopped| match stopped {
            Stopped::Blocked(blocked) => blocked,
            Stopped::Withheld(nothing) => match nothing {},
        })
    }

    fn comes_within(listener: &TcpListener, wait: Duration) -> bool {
        listener.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + wait;
        loop {
            match listener.accept() {
                Ok(_) => return true,
                Err(_) if Instant::now() < deadline => thread::yield_now(),
                Err(_) => {
                    listener.set_nonblocking(false).unwrap();
                    return false;
                }
            }
        }
    }
}
