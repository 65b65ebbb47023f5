//! A line between a client and a console that carries a given number of bytes at a time, and what lies on the console's desk.

use std::ops::ControlFlow;

use knockgate_core::channel::{Channel, LENGTH_LEN, MAX_FRAME};
use knockgate_core::console::{Ask, Tell};
use knockgate_core::handshake::{Initiator, Responder};
use knockgate_core::key::{GateId, Identity, SecretKey};
use knockgate_core::limits::{ANSWER_LEN, MAX_SAID, REQUEST_LEN};
use knockgate_core::{Instant, Now, UnixTime};
use knockgate_gateway::calendar::Calendar;
use knockgate_gateway::console::{Console, Desk};
use knockgate_gateway::environment::{Health, Over};
use knockgate_gateway::ring::Ring;
use knockgate_gateway::update::{UpdateError, Updates};

/// When the site image was made.
pub(crate) const MADE: UnixTime = UnixTime::from_micros(1_782_000_000_000_000);
const HEALTH: Health = Health { grants: 2, flows: 300 };
const GATE: GateId = GateId([7; 16]);

/// What was done about updates, and what is said about the next step.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) image: Vec<u8>,
    pub(crate) begun: Option<u32>,
    pub(crate) finished: usize,
    pub(crate) fails: Option<fn() -> UpdateError>,
}

impl Recorded {
    fn or_fail<T>(&self, done: T) -> Result<T, UpdateError> {
        self.fails.map_or(Ok(done), |why| Err(why()))
    }
}

impl Updates for Recorded {
    fn room(&self) -> u32 {
        458_752
    }

    fn begin(&mut self, length: u32) -> Result<(), UpdateError> {
        (self.begun, self.image) = (Some(length), Vec::new());
        self.or_fail(())
    }

    fn piece(&mut self, at: u32, bytes: &[u8]) -> Result<u32, UpdateError> {
        assert_eq!(at as usize, self.image.len());
        self.image.extend(bytes);
        self.or_fail(self.image.len().try_into().unwrap())
    }

    fn finish(&mut self) -> Result<(), UpdateError> {
        self.finished += 1;
        self.or_fail(())
    }
}

/// The gateway's end of the line.
pub(crate) struct Gateway {
    pub(crate) console: Console,
    pub(crate) records: Ring,
    pub(crate) calendar: Calendar,
    pub(crate) updates: Recorded,
    /// Of its board.
    pub(crate) clock: Now,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        Self {
            console: Console::default(),
            records: Ring::new(8192),
            calendar: Calendar::new(MADE),
            updates: Recorded::default(),
            clock: Now { instant: Instant::from_micros(86_400_000_000), unix: None },
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.calendar.complete(self.clock)
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<usize, Over> {
        let now = self.now();
        let Self { console, records, calendar, updates, .. } = self;
        let mut desk = Desk { boot: 7, serial: 4, heap: || (90_000, 101_000), records, calendar, updates };
        console.hear(now, HEALTH, bytes, &mut desk)
    }

    pub(crate) fn say(&mut self, buffer: &mut [u8]) -> Result<usize, Over> {
        self.console.say(&self.records, buffer)
    }
}

/// A client in conversation with a gateway.
pub(crate) struct Line {
    pub(crate) gateway: Gateway,
    pub(crate) client: Channel,
    /// Bytes that are carried at a time, each way.
    pub(crate) step: usize,
    /// What has come for the client and is no whole message yet.
    come: Vec<u8>,
}

impl Line {
    pub(crate) fn new(step: usize) -> Self {
        Self::to(Gateway::new(), step)
    }

    pub(crate) fn to(mut gateway: Gateway, step: usize) -> Self {
        let (client, channel) = channels();
        gateway.console.welcome(channel);
        Self { gateway, client, step, come: Vec::new() }
    }

    /// Asks, and returns everything that is told until the gateway has nothing more to say.
    pub(crate) fn ask(&mut self, ask: &Ask<'_>) -> Vec<Told> {
        let mut said = [0; MAX_SAID];
        let plain = ask.encode(&mut said).unwrap();
        self.put(plain)
    }

    /// Says something.
    pub(crate) fn put(&mut self, plain: &[u8]) -> Vec<Told> {
        let mut frame = [0; MAX_FRAME];
        let frame = self.client.seal(plain, &mut frame).unwrap();
        let mut rest = frame;
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(self.step)];
            let taken = self.gateway.hear(piece).expect("the gateway listens");
            assert!(taken > 0, "it has nothing to say, so it hears");
            rest = &rest[taken..];
        }
        self.listen()
    }

    /// Everything that the gateway says.
    pub(crate) fn listen(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        while let ControlFlow::Continue(()) = self.carry() {
            while let Some(one) = self.whole() {
                told.push(one);
            }
        }
        assert!(self.come.is_empty(), "what is said is said to the end");
        told
    }

    /// The next thing that the gateway says.
    pub(crate) fn listen_once(&mut self) -> Told {
        loop {
            if let Some(one) = self.whole() {
                return one;
            }
            assert_eq!(self.carry(), ControlFlow::Continue(()), "it has something to say");
        }
    }

    fn carry(&mut self) -> ControlFlow<()> {
        let mut buffer = vec![0; self.step];
        match self.gateway.say(&mut buffer) {
            Ok(0) | Err(Over) => ControlFlow::Break(()),
            Ok(said) => {
                self.come.extend(&buffer[..said]);
                ControlFlow::Continue(())
            }
        }
    }

    fn whole(&mut self) -> Option<Told> {
        let length = Channel::sealed_len(*self.come.first_chunk::<LENGTH_LEN>()?).expect("a length");
        let sealed = self.come.get(LENGTH_LEN..LENGTH_LEN + length)?;
        let mut said = [0; MAX_SAID];
        let told = Told::of(&Tell::decode(self.client.open(sealed, &mut said).unwrap()).unwrap());
        self.come.drain(..LENGTH_LEN + length);
        Some(told)
    }
}

/// A [`Tell`] to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Status(knockgate_core::console::Status),
    Record(u64, String),
    End(u64),
    Next(u32),
    Done,
    Refused(String),
}

impl Told {
    fn of(tell: &Tell<'_>) -> Self {
        match *tell {
            Tell::Status(status) => Self::Status(status),
            Tell::Record { number, line } => Self::Record(number, line.to_owned()),
            Tell::End { lost } => Self::End(lost),
            Tell::Next { at } => Self::Next(at),
            Tell::Done => Self::Done,
            Tell::Refused { why } => Self::Refused(why.to_owned()),
        }
    }
}

/// Client's and gate's ends of a channel, always with the same keys.
pub(crate) fn channels() -> (Channel, Channel) {
    let key = |number| Identity::new(SecretKey::from_bytes([number; 32]));
    let (client, gate) = (key(1), key(2));
    let (initiator, first) =
        Initiator::start(&client, key(3), gate.public(), GATE, &[0; REQUEST_LEN]).unwrap();
    let (responder, ..) = Responder::read(&gate, &key(4), GATE, &first).unwrap();
    let (second, gate) = responder.answer_and_go_on(&[0; ANSWER_LEN]).unwrap();
    let (_, client) = initiator.finish_and_go_on(&second).unwrap();
    (client, gate)
}
