//! What stays as it is until the agent is started anew, whatever its configuration says.
//!
//! One place for it: a reload refuses by it, and `knockgated check` foretells by it. It is judged by the configurations alone. What only
//! shows when it is tried (a port that somebody has, the identity, a folder behind a link) is left to the reload.

#[cfg(test)]
mod tests;

use std::fmt::Display;

use humantime::format_duration;
use knockgate_core::book::Decoys;

use crate::capture::watch::Means;
use crate::config::{Config, Separation};
use crate::confine::{MachineCode, Sandbox};
use crate::run::{apart, plan};

/// An agent that runs.
pub struct Running<'a> {
    /// What it was started with. A broker has that plan still, and its worker has the rights that this one leaves it.
    pub started: &'a Config,
    pub in_force: &'a Config,
    pub decoys: &'a Decoys,
}

/// What of `new` takes a restart, a line for each, with the remedy. None of it is there if `new` is what is in force.
pub(super) fn only_by_a_restart(running: &Running<'_>, new: &Config) -> Vec<String> {
    let mut fixed = Fixed { new, lines: Vec::new() };
    fixed.places(running.in_force);
    fixed.tables(running.in_force);
    if let Some(separation) = &running.started.separation {
        fixed.guarded(running);
        fixed.heard(running, separation);
        fixed.times(running.started);
        fixed.confined(running.started, separation);
    }
    fixed.lines
}

struct Fixed<'a> {
    new: &'a Config,
    lines: Vec<String>,
}

impl Fixed<'_> {
    fn say(&mut self, text: impl Display) {
        self.lines.push(format!("{}: {text}", self.new.path.display()));
    }

    fn places(&mut self, old: &Config) {
        let places = |config: &Config| {
            let gate = &config.gate;
            [("state-dir", Some(gate.state_dir.clone())), ("audit-log", gate.audit_log.clone())]
        };
        for ((key, old), (_, new)) in places(old).into_iter().zip(places(self.new)) {
            let (Some(old), Some(new)) = (old, new) else { continue };
            if old != new {
                let (old, new) = (old.display(), new.display());
                self.say(format_args!(
                    "`{key}` cannot change from {old} to {new} while the agent runs; restart it, or set the key back"
                ));
            }
        }
    }

    fn tables(&mut self, old: &Config) {
        let new = self.new;
        let tables = [
            ("[control]", old.control != new.control),
            ("[metrics]", old.metrics != new.metrics),
            ("[process]", old.separation != new.separation),
        ];
        for (table, _) in tables.into_iter().filter(|(_, is_other)| *is_other) {
            self.say(format_args!(
                "{table} cannot change while the agent runs; restart it, or set the table back"
            ));
        }
        if old.audit.rotation != new.audit.rotation {
            self.say(
                "when the audit log is put away cannot change while the agent runs; restart it, or set [audit] back",
            );
        }
    }

    /// The rules of the guard are those that the broker was started with.
    fn guarded(&mut self, running: &Running<'_>) {
        // How packets are heard is looked at by itself, so it is the same here.
        let plan = |config| {
            plan::of(config, running.decoys, config.sequence.listener.unwrap_or(0), &Means::PacketSockets)
        };
        let (old, new) = (plan(running.started), plan(self.new));
        for name in others(&old.services, &new.services) {
            self.beside_a_broker(&format!("service {name}: what is guarded"));
        }
        let parts = [
            ("`interfaces` in [gate]", old.interfaces != new.interfaces),
            ("`mode`, `decoys` or `listener` in [sequence]", old.mode != new.mode),
            ("`mode` or `ports` in [packet]", old.packets != new.packets),
            ("the ports of [[static-sequence]]", old.statics != new.statics),
        ];
        for (part, _) in parts.into_iter().filter(|(_, is_other)| *is_other) {
            self.beside_a_broker(part);
        }
    }

    /// The worker can open no socket that takes a right, and where it is confined no TCP port.
    fn heard(&mut self, running: &Running<'_>, separation: &Separation) {
        let (old, new) = (running.in_force, self.new);
        if old.capture != new.capture && !plan::wanted(new, running.decoys).is_nothing() {
            self.beside_a_broker("`via` in [capture]");
        }
        let port = |config: &Config| config.central.map(|central| central.port);
        let is_opened = port(new).is_some() && port(new) != port(old);
        if is_opened && separation.sandbox != Sandbox::Off {
            self.beside_a_broker("the port in [central]");
        }
    }

    /// No longer than the broker was told at its start.
    fn times(&mut self, started: &Config) {
        let (old, new) = (apart::bounds(started), apart::bounds(self.new));
        for service in &self.new.services {
            let longest = old.longest.iter().find(|(id, _)| *id == service.id).map(|(_, longest)| *longest);
            if let Some(longest) = longest.filter(|longest| service.max_open > *longest) {
                let (max_open, longest) = (format_duration(service.max_open), format_duration(longest));
                self.say(format_args!(
                    "service {}: `max-open` is {max_open}, and the broker was started to open it for {longest} at most; \
                     restart the agent, or lower the value",
                    service.name
                ));
            }
        }
        if new.hold > old.hold {
            let (hold, longest) = (format_duration(new.hold), format_duration(old.hold));
            self.say(format_args!(
                "`hold` in [sequence] is {hold}, and the broker was started to watch for {longest} at most; \
                 restart the agent, or lower the value"
            ));
        }
    }

    /// What the worker has given up, it does not get back.
    fn confined(&mut self, started: &Config, separation: &Separation) {
        if separation.sandbox == Sandbox::Off {
            return;
        }
        for file in apart::out_of_reach(started, self.new) {
            self.say(format_args!(
                "{} is in a folder that the agent was not started with, and its confined process cannot read there; \
                 restart the agent, or put the file beside another one",
                file.display()
            ));
        }
        let code = [started, self.new].map(apart::machine_code);
        if code == [MachineCode::Never, MachineCode::Made] {
            self.say(
                "`engine` in [policy] is \"compiler\", and the agent was started without the right to make machine code; \
                 restart it, or set the key back",
            );
        }
    }

    fn beside_a_broker(&mut self, what: &str) {
        self.say(format_args!(
            "{what} cannot change while the agent runs with separate = true in [process]; restart it, or set that back"
        ));
    }
}

/// The names of services that are new, gone or otherwise.
fn others<'p>(
    old: &'p [crate::firewall::Service],
    new: &'p [crate::firewall::Service],
) -> impl Iterator<Item = &'p str> {
    let is_otherwise = |service: &&crate::firewall::Service| !old.contains(service);
    let is_gone = |service: &&crate::firewall::Service| new.iter().all(|other| other.id != service.id);
    new.iter().filter(is_otherwise).chain(old.iter().filter(is_gone)).map(|service| service.name.as_str())
}
