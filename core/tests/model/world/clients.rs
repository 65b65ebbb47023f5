//! The clients, and those who listen to them.

use std::net::IpAddr;

use knockgate_core::action::{Origin, Way};
use knockgate_core::client::Question;
use knockgate_core::envelope::Message;
use knockgate_core::message::{Kind, Mode, Request, Verdict};
use knockgate_core::replay::{counter_after_silence, next_counter};
use knockgate_core::{Peer, Probe, ProbeKind, Refusal};

use crate::event::{Meant, Touch, Work};
use crate::people::{ADDRESSES, BOOK};
use crate::reference::packet::{ANY_TOKEN, Confirmation, Packet};
use crate::reference::statics::doors;
use crate::reference::{At, Said, Wanted};

use super::{Sent, World};

impl World {
    pub(super) fn ask(
        &mut self,
        who: usize,
        from: IpAddr,
        kind: Kind,
        wanted: Wanted,
        claim: Option<IpAddr>,
    ) {
        let Wanted { service, seconds } = wanted;
        let request = Request { service, seconds, source: claim, ..Request::new(kind, 0) };
        let Some((peer, client, counter)) = self.put(who, from, Way::Connection, request) else { return };
        match kind {
            _ if claim.is_some_and(|claim| claim != from) => self.reference.wrong_source(peer, client, from),
            Kind::Status => self.reference.status(peer, client, from),
            Kind::NextNumber => self.asked = self.reference.ask(peer, client, from, counter, wanted),
            Kind::Open | Kind::Renew | Kind::Close | Kind::Console => unreachable!("a packet knock"),
        }
        self.turn();
        assert_eq!(self.asked, None, "a number is remembered at once");
    }

    pub(super) fn packet(&mut self, who: usize, from: IpAddr, packet: Packet) {
        let Packet { kind, service, seconds, grant, datagram, token } = packet;
        let token = token.map(|token| token.token);
        let way = if datagram { Way::Datagram } else { Way::Connection };
        let request = Request { service, seconds, grant, token, ..Request::new(kind, 0) };
        let Some((peer, client, counter)) = self.put(who, from, way, request) else { return };
        self.services.insert(peer, service);
        let covered = self.gate.lease().is_some_and(|lease| lease.contains(counter));
        match self.reference.packet(peer, client, from, counter, packet) {
            Some(knock) if covered => self.reference.stored(knock, true),
            waiting => self.asked = waiting,
        }
        self.turn();
        assert_eq!(self.asked, None, "a counter outside the lease is remembered at once");
    }

    /// The grant that a client names.
    pub(super) fn named(&self, meant: Meant) -> u32 {
        match meant {
            Meant::Any => 0,
            Meant::Named(pick) => u32::from(pick) % (self.reference.grants.numbered + 1),
        }
    }

    /// Sends a new question; `None` if it is met with silence.
    fn put(&mut self, who: usize, from: IpAddr, way: Way, request: Request) -> Option<(Peer, u32, u64)> {
        let counter = self.next_counter(who);
        let (question, message) = self.write(who, Request { counter, ..request });
        let client = self.people.clients[who].client.id.0;
        self.sent.push(Sent { message, client, counter });
        let sent = self.send(from, way, &message, client, counter);
        if sent == Err(Refusal::Replayed) {
            let is_on_time = self.reference.rules.skews[who].abs() <= 20;
            assert!(!(is_on_time && self.silence[who]), "nobody is kept out for longer than one try");
        }
        self.silence[who] = sent == Err(Refusal::Replayed);
        let peer = sent.ok()?;
        self.questions.insert(peer, (question, request.kind, client, counter));
        Some((peer, client, counter))
    }

    fn next_counter(&mut self, who: usize) -> u64 {
        let clock = self.reference.unix().saturating_add_signed(self.reference.rules.skews[who] * 1_000_000);
        let next = if self.silence[who] { counter_after_silence } else { next_counter };
        self.counters[who] = next(self.counters[who], clock).expect("far from the end of time");
        self.counters[who]
    }

