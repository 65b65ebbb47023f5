//! A question on its way from policy to policy, and what each of them has said.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use knockgate_core::{Subject, Ticket};
use knockgate_policy_host::{Action, Answer, Cause, Decision, Event, Verdict};

use crate::audit::Answered;

use super::docket::Urgency;
use super::seat::Seat;

/// What is asked, whom it still goes to, and what has been said.
pub(in crate::run) struct Case {
    pub(in crate::run) purpose: Purpose,
    pub(in crate::run) event: Event,
    /// In the order in which they were asked.
    pub(in crate::run) opinions: Vec<Opinion>,
    rest: VecDeque<Arc<Seat<Case>>>,
}

/// Why policies are asked.
pub(in crate::run) enum Purpose {
    /// A client waits. Whoever does not abstain decides, and nobody after him is asked.
    Knock(Ticket),
    /// Nobody waits, and everybody is asked. What may come of it happens to this subject.
    Event(Subject),
}

/// What one policy has said.
pub(in crate::run) struct Opinion {
    pub(in crate::run) policy: String,
    /// The event's cause as it was asked about it: a policy that makes no difference between keeping and opening judges the
    /// one as the other.
    pub(in crate::run) cause: Cause,
    pub(in crate::run) said: Decision,
    pub(in crate::run) took: Duration,
}

impl Case {
    pub(super) fn new(purpose: Purpose, event: Event, rest: VecDeque<Arc<Seat<Case>>>) -> Self {
        Self { purpose, event, opinions: Vec::new(), rest }
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
        let Some(opinion) = seat.chair.ask(&self.event) else { return };
        let is_settled = match self.purpose {
            Purpose::Knock(_) => opinion.said.verdict != Verdict::Abstain,
            Purpose::Event(_) => false,
        };
        self.opinions.push(opinion);
        if is_settled {
            self.rest.clear();
        }
    }

    fn urgency(&self) -> Urgency {
        match (&self.purpose, self.event.cause) {
            // Before anybody has knocked, it is told that the gate is up.
            (Purpose::Knock(_), _) | (Purpose::Event(_), Cause::StartUp) => Urgency::Knock,
            (Purpose::Event(_), _) => Urgency::Event,
        }
    }

    /// What the policies together have said.
    pub(in crate::run) fn outcome(&self) -> Outcome {
        match self.purpose {
            Purpose::Knock(_) => {
                let last = self.opinions.last().map(Opinion::outcome);
                // Whoever abstains at the end of the chain has not allowed anything.
                last.filter(|outcome| outcome.answer != Answer::Abstain).unwrap_or(Outcome::NOTHING)
            }
            Purpose::Event(_) => {
                let committed = self.opinions.iter().map(Opinion::outcome);
                committed
                    .filter(|outcome| outcome.answer == Answer::Commit)
                    .fold(Outcome::NOTHING, Outcome::and)
            }
        }
    }
}

impl Opinion {
    /// Asked by the clock, so that the log can say how long it took.
    pub(super) fn of(policy: &str, event: &Event, decide: impl FnOnce(&Event) -> Decision) -> Self {
        let begun = Instant::now();
        let said = decide(event);
        Self { policy: policy.to_owned(), cause: event.cause, said, took: begun.elapsed() }
    }

    /// The event as this policy was told of it.
    pub(in crate::run) fn event(&self, event: &Event) -> Event {
        Event { cause: self.cause, ..event.clone() }
    }

    /// For the audit log, with its [`Opinion::event`].
    pub(in crate::run) fn answered<'a>(&'a self, event: &'a Event) -> Answered<'a> {
        Answered { policy: &self.policy, event, said: &self.said, took: self.took }
    }

    pub(in crate::run) fn outcome(&self) -> Outcome {
        Outcome { answer: self.said.answer(), actions: self.said.actions.to_vec() }
    }
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

    fn and(mut self, other: Self) -> Self {
        self.actions.extend(other.actions);
        Self { answer: other.answer, actions: self.actions }
    }
}
