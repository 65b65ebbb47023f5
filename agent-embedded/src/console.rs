//! The gateway's console, spoken with from afar: answers one ask after the other over a sealed channel. Rule: `docs/protocol.md`,
//! section 6.10.
//!
//! There is one conversation at a time, and whoever comes has shown who he is and that he may. Bytes come and go in any pieces; the
//! next ask is heard once all that the last one is answered by has been said. What does not open or has an impossible length
//! ends the conversation. How long somebody may be silent is the connection's matter.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt::{self, Display, Write};
use core::ops::Range;

use heapless::String;
use knockgate_core::channel::{Channel, LENGTH_LEN, MAX_FRAME};
use knockgate_core::console::{Ask, Status, Tell};
use knockgate_core::{Now, UnixTime};

use crate::calendar::Calendar;
use crate::environment::{Health, Over};
use crate::ring::Ring;
use crate::update::Updates;

/// Bytes of the longest reason that is told; more is cut off, which the end of the text shows.
const MAX_WHY: usize = 480;

/// What the console works with.
pub struct Desk<'a, U> {
    /// Tells this start from others.
    pub boot: u64,
    /// Serial number of the site image in force.
    pub serial: u32,
    /// Bytes of the heap in use, and the most that ever were.
    pub heap: fn() -> (u32, u32),
    /// The audit log.
    pub records: &'a Ring,
    /// Where a board without a calendar learns the time.
    pub calendar: &'a mut Calendar,
    /// Takes site images.
    pub updates: &'a mut U,
}

/// The console's side of a conversation. Its two buffers are as long as the longest message and are taken from the heap once.
pub struct Console {
    channel: Option<Channel>,
    /// What has come of the next message, with its length in front; then what is said before it is sealed.
    heard: Box<[u8]>,
    heard_len: usize,
    /// A message on its way, as sealed; before that, the ask that it answers.
    said: Box<[u8]>,
    unsaid: Range<usize>,
    telling: Telling,
    restart: Restart,
}

/// What follows once everything in the buffer has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    /// Nothing: the next ask is heard.
    Nothing,
    /// The records behind number `after`.
    Records { after: u64, lost: u64 },
    /// The conversation ends.
    Goodbye,
}

/// Whether the gateway shall start anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    /// No.
    No,
    /// When whoever has asked for it has heard the answer, or is gone.
    AtTheEnd,
    /// Now.
    Now,
}

/// What an ask is answered by. Owns what it tells, because it is written where the ask stands.
#[allow(clippy::large_enum_variant, reason = "there is one, on the stack, for as long as an ask is answered")]
enum Reply {
    Status(Status),
    Records {
        after: u64,
    },
    Next(u32),
    Done,
    /// The last thing that is said.
    DoneAndRestart,
    Refused(Words),
}

impl Default for Console {
    fn default() -> Self {
        let buffer = || vec![0; MAX_FRAME].into_boxed_slice();
        Self {
            channel: None,
            heard: buffer(),
            heard_len: 0,
            said: buffer(),
            unsaid: 0..0,
            telling: Telling::Nothing,
            restart: Restart::No,
        }
    }
}

impl Console {
    /// Somebody has come who may. Whoever was there before is gone.
    pub fn welcome(&mut self, channel: Channel) {
        self.leave();
        self.channel = Some(channel);
    }

    /// Takes bytes that have come, and returns how many it has taken: none while there is something to say.
    ///
    /// # Errors
    /// [`Over`] if nobody is there, or they are not the other side's.
    pub fn hear(
        &mut self,
        now: Now,
        health: Health,
        bytes: &[u8],
        desk: &mut Desk<'_, impl Updates>,
    ) -> Result<usize, Over> {
        if self.channel.is_none() {
            return Err(Over);
        }
        if !self.unsaid.is_empty() || self.telling != Telling::Nothing {
            return Ok(0);
        }
        let mut taken = 0;
        while let (wanted @ 1.., rest @ [_, ..]) = (self.wanted()?, bytes.get(taken..).unwrap_or_default()) {
            taken += self.collect(rest, wanted);
        }
        if self.wanted()? == 0 {
            let reply = self.answer(now, health, desk)?;
            self.begin(reply)?;
        }
        Ok(taken)
    }

    /// Puts what is to be said next into `buffer`, and returns how many bytes that are.
    ///
    /// # Errors
    /// [`Over`] if nothing more will be said.
    pub fn say(&mut self, records: &Ring, buffer: &mut [u8]) -> Result<usize, Over> {
        if self.channel.is_none() {
            return Err(Over);
        }
        if self.unsaid.is_empty() {
            match self.telling {
                Telling::Nothing => {}
                Telling::Records { after, lost } => self.tell_record(records, after, lost)?,
                Telling::Goodbye => return Err(Over),
            }
        }
        let ready = self.said.get(self.unsaid.clone()).unwrap_or_default();
        let length = ready.len().min(buffer.len());
        let (Some(from), Some(to)) = (ready.get(..length), buffer.get_mut(..length)) else { return Ok(0) };
        to.copy_from_slice(from);
        self.unsaid.start += length;
        Ok(length)
    }

    /// The connection has ended.
    pub fn leave(&mut self) {
        (self.channel, self.heard_len, self.unsaid) = (None, 0, 0..0);
        self.telling = Telling::Nothing;
        if self.restart == Restart::AtTheEnd {
            self.restart = Restart::Now;
        }
    }

