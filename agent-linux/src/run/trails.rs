//! What is remembered of the latest knocks, so that somebody can be told what has become of one.
//!
//! Of a client its last attempts, pieced together from what is written down once the gate has acted. Of messages that were met with
//! silence two rings of fixed size: a flood washes them out at the price of one entry each, and a flood of one address, or of noise that
//! needs no key, leaves the other ring alone. Nothing is allocated before a port is open, and for noise never.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use knockgate_core::message::Kind;
use knockgate_core::note::{KnockEnd, Note};
use knockgate_core::{ClientId, Peer, Refusal, UnixTime, Way};

use crate::audit::Heard;

/// Attempts of one client.
const KEPT: usize = 4;
/// Clients whose attempts are kept: those that knocked last. Each takes some 600 bytes.
const MOST_CLIENTS: usize = 4096;
/// Clients above that until those that knocked longest ago are looked for: to look takes as long as a knock, so it is not done for each.
const SPARE_CLIENTS: usize = 512;
/// Entries of a ring. What one address does in a row takes one.
pub(super) const PLACES: usize = 256;

/// All of it.
pub(super) struct Trails {
    clients: HashMap<ClientId, VecDeque<Attempt>>,
    /// Not sealed for this gate: what anybody can send.
    unsealed: Ring,
    /// Sealed, and met with silence all the same: needs a door key, or a copy of a message.
    silent: Ring,
}

/// Which door key a message was sealed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    InForce,
    /// The one before, which is good for a while.
    Former,
}

/// How a message came that an enrolled client has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) peer: Peer,
    pub(super) source: IpAddr,
    pub(super) way: Way,
    pub(super) seal: Seal,
}

/// What a client has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing is written down about it, as about a question of state.
    Unknown,
    Packet(Kind),
    /// A number of its book, and then the sequence.
    Sequence,
    Static,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Pending,
    Offered(u32),
    /// All ports were knocked.
    Complete,
    Opened {
        grant: u32,
        seconds: u64,
    },
    Refused(Refusal),
}

/// What a policy has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) policy: Arc<str>,
    pub(super) verdict: &'static str,
    pub(super) failure: Option<String>,
}

/// Something that a client has tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) at: SystemTime,
    pub(super) source: IpAddr,
    /// None of a static sequence.
    pub(super) arrival: Option<Arrival>,
    pub(super) wish: Wish,
    pub(super) service: Option<u16>,
    pub(super) said: Vec<Said>,
    pub(super) end: End,
    pub(super) is_answered: bool,
}

/// Why a message was met with silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    OverBudget,
    Refused(Refusal),
}

/// Messages that were met with silence, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silenced {
    pub(super) source: IpAddr,
    pub(super) why: Ignored,
    /// Who has written it, if an enrolled client has.
    pub(super) client: Option<ClientId>,
    pub(super) last: Option<UnixTime>,
    pub(super) times: u64,
}

impl Trails {
    pub(super) fn new() -> Self {
        Self { clients: HashMap::new(), unsealed: Ring::new(), silent: Ring::new() }
    }

    /// A message was not sealed for this gate.
    pub(super) fn unsealed(&mut self, now: Option<UnixTime>, source: IpAddr) {
        let why = Ignored::Refused(Refusal::Unsealed);
        self.unsealed.push(Silenced { source, why, client: None, last: now, times: 1 });
    }

    /// A sealed message was met with silence.
    pub(super) fn silent(
        &mut self,
        now: Option<UnixTime>,
        source: IpAddr,
        why: Ignored,
        client: Option<ClientId>,
    ) {
        self.silent.push(Silenced { source, why, client, last: now, times: 1 });
    }

    /// A client's message has come. A question of state leaves nothing else behind, so it makes room for the next one.
    pub(super) fn heard(&mut self, at: SystemTime, client: ClientId, arrival: Arrival) {
        let trail = self.trail(client);
        trail.retain(|attempt| attempt.wish != Wish::Unknown || attempt.end != End::Pending);
        push(trail, Attempt { arrival: Some(arrival), ..Attempt::new(at, arrival.source) });
    }

