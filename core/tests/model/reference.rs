//! What the gate shall do, in plain code: no phases to poll, nothing bounded, nothing removed that can be marked.
//!
//! Moments are milliseconds. The figures are written out here on purpose, so that a limit changed by mistake shows.

mod failures;
pub(crate) mod grants;
pub(crate) mod packet;
mod policy;
mod reconfigure;
pub(crate) mod statics;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use knockgate_core::message::{Kind, Verdict};
use knockgate_core::replay::{Burnt, Span, Used};
use knockgate_core::{Peer, Refusal};

use crate::event::{Rules, Say, Services};
use crate::laws::covers;
use crate::people::{BOOK, People};

use grants::Grants;

pub(crate) type At = u64;

const HOLD: At = 10_000;
const THINKING: At = 1_000;
const RESULT: At = 30_000;
const QUESTION: At = 4_000;
const LOCKOUT: At = 60_000;
const LONGEST_LOCKOUT: At = 86_400_000;
const STRAYS: u32 = 2;
/// A day, in microseconds.
const FAR: u64 = 86_400_000_000;
const TOKEN_SLOT: At = 10_000;
/// Questions at once.
pub(crate) const QUESTIONS: usize = 8;
/// The calendar at the beginning, in microseconds.
pub(crate) const START: u64 = 1_700_000_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Storing,
    Watching,
    Held,
    Consulting,
    Opening {
        waiting: usize,
        opened: usize,
    },
    Granted,
    Refused(Refusal),
    /// Nobody speaks of it any more.
    Forgotten,
}

/// One number, from the question for it on, or one packet knock.
#[derive(Debug)]
pub(crate) struct Knock {
    pub(crate) kind: Kind,
    /// The address is certainly the client's.
    pub(crate) proven: bool,
    /// The grant that a packet knock is about; 0 if any.
    pub(crate) grant: u32,
    pub(crate) client: u32,
    pub(crate) source: IpAddr,
    pub(crate) book: usize,
    pub(crate) number: u32,
    pub(crate) counter: u64,
    pub(crate) ports: Vec<u16>,
    pub(crate) service: u16,
    pub(crate) seconds: u32,
    pub(crate) state: State,
    pub(crate) until: At,
    /// Who waits for the number, and until when.
    question: Option<(Peer, At)>,
    pub(crate) come: BTreeSet<u16>,
    strays: u32,
}

impl Knock {
    pub(crate) fn is_packet(&self) -> bool {
        self.kind != Kind::NextNumber
    }

    fn is_active(&self) -> bool {
        matches!(self.state, State::Storing | State::Watching | State::Held)
    }

    fn is_deciding(&self) -> bool {
        matches!(self.state, State::Consulting | State::Opening { .. })
    }
}

/// An answer that must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) client: u32,
    pub(crate) source: IpAddr,
    pub(crate) verdict: Verdict,
    pub(crate) retry_ms: u64,
    pub(crate) number: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lock {
    /// By the first address of what is locked.
    Source(IpAddr),
    Client(u32),
    Everybody,
}

/// A complete sequence that has opened nothing: client, source, service, reason.
pub(crate) type Undone = (u32, IpAddr, u16, Refusal);

/// What a fresh request wants.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) service: u16,
    pub(crate) seconds: u32,
}

pub(crate) struct Reference {
    pub(crate) rules: Rules,
    pub(crate) now: At,
    /// How often the gate was started.
    pub(crate) run: u64,
    pub(crate) counters: BTreeMap<u32, Used>,
    pub(crate) burnt: Burnt,
    pub(crate) gone: BTreeSet<u32>,
    /// The next number of each book.
    pub(crate) next: [u32; 2],
    /// Everything that was ever asked for.
    pub(crate) knocks: Vec<Knock>,
    pub(crate) locks: BTreeMap<Lock, At>,
    pub(crate) failures: BTreeMap<Lock, u32>,
    pub(crate) grants: Grants,
    /// Answers that the gate must give now.
    pub(crate) answers: Vec<(Peer, Said)>,
    /// Complete sequences that have just opened nothing, which the gate must note.
    pub(crate) undone: Vec<Undone>,
}

