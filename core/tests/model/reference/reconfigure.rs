//! What a new configuration leaves as it was, and what not.

use knockgate_core::Refusal;
use knockgate_core::gate::Ports;

use crate::event::{Change, Rules};

use super::{Reference, is_there, times};

impl Reference {
    /// The host gives the gate another configuration.
    pub(crate) fn reconfigure(&mut self, change: Change) {
        let former = self.rules;
        self.rules = changed(former, change);
        let otherwise = |rules: Rules| (rules.closed, rules.any_order);
        if otherwise(former) != otherwise(self.rules) {
            self.void_numbers();
        }
        let (rules, now) = (self.rules, self.now);
        let ids: Vec<u32> = self.grants.all.keys().copied().collect();
        for id in ids {
            let service = self.grants.all[&id].door.1;
            let moved = service == 1 && matches!(change, Change::Ports(Ports::Moved));
            if moved || !is_there(rules, service) {
                self.grants.revoke(now, id);
            } else {
                let again = service == 1 && matches!(change, Change::Ports(Ports::Changed));
                self.grants.shorten(id, now + 1_000 * times(rules, service).1, again);
            }
        }
    }

    fn void_numbers(&mut self) {
        for at in 0..self.knocks.len() {
            if !self.knocks[at].is_packet() && self.knocks[at].is_active() {
                self.end(at, Refusal::Unavailable);
            }
        }
    }
}

fn changed(rules: Rules, change: Change) -> Rules {
    match change {
        Change::Services(services) => Rules { services, ..rules },
        Change::Ports(_) => rules,
        Change::Mode => Rules { closed: !rules.closed, ..rules },
        Change::Order => Rules { any_order: !rules.any_order, ..rules },
        Change::Confirm => Rules { confirm: !rules.confirm, ..rules },
        Change::Turned => Rules { turned: !rules.turned, ..rules },
    }
}