    pub(super) fn status(&mut self, who: usize, from: IpAddr) {
        self.ask(who, from, Kind::Status, Wanted { service: 0, seconds: 0 }, None);
    }

    pub(super) fn write(&mut self, who: usize, request: Request) -> (Question<'static>, Message) {
        self.people.clients[who].keys.ask(&request, &mut self.rng).expect("good keys")
    }

    /// Hands a message to the gate; silence must be as the reference says.
    pub(super) fn send(
        &mut self,
        from: IpAddr,
        way: Way,
        message: &Message,
        client: u32,
        counter: u64,
    ) -> Result<Peer, Refusal> {
        self.peers += 1;
        let peer = Peer(self.peers);
        let now = self.now();
        let result = self.gate.handle_message(now, Origin { peer, source: from, way }, message);
        assert_eq!(result, self.reference.admit(client, counter), "client {client}, counter {counter}");
        result?;
        self.laws.admitted(peer, client, counter);
        Ok(peer)
    }

    /// Somebody sends again what he has seen on the wire.
    pub(super) fn replay(&mut self, pick: usize, from: IpAddr) {
        let Some(at) = pick.checked_rem(self.sent.len()) else { return };
        let Sent { message, client, counter } = self.sent[at];
        // What nothing has followed from may be let in again after a crash, and would have to be answered.
        if self.reference.is_used(client, counter) || self.laws.has_followed(client, counter) {
            let found = self.send(from, Way::Datagram, &message, client, counter);
            assert!(found.is_err(), "a message is used twice");
            self.turn();
        }
    }

    pub(super) fn stale(&mut self, who: usize, from: IpAddr) {
        let client = self.people.clients[who].client.id.0;
        let counter = self.reference.counters.get(&client).map_or(0, |used| used.last);
        let (_, message) = self.write(who, Request { service: 1, ..Request::new(Kind::NextNumber, counter) });
        assert!(self.send(from, Way::Connection, &message, client, counter).is_err());
        self.turn();
    }

    pub(super) fn static_knock(&mut self, door: usize, from: IpAddr) {
        let (now, expected) = (self.now(), self.reference.static_knock(door, from));
        let before = expected.map_err(|refusal| (refusal, self.gate.refusals().of(refusal)));
        self.gate.handle_static(now, doors(self.reference.rules)[door], from);
        if let Err((refusal, before)) = before {
            assert_eq!(self.gate.refusals().of(refusal), before + 1, "{refusal:?} is counted");
        }
        self.turn();
    }

    pub(super) fn knock(&mut self, who: usize, from: IpAddr, wanted: Wanted, touch: Touch) {
        self.ask(who, from, Kind::NextNumber, wanted, None);
        let client = self.people.clients[who].client.id.0;
        if let Some(at) =
            self.stores.iter().position(|(.., knock)| self.reference.knocks[*knock].client == client)
        {
            self.stored(at, Work::Done);
        }
        if let Some(at) =
            self.watches.iter().position(|(_, knock)| self.reference.knocks[*knock].client == client)
        {
            self.watched(at, Work::Done);
        }
        self.touch(from, touch);
    }

    /// The address of a holder, or any.
    pub(super) fn somewhere(&self, pick: usize) -> IpAddr {
        let holders: Vec<_> =
            ADDRESSES.into_iter().filter(|from| self.reference.holder(*from).is_some()).collect();
        pick.checked_rem(holders.len()).map_or(ADDRESSES[pick % ADDRESSES.len()], |at| holders[at])
    }