    /// A client's message was answered.
    pub(super) fn answered(&mut self, client: ClientId, peer: Peer) {
        let is_it = |attempt: &&mut Attempt| attempt.arrival.is_some_and(|arrival| arrival.peer == peer);
        let trail = self.clients.get_mut(&client).into_iter().flatten();
        if let Some(attempt) = trail.rev().find(is_it) {
            attempt.is_answered = true;
        }
    }

    /// The gate has noted something.
    pub(super) fn note(&mut self, at: SystemTime, note: &Note) {
        match *note {
            Note::Packet { client, source, kind, service } => {
                let attempt = self.open(at, client, source);
                attempt.wish = Wish::Packet(kind);
                attempt.service = Some(service).filter(|service| *service != 0);
            }
            Note::StaticKnock { client, source, service } => {
                let attempt =
                    Attempt { wish: Wish::Static, service: Some(service), ..Attempt::new(at, source) };
                push(self.trail(client), attempt);
            }
            Note::Offered { client, source, number, .. } => {
                let attempt = self.open(at, client, source);
                (attempt.wish, attempt.end) = (Wish::Sequence, End::Offered(number));
            }
            Note::Refused { client, source, refusal, .. } => {
                self.open(at, client, source).end = End::Refused(refusal);
            }
            Note::SequenceRefused { client, source, refusal, .. } => {
                // Its client may have asked since how it stands, which is an attempt of its own.
                let is_it = |attempt: &&mut Attempt| attempt.is_complete() && attempt.source == source;
                let trail = self.clients.get_mut(&client).into_iter().flatten();
                if let Some(attempt) = trail.rev().find(is_it) {
                    attempt.end = End::Refused(refusal);
                }
            }
            Note::KnockEnded { client, source, service, end, .. } => {
                let attempt = self.open(at, client, source);
                (attempt.wish, attempt.service) = (Wish::Sequence, Some(service));
                attempt.end = match end {
                    KnockEnd::Complete => End::Complete,
                    KnockEnd::Failed(refusal) => End::Refused(refusal),
                };
            }
            Note::GrantOpened { client, to, service, grant, lasts } => {
                let is_it = |attempt: &&mut Attempt| attempt.is_open() && to.contains(attempt.source);
                let trail = self.clients.get_mut(&client).into_iter().flatten();
                if let Some(attempt) = trail.rev().find(is_it) {
                    attempt.service = Some(service);
                    attempt.end = End::Opened { grant: grant.0, seconds: lasts.as_secs() };
                }
            }
            Note::GrantClosed { .. } | Note::LockedOut { .. } | Note::Console { .. } => {}
        }
    }

    /// Policies have decided about a knock. The gate's own word follows.
    pub(super) fn decided(&mut self, heard: &Heard) {
        let Some(source) = heard.event.source.map(|source| source.address) else { return };
        let attempt = match &heard.event.client {
            Some(client) => {
                self.clients.get_mut(&ClientId(client.id)).and_then(|trail| undecided(trail, source))
            }
            // Policies are not told which sequence it was.
            None => {
                let statics = self.clients.iter_mut().filter(|(client, _)| client.is_static());
                statics.filter_map(|(_, trail)| undecided(trail, source)).max_by_key(|attempt| attempt.at)
            }
        };
        if let Some(attempt) = attempt {
            attempt.said = heard.opinions.iter().map(Said::by).collect();
        }
    }

    /// The attempts of a client, the latest first.
    pub(super) fn of_client(&self, client: ClientId) -> impl Iterator<Item = &Attempt> {
        self.clients.get(&client).into_iter().flatten().rev()
    }

    /// The attempts from an address, whoever's.
    pub(super) fn at_address(&self, source: IpAddr) -> impl Iterator<Item = (ClientId, &Attempt)> {
        let all =
            self.clients.iter().flat_map(|(client, trail)| trail.iter().map(|attempt| (*client, attempt)));
        all.filter(move |(_, attempt)| attempt.source == source)
    }

    /// What was met with silence and is of this kind, the latest first.
    pub(super) fn silenced(&self, is_meant: impl Fn(&Silenced) -> bool) -> Vec<Silenced> {
        let mut found: Vec<_> =
            self.silent.iter().chain(self.unsealed.iter()).filter(|one| is_meant(one)).collect();
        found.sort_by_key(|one| std::cmp::Reverse(one.last));
        found
    }

    /// How many entries others have taken the place of.
    pub(super) fn washed_out(&self) -> u64 {
        self.silent.washed_out.saturating_add(self.unsealed.washed_out)
    }

