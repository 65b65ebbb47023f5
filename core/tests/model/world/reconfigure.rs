//! A new configuration while the gate is at work.

use knockgate_core::gate::Ports;

use crate::event::Change;

use super::World;

impl World {
    pub(super) fn reconfigure(&mut self, change: Change) {
        let now = self.now();
        self.reference.reconfigure(change);
        let config = self.people.config(self.reference.rules, self.laws.burnt.clone());
        let ports = |service| match change {
            Change::Ports(ports) if service == 1 => ports,
            _ => Ports::Same,
        };
        self.gate.reconfigure(now, config, ports);
        self.turn();
    }
}
