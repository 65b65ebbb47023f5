//! Other machines' programs: a service that greets, and attempts to reach one.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use socket2::{Domain, SockRef, Socket, Type};

use crate::{Host, waiting};

/// How long an attempt waits before it calls the other side silent. Everything here is one machine: an answer that
/// comes at all comes within a few milliseconds.
pub const PATIENCE: Duration = Duration::from_millis(700);

/// How long somebody who is connected waits to be greeted: longer, for it is a loss if he was let in and goes, and no story
/// has many whom nobody greets.
const UNTIL_GREETED: Duration = Duration::from_secs(3);

/// A TCP service on one port, IPv4 and IPv6, that greets whoever connects. Stops when dropped.
pub struct Service {
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    pub fn start(host: &Host, port: u16, greeting: &'static str) -> Result<Self> {
        let listener = host.inside(|| listen(port))?;
        let accepting = listener.try_clone()?;
        let thread = std::thread::spawn(move || {
            // Ends when `drop` shuts the listening socket.
            for visitor in accepting.incoming().map_while(Result::ok) {
                greet(visitor, greeting);
            }
        });
        Ok(Self { listener, thread: Some(thread) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let shut = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        if let (Ok(()), Some(thread)) = (shut, self.thread.take()) {
            // A greeter that panicked has already said so.
            let _ = thread.join();
        }
    }
}

fn listen(port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(64)?;
    Ok(socket.into())
}

fn greet(mut visitor: TcpStream, greeting: &str) {
    // A visitor who is gone again is no concern of the service.
    let _ = writeln!(visitor, "{greeting}");
}

/// A TCP service on one port that says nothing and keeps every connection for as long as the visitor does. Stops when
/// dropped.
pub struct Quiet {
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Quiet {
    pub fn start(host: &Host, port: u16) -> Result<Self> {
        let listener = host.inside(|| listen(port))?;
        let accepting = listener.try_clone()?;
        let thread = std::thread::spawn(move || {
            for visitor in accepting.incoming().map_while(Result::ok) {
                std::thread::spawn(move || echo(visitor));
            }
        });
        Ok(Self { listener, thread: Some(thread) })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let shut = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        if let (Ok(()), Some(thread)) = (shut, self.thread.take()) {
            // One that panicked has already said so.
            let _ = thread.join();
        }
    }
}

fn echo(mut visitor: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(count) = visitor.read(&mut buffer) {
        let Some(said) = buffer.get(..count).filter(|said| !said.is_empty()) else { return };
        if visitor.write_all(said).is_err() {
            return;
        }
    }
}

/// What came of an attempt to reach a TCP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Connected, and greeted with this line.
    Greeting(String),
    /// Connected, but the other side said nothing before it closed or patience ended.
    Mute,
    /// A reset came back: somebody answers there.
    Refused,
    /// Nothing came back.
    Silence,
    /// The network itself refused.
    Error(ErrorKind),
}

/// Connects from a host and waits for a greeting.
pub fn reach(from: &Host, to: SocketAddr) -> Result<Reached> {
    from.inside(|| Ok(reached(TcpStream::connect_timeout(&to, PATIENCE), UNTIL_GREETED)))
}

/// [`reach`] from one of several addresses of the host.
pub fn reach_as(source: IpAddr, from: &Host, to: SocketAddr) -> Result<Reached> {
    from.inside(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        Ok(reached(socket.connect_timeout(&to.into(), PATIENCE).map(|()| socket.into()), UNTIL_GREETED))
    })
}

/// [`reach`] for a thread that is already inside the right namespace.
pub fn reach_from_here(to: SocketAddr, patience: Duration) -> Reached {
    reached(TcpStream::connect_timeout(&to, patience), patience)
}

fn reached(connected: std::io::Result<TcpStream>, patience: Duration) -> Reached {
    match connected {
        Ok(stream) => match first_line(stream, patience) {
            line if line.is_empty() => Reached::Mute,
            line => Reached::Greeting(String::from_utf8_lossy(&line).trim().to_owned()),
        },
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Reached::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Reached::Silence,
            other => Reached::Error(other),
        },
    }
}

/// Connects, sends bytes, returns what comes back until the other side closes or patience ends.
pub fn send(from: &Host, to: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    from.inside(|| {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.write_all(bytes)?;
        Ok(listen_to(stream, PATIENCE))
    })
}

/// Sends one datagram; nothing is expected back.
pub fn send_datagram(from: &Host, to: SocketAddr, bytes: &[u8]) -> Result<()> {
    from.inside(|| {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        UdpSocket::bind(any)?.send_to(bytes, to)?;
        Ok(())
    })
}

/// What the other side says first.
fn first_line(stream: TcpStream, patience: Duration) -> Vec<u8> {
    let mut line = Vec::new();
    if stream.set_read_timeout(Some(patience)).is_ok() {
        // Whatever came before a fault counts.
        let _ = BufReader::new(stream).read_until(b'\n', &mut line);
    }
    line
}

/// Everything the other side says until it closes or falls silent.
fn listen_to(mut stream: TcpStream, patience: Duration) -> Vec<u8> {
    let deadline = Instant::now() + patience;
    let mut heard = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return heard;
        }
        match waiting::uninterrupted(|| stream.read(&mut buffer)) {
            Ok(0) | Err(_) => return heard,
            Ok(count) => heard.extend_from_slice(&buffer[..count]),
        }
    }
}
