//! What happens between the two ports: frames in, actions carried out, deadlines kept.
//!
//! What needs much of the stack is never inlined: so the rooms of a handshake, a decision and a write to flash take turns, and do
//! not add up.

use alloc::boxed::Box;

use heapless::Vec;
use knockgate_core::envelope::{Message, Unsealed};
use knockgate_core::grant::Grant;
use knockgate_core::{
    Action, Consultation, Flows, GrantId, Happening, Instant, Note, Now, Origin, Outcome, Peer, Probe,
    ProbeKind, Roster, Way,
};
use rand_core::CryptoRng;
use smoltcp::phy::{Device, TxToken};

use crate::bridge::{Bridge, pass_on};
use crate::conversation::{self, Course};
use crate::environment::{Environment, Health};
use crate::frame::Frame;
use crate::front::{Addressee, Caught, Front};
use crate::gateway::Gate;
use crate::limits::{GRANTS, HANDSHAKES_PER_POLL, LOOK};

/// Everything but the ports.
pub(crate) struct Works<R, G, E> {
    pub(crate) gate: Box<Gate<R, G>>,
    pub(crate) environment: E,
    pub(crate) front: Box<Front>,
    pub(crate) bridge: Box<Bridge>,
    /// Handshakes that this turn may still take.
    effort: usize,
    /// Who speaks with the console.
    talking: Option<Peer>,
    /// When flows are looked at next.
    look: Instant,
}

impl<R: Roster, G: CryptoRng, E: Environment> Works<R, G, E> {
    pub(crate) fn new(
        gate: Box<Gate<R, G>>,
        environment: E,
        front: Box<Front>,
        bridge: Box<Bridge>,
        now: Instant,
    ) -> Self {
        let look = now.after(LOOK);
        Self { gate, environment, front, bridge, effort: HANDSHAKES_PER_POLL, talking: None, look }
    }

    /// Another turn begins.
    pub(crate) fn begin_turn(&mut self) {
        self.effort = HANDSHAKES_PER_POLL;
    }

