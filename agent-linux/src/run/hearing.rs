//! The driver and its policies: what they are asked and told, and what is done about what they say.

use std::sync::Arc;
use std::time::SystemTime;

use knockgate_core::{Consultation, Happening, Now, Outcome, Roster};
use knockgate_policy_host::gate;

use crate::acts::Notice;
use crate::audit::{AuditRecord, Heard};

use super::court::{self, Case, Errand, Purpose};
use super::driver::Driver;
use super::ledger::Entry;

/// A knock that was decided, and of which the log does not know yet.
pub(super) struct Settled {
    heard: Heard,
    /// What the gate made of the decision.
    outcome: Outcome,
}

impl Driver {
    /// Asks the policies about a knock. The answer is there at once, or it comes as an input.
    pub(super) fn consult(&mut self, now: Now, consultation: Consultation) {
        let event = self.witness.knock(&consultation, self.acts.lacking());
        if let Some(settled) = self.court.ask(consultation.ticket, event) {
            self.judged(now, settled);
        }
    }

    /// Tells the policies what has happened. What they want done about it comes as an input.
    pub(super) fn tell(&mut self, now: Now, happening: &Happening) {
        if !self.court.wants(gate::cause(happening.occasion)) {
            return;
        }
        let client = happening.about.client.and_then(|id| self.gate.roster().client_by_id(id));
        let name = client.map(|client| &client.name);
        let standing = self.gate.standing(happening.about);
        let event = self.witness.event(happening, name, &standing, self.acts.lacking());
        if let Some(settled) = self.court.tell(happening.answerable(), event) {
            self.judged(now, settled);
        }
    }

    /// Does what the policies want. What they said about a knock is written down by [`Driver::close_case`].
    pub(super) fn judged(&mut self, now: Now, case: Case) {
        let Case { purpose, heard, .. } = case;
        match purpose {
            Purpose::Knock(ticket) => {
                // What the gate has noted up to here was before the decision.
                self.gather_notes();
                let outcome = self.gate.handle_decision(now, ticket, court::decision(&heard));
                self.ledger.push(Entry::Case(Settled { heard, outcome }));
            }
            Purpose::Event(about) => {
                self.figures.decided(&heard.opinions);
                let (outcome, heard) = (court::Outcome::of(&heard), Arc::new(heard));
                self.scribe(SystemTime::now()).opinions(&heard);
                self.react(now, about, &court::reaction(&outcome));
                self.run_errands(&heard);
                self.court.compare(&heard, outcome);
            }
        }
    }

    /// Does what a decided knock wants beside the gate, writes down what was said about it, lets the shadows compare, and makes the
    /// next decision ready: after the gate has acted, so that no port waits for it, and before the log has what came of it.
    pub(super) fn close_case(&mut self, time: SystemTime, settled: Settled) {
        let Settled { heard, outcome } = settled;
        self.figures.decided(&heard.opinions);
        self.trails.decided(&heard);
        if outcome == Outcome::Done {
            self.run_errands(&heard);
        }
        let (said, heard) = (court::Outcome::of(&heard), Arc::new(heard));
        self.scribe(time).opinions(&heard);
        self.court.compare(&heard, said);
        self.court.prepare();
    }

    /// What comes of it is written down and told to no policy, or policies could chase each other for ever.
    fn react(&mut self, now: Now, about: knockgate_core::Subject, effects: &[knockgate_core::Effect]) {
        if effects.is_empty() {
            return;
        }
        self.gate.handle_reaction(now, about, effects);
        while let Some(note) = self.gate.poll_note() {
            self.scribe(SystemTime::now()).note(&note);
        }
    }

    fn run_errands(&self, heard: &Heard) {
        for opinion in &heard.opinions {
            for errand in court::errands(&opinion.said.actions) {
                let notice = Notice::about(&opinion.event(&heard.event), &opinion.policy);
                match errand {
                    Errand::Start { unit } => self.acts.start_unit(unit, notice),
                    Errand::Notify { channel, code } => self.acts.notify(channel, code, notice),
                }
            }
        }
    }

    pub(super) fn tell_what_was_missed(&self) {
        for (policy, events) in self.court.take_missed() {
            tracing::warn!(%policy, events, "the policy is too slow for all that happens and was not told of some of it");
            self.audit.write(AuditRecord::EventsMissed { policy, events });
        }
    }
}
