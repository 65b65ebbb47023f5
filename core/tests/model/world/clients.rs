//! The clients, and those who listen to them.

use std::net::IpAddr;

use knockgate_core::client::Question;
use knockgate_core::envelope::Message;
use knockgate_core::message::{Kind, Mode, Request};
use knockgate_core::{Peer, Probe, ProbeKind, Refusal};

use crate::event::{Touch, Work};
use crate::people::{ADDRESSES, BOOK};
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
        self.counters[who] += 1;
        let counter = self.counters[who];
        let Wanted { service, seconds } = wanted;
        let (question, message) = self.write(who, Request { kind, counter, service, seconds, source: claim });
        let client = self.people.clients[who].client.id.0;
        self.sent.push(Sent { message, client, counter });
        let Some(peer) = self.send(from, &message, client, counter) else { return };
        self.questions.insert(peer, (question, kind, client, counter));
        match kind {
            _ if claim.is_some_and(|claim| claim != from) => self.reference.wrong_source(peer, client, from),
            Kind::Status => self.reference.status(peer, client, from),
            Kind::NextNumber => self.asked = self.reference.ask(peer, client, from, counter, wanted),
        }
        self.turn();
        assert_eq!(self.asked, None, "a number is remembered at once");
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
        message: &Message,
        client: u32,
        counter: u64,
    ) -> Option<Peer> {
        self.peers += 1;
        let peer = Peer(self.peers);
        let now = self.now();
        let result = self.gate.handle_message(now, peer, from, message);
        assert_eq!(result, self.reference.admit(client, counter), "client {client}, counter {counter}");
        result.ok()?;
        self.laws.admitted(peer, client, counter);
        Some(peer)
    }

    /// Somebody sends again what he has seen on the wire.
    pub(super) fn replay(&mut self, pick: usize, from: IpAddr) {
        let Some(at) = pick.checked_rem(self.sent.len()) else { return };
        let Sent { message, client, counter } = self.sent[at];
        // What the gate had never stored may be let in again after a crash, and would have to be answered.
        if self.reference.counters.get(&client).copied().unwrap_or(0) >= counter {
            assert_eq!(self.send(from, &message, client, counter), None);
            self.turn();
        }
    }

    pub(super) fn stale(&mut self, who: usize, from: IpAddr) {
        let client = self.people.clients[who].client.id.0;
        let counter = self.reference.counters.get(&client).copied().unwrap_or(0);
        let (_, message) = self
            .write(who, Request { kind: Kind::NextNumber, counter, service: 1, seconds: 0, source: None });
        assert_eq!(self.send(from, &message, client, counter), None);
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
        let found = Said {
            client,
            verdict: answer.verdict,
            retry_ms: u64::from(answer.retry_ms),
            number: offer,
            ..said
        };
        assert_eq!(found, said);
        assert_eq!(answer.book_left, BOOK - self.reference.next[book]);
        match (kind, &answer.offer) {
            (_, Some(offer)) => self.laws.offered(client, counter, offer),
            (Kind::NextNumber, None) if !outcome_of_a_hold(answer.refusal()) => {
                self.laws.settled(client, counter);
            }
            (Kind::NextNumber | Kind::Status, None) => {}
        }
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
