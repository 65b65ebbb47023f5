//! What must hold whatever happens, over any number of crashes.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::book::BookId;
use knockgate_core::message::{Answer, Kind, Verdict};
use knockgate_core::replay::Used;
use knockgate_core::{ClientId, Effect, GrantId, Network, Now, Origin, Peer, Roster, Way};

use super::{Sent, World};
use crate::scene::{CLIENTS, CONSOLE, SmallGate, at, scene, services};

/// What the policy was asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) client: ClientId,
    pub(super) source: IpAddr,
    pub(super) service: u16,
}

#[derive(Default)]
pub(super) struct Laws {
    /// Counters that were admitted since the last restart.
    admitted: HashSet<(ClientId, u64)>,
    /// Where each message came from that was admitted, and has no answer yet.
    waiting: HashMap<u64, (ClientId, Origin)>,
    /// Counters that have had an effect, ever.
    effective: HashSet<(ClientId, u64)>,
    /// Numbers that were offered, ever.
    offered: HashSet<(BookId, u32)>,
    /// What a policy has agreed to, ever: for whom, around which address, what.
    agreed: Vec<Asked>,
    /// The highest number of each book that was used up in this run.
    cursors: HashMap<BookId, u32>,
}

impl Laws {
    pub(super) fn restarted(&mut self) {
        self.admitted.clear();
        self.waiting.clear();
        self.cursors.clear();
    }

    /// A counter is admitted once.
    pub(super) fn admitted(&mut self, client: Option<ClientId>, counter: u64, origin: Origin) {
        let client = client.expect("only what an enrolled client has written is admitted");
        assert!(self.admitted.insert((client, counter)), "{client:?} has used {counter} before");
        self.waiting.insert(origin.peer.0, (client, origin));
    }

    /// Numbers are used up one after the other.
    pub(super) fn used_up(&mut self, book: BookId, next: u32) {
        let before = self.cursors.insert(book, next);
        assert!(before.is_none_or(|before| before < next), "number {next} was used up before");
    }

    pub(super) fn committed(&mut self, asked: Asked, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Open { service, .. } | Effect::OpenPrefix { service, .. } = *effect {
                self.agreed.push(Asked { service, ..asked });
            }
        }
    }

    /// Nothing opens to anybody unless a policy has agreed to it.
    pub(super) fn opens(&self, client: ClientId, to: Network, service: u16) {
        let allows = |agreed: &Asked| {
            agreed.client == client && agreed.service == service && to.contains(agreed.source)
        };
        assert!(self.agreed.iter().any(allows), "nobody has agreed to {service} for {client:?} at {to}");
    }

    /// Nobody speaks with the console to whom it is not open.
    pub(super) fn converses(&self, client: ClientId, source: IpAddr, gate: &SmallGate, time: u64) {
        let lets_in = |grant: &knockgate_core::grant::Grant| {
            let his = grant.client() == client && grant.to().contains(source);
            his && grant.service() == CONSOLE && grant.deadline() > at(time).instant
        };
        assert!(gate.open_grants().any(lets_in), "{client:?} at {source} has no grant of the console");
    }

    /// An answer goes to whoever has asked, once, and is true.
    pub(super) fn answered(&mut self, peer: Peer, sent: &Sent, answer: &Answer, gate: &SmallGate, time: u64) {
        let (client, origin) = self.waiting.remove(&peer.0).expect("an admitted question has one answer");
        let (now, source) = (at(time), origin.source.to_canonical());
        assert_eq!(answer.seen, Some(source));
        assert_eq!(answer.time, now.unix.map_or(0, |unix| unix.as_micros()));
        for open in &answer.open {
            let is_his = |grant: &&knockgate_core::grant::Grant| {
                grant.client() == client && grant.to().contains(source) && grant.service() == open.service
            };
            let grant = gate.open_grants().filter(is_his).find(|grant| grant.id().0 == open.grant);
            assert!(grant.is_some_and(|grant| grant.deadline() > now.instant), "it is open to him");
        }
        let in_force = gate.config().door_keys.first().expect("a gate has a door key");
        assert_eq!(answer.door_key.is_none(), in_force.is(scene().door_key(sent.door)));
        let (kind, counter) = (sent.request.kind, sent.request.counter);
        match answer.verdict {
            Verdict::Granted | Verdict::Closed | Verdict::Offered if kind != Kind::Status => {
                assert!(
                    self.effective.insert((client, counter)),
                    "{counter} of {client:?} had an effect before"
                );
            }
            Verdict::Confirm(_) => assert_eq!((kind, origin.way), (Kind::Open, Way::Datagram)),
            Verdict::Granted | Verdict::Closed | Verdict::Offered => {}
            Verdict::Nothing | Verdict::Pending | Verdict::Refused(_) => {}
        }
        if let Some(offer) = answer.offer {
            assert!(self.offered.insert((offer.book, offer.number)), "{} was offered before", offer.number);
        }
    }
}

/// The longest opening of a service to a client: what the service allows, and no longer than he is enrolled.
pub(super) fn longest(client: ClientId, service: u16, now: Now) -> Duration {
    let service = services().into_iter().find(|known| known.id == service).expect("a service of the gate");
    let enrolled = World::enrolled(client).zip(now.unix).map(|(end, unix)| end.left(unix));
    service.max_open.min(enrolled.unwrap_or(Duration::MAX))
}

/// What no refusal may change.
#[derive(Debug, PartialEq)]
pub(super) struct Snapshot {
    used: [Used; 3],
    cursors: [u32; 2],
    open: Vec<(GrantId, knockgate_core::time::Instant)>,
    locked: usize,
}

impl Snapshot {
    pub(super) fn of(gate: &SmallGate) -> Self {
        let roster = gate.roster();
        Self {
            used: CLIENTS.map(|client| roster.used(client)),
            cursors: [0, 1].map(|at: usize| roster.cursor(scene().books[at].id())),
            open: gate.open_grants().map(|grant| (grant.id(), grant.deadline())).collect(),
            locked: gate.lockouts().iter().count(),
        }
    }
}
