//! What hosts in a lab send each other.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::netns::{Host, wait_until};

/// Within this time an answer comes, or there is none. Shorter than the second after which TCP repeats a SYN.
const SILENCE: Duration = Duration::from_millis(300);
/// For what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a connection attempt meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Refused,
    Silence,
    Other(io::ErrorKind),
}

pub(crate) fn dial(from: &Host, to: IpAddr, port: u16) -> Answer {
    dial_at(from, SocketAddr::new(to, port))
}

pub(crate) fn dial_at(from: &Host, to: SocketAddr) -> Answer {
    meets(from.on(|| TcpStream::connect_timeout(&to, SILENCE)).map(drop))
}

/// From one of several addresses of a host.
pub(crate) fn dial_from(from: &Host, source: IpAddr, to: IpAddr, port: u16) -> Answer {
    let (source, to) = (SocketAddr::new(source, 0), SocketAddr::new(to, port));
    let dialled = from.on(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&source.into())?;
        socket.connect_timeout(&to.into(), SILENCE)
    });
    meets(dialled)
}

fn meets(dialled: io::Result<()>) -> Answer {
    match dialled {
        Ok(()) => Answer::Accepted,
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Answer::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Answer::Silence,
            other => Answer::Other(other),
        },
    }
}

pub(crate) fn connect(from: &Host, to: IpAddr, port: u16) -> TcpStream {
    from.on(|| TcpStream::connect_timeout(&SocketAddr::new(to, port), PATIENCE)).expect("connects")
}

/// One SYN and nothing more.
pub(crate) fn send_syn(from: &Host, to: IpAddr, port: u16) {
    from.on(|| send_syn_from_here(to, port));
}

fn send_syn_from_here(to: IpAddr, port: u16) {
    let to = SocketAddr::new(to, port);
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
    socket.set_nonblocking(true).expect("a socket can be");
    let _in_progress = socket.connect(&to.into());
}

/// A TCP service that tells every client its address and then repeats what it hears.
pub(crate) struct Echo;

impl Echo {
    /// The service lives until the test program ends.
    pub(crate) fn start(host: &Host, port: u16) -> Self {
        let listener =
            host.on(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).expect("the port is free"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || repeat(stream));
            }
        });
        Self
    }
}

fn repeat(mut stream: TcpStream) -> io::Result<()> {
    let peer = stream.peer_addr()?.ip().to_canonical();
    let peer = if let IpAddr::V4(v4) = peer { v4.to_ipv6_mapped() } else { peer_v6(peer) };
    stream.write_all(&peer.octets())?;
    io::copy(&mut stream.try_clone()?, &mut stream)?;
    Ok(())
}

fn peer_v6(peer: IpAddr) -> Ipv6Addr {
    let IpAddr::V6(v6) = peer else { panic!("v4 was dealt with") };
    v6
}

/// A client of [`Echo`].
pub(crate) struct Session {
    stream: TcpStream,
    peer: IpAddr,
}

impl Session {
    pub(crate) fn open(from: &Host, to: IpAddr, port: u16) -> Self {
        let mut stream = connect(from, to, port);
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let mut peer = [0; 16];
        stream.read_exact(&mut peer).expect("the service speaks first");
        Self { stream, peer: IpAddr::from(peer).to_canonical() }
    }

    pub(crate) fn peer_seen_by_server(&self) -> IpAddr {
        self.peer
    }

    pub(crate) fn echoes(&mut self) -> bool {
        let mut heard = [0; 4];
        self.stream.write_all(b"ping").is_ok()
            && self.stream.read_exact(&mut heard).is_ok()
            && &heard == b"ping"
    }
}

/// No TCP socket of this namespace has anything in its send queue.
pub(crate) fn all_is_acknowledged() -> bool {
    ["tcp", "tcp6"]
        .iter()
        .flat_map(|name| table(name))
        .all(|line| line.split_whitespace().nth(4).is_none_or(|queue| queue.starts_with("00000000:")))
}

