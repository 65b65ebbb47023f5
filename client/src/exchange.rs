//! One question and its answer over TCP: 200 bytes there, 200 bytes back. Rule: `docs/protocol.md`, section 5.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use knockgate_core::client::{ExchangeError, Keys, Question};
use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::message::{Answer, Request};
use rand_core::CryptoRng;

use crate::console::conversation::Conversation;
use crate::dial::{self, CONNECT_WAIT};

/// How long an accepted question may stay without an answer. A gate answers in milliseconds; a stranger's port is silent.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Where a knock goes and where it leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) to: SocketAddr,
    pub(crate) from: SocketAddr,
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As datagrams: see [`packet`](crate::packet).
    Packet,
    /// Over a TCP connection to the central port.
    Tcp,
}

impl Way {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Tcp => "tcp",
        }
    }
}

/// An answer, and the way it took.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) way: Way,
    pub(crate) route: Route,
    /// When it came.
    pub(crate) at: Instant,
    /// From the question to the answer.
    pub(crate) took: Duration,
    /// How often the address was asked. An earlier question may have had its effect, too.
    pub(crate) tries: u32,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No connection.
    Connect(io::Error),
    /// The connection was accepted, and then nothing came.
    Silence,
    /// The connection was closed without an answer: a gate that is flooded gives up the oldest ones.
    Cut,
    /// The bytes that came were not written by the gate.
    NotTheGate,
    /// The gate wrote what this version cannot read.
    NewerGate,
    /// A key in the profile is unusable.
    Keys,
    /// The datagram could not leave.
    Unsent(io::Error),
    /// So many datagrams, and nothing came.
    Unanswered { tries: u32 },
    /// Something says that nobody listens at the UDP port.
    Shut,
}

/// Asks the gate at `to`, leaving from `from` if it is given.
pub(crate) fn exchange(
    keys: &Keys,
    request: &Request,
    way: (SocketAddr, Option<SocketAddr>),
    deadline: Instant,
    rng: &mut impl CryptoRng,
) -> Result<Answered, NoAnswer> {
    let reply = put(keys, request, way, deadline, rng)?;
    let answer = reply.question.answer(&reply.message).map_err(no_answer)?;
    Ok(reply.answered(answer))
}

/// The same, and goes on over the connection. Whether the gate goes on too is in its answer.
pub(crate) fn converse(
    keys: &Keys,
    request: &Request,
    way: (SocketAddr, Option<SocketAddr>),
    deadline: Instant,
    rng: &mut impl CryptoRng,
) -> Result<(Answered, Conversation), NoAnswer> {
    let reply = put(keys, request, way, deadline, rng)?;
    let (answer, channel) = reply.question.answer_and_go_on(&reply.message).map_err(no_answer)?;
    let answered = reply.answered(answer);
    Ok((answered, Conversation::new(reply.stream, channel)))
}

/// What has come back, and the connection that it came over.
struct Reply<'k> {
    stream: TcpStream,
    question: Question<'k>,
    message: Message,
    route: Route,
    at: Instant,
    took: Duration,
}

impl Reply<'_> {
    fn answered(&self, answer: Answer) -> Answered {
        let &Self { route, at, took, .. } = self;
        Answered { answer, way: Way::Tcp, route, at, took, tries: 1 }
    }
}

fn put<'k>(
    keys: &'k Keys,
    request: &Request,
    (to, from): (SocketAddr, Option<SocketAddr>),
    deadline: Instant,
    rng: &mut impl CryptoRng,
) -> Result<Reply<'k>, NoAnswer> {
    // Sealed before the connection begins: the gate keeps nobody's connection waiting for arithmetic.
    let (question, message) = keys.ask(request, rng).map_err(no_answer)?;
    let left = |limit: Duration| deadline.saturating_duration_since(Instant::now()).min(limit);
    let mut stream = dial::connect(to, from, left(CONNECT_WAIT)).map_err(NoAnswer::Connect)?;
    let from = stream.local_addr().map_err(NoAnswer::Connect)?;

    let answer_by = Instant::now() + left(ANSWER_WAIT);
    let asked = Instant::now();
    let mut reply = [0; MESSAGE_LEN];
    send(&mut stream, &message)
        .and_then(|()| fill(&mut stream, &mut reply, answer_by))
        .map_err(|error| if is_cut(&error) { NoAnswer::Cut } else { NoAnswer::Silence })?;
    let at = Instant::now();
    let took = at.saturating_duration_since(asked);
    Ok(Reply { stream, question, message: reply, route: Route { to, from }, at, took })
}

fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn no_answer(error: ExchangeError) -> NoAnswer {
    match error {
        ExchangeError::Keys => NoAnswer::Keys,
        ExchangeError::NotTheGate => NoAnswer::NotTheGate,
        ExchangeError::NewerGate => NoAnswer::NewerGate,
    }
}

fn send(stream: &mut TcpStream, message: &[u8; MESSAGE_LEN]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(ANSWER_WAIT))?;
    stream.write_all(message)
}

/// Reads until `buffer` is full.
pub(crate) fn fill(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = match stream.read(rest) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        rest = rest.get_mut(read..).unwrap_or_default();
    }
    Ok(())
}
