//! Static sequences: whoever has knocked one is nobody in particular.

use std::collections::BTreeSet;
use std::net::IpAddr;

use knockgate_core::message::Kind;
use knockgate_core::{ClientId, Refusal};

use crate::event::Rules;

use super::{Knock, Reference, State, THINKING, is_there};

/// A static sequence's name, its service, and its seconds; 0 for the service's usual time.
pub(crate) const DOORS: [(&str, u16, u32); 2] = [("phone", 1, 0), ("camera", 2, 7)];

/// The sequences in their order.
pub(crate) fn doors(rules: Rules) -> [usize; 2] {
    if rules.turned { [1, 0] } else { [0, 1] }
}

/// The number that stands for whoever knocks it.
pub(crate) fn client(door: usize) -> u32 {
    ClientId::of_static(&DOORS[door].0.parse().expect("a name")).0
}

impl Reference {
    /// A static sequence was knocked.
    pub(crate) fn static_knock(&mut self, door: usize, source: IpAddr) -> Result<(), Refusal> {
        let (client, (_, service, seconds)) = (client(door), DOORS[door]);
        // Nobody is there to confirm anything.
        if self.rules.confirm && service == 1 || !is_there(self.rules, service) {
            return Err(Refusal::NotAllowed);
        }
        if self.locked_for(client, source).is_some() {
            return Err(Refusal::LockedOut);
        }
        let is_same = |knock: &Knock| (knock.client, knock.source) == (client, source);
        if self.knocks.iter().any(|knock| is_same(knock) && knock.is_deciding()) {
            return Ok(());
        }
        self.knocks.push(Knock {
            kind: Kind::NextNumber,
            proven: false,
            grant: 0,
            client,
            source,
            book: 0,
            number: 0,
            counter: 0,
            ports: Vec::new(),
            service,
            seconds,
            state: State::Consulting,
            until: self.now + THINKING,
            question: None,
            come: BTreeSet::new(),
            strays: 0,
        });
        Ok(())
    }
}

impl Knock {
    pub(crate) fn is_static(&self) -> bool {
        ClientId(self.client).is_static()
    }

    /// What it may open, if it is there.
    pub(crate) fn may_open(&self, service: u16) -> bool {
        if self.is_static() { self.service == service } else { super::is_permitted(service) }
    }
}
