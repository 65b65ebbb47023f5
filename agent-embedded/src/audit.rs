//! The audit log: what has happened at the gate, one JSON object in a line, in the words of the Linux agent's log.
//!
//! The newest lines are kept in a ring in memory, for whoever asks over the console; a restart empties it. Nothing that a
//! stranger sends makes a line: strangers are counted, see [`refusals`](crate::refusals).
//!
//! | field | of every line |
//! | --- | --- |
//! | `time` | RFC 3339 in UTC, where there is a calendar |
//! | `up` | seconds since the start |
//! | `seq` | the line's number since the start, from 1 on |
//! | `event` | what has happened |
//!
//! A decision has what it takes to make it again (`knockgate-policy replay`). To save room, counts of 0, flags that are not set and
//! empty lists are left out of it, which means the same; and it has no `elapsed-us`, because no clock runs while a policy does.
//! What is longer than a line may be leaves out the policy's own lines first, then the attributes, then the actions, and says so in
//! `left-out`.

use core::fmt::Display;
use core::net::IpAddr;

use knockgate_core::note::{Locked, Note};
use knockgate_core::time::seconds;
use knockgate_core::{ClientId, GrantId, Name, Now, Refusal};
use knockgate_policy_host::{Action, Decision, Event, Fact, LogLine};

use crate::court::{Minutes, Opinion};
use crate::json::{Line, List, Object, Text, Value, nested};
use crate::names::ServiceNames;
use crate::ring::Ring;
use crate::stamp::Stamp;

/// Bytes of the ring: the last few knocks with all that came of them. Who wants more asks more often; `lost` tells whether that is
/// often enough.
pub const RING: usize = 8 * 1024;

/// The log.
pub struct Audit {
    ring: Ring,
    services: ServiceNames,
}

impl Audit {
    /// An empty log.
    #[must_use]
    pub fn new(services: ServiceNames) -> Self {
        Self { ring: Ring::new(RING), services }
    }

    /// The lines that are kept.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The gate is up. Only the names of many services are longer than a line; then it leaves them out.
    pub fn started(&mut self, now: Now, clients: usize) {
        let mut line = Line::default();
        for services in [Some(&self.services), None] {
            self.draw_up(&mut line, now, "started", |object| {
                object.put("version", env!("CARGO_PKG_VERSION"));
                object.put_some("services", services.map(|services| List(services.iter())));
                object.put("clients", number(clients));
                let left_out = services.is_none().then(|| List(["services"].into_iter()));
                object.put_some("left-out", left_out);
            });
            if let Some(whole) = line.whole() {
                return self.ring.push(whole);
            }
        }
    }

    /// What the core has noted. `name` is the client's.
    pub fn note(&mut self, now: Now, note: &Note, name: Option<&Name>) {
        let services = self.services.clone();
        self.write(now, event(note), |line| {
            put_note(line, note, &Names { client: name, services: &services })
        });
    }

    fn write(&mut self, now: Now, event: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let mut line = Line::default();
        self.draw_up(&mut line, now, event, fill);
        // The names of one client and one service bound its length.
        if let Some(whole) = line.whole() {
            self.ring.push(whole);
        }
    }

    fn draw_up(&self, line: &mut Line, now: Now, event: &str, fill: impl FnOnce(&mut Object<'_>)) {
        line.write(|object| {
            object.put_some("time", now.unix.map(|unix| Text(Stamp(unix))));
            object.put("up", now.instant.as_micros() / 1_000_000);
            object.put("seq", self.ring.next()).put("event", event);
            fill(object);
        });
    }
}

impl Minutes for Audit {
    fn said(&mut self, now: Now, opinion: &Opinion<'_>) {
        let mut line = Line::default();
        for left_out in LeftOut::ALL {
            self.draw_up(&mut line, now, "decision", |object| put_decision(object, opinion, left_out));
            if let Some(whole) = line.whole() {
                return self.ring.push(whole);
            }
        }
    }
}

/// What a decision's line does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LeftOut {
    Nothing,
    /// The lines that the policy has written.
    Log,
    /// And what it could see.
    Attributes,
    /// And what it wanted.
    Actions,
}

impl LeftOut {
    const ALL: [Self; 4] = [Self::Nothing, Self::Log, Self::Attributes, Self::Actions];

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Nothing => &[],
            Self::Log => &["log"],
            Self::Attributes => &["log", "loaded", "attributes"],
            Self::Actions => &["log", "loaded", "attributes", "actions", "refused", "failure"],
        }
    }
}

/// The names that people know, for the numbers that the core knows.
struct Names<'a> {
    /// Of the client that a note is about.
    client: Option<&'a Name>,
    services: &'a ServiceNames,
}

/// A name, or the number where there is none.
enum Known<'a> {
    Named(&'a str),
    Numbered(u32),
}

impl Display for Known<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Numbered(number) => write!(f, "#{number}"),
        }
    }
}

impl<'a> Names<'a> {
    fn client(&self, id: ClientId) -> Known<'a> {
        self.client.map_or(Known::Numbered(id.0), |name| Known::Named(name.as_str()))
    }

    fn service(&self, id: u16) -> Known<'a> {
        self.services.get(id).map_or(Known::Numbered(id.into()), Known::Named)
    }
}

fn event(note: &Note) -> &'static str {
    match note {
        Note::Offered { .. } => "offered",
        Note::Refused { .. } | Note::SequenceRefused { .. } => "refused",
        Note::Packet { .. } => "packet-knock",
        Note::StaticKnock { .. } => "static-knock",
        Note::Console { .. } => "console",
        Note::KnockEnded { .. } => "knock",
        Note::LockedOut { .. } => "lockout",
        Note::GrantOpened { .. } => "grant-opened",
        Note::GrantClosed { .. } => "grant-closed",
    }
}

