//! The host: does what the gate asks, sooner or later, well or badly.

use std::time::Duration;

use knockgate_core::action::Consultation;
use knockgate_core::message::Kind;
use knockgate_core::{
    Action, Cause, ClientId, Decision, Effect, GrantId, Network, Note, Outcome, Record, Roster, Verdict,
};

use crate::event::{Say, Wish, Work};
use crate::laws::covers;
use crate::people::BOOK;
use crate::reference::grants::Door;
use crate::reference::{At, Knock, State, seconds};

use super::{Job, World};

impl World {
    pub(super) fn stored(&mut self, pick: usize, work: Work) {
        let Some(at) = pick.checked_rem(self.stores.len()) else { return };
        let (exchange, record, knock) = self.stores.remove(at);
        if work != Work::Failed {
            self.laws.stored(record);
        }
        let now = self.now();
        self.gate.handle_stored(now, exchange, outcome(work));
        let before = self.reference.knocks[knock].state;
        self.reference.stored(knock, work == Work::Done);
        let begun = before == State::Storing && self.reference.knocks[knock].state == State::Watching;
        self.kept = begun.then_some(knock);
        self.turn();
        assert_eq!(self.kept, None, "decoys are shown as soon as the number is stored");
    }

    pub(super) fn watched(&mut self, pick: usize, work: Work) {
        let Some(at) = pick.checked_rem(self.watches.len()) else { return };
        let (hold, knock) = self.watches.remove(at);
        let now = self.now();
        self.gate.handle_watched(now, hold, outcome(work));
        self.reference.watched(knock, work == Work::Done);
        self.turn();
    }

    pub(super) fn decide(&mut self, pick: usize, say: Say, wishes: &[Wish]) {
        let Some(at) = pick.checked_rem(self.consultations.len()) else { return };
        let (ticket, knock) = self.consultations.remove(at);
        let effects: Vec<Effect> = wishes.iter().map(|wish| self.effect(*wish)).collect();
        let verdict = match say {
            Say::Commit => Verdict::Commit,
            Say::Deny => Verdict::Deny,
            Say::Fail => Verdict::Failed,
        };
        let open = self.open();
        let now = self.now();
        self.gate.handle_decision(
            now,
            ticket,
            Decision { verdict, effects: effects.iter().copied().collect() },
        );
        if !self.reference.may_decide(knock) {
            assert_eq!(self.open(), open, "what comes too late changes nothing");
        } else if say == Say::Commit {
            self.reference.commit(knock, &effects);
        } else {
            self.reference.denied(knock, say);
            assert_eq!(self.open(), open, "a refusal changes no grant");
        }
        self.turn();
    }

    pub(super) fn effect(&self, wish: Wish) -> Effect {
        let grant = |pick: u8| GrantId(u32::from(pick) % (self.reference.grants.numbered + 1));
        match wish {
            Wish::Open { service, seconds } => Effect::Open { service, seconds },
            Wish::Extend { pick, seconds } => Effect::Extend { grant: grant(pick), seconds },
            Wish::Revoke { pick } => Effect::Revoke { grant: grant(pick) },
            Wish::Lockout { seconds } => Effect::Lockout { seconds },
        }
    }

    /// The host reports the oldest opening or closing.
    pub(super) fn firewall(&mut self, work: Work) {
        let Some(job) = self.jobs.pop_front() else { return };
        let (now, done) = (self.reference.now, work == Work::Done);
        match job {
            Job::Open { grant, door, lasts } => {
                if work != Work::Failed {
                    self.kernel.insert(door, now + lasts);
                }
                self.gate.handle_opened(self.now(), grant, outcome(work));
                let (knocks, well) = self.reference.grants.opened(now, grant.0, done).unwrap_or_default();
                // The latest first: whether one's failure or the other's grant is told last decides what is forgiven.
                for knock in knocks.into_iter().rev() {
                    self.reference.tell(knock, well);
                }
            }
            Job::Close { grant, door } => {
                if work != Work::Failed {
                    self.kernel.remove(&door);
                }
                self.gate.handle_closed(self.now(), grant, outcome(work));
                self.reference.grants.closed(now, grant.0, done);
            }
        }
        self.turn();
    }

    /// A prompt host and a kind policy, until there is nothing left to do.
    pub(super) fn settle(&mut self, firewall: bool) {
        for _ in 0..1_000 {
            if let Some((_, knock)) = self.consultations.first() {
                let knock = &self.reference.knocks[*knock];
                let open = Wish::Open { service: knock.service, seconds: knock.seconds };
                self.decide(0, Say::Commit, &[open]);
            } else if !self.stores.is_empty() {
                self.stored(0, Work::Done);
            } else if !self.watches.is_empty() {
                self.watched(0, Work::Done);
            } else if firewall && !self.jobs.is_empty() {
                self.firewall(Work::Done);
            } else {
                return;
            }
        }
        panic!("the gate never stops asking");
    }

    /// Fetches what the gate wants; every action must be one that is due.
    pub(super) fn turn(&mut self) {
        let now = self.now();
        loop {
            let action = self.gate.poll_action(now);
            while let Some(note) = self.gate.poll_note() {
                self.noted(&note);
            }
            let Some(action) = action else { break };
            self.take(action);
        }
        assert!(self.gate.poll_action(now).is_none() && self.gate.poll_note().is_none());
        self.reference.grants.turn_is_over(self.reference.now);
        self.compare();
    }

