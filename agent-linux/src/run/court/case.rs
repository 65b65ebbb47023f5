//! A question on its way from policy to policy, and what each of them has said.

use std::collections::VecDeque;
use std::sync::Arc;

use knockgate_core::{Subject, Ticket};
use knockgate_policy_host::{Action, Answer, Cause, Event, Verdict};

use crate::audit::{Heard, Opinion, Waits};

use super::docket::Urgency;
use super::seat::{Later, Seat};

/// What is asked, whom it still goes to, and what has been said.
pub(in crate::run) struct Case {
    pub(in crate::run) purpose: Purpose,
    pub(in crate::run) heard: Heard,
    rest: VecDeque<Arc<Seat<Case>>>,
}

/// Why policies are asked.
pub(in crate::run) enum Purpose {
    /// A client waits. Whoever does not abstain decides, and nobody after him is asked.
    Knock(Ticket),
    /// Nobody waits, and everybody is asked. What may come of it happens to this subject.
    Event(Subject),
}

/// How far a case has come.
pub(super) enum Progress {
    /// Somebody has decided.
    Settled,
    /// The next one is to be asked.
    PassedOn,
    /// This policy cannot say at once.
    Stuck,
}

impl Case {
    /// What is said will stand in `room`.
    pub(super) fn new(purpose: Purpose, event: Event, room: Vec<Opinion>) -> Self {
        let waits = match purpose {
            Purpose::Knock(_) => Waits::Somebody,
            Purpose::Event(_) => Waits::Nobody,
        };
        Self { purpose, heard: Heard { event, waits, opinions: room }, rest: VecDeque::new() }
    }

    /// To whom it still goes.
    pub(super) fn with_route(self, rest: impl Iterator<Item = Arc<Seat<Self>>>) -> Self {
        Self { rest: rest.collect(), ..self }
    }

    /// Sends the case on to the next policy of its route; it comes back when it is settled.
    pub(super) fn proceed(mut self) -> Option<Self> {
        while let Some(seat) = self.rest.pop_front() {
            let Err(case) = seat.docket.put(self.urgency(), self) else { return None };
            self = case;
            self.pass_over(&seat);
        }
        Some(self)
    }

    /// A policy with a full docket misses an event; the others shall not. But a knock is not decided past a policy that nobody
    /// can ask: nobody after it is asked, and it is denied.
    fn pass_over(&mut self, seat: &Seat<Self>) {
        match self.purpose {
            Purpose::Event(_) => {}
            Purpose::Knock(_) => {
                let policy = seat.chair.name();
                tracing::error!(%policy, "the policy's thread has ended, so a knock is denied; restart the agent");
                self.rest.clear();
            }
        }
    }

    /// Asks this policy, if it still wants to be asked: a new module may have taken the place of the one that did.
    pub(super) fn hear(&mut self, seat: &Seat<Self>) {
        let Some(opinion) = seat.chair.ask(&self.heard.event) else { return };
        match self.note(opinion) {
            Progress::Settled => self.rest.clear(),
            Progress::PassedOn | Progress::Stuck => {}
        }
    }

    /// Asks this policy, if it can say at once.
    pub(super) fn hear_at_once(&mut self, seat: &Seat<Self>) -> Progress {
        match seat.ask_at_once(&self.heard.event) {
            Ok(Some(opinion)) => self.note(opinion),
            Ok(None) => Progress::PassedOn,
            Err(Later) => Progress::Stuck,
        }
    }

    fn note(&mut self, opinion: Opinion) -> Progress {
        let verdict = opinion.said.verdict;
        self.heard.opinions.push(opinion);
        match (&self.purpose, verdict) {
            (Purpose::Knock(_), Verdict::Commit | Verdict::Deny) => Progress::Settled,
            (Purpose::Knock(_), Verdict::Abstain) | (Purpose::Event(_), _) => Progress::PassedOn,
        }
    }

    fn urgency(&self) -> Urgency {
        match (&self.purpose, self.heard.event.cause) {
            // Before anybody has knocked, it is told that the gate is up.
            (Purpose::Knock(_), _) | (Purpose::Event(_), Cause::StartUp) => Urgency::Knock,
            (Purpose::Event(_), _) => Urgency::Event,
        }
    }
}

/// What was said about a knock, without making anything of it: a client waits. Whoever abstains at the end of the chain has not allowed
/// anything, and neither has nobody.
pub(super) fn verdict(heard: &Heard) -> (Answer, &[Action]) {
    let last = heard.opinions.last().map(|opinion| (opinion.said.answer(), &opinion.said.actions[..]));
    last.filter(|(answer, _)| *answer != Answer::Abstain).unwrap_or((Answer::Deny, &[]))
}

/// What comes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::run) struct Outcome {
    pub(in crate::run) answer: Answer,
    pub(in crate::run) actions: Vec<Action>,
}

impl Outcome {
    /// Nobody wanted to be asked, or nobody has allowed anything.
    const NOTHING: Self = Self { answer: Answer::Deny, actions: Vec::new() };

    /// What those who were asked have said together.
    pub(in crate::run) fn of(heard: &Heard) -> Self {
        match heard.waits {
            Waits::Somebody => {
                let (answer, actions) = verdict(heard);
                Self { answer, actions: actions.to_vec() }
            }
            Waits::Nobody => {
                let said = heard.opinions.iter().map(Self::of_one);
                said.filter(|outcome| outcome.answer == Answer::Commit).fold(Self::NOTHING, Self::and)
            }
        }
    }

    pub(super) fn of_one(opinion: &Opinion) -> Self {
        Self { answer: opinion.said.answer(), actions: opinion.said.actions.to_vec() }
    }

    fn and(mut self, other: Self) -> Self {
        self.actions.extend(other.actions);
        Self { answer: other.answer, actions: self.actions }
    }
}
