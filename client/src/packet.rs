//! One question and its answer by UDP: 200 bytes there, 200 bytes back. Rule: `docs/protocol.md`, section 5.
//!
//! Every try is a question of its own, with its own counter, from a socket of its own: a gate that watches takes each for a
//! new packet, whatever the connection tracking on the way remembers, and a connected socket is told when the port is shut.
//! What the gate has not written is ignored, and so is, for a while, that the port is shut: whoever can forge one datagram
//! must not be able to end the question. An answer to an earlier try is as good as one to the last.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use knockgate_core::client::{ExchangeError, Question};
use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;

use crate::dial;
use crate::exchange::{Answered, NoAnswer, Route, Way};
use crate::outcome::Failure;

/// How long an answer is waited for before the next try. A gate answers in a few milliseconds, so the first wait is one slow
/// path there and back; the last one is a satellite's with a queue.
const WAITS: [Duration; 3] =
    [Duration::from_millis(800), Duration::from_millis(1500), Duration::from_millis(2500)];
/// How long an answer is still waited for once the port is said to be shut. That it is can be forged, and the truth may take
/// as much longer.
const SHUT_WAIT: Duration = Duration::from_millis(300);

/// A question that is ready to be sent.
pub(crate) struct Prepared<'k> {
    pub(crate) question: Question<'k>,
    pub(crate) message: Message,
    /// UDP port of the gate.
    pub(crate) port: u16,
}

/// Which try it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Try {
    First,
    /// The same address was silent before.
    Again,
}

/// A question that was sent.
struct Sent<'k> {
    question: Question<'k>,
    target: usize,
    route: Route,
    at: Instant,
}

/// What has become of one target.
#[derive(Default)]
struct Standing {
    tries: u32,
    port: u16,
    unsent: Option<io::Error>,
    strange: bool,
    shut: bool,
}

struct Heard {
    /// Which of the questions.
    index: usize,
    what: What,
}

enum What {
    Message(Box<Message>),
    /// A datagram that is no message.
    Noise,
    /// The port is said to be shut.
    Shut,
}

/// Asks at every target, one after the other and round after round, until one of them answers. Leaves from `from`, whose
/// port is ignored, if it is given.
pub(crate) fn exchange<'k>(
    targets: &[SocketAddr],
    from: Option<SocketAddr>,
    deadline: Instant,
    mut prepare: impl FnMut(SocketAddr, Try) -> Result<Prepared<'k>, Failure>,
) -> Result<Answered, Failure> {
    let mut asking = Asking::new(targets, deadline);
    for (round, wait) in WAITS.into_iter().enumerate() {
        for (index, &target) in targets.iter().enumerate() {
            if asking.is_over(round) {
                return Err(asking.failure());
            }
            let kind = if round == 0 { Try::First } else { Try::Again };
            asking.send(index, from, prepare(target, kind)?);
            if let Some(answered) = asking.hear(wait)? {
                return Ok(answered);
            }
        }
    }
    Err(asking.failure())
}

struct Asking<'a, 'k> {
    targets: &'a [SocketAddr],
    standings: Vec<Standing>,
    deadline: Instant,
    /// When nobody waits any more, whatever happens.
    end: Instant,
    sent: Vec<Sent<'k>>,
    /// The last try could not be sent.
    failed: bool,
    sender: Sender<Heard>,
    receiver: Receiver<Heard>,
}

impl<'a, 'k> Asking<'a, 'k> {
    fn new(targets: &'a [SocketAddr], deadline: Instant) -> Self {
        let (sender, receiver) = mpsc::channel();
        let longest = WAITS.iter().sum::<Duration>() * u32::try_from(targets.len()).unwrap_or(1);
        Self {
            targets,
            standings: targets.iter().map(|_| Standing::default()).collect(),
            deadline,
            end: deadline.min(Instant::now() + longest),
            sent: Vec::new(),
            failed: false,
            sender,
            receiver,
        }
    }