    fn noted(&mut self, note: &Note) {
        if let Note::GrantClosed { grant, reason, .. } = *note {
            self.reference.grants.note_closed(self.reference.now, grant.0, reason);
        }
        if let Note::SequenceRefused { client, source, service, refusal } = *note {
            let undone = (client.0, source, service, refusal);
            let at = self.reference.undone.iter().position(|due| *due == undone);
            self.reference.undone.swap_remove(at.expect("it has opened nothing, and was not noted before"));
        }
    }

    pub(super) fn take(&mut self, action: Action) {
        match action {
            Action::Remember { exchange, record: record @ Record::Counter { client, used } } => {
                if let Some(knock) = self.asked.take() {
                    let asked = &self.reference.knocks[knock];
                    assert!(client.0 == asked.client && covers(&used, asked.counter));
                    self.stores.push((exchange, record, knock));
                    return;
                }
                // The reference turns away at once, so here the disk is prompt.
                self.laws.stored(record);
                let now = self.now();
                self.gate.handle_stored(now, exchange, Outcome::Done);
            }
            Action::Remember { exchange, record } => {
                let knock = self.asked.take().expect("only a new number is remembered");
                let asked = &self.reference.knocks[knock];
                let book = self.people.books[asked.book].id();
                let (client, next) = (ClientId(asked.client), asked.number + 1);
                let used = self.gate.roster().used(client);
                assert!(covers(&used, asked.counter));
                assert_eq!(record, Record::Offer { client, used, book, next });
                self.stores.push((exchange, record, knock));
            }
            Action::Watch { hold, source, lasts } => {
                let knock = self.kept.take().expect("only a number that was just stored is watched");
                assert_eq!((source, lasts.as_secs()), (self.reference.knocks[knock].source, 10));
                self.watches.push((hold, knock));
            }
            Action::Unwatch { source } => {
                let may_knock = |knock: &Knock| {
                    let is_active = matches!(knock.state, State::Storing | State::Watching | State::Held);
                    is_active && knock.source == source && !knock.is_packet()
                };
                let active = self.reference.knocks.iter().any(may_knock);
                assert!(!active, "the decoys stay visible to whoever may knock");
            }
            Action::Consult(consultation) => self.consult(consultation),
            Action::Open { grant, bearer, to, service, lasts } => {
                let (now, door, lasts) = (self.reference.now, door(to, service), millis(lasts));
                self.reference.grants.offer_open(now, grant.0, bearer, door, lasts);
                self.jobs.push_back(Job::Open { grant, door, lasts });
            }
            Action::Close { grant, to, service } => {
                let door = door(to, service);
                self.reference.grants.offer_close(self.reference.now, grant.0, door);
                self.jobs.push_back(Job::Close { grant, door });
            }
            Action::Answer { peer, message } => {
                self.laws.answered(peer);
                self.answers.insert(peer.0, message);
            }
            Action::Converse { .. } => panic!("this gate has no console"),
        }
    }

    pub(super) fn consult(&mut self, asked: Consultation) {
        let about = |state, client| state == State::Consulting && client == asked.client.0;
        let knocks = &self.reference.knocks;
        let at = (0..knocks.len())
            .find(|at| about(knocks[*at].state, knocks[*at].client) && !self.consulted.contains(at));
        let at = at.expect("only about a complete sequence or a packet knock, and once");
        self.consulted.insert(at);
        let knock = &knocks[at];
        let (cause, number) = match knock.kind {
            Kind::Open => (Cause::Packet, None),
            Kind::Renew => (Cause::Renew, None),
            Kind::NextNumber | Kind::Status | Kind::Close | Kind::Console => {
                (Cause::Sequence, Some(knock.number).filter(|_| !knock.is_static()))
            }
        };
        if knock.is_packet() {
            self.laws.settled(knock.client, knock.counter);
        }
        assert_eq!((asked.source, asked.service), (knock.source, knock.service));
        assert_eq!((asked.cause, asked.number), (cause, number));
        assert_eq!((asked.second_factor, asked.prefix), (false, None));
        let kept = asked.grant.map_or(0, |(grant, _)| grant.0);
        assert_eq!(kept, if knock.kind == Kind::Renew { knock.grant } else { 0 });
        assert_eq!(u64::from(asked.seconds), seconds(self.reference.rules, knock.service, knock.seconds));
        let book_left = if knock.is_static() { 0 } else { BOOK - self.reference.next[knock.book] };
        assert_eq!(asked.book_left, book_left);
        assert_eq!([asked.standing.failures, asked.standing.source_failures], self.reference.failures_of(at));
        let open = self.reference.grants.open();
        let his = |(_, (client, ..)): &(&u32, &(u32, Door, At))| *client == asked.client.0;
        assert_eq!(asked.standing.grants.all as usize, open.len());
        assert_eq!(asked.standing.grants.client as usize, open.iter().filter(his).count());
        assert_eq!(asked.standing.grants.oldest, open.iter().filter(his).map(|(id, _)| GrantId(*id)).min());
        self.consultations.push((asked.ticket, at));
    }
}

fn door(to: Network, service: u16) -> Door {
    assert!(to.is_host(), "nobody asks for a prefix here");
    (to.address(), service)
}

fn outcome(work: Work) -> Outcome {
    match work {
        Work::Done => Outcome::Done,
        Work::Failed | Work::Half => Outcome::Failed,
    }
}

fn millis(duration: Duration) -> At {
    u64::try_from(duration.as_millis()).expect("no age of the universe")
}