/// Takes the next connection of a listener that does not block.
pub(crate) fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut taken = None;
    wait_until("somebody connects", || {
        taken = listener.accept().ok();
        taken.is_some()
    });
    taken.expect("waited for")
}

/// A socket for both families.
pub(crate) fn udp(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).expect("the port is free");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    socket
}

pub(crate) fn send_udp(from: &Host, to: IpAddr, port: u16, payload: &[u8]) {
    send_udp_to(from, SocketAddr::new(to, port), payload);
}

pub(crate) fn send_udp_to(from: &Host, to: SocketAddr, payload: &[u8]) {
    from.on(|| {
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).expect("some port is free");
        socket.set_broadcast(true).expect("a socket can be");
        socket.send_to(payload, to).expect("sends");
    });
}

/// A client's ordinary socket, connected to where it knocks.
pub(crate) fn knocker(from: &Host, to: SocketAddr) -> UdpSocket {
    from.on(|| {
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).expect("some port is free");
        socket.connect(to).expect("there is a route");
        socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
        socket
    })
}

/// What a datagram is met with; `Refused` is an ICMP error.
pub(crate) fn udp_meets(from: &Host, to: IpAddr, port: u16, payload: &[u8]) -> Answer {
    let socket = knocker(from, SocketAddr::new(to, port));
    socket.set_read_timeout(Some(SILENCE)).expect("not zero");
    socket.send(payload).expect("sends");
    meets(socket.recv(&mut [0; 256]).map(drop))
}

/// A packet of protocol 255, which is what a raw socket that only sends is registered for.
pub(crate) fn send_raw(from: &Host, source: IpAddr, to: IpAddr) {
    let packet = match (source, to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => {
            [&[0x45, 0, 0, 25, 0, 0, 0, 0, 64, 255, 0, 0], &source.octets()[..], &to.octets(), b"noise"]
                .concat()
        }
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            [&[0x60, 0, 0, 0, 0, 5, 255, 64], &source.octets()[..], &to.octets(), b"noise"].concat()
        }
        _ => panic!("one family"),
    };
    let to = SocketAddr::new(to, 0);
    from.on(|| raw(to.ip()).send_to(&packet, &to.into()).expect("sends"));
}

/// A raw socket of protocol 255, for the family of an address.
pub(crate) fn raw(family: IpAddr) -> Socket {
    let domain = Domain::for_address(SocketAddr::new(family, 0));
    let socket = Socket::new(domain, Type::RAW, Some(255.into())).expect("root may");
    socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
    socket
}

/// The sockets of this namespace, as `/proc` lists them.
pub(crate) fn table(name: &str) -> Vec<String> {
    let table = std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).expect("Linux has it");
    table.lines().skip(1).map(str::to_owned).collect()
}

pub(crate) fn flood_udp(from: &Host, to: IpAddr, port: u16, datagrams: usize) {
    from.on(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("some port is free");
        for _ in 0..datagrams {
            socket.send_to(b"flood", (to, port)).expect("sends");
        }
    });
}

pub(crate) fn receive_udp(socket: &UdpSocket) -> Vec<u8> {
    let mut payload = vec![0; 256];
    let length = socket.recv(&mut payload).expect("something comes");
    payload.truncate(length);
    payload
}

/// How many datagrams have come.
pub(crate) fn drain_udp(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).expect("a socket can be");
    let count = std::iter::from_fn(|| socket.recv(&mut [0; 64]).ok()).count();
    socket.set_nonblocking(false).expect("a socket can be");
    count
}

#[derive(Default)]
pub(crate) struct Counter(AtomicUsize);

impl Counter {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Datagrams and SYNs as fast as they go, until `done`.
pub(crate) fn hammer(from: &Host, to: IpAddr, udp: u16, tcp: u16, done: &AtomicBool, sent: &Counter) {
    from.enter();
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("some port is free");
    while !done.load(Ordering::Relaxed) {
        for _ in 0..20 {
            let _dropped = socket.send_to(b"noise", (to, udp));
        }
        send_syn_from_here(to, tcp);
        sent.0.fetch_add(1, Ordering::Relaxed);
    }
}
