//! What happens between the two ports: frames in, actions carried out, deadlines kept.

use knockgate_core::{
    Action, Cause, Consultation, Happening, Instant, Note, Now, Origin, Outcome, Probe, ProbeKind, Roster,
    Way,
};
use rand_core::CryptoRng;
use smoltcp::phy::{Device, TxToken};

use crate::bridge::{Bridge, pass_on};
use crate::environment::Environment;
use crate::frame::Frame;
use crate::front::{Addressee, Front};
use crate::gateway::Gate;

/// Everything but the ports.
pub(crate) struct Works<R, G, E> {
    pub(crate) gate: Gate<R, G>,
    pub(crate) environment: E,
    pub(crate) front: Front,
    pub(crate) bridge: Bridge,
}

impl<R: Roster, G: CryptoRng, E: Environment> Works<R, G, E> {
    /// Takes a frame that came in at the outer port. `token` sends a frame back out of it.
    pub(crate) fn take_from_outside(
        &mut self,
        now: Now,
        bytes: &[u8],
        token: impl TxToken,
        inner: &mut impl Device,
    ) {
        let Some(frame) = Frame::parse(bytes) else { return };
        match self.front.addressee(&frame) {
            Addressee::Gateway => {
                let silent_probe = self.front.receive(now.instant, bytes, &frame, token);
                if let Some(probe) = silent_probe {
                    self.gate.handle_probe(now, probe);
                }
                // Now and not after the last frame, so that what comes in order is judged in order.
                self.attend(now);
            }
            Addressee::Inside => {
                if self.bridge.lets_in(now.instant, &frame) {
                    pass_on(now.instant, bytes, inner);
                }
            }
            Addressee::Nobody => {}
        }
    }

    /// Takes a frame that came in at the inner port.
    pub(crate) fn take_from_inside(&mut self, now: Now, bytes: &[u8], outer: &mut impl Device) {
        if let Some(frame) = Frame::parse(bytes) {
            self.bridge.goes_out(now.instant, &frame);
        }
        pass_on(now.instant, bytes, outer);
    }

    /// Ends what is due, and carries out what follows from it.
    pub(crate) fn keep_time(&mut self, now: Now) {
        self.front.expire(now.instant);
        if self.gate.poll_timeout().is_some_and(|due| due <= now.instant) {
            self.gate.handle_timeout(now);
        }
        self.attend(now);
    }

    /// When [`Works::keep_time`] or the stack is due.
    pub(crate) fn next(&mut self, now: Now) -> Option<Instant> {
        [self.gate.poll_timeout(), self.front.next(now.instant)].into_iter().flatten().min()
    }

    fn attend(&mut self, now: Now) {
        self.hear_messages(now);
        self.hear_knocks(now);
        self.act(now);
    }

    fn hear_messages(&mut self, now: Now) {
        let front = &mut self.front;
        while let Some(heard) = front.central.next_message(&mut front.sockets, now.instant) {
            // A refusal is counted by the gate. The connection stays as it is: silent, like any stranger's.
            let origin = Origin { peer: heard.peer, source: heard.source, way: Way::Connection };
            if self.gate.handle_message(now, origin, &heard.what).is_ok() {
                front.central.recognise(heard.peer);
            }
        }
    }

    fn hear_knocks(&mut self, now: Now) {
        let front = &mut self.front;
        while let Some(knock) = front.knocks.next_knock(&mut front.sockets, now.instant) {
            let probe = Probe { source: knock.source, port: knock.what, kind: ProbeKind::Connected };
            self.gate.handle_probe(now, probe);
        }
    }

    fn act(&mut self, now: Now) {
        loop {
            // Before the next action, so that the log has a knock before what was decided about it.
            self.take_notes(now);
            let Some(action) = self.gate.poll_action(now) else { return };
            self.carry_out(now, action);
        }
    }

    /// Writes down what has happened, and tells the policies. What comes of their answers is written down and told to nobody, or
    /// policies could chase each other for ever.
    fn take_notes(&mut self, now: Now) {
        let mut untold = self.gate.notes_waiting();
        while let Some(note) = self.gate.poll_note() {
            self.write(now, &note);
            let Some(rest) = untold.checked_sub(1) else { continue };
            untold = rest;
            if let Some(happening) = Happening::of(&note) {
                self.tell(now, &happening);
            }
        }
    }

    /// Tells the policies what has happened, and does what they want about it.
    pub(crate) fn tell(&mut self, now: Now, happening: &Happening) {
        let Self { gate, environment, .. } = self;
        if !environment.wants(happening.occasion) {
            return;
        }
        let client = happening.about.client.and_then(|id| gate.roster().client_by_id(id));
        let standing = gate.standing(happening.about);
        let effects = environment.react(now, happening, &standing, client.map(|client| &client.name));
        gate.handle_reaction(now, happening.answerable(), &effects);
    }

    /// Of a sequence the gate's notes say only that it was complete.
    fn consult(&mut self, now: Now, question: Consultation) {
        let decision = self.environment.decide(now, &question);
        let Consultation { ticket, cause, client, source, service, .. } = question;
        let outcome = self.gate.handle_decision(now, ticket, decision);
        if (cause, outcome) == (Cause::Sequence, Outcome::Failed) {
            // What was noted so far is news, and what comes of this is not.
            self.take_notes(now);
            self.tell(now, &Happening::failed_sequence(client, source, service));
            self.write_notes(now);
        }
    }

    /// Writes down what is no news to policies.
    pub(crate) fn write_notes(&mut self, now: Now) {
        while let Some(note) = self.gate.poll_note() {
            self.write(now, &note);
        }
    }

    fn write(&mut self, now: Now, note: &Note) {
        let client = note.client().and_then(|id| self.gate.roster().client_by_id(id));
        self.environment.note(now, note, client.map(|client| &client.name));
    }

    fn carry_out(&mut self, now: Now, action: Action) {
        let Self { gate, environment, front, bridge } = self;
        match action {
            Action::Remember { exchange, record } => {
                let outcome = environment.remember(&record);
                gate.handle_stored(now, exchange, outcome);
            }
            Action::Watch { hold, source, lasts } => {
                let outcome = front.watched.show(now.instant, source, now.instant.after(lasts));
                gate.handle_watched(now, hold, outcome);
            }
            Action::Unwatch { source } => front.watched.hide(source),
            Action::Consult(question) => self.consult(now, question),
            Action::Open { grant, to, service, lasts, .. } => {
                let outcome = bridge.filter.open(now.instant, to, service, now.instant.after(lasts));
                gate.handle_opened(now, grant, outcome);
            }
            Action::Close { grant, to, service } => {
                bridge.filter.close(to, service);
                gate.handle_closed(now, grant, Outcome::Done);
            }
            Action::Answer { peer, message } | Action::Converse { peer, message, .. } => {
                front.central.answer(&mut front.sockets, now.instant, peer, &message);
            }
        }
    }
}
