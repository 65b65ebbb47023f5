//! A gateway's console behind the real gate: what a test puts into it, what clients have brought it, and how it misbehaves.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use knockgate_core::channel::{Channel, LENGTH_LEN, MAX_FRAME};
use knockgate_core::console::{Ask, Status, Tell};
use knockgate_core::envelope::Message;
use knockgate_core::gate::{Config, Service};
use knockgate_core::limits::{MAX_PIECE, MAX_SAID};
use knockgate_core::time::UnixTime;

use super::{Back, Host, LiveGate, Peer, V4, V6, accept, service};

pub(crate) const SERVICE: u16 = 3;

/// How the console answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Proper,
    /// Hears, and says nothing.
    Silent,
    /// Hears, and closes the connection.
    Closes,
    /// Says what the channel does not open.
    Garbles,
    /// Says a length that no message has.
    TooLong,
    /// Says what a later version may say.
    Newer,
    Refuses,
    /// Asks for the first piece for ever.
    Forgetful,
}

pub(crate) struct Console {
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) manner: Manner,
    /// Numbered from 1 on.
    pub(crate) records: Vec<String>,
    /// So many of the first are not there any more.
    pub(crate) gone: usize,
    pub(crate) time: Option<UnixTime>,
    pub(crate) length: Option<u32>,
    pub(crate) image: Vec<u8>,
    pub(crate) finished: bool,
}

/// The service of the console is there, and it is the console's.
pub(crate) fn has_console(config: &mut Config) {
    has_its_service(config);
    config.console = Some(SERVICE);
}

/// The service of the console is there, and nobody stands behind it.
pub(crate) fn has_its_service(config: &mut Config) {
    let service = Service::new(SERVICE, Duration::from_secs(60), Duration::from_secs(60));
    config.services.push(service).unwrap();
}

impl LiveGate {
    /// Listens for the console at both loopback addresses; the profile names it.
    pub(crate) fn with_console(mut self) -> Self {
        let (first, second) = listeners();
        let port = first.local_addr().unwrap().port();
        self.profile.services.push(service(SERVICE, "console", port)).unwrap();
        accept(&self.host, first);
        accept(&self.host, second);
        let state = State {
            manner: Manner::Proper,
            records: Vec::new(),
            gone: 0,
            time: None,
            length: None,
            image: Vec::new(),
            finished: false,
        };
        self.host().console = Some(Arc::new(Console { state: Mutex::new(state) }));
        self
    }

    /// Looks at the console, or changes it.
    pub(crate) fn console<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let console = Arc::clone(self.host().console.as_ref().unwrap());
        look(&mut console.lock())
    }
}

/// At the same port of both loopback addresses.
fn listeners() -> (TcpListener, TcpListener) {
    for _ in 0..100 {
        let first = TcpListener::bind((V4, 0)).unwrap();
        if let Ok(second) = TcpListener::bind((V6, first.local_addr().unwrap().port())) {
            return (first, second);
        }
    }
    panic!("no port is free at both loopback addresses");
}

impl Host {
    /// Welcomes a client, and leaves the connection to the console.
    pub(super) fn converse(&mut self, peer: Peer, message: &Message, channel: Channel) {
        let Some(Back::Connection(mut stream)) = self.peers.remove(&peer) else {
            panic!("nobody is welcomed by datagram")
        };
        stream.write_all(message).unwrap();
        let console = Arc::clone(self.console.as_ref().unwrap());
        thread::spawn(move || Line { stream, channel }.serve(&console));
    }
}

impl Console {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A connection of a client that was welcomed.
struct Line {
    stream: TcpStream,
    channel: Channel,
}

impl Line {
    fn serve(mut self, console: &Console) {
        let mut said = [0; MAX_SAID];
        while let Some(ask) = self.hear(&mut said) {
            let manner = console.lock().manner;
            match manner {
                Manner::Proper => console.lock().answer(&ask, &mut self),
                Manner::Silent => {}
                Manner::Closes => return,
                Manner::Garbles => self.stream.write_all(&[&[0, 20][..], &[7; 20]].concat()).unwrap(),
                Manner::TooLong => self.stream.write_all(&[0xff; 4]).unwrap(),
                Manner::Newer => self.say_bytes(&[0x66, 1, 2]),
                Manner::Refuses => self.say(&Tell::Refused { why: "no room\u{1b}[2J; free some" }),
                Manner::Forgetful => self.say(&Tell::Next { at: 0 }),
            }
        }
    }

    /// `None` once the client has gone.
    fn hear<'s>(&mut self, said: &'s mut [u8]) -> Option<Ask<'s>> {
        let mut length = [0; LENGTH_LEN];
        self.stream.read_exact(&mut length).ok()?;
        let mut sealed = vec![0; Channel::sealed_len(length).expect("a length of a message")];
        self.stream.read_exact(&mut sealed).ok()?;
        let said = self.channel.open(&sealed, said).expect("the client's next message");
        Some(Ask::decode(said).expect("an ask of this version"))
    }

    fn say(&mut self, tell: &Tell<'_>) {
        let mut said = [0; MAX_SAID];
        let said = tell.encode(&mut said).unwrap().to_vec();
        self.say_bytes(&said);
    }

    fn say_bytes(&mut self, said: &[u8]) {
        let mut frame = [0; MAX_FRAME];
        // Whoever has heard enough may be gone.
        let _ = self.stream.write_all(self.channel.seal(said, &mut frame).unwrap());
    }
}

impl State {
    fn answer(&mut self, ask: &Ask<'_>, line: &mut Line) {
        match *ask {
            Ask::Status => line.say(&Tell::Status(STATUS)),
            Ask::Log { after } => self.tell_log(after, line),
            Ask::Time { now } => {
                self.time = Some(now);
                line.say(&Tell::Done);
            }
            Ask::Update { length } => {
                (self.length, self.image) = (Some(length), Vec::new());
                line.say(&Tell::Next { at: 0 });
            }
            Ask::Piece { at, bytes } => {
                assert_eq!(at as usize, self.image.len(), "the piece that was asked for");
                assert!((1..=MAX_PIECE).contains(&bytes.len()), "{} bytes", bytes.len());
                self.image.extend(bytes);
                line.say(&Tell::Next { at: u32::try_from(self.image.len()).unwrap() });
            }
            Ask::Finish => {
                self.finished = true;
                line.say(&Tell::Done);
            }
        }
    }

    fn tell_log(&self, after: u64, line: &mut Line) {
        for (number, record) in (1..).zip(&self.records).skip(self.gone.max(after.try_into().unwrap())) {
            line.say(&Tell::Record { number, line: record });
        }
        line.say(&Tell::End { lost: (self.gone as u64).saturating_sub(after) });
    }
}

const STATUS: Status =
    Status { boot: 7, serial: 4, up: 12_000, grants: 2, flows: 300, heap: (90_000, 101_000), room: 458_752 };