    /// The last attempt of every client that is remembered.
    pub(super) fn latest(&self) -> impl Iterator<Item = (ClientId, &Attempt)> {
        self.clients.iter().filter_map(|(client, trail)| Some((*client, trail.back()?)))
    }

    /// The attempt that something is noted about; a new one if the old ones are over.
    fn open(&mut self, at: SystemTime, client: ClientId, source: IpAddr) -> &mut Attempt {
        let trail = self.trail(client);
        let is_it = |attempt: &Attempt| attempt.is_open() && attempt.source == source;
        let place = trail.iter().rposition(is_it).unwrap_or_else(|| {
            push(trail, Attempt::new(at, source));
            trail.len().saturating_sub(1)
        });
        trail.get_mut(place).expect("the place was found or made a moment ago")
    }

    fn trail(&mut self, client: ClientId) -> &mut VecDeque<Attempt> {
        if self.clients.len() >= MOST_CLIENTS + SPARE_CLIENTS && !self.clients.contains_key(&client) {
            self.make_room();
        }
        self.clients.entry(client).or_default()
    }

    fn make_room(&mut self) {
        let last = |trail: &VecDeque<Attempt>| trail.back().map(|attempt| attempt.at);
        let mut known: Vec<_> = self.clients.iter().map(|(client, trail)| (last(trail), client.0)).collect();
        known.sort_unstable();
        for (_, client) in known.iter().take(SPARE_CLIENTS) {
            self.clients.remove(&ClientId(*client));
        }
    }
}

impl Attempt {
    fn new(at: SystemTime, source: IpAddr) -> Self {
        Self {
            at,
            source,
            arrival: None,
            wish: Wish::Unknown,
            service: None,
            said: Vec::new(),
            end: End::Pending,
            is_answered: false,
        }
    }

    /// A sequence whose ports were all knocked, and of which nothing more is known.
    fn is_complete(&self) -> bool {
        self.end == End::Complete || (self.wish, self.end) == (Wish::Static, End::Pending)
    }

    fn is_open(&self) -> bool {
        match self.end {
            End::Pending | End::Offered(_) | End::Complete => true,
            End::Opened { .. } | End::Refused(_) => false,
        }
    }
}

impl Said {
    fn by(opinion: &crate::audit::Opinion) -> Self {
        Self {
            policy: Arc::clone(&opinion.policy),
            verdict: opinion.said.answer().word(),
            failure: opinion.said.failure.as_ref().map(ToString::to_string),
        }
    }
}

fn push(trail: &mut VecDeque<Attempt>, attempt: Attempt) {
    if trail.len() >= KEPT {
        trail.pop_front();
    }
    trail.push_back(attempt);
}

fn undecided(trail: &mut VecDeque<Attempt>, source: IpAddr) -> Option<&mut Attempt> {
    let is_it = |attempt: &&mut Attempt| attempt.source == source && attempt.said.is_empty();
    trail.iter_mut().rev().find(is_it)
}

/// So many entries, and the latest takes the place of the oldest.
struct Ring {
    /// Has all its memory from the beginning.
    entries: Vec<Silenced>,
    next: usize,
    washed_out: u64,
}

impl Ring {
    fn new() -> Self {
        Self { entries: Vec::with_capacity(PLACES), next: 0, washed_out: 0 }
    }

    fn push(&mut self, entry: Silenced) {
        let latest = self.next.checked_sub(1).unwrap_or(PLACES - 1);
        if let Some(same) = self.entries.get_mut(latest).filter(|latest| latest.is_like(&entry)) {
            same.times = same.times.saturating_add(1);
            same.last = entry.last;
            return;
        }
        match self.entries.get_mut(self.next) {
            Some(oldest) => {
                *oldest = entry;
                self.washed_out = self.washed_out.saturating_add(1);
            }
            None => self.entries.push(entry),
        }
        self.next = (self.next + 1) % PLACES;
    }

    fn iter(&self) -> impl Iterator<Item = Silenced> {
        self.entries.iter().copied()
    }
}

impl Silenced {
    fn is_like(&self, other: &Self) -> bool {
        (self.source, self.why, self.client) == (other.source, other.why, other.client)
    }
}

#[cfg(test)]
mod tests;