impl Reference {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            now: 0,
            run: 0,
            counters: BTreeMap::new(),
            burnt: Burnt::default(),
            gone: BTreeSet::new(),
            next: [0; 2],
            knocks: Vec::new(),
            locks: BTreeMap::new(),
            failures: BTreeMap::new(),
            grants: Grants::default(),
            answers: Vec::new(),
            undone: Vec::new(),
        }
    }

    /// Whether a message is let in, or why it is met with silence.
    pub(crate) fn admit(&mut self, client: u32, counter: u64) -> Result<(), Refusal> {
        if self.gone.contains(&client) {
            return Err(Refusal::UnknownClient);
        }
        if self.knocks.iter().filter(|knock| knock.question.is_some()).count() == QUESTIONS {
            return Err(Refusal::Overloaded);
        }
        let is_far = counter > self.unix() + FAR;
        let is_burnt = self.burnt.iter().any(|lease| lease.contains(counter));
        let used = self.counters.entry(client).or_insert(Used::NOTHING);
        let far_before = used.ahead.is_some_and(|ahead| counter < ahead.last);
        if covers(used, counter) || is_burnt || is_far && far_before {
            return Err(Refusal::Replayed);
        }
        if is_far {
            let first = used.ahead.map_or(counter, |ahead| ahead.first);
            used.ahead = Some(Span { first, last: counter });
        } else {
            used.last = counter;
            used.ahead = used.ahead.filter(|ahead| ahead.last > counter);
        }
        Ok(())
    }

    /// Whether a counter cannot be let in any more.
    pub(crate) fn is_used(&self, client: u32, counter: u64) -> bool {
        self.counters.get(&client).is_some_and(|used| covers(used, counter))
    }

    /// The gate's calendar, in microseconds.
    pub(crate) fn unix(&self) -> u64 {
        START + self.now * 1_000
    }

    fn say(&mut self, peer: Peer, client: u32, source: IpAddr, verdict: Verdict, retry_ms: u64) {
        self.answers.push((peer, Said { client, source, verdict, retry_ms, number: None }));
    }

    pub(crate) fn wrong_source(&mut self, peer: Peer, client: u32, source: IpAddr) {
        self.say(peer, client, source, refused(Refusal::WrongSource), 0);
    }

    pub(crate) fn status(&mut self, peer: Peer, client: u32, source: IpAddr) {
        let locked = self.locked_for(client, source);
        let latest = self.latest(client).map(|at| &self.knocks[at]).filter(|knock| knock.until > self.now);
        let (verdict, retry) = match (latest.map(|knock| knock.state), locked) {
            (Some(State::Granted), _) => (Verdict::Granted, 0),
            (Some(State::Refused(why)), locked) => (refused(why), locked.unwrap_or(0)),
            (None | Some(State::Forgotten), Some(locked)) => (refused(Refusal::LockedOut), locked),
            (None | Some(State::Forgotten), None) => (Verdict::Nothing, 0),
            (Some(_), _) => (Verdict::Pending, 20),
        };
        self.say(peer, client, source, verdict, retry);
    }

    /// Returns the new knock, if there is one.
    pub(crate) fn ask(
        &mut self,
        peer: Peer,
        client: u32,
        source: IpAddr,
        counter: u64,
        wanted: Wanted,
    ) -> Option<usize> {
        let book = usize::from(client != 1);
        if let Some((verdict, retry)) = self.reason_against(client, source, book, wanted.service) {
            self.say(peer, client, source, verdict, retry);
            return None;
        }
        if let Some(latest) = self.latest(client) {
            self.end(latest, Refusal::Superseded);
            self.knocks[latest].state = State::Forgotten;
        }
        let number = self.next[book];
        self.next[book] += 1;
        self.knocks.push(Knock {
            kind: Kind::NextNumber,
            proven: true,
            grant: 0,
            client,
            source,
            book,
            number,
            counter,
            ports: People::all().sequences[book][number as usize].clone(),
            service: wanted.service,
            seconds: wanted.seconds,
            state: State::Storing,
            until: self.now + HOLD,
            question: Some((peer, self.now + QUESTION)),
            come: BTreeSet::new(),
            strays: 0,
        });
        Some(self.knocks.len() - 1)
    }

    fn reason_against(
        &self,
        client: u32,
        source: IpAddr,
        book: usize,
        service: u16,
    ) -> Option<(Verdict, u64)> {
        if let Some(left) = self.locked_for(client, source) {
            return Some((refused(Refusal::LockedOut), left));
        }
        if !(is_permitted(service) && is_there(self.rules, service)) {
            return Some((refused(Refusal::NotAllowed), 0));
        }
        let latest = self.latest(client).map(|at| &self.knocks[at]);
        if latest.is_some_and(|knock| knock.is_deciding() && knock.until > self.now) {
            return Some((Verdict::Pending, 20));
        }
        let in_the_way = |knock: &&Knock| {
            let shares = knock.book == book || knock.source == source;
            knock.client != client
                && knock.is_active()
                && !knock.is_packet()
                && knock.until > self.now
                && shares
        };
        if let Some(until) = self.knocks.iter().filter(in_the_way).map(|knock| knock.until).max() {
            return Some((refused(Refusal::Busy), until - self.now));
        }
        (self.next[book] >= BOOK).then_some((refused(Refusal::Exhausted), 0))
    }

    /// The storing of a number is reported.
    pub(crate) fn stored(&mut self, at: usize, done: bool) {
        if self.knocks[at].question.is_none() {
            return;
        }
        if self.knocks[at].is_packet() {
            return self.packet_stored(at, done);
        }
        if !done {
            return self.end(at, Refusal::Unavailable);
        }
        let now = self.now;
        let knock = &mut self.knocks[at];
        if knock.state == State::Storing && knock.until > now {
            knock.state = State::Watching;
            knock.until = now + HOLD;
        }
    }

    /// The showing of the decoys is reported.
    pub(crate) fn watched(&mut self, at: usize, done: bool) {
        let now = self.now;
        let knock = &mut self.knocks[at];
        if knock.state != State::Watching || knock.until <= now {
            return;
        }
        if !done {
            return self.end(at, Refusal::Unavailable);
        }
        knock.state = State::Held;
        knock.until = now + HOLD;
        if let Some((peer, _)) = knock.question.take() {
            let Knock { client, source, number, .. } = *knock;
            let number = Some(number);
            self.answers
                .push((peer, Said { client, source, verdict: Verdict::Offered, retry_ms: 0, number }));
        }
    }

    /// The knock that a probe from `source` counts for.
    pub(crate) fn holder(&self, source: IpAddr) -> Option<usize> {
        let holds =
            |knock: &Knock| knock.source == source && knock.state == State::Held && knock.until > self.now;
        let holders: Vec<_> = (0..self.knocks.len()).filter(|&at| holds(&self.knocks[at])).collect();
        assert!(holders.len() <= 1, "an address has one holder");
        holders.first().copied()
    }

    /// A probe of a watched port, of the kind that the mode wants.
    pub(crate) fn probe(&mut self, source: IpAddr, port: u16) {
        let Some(at) = self.holder(source) else { return };
        if self.locked_for(self.knocks[at].client, source).is_some() {
            return;
        }
        let knock = &mut self.knocks[at];
        if knock.come.contains(&port) {
            return;
        }
        let due = &knock.ports[knock.come.len()];
        let fits = if self.rules.any_order { knock.ports.contains(&port) } else { *due == port };
        let ahead = knock.ports.contains(&port);
        if fits {
            knock.come.insert(port);
            if knock.come.len() == knock.ports.len() {
                knock.state = State::Consulting;
                knock.until = self.now + THINKING;
                if !is_there(self.rules, knock.service) {
                    self.fail(at, Refusal::NotAllowed);
                }
            }
        } else if !self.rules.closed {
            self.wrong_port(at);
        } else if !ahead {
            knock.strays += 1;
            if knock.strays > STRAYS {
                self.end(at, Refusal::TooManyStrays);
            }
        }
    }

    /// Whether the policy may still decide about a knock.
    pub(crate) fn may_decide(&self, at: usize) -> bool {
        self.knocks[at].state == State::Consulting && self.knocks[at].until > self.now
    }

    /// The policy does not commit.
    pub(crate) fn denied(&mut self, at: usize, say: Say) {
        self.fail(at, if say == Say::Deny { Refusal::Denied } else { Refusal::PolicyFailed });
    }

    /// An opening, a refreshment or its failure is told to the knock that waits for it.
    pub(crate) fn tell(&mut self, at: usize, done: bool) {
        let State::Opening { waiting, opened } = self.knocks[at].state else { return };
        let (waiting, opened) = (waiting - 1, opened + usize::from(done));
        if waiting > 0 {
            self.knocks[at].state = State::Opening { waiting, opened };
        } else if opened == 0 {
            self.fail(at, Refusal::Unavailable);
        } else {
            self.settle(at, State::Granted);
            let charged = self.charged(at);
            self.failures.retain(|who, _| !charged.contains(who));
        }
    }

    /// The host looks at its clock.
    pub(crate) fn timeout(&mut self) {
        let now = self.now;
        self.locks.retain(|_, until| *until > now);
        self.grants.expire(now);
        for at in 0..self.knocks.len() {
            self.knocks[at].question.take_if(|(_, until)| *until <= now);
            if self.knocks[at].until > now {
                continue;
            }
            if self.knocks[at].is_packet() && self.knocks[at].is_active() {
                (self.knocks[at].state, self.knocks[at].question) = (State::Forgotten, None);
            }
            match self.knocks[at].state {
                State::Storing | State::Watching => self.end(at, Refusal::Unavailable),
                State::Held => self.end(at, Refusal::TooLate),
                State::Consulting => self.fail(at, Refusal::PolicyFailed),
                State::Opening { .. } => self.fail(at, Refusal::Unavailable),
                State::Granted | State::Refused(_) => self.knocks[at].state = State::Forgotten,
                State::Forgotten => {}
            }
        }
    }

    /// A client has left the roster.
    pub(crate) fn forget(&mut self, client: u32) {
        self.gone.insert(client);
        self.grants.revoke_all(self.now, client);
        for at in 0..self.knocks.len() {
            if self.knocks[at].client == client {
                self.knocks[at].question = None;
                if self.knocks[at].is_packet() {
                    self.knocks[at].state = State::Forgotten;
                }
                self.end(at, Refusal::UnknownClient);
                if self.knocks[at].is_deciding() {
                    self.fail(at, Refusal::UnknownClient);
                }
            }
        }
    }

    /// The agent has died and started again with this much stored.
    pub(crate) fn crash(&mut self, counters: BTreeMap<u32, Used>, burnt: Burnt, next: [u32; 2]) {
        (self.counters, self.burnt, self.next) = (counters, burnt, next);
        self.run += 1;
        self.locks.clear();
        self.failures.clear();
        for knock in &mut self.knocks {
            (knock.state, knock.question) = (State::Forgotten, None);
        }
    }

    fn latest(&self, client: u32) -> Option<usize> {
        self.knocks.iter().rposition(|knock| knock.client == client && !knock.is_packet())
    }
}

fn refused(why: Refusal) -> Verdict {
    Verdict::Refused(why.code())
}

/// Every client may use the first two services.
fn is_permitted(service: u16) -> bool {
    service == 1 || service == 2
}

/// Whether a service is guarded at all.
pub(crate) fn is_there(rules: Rules, service: u16) -> bool {
    let without = if rules.services == Services::WithoutSecond { 2 } else { 0 };
    (1..=3).contains(&service) && service != without
}

/// The usual and the longest seconds of a grant of `service`.
pub(crate) fn times(rules: Rules, service: u16) -> (u64, u64) {
    match (rules.services, service) {
        (Services::Brief, _) => (5, 8),
        (Services::All | Services::WithoutSecond, 1) => (20, 60),
        (Services::All | Services::WithoutSecond, _) => (5, 10),
    }
}

/// The seconds of a grant of `service` when `asked` were asked for.
pub(crate) fn seconds(rules: Rules, service: u16, asked: u32) -> u64 {
    let (usual, most) = times(rules, service);
    if asked == 0 { usual } else { u64::from(asked).min(most) }
}
