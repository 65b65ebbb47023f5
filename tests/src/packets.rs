//! Packet knocks by hand, for whoever does not behave as the client does: any counter, any bytes, from any address, as often
//! as he likes.

use std::cell::Cell;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use getrandom::SysRng;
use knockgate_core::Refusal;
use knockgate_core::client::{Keys, Question};
use knockgate_core::envelope::Message;
use knockgate_core::key::{GateId, SecretKey};
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::message::{Answer, Kind, Request, Verdict};
use knockgate_core::profile::Profile;
use rand_core::UnwrapErr;
use socket2::{Domain, Socket, Type};

use crate::Host;
use crate::peers::PATIENCE;

/// UDP port of packet knocks, unless a configuration says otherwise.
pub const KNOCK: u16 = 62201;
/// Numbers of the services that a lab's gate guards.
pub const SSH_SERVICE: u16 = 1;
pub const WEB_SERVICE: u16 = 2;

/// Microseconds of Unix time, by this machine's clock.
pub fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// What is in a profile's file.
pub fn profile(file: &Path) -> Result<Profile> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Profile::decode(&bytes).map_err(|fault| anyhow!("{}: {fault:?}", file.display()))
}

/// Whoever can seal messages for a gate.
pub struct Hand {
    keys: Keys,
    last: Cell<u64>,
}

impl Hand {
    /// The owner of a profile.
    pub fn of(profile: &Path) -> Result<Self> {
        Self::with(&self::profile(profile)?)
    }

    /// Somebody who knows all that is in a profile but for the client's secret key: he has one of his own.
    pub fn off_the_roster(profile: &Path) -> Result<Self> {
        Self::with(&Profile {
            secret: Some(SecretKey::generate(&mut UnwrapErr(SysRng))),
            ..self::profile(profile)?
        })
    }

    /// The owner of a profile who seals for another gate.
    pub fn for_another_gate(profile: &Path) -> Result<Self> {
        Self::with(&Profile { gate: GateId([0x5a; 16]), ..self::profile(profile)? })
    }

    fn with(profile: &Profile) -> Result<Self> {
        let keys = Keys::of(profile).map_err(|fault| anyhow!("a profile for packets by hand: {fault:?}"))?;
        Ok(Self { keys, last: Cell::new(0) })
    }

    /// A request under a counter of the present that was not used before.
    pub fn request(&self, kind: Kind) -> Request {
        let counter = unix_micros().max(self.last.get() + 1);
        self.last.set(counter);
        Request::new(kind, counter)
    }

    /// A request to open ssh for some seconds.
    pub fn open_ssh(&self, seconds: u32) -> Request {
        Request { service: SSH_SERVICE, seconds, ..self.request(Kind::Open) }
    }

    pub fn seal(&self, request: &Request) -> Result<Sealed<'_>> {
        let sealed = self.keys.ask(request, &mut UnwrapErr(SysRng));
        let (question, message) = sealed.map_err(|fault| anyhow!("cannot seal: {fault:?}"))?;
        Ok(Sealed { question, message })
    }

    /// Seals, sends, and waits for the answer. None is silence.
    pub fn ask(&self, from: &Host, to: SocketAddr, request: &Request) -> Result<Option<Answer>> {
        self.seal(request)?.send(from, to)
    }
}

/// A message that can be sent as often as its owner likes, and the means to read the answer.
pub struct Sealed<'k> {
    question: Question<'k>,
    pub message: Message,
}

impl Sealed<'_> {
    /// None is silence.
    pub fn send(&self, from: &Host, to: SocketAddr) -> Result<Option<Answer>> {
        exchange(from, to, &self.message)?.map(|answer| self.read(&answer)).transpose()
    }

    pub fn read(&self, answer: &[u8]) -> Result<Answer> {
        let message = answer.try_into().with_context(|| format!("an answer of {} bytes", answer.len()))?;
        self.question.answer(message).map_err(|fault| anyhow!("an answer that cannot be read: {fault:?}"))
    }
}

/// The reason of a refusal; it is an error if the answer is none.
pub fn refusal(answer: Option<Answer>) -> Result<Refusal> {
    let answer = answer.context("silence instead of a refusal")?;
    answer.refusal().with_context(|| format!("no refusal: {answer:?}"))
}

/// Sends one datagram and waits for what comes back to it.
pub fn exchange(from: &Host, to: SocketAddr, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    exchange_within(PATIENCE, from, to, bytes)
}

/// The same with another patience.
pub fn exchange_within(
    patience: Duration,
    from: &Host,
    to: SocketAddr,
    bytes: &[u8],
) -> Result<Option<Vec<u8>>> {
    from.inside(|| {
        let socket = connected(to)?;
        socket.send(bytes)?;
        hear(&socket, patience)
    })
}

/// What comes to a socket within some time. An unreachable port is silence, too: whoever wants to tell them apart captures.
pub fn hear(socket: &UdpSocket, patience: Duration) -> Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + patience;
    let mut buffer = [0; 2 * MESSAGE_LEN];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(length) => return Ok(buffer.get(..length).map(<[u8]>::to_vec)),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                ErrorKind::ConnectionRefused => {}
                _ => return Err(error.into()),
            },
        }
    }
}

/// Sends datagrams one after the other, each from a socket of its own, and waits for nothing.
pub fn send_all<'m>(
    from: &Host,
    to: SocketAddr,
    messages: impl IntoIterator<Item = &'m [u8]> + Send,
) -> Result<()> {
    from.inside(|| {
        for message in messages {
            connected(to)?.send(message)?;
        }
        Ok(())
    })
}

/// Sends datagrams as fast as one can, from one socket. What finds no room on the way is lost.
pub fn flood<'m>(
    from: &Host,
    to: SocketAddr,
    messages: impl IntoIterator<Item = &'m [u8]> + Send,
) -> Result<()> {
    from.inside(|| {
        let socket = connected(to)?;
        for message in messages {
            let _ = socket.send(message);
        }
        Ok(())
    })
}

/// Sends one IPv4 datagram in the name of somebody else.
pub fn send_in_the_name_of(source: IpAddr, from: &Host, to: SocketAddr, bytes: &[u8]) -> Result<()> {
    from.inside(|| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.set_ip_transparent_v4(true)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.send_to(bytes, &to.into())?;
        Ok(())
    })
}

/// Bytes that are noise to everybody.
pub fn noise(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Whether the answer grants what was asked.
pub fn is_granted(answer: Option<&Answer>) -> bool {
    answer.is_some_and(|answer| answer.verdict == Verdict::Granted)
}

fn connected(to: SocketAddr) -> Result<UdpSocket> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket)
}