    /// Whether the gateway shall start anew: it has a new site image, and whoever sent it knows.
    #[must_use]
    pub fn wants_restart(&self) -> bool {
        self.restart == Restart::Now
    }

    /// Bytes that are missing of the message that is coming; 0 once it is whole.
    fn wanted(&self) -> Result<usize, Over> {
        let Some(length) = self.heard.get(..self.heard_len).and_then(<[u8]>::first_chunk::<LENGTH_LEN>)
        else {
            return Ok(LENGTH_LEN - self.heard_len);
        };
        let sealed = Channel::sealed_len(*length).ok_or(Over)?;
        Ok((LENGTH_LEN + sealed).saturating_sub(self.heard_len))
    }

    fn collect(&mut self, bytes: &[u8], wanted: usize) -> usize {
        let length = bytes.len().min(wanted);
        let place = self.heard.get_mut(self.heard_len..).and_then(|rest| rest.get_mut(..length));
        if let (Some(to), Some(from)) = (place, bytes.get(..length)) {
            to.copy_from_slice(from);
        }
        self.heard_len += length;
        length
    }

    /// Does what the message in `heard` asks.
    fn answer(&mut self, now: Now, health: Health, desk: &mut Desk<'_, impl Updates>) -> Result<Reply, Over> {
        let length = core::mem::take(&mut self.heard_len);
        let sealed = self.heard.get(LENGTH_LEN..length).ok_or(Over)?;
        let channel = self.channel.as_mut().ok_or(Over)?;
        let asked = channel.open(sealed, &mut self.said).map_err(|_| Over)?;
        Ok(match Ask::decode(asked) {
            Ok(ask) => desk.answer(now, health, &ask),
            Err(_) => refused(format_args!("this gateway does not know what is asked; update its firmware")),
        })
    }

    fn begin(&mut self, reply: Reply) -> Result<(), Over> {
        let tell = match &reply {
            Reply::Records { after } => {
                self.telling = Telling::Records { after: *after, lost: 0 };
                return Ok(());
            }
            Reply::Status(status) => Tell::Status(*status),
            Reply::Next(at) => Tell::Next { at: *at },
            Reply::Done => Tell::Done,
            Reply::DoneAndRestart => {
                (self.telling, self.restart) = (Telling::Goodbye, Restart::AtTheEnd);
                Tell::Done
            }
            Reply::Refused(why) => Tell::Refused { why: why.as_str() },
        };
        self.put(&tell)
    }

    /// The next record behind number `after`, or the end of them. Those that have made room meanwhile are counted.
    fn tell_record(&mut self, records: &Ring, after: u64, lost: u64) -> Result<(), Over> {
        let lost = lost.saturating_add(records.lost(after));
        let Some((number, line)) = records.after(after).next() else {
            self.telling = Telling::Nothing;
            return self.put(&Tell::End { lost });
        };
        self.telling = Telling::Records { after: number, lost };
        self.put(&Tell::Record { number, line })
    }

    fn put(&mut self, tell: &Tell<'_>) -> Result<(), Over> {
        let plain = tell.encode(&mut self.heard).map_err(|_| Over)?;
        let channel = self.channel.as_mut().ok_or(Over)?;
        let sealed = channel.seal(plain, &mut self.said).map_err(|_| Over)?;
        self.unsaid = 0..sealed.len();
        Ok(())
    }
}

impl<U: Updates> Desk<'_, U> {
    fn answer(&mut self, now: Now, health: Health, ask: &Ask<'_>) -> Reply {
        match *ask {
            Ask::Status => Reply::Status(self.status(now, health)),
            Ask::Log { after } => Reply::Records { after },
            Ask::Time { now: told } => self.take_time(now, told),
            Ask::Update { length } => or_why(self.updates.begin(length).map(|()| Reply::Next(0))),
            Ask::Piece { at, bytes } => or_why(self.updates.piece(at, bytes).map(Reply::Next)),
            Ask::Finish => or_why(self.updates.finish().map(|()| Reply::DoneAndRestart)),
        }
    }

    fn status(&self, now: Now, health: Health) -> Status {
        let small = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        Status {
            boot: self.boot,
            serial: self.serial,
            up: now.instant.as_micros() / 1_000_000,
            grants: small(health.grants),
            flows: small(health.flows),
            heap: (self.heap)(),
            room: self.updates.room(),
        }
    }

    fn take_time(&mut self, now: Now, told: UnixTime) -> Reply {
        or_why(self.calendar.tell(now, told).map(|()| Reply::Done))
    }
}

fn or_why(done: Result<Reply, impl Display>) -> Reply {
    done.unwrap_or_else(|why| refused(format_args!("{why}")))
}

fn refused(why: fmt::Arguments<'_>) -> Reply {
    let mut words = Words::default();
    // What does not fit ends with dots instead.
    let _ = words.write_fmt(why);
    Reply::Refused(words)
}

/// A reason, as much of it as fits.
#[derive(Default)]
struct Words {
    text: String<MAX_WHY>,
    is_cut: bool,
}

impl Words {
    const CUT: &str = " ...";

    fn as_str(&self) -> &str {
        &self.text
    }
}

impl Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if self.is_cut {
                return Err(fmt::Error);
            }
            if self.text.len() + letter.len_utf8() + Self::CUT.len() > MAX_WHY {
                self.is_cut = true;
                return self.text.write_str(Self::CUT);
            }
            self.text.push(letter).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}