    /// One round is always made; there is no other one where nothing can be sent, or no time is left.
    fn is_over(&self, round: usize) -> bool {
        round > 0 && (self.sent.is_empty() || Instant::now() >= self.deadline)
    }

    fn send(&mut self, target: usize, from: Option<SocketAddr>, prepared: Prepared<'k>) {
        let Prepared { question, message, port } = prepared;
        let (Some(&address), Some(standing)) = (self.targets.get(target), self.standings.get_mut(target))
        else {
            return;
        };
        let to = dial::with_port(address, port);
        standing.port = port;
        match send(to, from, &message) {
            Ok((socket, from)) => {
                standing.tries += 1;
                self.failed = false;
                let route = Route { to, from };
                listen(socket, self.sent.len(), self.end, self.sender.clone());
                self.sent.push(Sent { question, target, route, at: Instant::now() });
            }
            Err(error) => {
                standing.unsent = Some(error);
                self.failed = true;
            }
        }
    }

    /// Waits for the answer to any of the tries. None once the last one was waited for long enough.
    fn hear(&mut self, wait: Duration) -> Result<Option<Answered>, Failure> {
        if self.failed {
            return Ok(None);
        }
        let mut until = self.deadline.min(Instant::now() + wait);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(Heard { index, what }) = self.receiver.recv_timeout(left) else { return Ok(None) };
            let is_last = index + 1 == self.sent.len();
            let Some(sent) = self.sent.get(index) else { continue };
            let Some(standing) = self.standings.get_mut(sent.target) else { continue };
            match what {
                What::Noise => standing.strange = true,
                What::Shut => {
                    standing.shut = true;
                    if is_last {
                        until = until.min(sent.at + SHUT_WAIT);
                    }
                }
                What::Message(message) => match sent.question.answer(&message) {
                    Ok(answer) => {
                        let (at, tries) = (Instant::now(), standing.tries);
                        let took = at.saturating_duration_since(sent.at);
                        return Ok(Some(Answered {
                            answer,
                            way: Way::Packet,
                            route: sent.route,
                            at,
                            took,
                            tries,
                        }));
                    }
                    Err(ExchangeError::NotTheGate) => standing.strange = true,
                    Err(ExchangeError::NewerGate) => return Err(Failure::NewerGate),
                    Err(ExchangeError::Keys) => return Err(Failure::BadKeys),
                },
            }
        }
    }

    fn failure(self) -> Failure {
        let standings = self.targets.iter().zip(self.standings);
        Failure::Unreachable(
            standings.map(|(&to, standing)| (dial::with_port(to, standing.port), standing.why())).collect(),
        )
    }
}

impl Standing {
    fn why(self) -> NoAnswer {
        match self {
            Self { tries: 0, unsent: Some(error), .. } => NoAnswer::Unsent(error),
            Self { strange: true, .. } => NoAnswer::NotTheGate,
            Self { shut: true, .. } => NoAnswer::Shut,
            Self { tries, .. } => NoAnswer::Unanswered { tries },
        }
    }
}

fn send(to: SocketAddr, from: Option<SocketAddr>, message: &Message) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = dial::datagrams(to, from)?;
    let from = socket.local_addr()?;
    socket.send(message)?;
    Ok((socket, from))
}

/// Passes on what comes, until `end` or until nobody waits for it. A thread that is late ends with the process.
fn listen(socket: UdpSocket, index: usize, end: Instant, heard: Sender<Heard>) {
    thread::spawn(move || {
        let mut buffer = [0; MESSAGE_LEN + 1];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
                return;
            }
            let what = match socket.recv(&mut buffer) {
                Ok(MESSAGE_LEN) => match buffer.first_chunk() {
                    Some(message) => What::Message(Box::new(*message)),
                    None => What::Noise,
                },
                Ok(_) => What::Noise,
                Err(error) => match error.kind() {
                    // The second one is how Windows says it.
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => What::Shut,
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {
                        continue;
                    }
                    _ => return,
                },
            };
            if heard.send(Heard { index, what }).is_err() {
                return;
            }
        }
    });
}