fn put_note(line: &mut Object<'_>, note: &Note, names: &Names<'_>) {
    match note {
        Note::Offered { client, source, book, number, left } => {
            line.put("client", Text(names.client(*client))).put("source", Text(source));
            line.put("book", Text(book)).put("number", u64::from(*number)).put("left", u64::from(*left));
        }
        Note::Refused { client, source, service, refusal } => {
            put_refused(line, (*client, *source), *service, *refusal, names);
        }
        Note::SequenceRefused { client, source, service, refusal } => {
            put_refused(line, (*client, *source), Some(*service), *refusal, names);
        }
        Note::Packet { client, source, kind, service } => {
            line.put("client", Text(names.client(*client))).put("source", Text(source));
            line.put("kind", kind.word());
            line.put_some("service", (*service != 0).then(|| Text(names.service(*service))));
        }
        Note::StaticKnock { client, source, service } => {
            line.put("client", Text(names.client(*client))).put("source", Text(source));
            line.put("service", Text(names.service(*service)));
        }
        Note::Console { client, source } => {
            line.put("client", Text(names.client(*client))).put("source", Text(source));
        }
        Note::KnockEnded { client, source, book, number, service, end, seen } => {
            line.put("client", Text(names.client(*client))).put("source", Text(source));
            line.put("book", Text(book)).put("number", u64::from(*number));
            line.put("service", Text(names.service(*service))).put("ended", end.word());
            line.put("ports-seen", List(seen.iter().map(|port| u64::from(*port))));
        }
        Note::LockedOut { who, lasts } => {
            put_locked(line, *who, names);
            line.put("seconds", seconds(*lasts));
        }
        Note::GrantOpened { grant: GrantId(grant), client, to, service, lasts } => {
            line.put("grant", u64::from(*grant)).put("client", Text(names.client(*client)));
            line.put("source", Text(to)).put("service", Text(names.service(*service)));
            line.put("seconds", seconds(*lasts));
        }
        Note::GrantClosed { grant: GrantId(grant), client, to, service, reason } => {
            line.put("grant", u64::from(*grant)).put("client", Text(names.client(*client)));
            line.put("source", Text(to)).put("service", Text(names.service(*service)));
            line.put("reason", reason.word());
        }
    }
}

fn put_refused(
    line: &mut Object<'_>,
    (client, source): (ClientId, IpAddr),
    service: Option<u16>,
    refusal: Refusal,
    names: &Names<'_>,
) {
    line.put("client", Text(names.client(client))).put("source", Text(source));
    line.put("reason", refusal.word());
    if let Some(service) = service {
        line.put("service", Text(names.service(service)));
    }
}

fn put_locked(line: &mut Object<'_>, who: Locked, names: &Names<'_>) {
    match who {
        Locked::Source(prefix) => {
            line.put("who", Text(format_args!("{}/{}", prefix.address(), prefix.bits())))
        }
        Locked::Client(id) => line.put("who", Text(format_args!("client {}", names.client(id)))),
        Locked::Everybody => line.put("who", "everybody"),
    };
}

fn put_decision(line: &mut Object<'_>, opinion: &Opinion<'_>, left_out: LeftOut) {
    let Opinion { policy, event, said, chain } = opinion;
    line.put_some("client", event.client.as_ref().map(|client| client.name.as_str()));
    line.put_some("source", event.source.map(|source| Text(source.address)));
    line.put_some("service", event.request.as_ref().map(|request| request.name.as_str()));
    line.put("policy", *policy);
    let verdicts = chain.iter().map(|(policy, answer)| {
        nested(move |one| {
            one.put("policy", *policy).put("verdict", answer.word());
        })
    });
    line.put("chain", List(verdicts)).put("verdict", said.answer().word()).put("fuel", said.fuel);
    if left_out < LeftOut::Actions {
        put_wishes(line, said);
    }
    if left_out < LeftOut::Attributes {
        let pair = |&(key, value): &(u32, u64)| List([u64::from(key), value].into_iter());
        line.put_some("loaded", some(&said.loaded).map(|loaded| List(loaded.iter().map(pair))));
        line.put("attributes", nested(|object| put_event(object, event)));
    }
    if left_out < LeftOut::Log {
        line.put_some("log", some(&said.log).map(|log| List(log.iter().map(log_line))));
    }
    line.put_some("left-out", some(left_out.names()).map(|names| List(names.iter().copied())));
}

/// What the policy wanted, what it was refused, and why it failed.
fn put_wishes(line: &mut Object<'_>, said: &Decision) {
    line.put("actions", List(said.actions.iter().map(action)));
    let refused = some(&said.refused).map(|refused| List(refused.iter().map(|one| one.act.name())));
    line.put_some("refused", refused).put_some("failure", said.failure.as_ref().map(Text));
}

fn action(action: &Action) -> impl Value {
    nested(move |object| {
        object.put("act", action.act().name());
        for (name, number) in action.parts() {
            object.put(name, number);
        }
    })
}

fn log_line(line: &LogLine) -> impl Value {
    nested(move |object| {
        object.put("level", line.level.name()).put("text", line.text.as_str());
    })
}

/// What is taken to be 0, or no, where it is not there is left out.
fn put_event(object: &mut Object<'_>, event: &Event) {
    for (name, fact) in event.facts() {
        match fact {
            Fact::Count(0) | Fact::Flag(false) => &mut *object,
            Fact::Number(number) | Fact::Count(number) => object.put(name, number),
            Fact::Flag(true) => object.put(name, true),
            Fact::Text(text) => object.put(name, text),
            Fact::Address(address) => object.put(name, Text(address)),
            Fact::Capabilities(set) => object.put(name, List(set.iter().map(|capability| capability.name()))),
        };
    }
}

fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
