//! What is said with a gate's console over a connection that goes on after the answer. Rule: `docs/protocol.md`, section 6.10.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use knockgate_core::channel::{Channel, LENGTH_LEN, MAX_FRAME};
use knockgate_core::console::{Ask, Tell};
use knockgate_core::limits::MAX_SAID;
use zeroize::Zeroizing;

use crate::exchange::fill;
use crate::outcome::Outcome;
use crate::print::{Facts, lasting, printable};
use crate::private_file::plain;

/// How long the gate may take to answer what it need not think about.
const PROMPT: Duration = Duration::from_secs(10);
/// How long it may take to erase its flash memory, or to check a whole image.
const SLOW: Duration = Duration::from_secs(60);

/// Both directions of it.
pub(crate) struct Conversation {
    stream: TcpStream,
    channel: Channel,
    frame: [u8; MAX_FRAME],
    /// Wiped when dropped: pieces of a site image are said, and keys are in it.
    said: Zeroizing<[u8; MAX_SAID]>,
    prompt: Duration,
}

/// How long an answer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Prompt,
    /// Flash memory is erased, or a whole image checked.
    Slow,
}

/// Why it is over.
#[derive(Debug)]
pub(crate) enum TalkFault {
    /// The gate has closed the connection.
    Closed,
    /// Nothing has come for so long.
    Silent(Duration),
    /// The connection broke.
    Broken(io::Error),
    /// Something came that the gate has not written, or not now.
    Garbled,
    /// The gate says what this version does not know.
    NotUnderstood,
    /// The gate says no, and why.
    Refused(String),
}

impl Conversation {
    pub(crate) fn new(stream: TcpStream, channel: Channel) -> Self {
        Self { stream, channel, frame: [0; MAX_FRAME], said: Zeroizing::new([0; MAX_SAID]), prompt: PROMPT }
    }

    /// Somebody has less patience than is usual here.
    pub(crate) fn hurry(&mut self, patience: Duration) {
        self.prompt = self.prompt.min(patience);
    }

    /// Asks; whatever else the gate has to say about the question before must have been heard.
    pub(crate) fn ask(&mut self, ask: &Ask<'_>) -> Result<(), TalkFault> {
        let said = ask.encode(self.said.as_mut_slice()).map_err(|_| TalkFault::NotUnderstood)?;
        let frame = self.channel.seal(said, &mut self.frame).map_err(|_| TalkFault::Garbled)?;
        self.stream.write_all(frame).map_err(|error| broken(error, self.prompt))
    }

    /// What the gate tells next; that it refuses is an error.
    pub(crate) fn hear(&mut self, pace: Pace) -> Result<Tell<'_>, TalkFault> {
        let patience = match pace {
            Pace::Prompt => self.prompt,
            Pace::Slow => SLOW,
        };
        let deadline = Instant::now() + patience;
        let Self { stream, channel, frame, said, .. } = self;
        let mut length = [0; LENGTH_LEN];
        fill(stream, &mut length, deadline).map_err(|error| broken(error, patience))?;
        let length = Channel::sealed_len(length).ok_or(TalkFault::Garbled)?;
        let sealed = frame.get_mut(..length).ok_or(TalkFault::Garbled)?;
        fill(stream, sealed, deadline).map_err(|error| broken(error, patience))?;
        let said = channel.open(sealed, said.as_mut_slice()).map_err(|_| TalkFault::Garbled)?;
        match Tell::decode(said) {
            Ok(Tell::Refused { why }) => Err(TalkFault::Refused(printable(why))),
            Ok(tell) => Ok(tell),
            Err(_) => Err(TalkFault::NotUnderstood),
        }
    }

    /// The gate has done it.
    pub(crate) fn hear_done(&mut self, pace: Pace) -> Result<(), TalkFault> {
        match self.hear(pace)? {
            Tell::Done => Ok(()),
            Tell::Status(_) | Tell::Record { .. } | Tell::End { .. } => Err(TalkFault::NotUnderstood),
            Tell::Next { .. } | Tell::Refused { .. } => Err(TalkFault::NotUnderstood),
        }
    }
}

fn broken(error: io::Error, patience: Duration) -> TalkFault {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock,
    };
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => TalkFault::Closed,
        TimedOut | WouldBlock => TalkFault::Silent(patience),
        _ => TalkFault::Broken(error),
    }
}

impl TalkFault {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(_) => Outcome::Refused,
            Self::Closed | Self::Silent(_) | Self::Broken(_) | Self::Garbled | Self::NotUnderstood => {
                Outcome::NoAnswer
            }
        }
    }

    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "console-closed",
            Self::Silent(_) => "silence",
            Self::Broken(_) => "console-broken",
            Self::Garbled => "not-the-gate",
            Self::NotUnderstood => "newer-gate",
            Self::Refused(_) => "console-refused",
        }
    }

    /// What a person reads; ends with the next step.
    pub(crate) fn sentence(&self, facts: &Facts) -> String {
        let (gate, host, profile) = (facts.gate_and_address(), &facts.host, &facts.profile);
        match self {
            Self::Closed => format!(
                "{gate} has closed the connection to its console. Either it is starting anew, or it serves somebody else \
                 there; try again in a moment"
            ),
            Self::Silent(patience) => format!(
                "the console of {gate} said nothing for {}. Either the gate or the network went down; \
                 ask with `knockgate console status {profile}`",
                lasting(*patience)
            ),
            Self::Broken(error) => format!(
                "the connection to the console of {gate} broke: {}; check the network, and try again",
                plain(error)
            ),
            Self::Garbled => format!(
                "what came over the connection to the console was not written by {gate}, and nothing after it is believed. \
                 Somebody may stand in between; check the address with the administrator of {host} before you try again"
            ),
            Self::NotUnderstood => {
                format!("{gate} answers in a way that this version cannot read; install a newer knockgate")
            }
            Self::Refused(why) => format!("the console of {gate} refused: {why}"),
        }
    }
}