    pub(super) fn touch(&mut self, from: IpAddr, touch: Touch) {
        let decoys = self.people.decoys.ports();
        let knock = self.reference.holder(from).map(|at| &self.reference.knocks[at]);
        let ports = knock.map_or(&decoys[..3], |knock| &knock.ports);
        let come = |port: &&u16| knock.is_some_and(|knock| knock.come.contains(port));
        let due: Vec<u16> = ports.iter().filter(|port| !come(port)).copied().collect();
        let wrong = decoys.iter().filter(|port| !ports.contains(port)).copied();
        let touched = match touch {
            Touch::Next | Touch::OtherKind => due[..1].to_vec(),
            Touch::Rest => due,
            Touch::First => ports[..1].to_vec(),
            Touch::Last => ports[ports.len() - 1..].to_vec(),
            Touch::Wrong => wrong.take(1).collect(),
            Touch::Astray => wrong.take(3).collect(),
            Touch::Any(pick) => vec![decoys[usize::from(pick) % decoys.len()]],
            Touch::Unwatched => vec![9],
        };
        for port in touched {
            self.probe(from, port, matches!(touch, Touch::OtherKind));
        }
    }

    pub(super) fn probe(&mut self, source: IpAddr, port: u16, other_kind: bool) {
        let connected = (self.gate.config().mode == Mode::Connect) != other_kind;
        let kind = if connected { ProbeKind::Connected } else { ProbeKind::Attempted };
        let now = self.now();
        self.gate.handle_probe(now, Probe { source, port, kind });
        if !other_kind && self.people.decoys.contains(port) {
            self.reference.probe(source, port);
        }
        self.turn();
    }

    /// The client reads its answer.
    pub(super) fn read(&mut self, peer: Peer, message: &Message, said: Said) {
        let (question, kind, client, counter) = self.questions.remove(&peer).expect("it asked");
        let answer = question.answer(message).expect("written by the gate, for this question");
        let book = self.people.clients[client as usize - 1].book;
        let offer = answer.offer.as_ref().map(|offer| offer.number);
        let service = self.services.remove(&peer);
        let mut verdict = answer.verdict;
        if let Verdict::Confirm(token) = verdict {
            verdict = ANY_TOKEN;
            let (service, at, run) =
                (service.expect("a packet knock"), self.reference.now, self.reference.run);
            let confirmation = Confirmation { token, client, source: said.source, service, at, run };
            self.tokens[client as usize - 1] = Some(confirmation);
        }
        let found = Said { client, verdict, retry_ms: u64::from(answer.retry_ms), number: offer, ..said };
        assert_eq!(found, said);
        assert_eq!(answer.book_left, BOOK - self.reference.next[book]);
        match (kind, &answer.offer) {
            (_, Some(offer)) => self.laws.offered(client, counter, offer),
            (Kind::NextNumber, None) if !outcome_of_a_hold(answer.refusal()) => {
                self.laws.settled(client, counter);
            }
            (Kind::Open | Kind::Renew | Kind::Close | Kind::Console, None)
                if answer.refusal() != Some(Refusal::Unavailable) =>
            {
                self.laws.settled(client, counter);
            }
            (Kind::NextNumber | Kind::Status, None) => {}
            (Kind::Open | Kind::Renew | Kind::Close | Kind::Console, None) => {}
        }
        assert_eq!(answer.seen, Some(said.source));
        let now = self.reference.now;
        let open = self.reference.grants.open();
        let his = open
            .values()
            .filter(|(owner, (source, _), until)| *owner == client && *source == said.source && *until > now);
        let mut left: Vec<(At, u16)> = his.map(|(_, (_, service), until)| (until - now, *service)).collect();
        left.sort_unstable_by(|a, b| b.cmp(a));
        let mut told: Vec<_> =
            answer.open.iter().map(|open| (At::from(open.left_ms), open.service)).collect();
        told.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(told, left, "what is open to client {client}");
    }
}

/// What could not be stored is told all the same, and a question that its client has replaced is covered by the newer one.
fn outcome_of_a_hold(refusal: Option<Refusal>) -> bool {
    matches!(refusal, Some(Refusal::Unavailable | Refusal::Superseded | Refusal::UnknownClient))
}
