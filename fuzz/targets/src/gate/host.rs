//! The host: does what the gate asks for, sooner or later, well or badly.

use knockgate_core::envelope::Message;
use knockgate_core::message::{self, Kind};
use knockgate_core::{Action, Decision, Effect, GrantId, Outcome, Peer, Record, Verdict};

use super::laws::Asked;
use super::{Element, Job, World};
use crate::scene::scene;
use crate::tape::Tape;

/// How well something was done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Done,
    Failed,
    /// Done, but reported as failed.
    Half,
}

impl Work {
    fn outcome(self) -> Outcome {
        match self {
            Self::Done => Outcome::Done,
            Self::Failed | Self::Half => Outcome::Failed,
        }
    }

    fn any(tape: &mut Tape<'_>) -> Self {
        tape.one_of([Self::Done, Self::Done, Self::Done, Self::Failed, Self::Half])
    }
}

impl World {
    /// Fetches what the gate wants.
    pub(super) fn turn(&mut self) {
        let now = self.now();
        for round in 0.. {
            assert!(round < 1_000, "the gate never stops asking");
            while self.gate.poll_note().is_some() {}
            match self.gate.poll_action(now) {
                Some(action) => self.take(action),
                None => break,
            }
        }
        assert!(self.gate.poll_action(now).is_none() && self.gate.poll_note().is_none());
        let kernel = &self.kernel;
        for grant in self.gate.open_grants().filter(|grant| grant.deadline() > now.instant) {
            let is_there = |element: &Element| element.to == grant.to() && element.service == grant.service();
            assert!(kernel.iter().any(is_there), "what counts as open is open");
        }
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Remember { exchange, record } => {
                if let Record::Offer { book, next, .. } = record {
                    self.laws.used_up(book, next);
                }
                self.stores.push((exchange, record));
            }
            Action::Watch { hold, .. } => self.watches.push(hold),
            Action::Unwatch { .. } => {}
            Action::Consult(asked) => {
                let about = Asked { client: asked.client, source: asked.source, service: asked.service };
                self.tickets.push((asked.ticket, about));
            }
            Action::Open { grant, bearer, to, service, lasts } => {
                self.laws.opens(bearer.client, to, service);
                let most = super::laws::longest(bearer.client, service, self.now());
                assert!(
                    lasts <= most,
                    "grant {} of {:?} for {lasts:?}, at most {most:?}",
                    grant.0,
                    bearer.client
                );
                self.jobs.push_back(Job::Open { grant, bearer, to, service, lasts });
            }
            Action::Close { grant, to, service } => self.jobs.push_back(Job::Close { grant, to, service }),
            Action::Answer { peer, message } => {
                let (kind, verdict) = self.answered(peer, &message);
                let welcome = (kind, verdict) == (Kind::Console, message::Verdict::Granted);
                assert!(!welcome, "whoever is welcomed goes on");
            }
            Action::Converse { peer, message, client, source, .. } => {
                self.laws.converses(client, source, &self.gate, self.time);
                assert_eq!(self.answered(peer, &message), (Kind::Console, message::Verdict::Granted));
            }
        }
    }

    /// What was asked, and the gist of what the client reads.
    fn answered(&mut self, peer: Peer, message: &Message) -> (Kind, message::Verdict) {
        let place = usize::try_from(peer.0).ok().and_then(|at| self.peers.get(at).copied());
        let sent = place.and_then(|place| self.sent.get(place)).expect("only who has asked is answered");
        let answer = scene().answer(&sent.initiator, sent.door, message);
        let answer = answer.expect("whoever has asked can read the answer, and nobody else");
        self.laws.answered(peer, sent, &answer, &self.gate, self.time);
        if let message::Verdict::Confirm(token) = answer.verdict {
            self.token = Some(token);
        }
        (sent.request.kind, answer.verdict)
    }

    pub(super) fn time_passes(&mut self) {
        let time = self.time;
        self.kernel.retain(|element| element.until > time);
        for _ in 0..16 {
            self.gate.handle_timeout(self.now());
            if self.gate.poll_timeout().is_none_or(|due| due > self.now().instant) {
                break;
            }
        }
    }

    pub(super) fn stored(&mut self, tape: &mut Tape<'_>) {
        let at = tape.place(self.stores.len());
        if at < self.stores.len() {
            let (exchange, record) = self.stores.remove(at);
            self.finish_store(exchange, record, Work::any(tape));
        }
    }

    fn finish_store(&mut self, exchange: knockgate_core::action::ExchangeId, record: Record, work: Work) {
        if work != Work::Failed {
            self.disk.store(record);
        }
        self.gate.handle_stored(self.now(), exchange, work.outcome());
    }

    pub(super) fn watched(&mut self, tape: &mut Tape<'_>) {
        let at = tape.place(self.watches.len());
        if at < self.watches.len() {
            let hold = self.watches.remove(at);
            self.gate.handle_watched(self.now(), hold, Work::any(tape).outcome());
        }
    }

    pub(super) fn decide(&mut self, tape: &mut Tape<'_>) {
        let at = tape.place(self.tickets.len());
        if at >= self.tickets.len() {
            return;
        }
        let (ticket, asked) = self.tickets.remove(at);
        let verdict =
            tape.one_of([Verdict::Commit, Verdict::Commit, Verdict::Commit, Verdict::Deny, Verdict::Failed]);
        let count = 1 + tape.place(3);
        let effects: Vec<Effect> = (0..count).map(|_| any_effect(tape, asked.service)).collect();
        if verdict == Verdict::Commit {
            self.laws.committed(asked, &effects);
        }
        let effects = effects.into_iter().collect();
        self.gate.handle_decision(self.now(), ticket, Decision { verdict, effects });
    }

    /// The oldest opening or closing is done.
    pub(super) fn firewall(&mut self, tape: &mut Tape<'_>) {
        let work = Work::any(tape);
        self.do_job(work);
    }

    fn do_job(&mut self, work: Work) {
        let (now, time) = (self.now(), self.time);
        match self.jobs.pop_front() {
            Some(Job::Open { grant, bearer, to, service, lasts }) => {
                let until = time.saturating_add(u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX));
                self.write(work, Element { to, service, bearer, until });
                self.gate.handle_opened(now, grant, work.outcome());
            }
            Some(Job::Close { grant, to, service }) => {
                // One that was closed after all counts as open until the gate has heard so: that harms nobody.
                if work == Work::Done {
                    self.kernel.retain(|element| element.to != to || element.service != service);
                }
                self.gate.handle_closed(now, grant, work.outcome());
            }
            None => {}
        }
        self.kernel.retain(|element| element.until > time);
    }

    /// Half done, an opening may be there; it takes nothing away from what was there before.
    fn write(&mut self, work: Work, mut element: Element) {
        let same = |other: &Element| other.to == element.to && other.service == element.service;
        let before = self.kernel.iter().position(same);
        let before = before.filter(|_| work != Work::Failed).map(|at| self.kernel.swap_remove(at));
        match work {
            Work::Done => self.kernel.push(element),
            Work::Half => {
                element.until = element.until.max(before.map_or(0, |before| before.until));
                self.kernel.push(element);
            }
            Work::Failed => {}
        }
    }

    /// A prompt host and a kind policy, until there is nothing left to do.
    pub(super) fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 1_000, "the gate never stops asking");
            self.turn();
            if let Some((exchange, record)) = self.stores.pop() {
                self.finish_store(exchange, record, Work::Done);
            } else if let Some(hold) = self.watches.pop() {
                self.gate.handle_watched(self.now(), hold, Outcome::Done);
            } else if let Some((ticket, asked)) = self.tickets.pop() {
                let effects = [Effect::Open { service: asked.service, seconds: 0 }];
                self.laws.committed(asked, &effects);
                let decision = Decision { verdict: Verdict::Commit, effects: effects.into_iter().collect() };
                self.gate.handle_decision(self.now(), ticket, decision);
            } else if !self.jobs.is_empty() {
                self.do_job(Work::Done);
            } else {
                break;
            }
        }
    }
}

fn any_effect(tape: &mut Tape<'_>, asked: u16) -> Effect {
    let service = tape.one_of([asked, asked, 1, 4, 9]);
    let seconds = tape.one_of([0, 1, 30, 4000, u32::MAX]);
    let grant = GrantId(u32::from(tape.byte() % 8));
    match tape.place(8) {
        0..=3 => Effect::Open { service, seconds },
        4 => Effect::OpenPrefix { service, bits: tape.one_of([24, 32, 64, 0, 255]), seconds },
        5 => Effect::Extend { grant, seconds },
        6 => Effect::Revoke { grant },
        _ => Effect::Lockout { seconds },
    }
}
