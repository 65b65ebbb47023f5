//! What becomes of a packet knock.

use std::collections::BTreeSet;
use std::net::IpAddr;

use knockgate_core::message::{Kind, Token, Verdict};
use knockgate_core::{Peer, Refusal};

use super::{At, Knock, QUESTION, Reference, State, THINKING, TOKEN_SLOT, is_permitted, is_there, refused};

/// What a packet knock says, or a question for the console.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) kind: Kind,
    pub(crate) service: u16,
    pub(crate) seconds: u32,
    pub(crate) grant: u32,
    pub(crate) datagram: bool,
    pub(crate) token: Option<Confirmation>,
}

/// A token, as the gate means it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmation {
    pub(crate) token: Token,
    pub(crate) client: u32,
    pub(crate) source: IpAddr,
    pub(crate) service: u16,
    pub(crate) at: At,
    /// The run of the gate.
    pub(crate) run: u64,
}

impl Reference {
    /// Returns the knock if it is not turned away; it is to be stored first unless a lease covers it.
    pub(crate) fn packet(
        &mut self,
        peer: Peer,
        client: u32,
        source: IpAddr,
        counter: u64,
        packet: Packet,
    ) -> Option<usize> {
        let Packet { kind, seconds, grant, .. } = packet;
        let proven = !packet.datagram || kind == Kind::Open && self.is_confirmed(client, source, packet);
        match self.reason_against_packet(client, source, packet, proven) {
            Err((verdict, retry)) => {
                self.say(peer, client, source, verdict, retry);
                None
            }
            Ok((grant_kept, service)) => {
                self.knocks.push(Knock {
                    kind,
                    proven,
                    grant: grant_kept.unwrap_or(grant),
                    client,
                    source,
                    book: usize::from(client != 1),
                    number: 0,
                    counter,
                    ports: Vec::new(),
                    service,
                    seconds,
                    state: State::Storing,
                    until: self.now + QUESTION,
                    question: Some((peer, At::MAX)),
                    come: BTreeSet::new(),
                    strays: 0,
                });
                Some(self.knocks.len() - 1)
            }
        }
    }

    /// The grant that it is about and the service, or why it is turned away.
    fn reason_against_packet(
        &self,
        client: u32,
        source: IpAddr,
        packet: Packet,
        proven: bool,
    ) -> Result<(Option<u32>, u16), (Verdict, u64)> {
        let Packet { kind, grant, service, .. } = packet;
        let no_grant = (refused(Refusal::NoGrant), 0);
        let (kept, service) = match kind {
            Kind::Open => (None, service),
            Kind::Renew => {
                let kept = self.grants.kept(self.now, client, source, grant, service).ok_or(no_grant)?;
                (Some(kept), self.grants.all[&kept].door.1)
            }
            Kind::Close => {
                let meant = self.grants.meant(client, source, grant, service);
                return if meant.is_empty() { Err(no_grant) } else { Ok((None, service)) };
            }
            // This gate has none, which is all that anybody is told of it.
            Kind::Console => return Err((refused(Refusal::Unsupported), 0)),
            Kind::Status | Kind::NextNumber => unreachable!("no packet knock"),
        };
        if let Some(left) = self.locked_for(client, source) {
            return Err((refused(Refusal::LockedOut), left));
        }
        if !(is_permitted(service) && is_there(self.rules, service)) {
            return Err((refused(Refusal::NotAllowed), 0));
        }
        if kind == Kind::Open && self.rules.confirm && service == 1 && !proven {
            return Err((ANY_TOKEN, 0));
        }
        Ok((kept, service))
    }

    fn is_confirmed(&self, client: u32, source: IpAddr, packet: Packet) -> bool {
        packet.token.is_some_and(|token| {
            let slots = self.now / TOKEN_SLOT - token.at / TOKEN_SLOT;
            let same = (token.client, token.source, token.service) == (client, source, packet.service);
            same && slots <= 1 && token.run == self.run
        })
    }

    /// The storing of its counter is reported, or was not needed.
    pub(super) fn packet_stored(&mut self, at: usize, done: bool) {
        let Knock { kind, client, source, grant, service, .. } = self.knocks[at];
        if !done || kind == Kind::Close {
            let (peer, _) = self.knocks[at].question.take().expect("it was asked");
            self.knocks[at].state = State::Forgotten;
            let verdict = if done { Verdict::Closed } else { refused(Refusal::Unavailable) };
            if done {
                let meant = self.grants.meant(client, source, grant, service);
                self.grants.close(self.now, &meant);
            }
            return self.say(peer, client, source, verdict, 0);
        }
        let knock = &mut self.knocks[at];
        (knock.state, knock.until) = (State::Consulting, self.now + THINKING);
        if self.has_lapsed(at) {
            self.fail(at, Refusal::NoGrant);
        } else if !is_there(self.rules, service) {
            self.fail(at, Refusal::NotAllowed);
        }
    }

    /// The grant that shall be kept has ended.
    pub(super) fn has_lapsed(&self, at: usize) -> bool {
        let knock = &self.knocks[at];
        knock.kind == Kind::Renew && !self.grants.is_in_force(self.now, knock.grant)
    }
}

/// Which bytes a token has is for the gate alone to say.
pub(crate) const ANY_TOKEN: Verdict = Verdict::Confirm(Token([0; 8]));