    /// Whether this turn has done so much that the rest has to wait for the next one.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.effort == 0
    }

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
            Addressee::Gateway => self.take_for_gateway(now, bytes, &frame, token),
            Addressee::Inside => {
                self.front.overhear(now.instant, &frame);
                if self.bridge.lets_in(now.instant, &frame) {
                    pass_on(now.instant, bytes, frame.tag, inner);
                }
            }
            Addressee::Nobody => {}
        }
    }

    fn take_for_gateway(&mut self, now: Now, bytes: &[u8], frame: &Frame<'_>, token: impl TxToken) {
        let (gate, filter) = (self.gate.config(), &self.bridge.filter);
        match self.front.receive(now.instant, bytes, frame, gate, filter, token) {
            Some(Caught::Probe(probe)) => self.gate.handle_probe(now, probe),
            Some(Caught::Message(message, asked)) => {
                let Some(unsealed) = self.unseal(message) else { return };
                let peer = self.front.packets.expect(frame.from, asked);
                let origin = Origin { peer, source: asked.source.0, way: Way::Datagram };
                if self.gate.handle_unsealed(now, origin, unsealed).is_err() {
                    self.front.packets.forget(peer);
                }
            }
            None => {}
        }
        // Now and not after the last frame, so that what comes in order is judged in order.
        self.attend(now);
    }

    /// What is in a message. Noise costs no more than this.
    fn unseal(&mut self, message: &Message) -> Option<Unsealed> {
        let unsealed = self.gate.doorkeeper().unseal(message);
        match unsealed {
            Some(_) => self.effort = self.effort.saturating_sub(1),
            None => self.gate.handle_noise(1),
        }
        unsealed
    }

    /// Ends what is due, and carries out what follows from it.
    pub(crate) fn keep_time(&mut self, now: Now) {
        self.front.expire(now.instant);
        if self.gate.poll_timeout().is_some_and(|due| due <= now.instant) {
            self.gate.handle_timeout(now);
        }
        if self.look <= now.instant {
            self.look = now.instant.after(LOOK);
            self.bridge.sweep(now.instant);
            self.look_at_flows(now);
        }
        self.attend(now);
    }

    /// When [`Works::keep_time`] or the stack is due.
    pub(crate) fn next(&mut self, now: Now) -> Option<Instant> {
        let look = self.gate.followed().next().map(|_| self.look);
        [self.gate.poll_timeout(), self.front.next(now.instant), look].into_iter().flatten().min()
    }

    /// How the gateway is.
    pub(crate) fn health(&self, now: Instant) -> Health {
        Health { grants: self.gate.open_grants().count(), flows: self.bridge.count_flows(now) }
    }

    /// Tells the gate which grants are in use.
    fn look_at_flows(&mut self, now: Now) {
        let followed: Vec<GrantId, GRANTS> = self.gate.followed().map(Grant::id).collect();
        for id in followed {
            let Some(grant) = self.gate.open_grants().find(|grant| grant.id() == id) else { continue };
            let flows = if self.is_in_use(now.instant, grant) { Flows::Alive } else { Flows::None };
            self.gate.handle_flows(now, id, flows);
        }
    }

    fn is_in_use(&self, now: Instant, grant: &Grant) -> bool {
        let (to, service) = (grant.to(), grant.service());
        let is_console = self.gate.config().console == Some(service);
        let mut talkers = self.front.console.iter().flat_map(|console| console.pool.talks_with());
        is_console && talkers.any(|source| to.contains(source)) || self.bridge.is_in_use(now, to, service)
    }

    fn attend(&mut self, now: Now) {
        self.hear_messages(now);
        self.hear_knocks(now);
        self.act(now);
        self.converse(now);
    }

    #[inline(never)]
    fn hear_messages(&mut self, now: Now) {
        while !self.is_exhausted()
            && let Some(heard) = self.front.next_message(now.instant)
        {
            // A refusal is counted by the gate. The connection stays as it is: silent, like any stranger's.
            let Some(unsealed) = self.unseal(&heard.what) else { continue };
            let origin = Origin { peer: heard.peer, source: heard.source, way: Way::Connection };
            if self.gate.handle_unsealed(now, origin, unsealed).is_ok() {
                self.front.recognise(heard.peer);
            }
        }
    }

    /// Carries on the conversation with the console. A turn that could go on for long goes on in the next one.
    #[inline(never)]
    fn converse(&mut self, now: Now) {
        let Some(peer) = self.talking else { return };
        let health = self.health(now.instant);
        let Front { console, sockets, .. } = &mut *self.front;
        let Some(pool) = console.as_mut().map(|console| &mut console.pool) else { return };
        let Some(socket) = pool.talking(sockets, peer) else { return self.leave() };
        match conversation::carry(socket, now, health, &mut self.environment) {
            Course::Quiet => {}
            Course::Going => pool.goes_on(now.instant, peer),
            Course::Hurried => {
                pool.goes_on(now.instant, peer);
                self.effort = 0;
            }
            Course::Ended => {
                pool.hang_up(sockets, now.instant, peer);
                self.leave();
            }
        }
    }

    /// Whether all that the console has said has arrived.
    pub(crate) fn has_said_all(&self) -> bool {
        self.front.console_backlog() == 0
    }

    fn leave(&mut self) {
        self.talking = None;
        self.environment.leave();
    }

    #[inline(never)]
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
            let Some(action) = self.next_action(now) else { return };
            self.carry_out(now, action);
        }
    }

    #[inline(never)]
    fn next_action(&mut self, now: Now) -> Option<Action> {
        self.gate.poll_action(now)
    }

    /// Writes down what has happened, and tells the policies. What comes of their answers is written down and told to nobody, or
    /// policies could chase each other for ever.
    #[inline(never)]
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
    #[inline(never)]
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

    #[inline(never)]
    fn consult(&mut self, now: Now, question: Consultation) {
        let decision = self.environment.decide(now, &question);
        // What comes of it is a note, and taken before the next action.
        self.gate.handle_decision(now, question.ticket, decision);
    }

    /// Writes down what is no news to policies.
    pub(crate) fn write_notes(&mut self, now: Now) {
        while let Some(note) = self.gate.poll_note() {
            self.write(now, &note);
        }
    }

    #[inline(never)]
    fn write(&mut self, now: Now, note: &Note) {
        let client = note.client().and_then(|id| self.gate.roster().client_by_id(id));
        self.environment.note(now, note, client.map(|client| &client.name));
    }

    #[inline(never)]
    fn carry_out(&mut self, now: Now, action: Action) {
        let Self { gate, environment, front, bridge, .. } = self;
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
            Action::Answer { peer, message } => front.answer(now.instant, peer, &message),
            Action::Converse { peer, message, client, source, channel } => {
                // Whoever is gone by now comes again. One who is still there from before has no other connection.
                let Some(peer) = front.converse(now.instant, peer, &message) else { return };
                if self.talking.replace(peer).is_some() {
                    environment.leave();
                }
                environment.welcome(now, client, source, channel);
            }
        }
    }
}
