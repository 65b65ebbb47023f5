//! What tells one configuration from another, for people: a line for each thing that would be otherwise.
//!
//! Every field is looked at: no table is taken apart with `..`, so a field that is added to one and not here does not compile.

#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use humantime::format_duration;
use knockgate_core::Name;

use super::{
    AuditLog, Capture, Central, Config, Control, Gate, Guard, Lockout, Metrics, Packet, Policy, Sequence,
    Service, StaticSequence, Statics,
};
use words::{
    audience_word, chains_of, failure_words, knock_word, mode_word, module_text, names, or_any, or_no_path,
    or_none, order_word, packet_ports, ports_of, process_words, rotation_words, scope_word,
};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The number of the service that it is about.
    pub service: Option<u16>,
    pub text: String,
}

/// What `new` has otherwise than `old`.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let Config {
        path: _,
        text: _,
        gate,
        gateway: _,
        guard,
        audit,
        packet,
        capture,
        control,
        metrics,
        separation,
        central,
        sequence,
        lockout,
        services,
        statics,
        policy,
        units,
        channels,
    } = old;
    let mut all = Changes::default();
    all.gate(gate, &new.gate);
    all.packet(packet, &new.packet);
    all.capture(*capture, new.capture);
    all.central(*central, new.central);
    all.sequence(sequence, &new.sequence);
    all.lockout(lockout, &new.lockout);
    all.services(services, &new.services);
    all.statics(statics, &new.statics);
    all.policy(policy, &new.policy);
    all.control(control, &new.control);
    all.metrics(metrics, &new.metrics);
    all.note("the processes", separation, &new.separation, process_words);
    all.audit(audit, &new.audit);
    all.guard(guard, &new.guard);
    all.named("unit", units, &new.units, |unit| &unit.name);
    all.named("channel", channels, &new.channels, |channel| &channel.name);
    all.0
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn say(&mut self, text: String) {
        self.0.push(Change { service: None, text });
    }

    fn note<T: PartialEq>(&mut self, what: &str, old: &T, new: &T, word: impl Fn(&T) -> String) {
        if old != new {
            self.say(format!("{what}: {} -> {}", word(old), word(new)));
        }
    }

    fn time(&mut self, what: &str, old: Duration, new: Duration) {
        self.note(what, &old, &new, |time| format_duration(*time).to_string());
    }

    fn gate(&mut self, old: &Gate, new: &Gate) {
        let Gate { address, state_dir, audit_log, interfaces } = old;
        let list = |names: &Vec<String>| if names.is_empty() { "all".to_owned() } else { names.join(", ") };
        self.note("the gate's address", address, &new.address, ToString::to_string);
        self.note("the state directory", state_dir, &new.state_dir, |path| path.display().to_string());
        self.note("the audit log", audit_log, &new.audit_log, or_no_path);
        self.note("the guarded interfaces", interfaces, &new.interfaces, list);
    }

    fn packet(&mut self, old: &Packet, new: &Packet) {
        let Packet { mode, ports, max_age, lease } = old;
        let age = |age: &Option<Duration>| {
            age.map_or_else(|| "any".to_owned(), |age| format_duration(age).to_string())
        };
        self.note("packet knocks", mode, &new.mode, |mode| mode_word(*mode).to_owned());
        self.note("the ports of packet knocks", ports, &new.ports, packet_ports);
        self.note("the oldest packet knock", max_age, &new.max_age, age);
        self.time("the lease", *lease, new.lease);
    }

    fn sequence(&mut self, old: &Sequence, new: &Sequence) {
        let Sequence { mode, decoys, order, shape, hold, strays, listener } = old;
        self.note("the mode of sequences", mode, &new.mode, |mode| knock_word(*mode).to_owned());
        self.note("decoys answer", decoys, &new.decoys, |audience| audience_word(*audience).to_owned());
        self.note("sequences are knocked", order, &new.order, |order| order_word(*order).to_owned());
        self.note("books that are made from now on", shape, &new.shape, |shape| {
            format!("{} ports of {} decoys, {} knocks", shape.length(), shape.decoys(), shape.count())
        });
        self.time("a hold", *hold, new.hold);
        self.note("forgiven strays", strays, &new.strays, u8::to_string);
        self.note("the listener behind the decoys", listener, &new.listener, or_any);
    }

    fn capture(&mut self, old: Capture, new: Capture) {
        let Capture { via } = old;
        self.note("how packets are heard", &via, &new.via, |via| format!("{via:?}").to_lowercase());
    }

    fn central(&mut self, old: Option<Central>, new: Option<Central>) {
        let port = |central: Option<Central>| central.map(|Central { port }| port);
        self.note("the central port", &port(old), &port(new), or_none);
    }

    fn lockout(&mut self, old: &Lockout, new: &Lockout) {
        let Lockout { duration, scope } = old;
        self.time("a lockout", *duration, new.duration);
        self.note("a lockout is", scope, &new.scope, |scope| scope_word(*scope).to_owned());
    }

    fn control(&mut self, old: &Control, new: &Control) {
        let Control { directory, group } = old;
        self.note("the control sockets", directory, &new.directory, |path| path.display().to_string());
        self.note("the group of the status socket", group, &new.group, or_none);
    }

    fn metrics(&mut self, old: &Metrics, new: &Metrics) {
        let Metrics { listen, socket } = old;
        self.note("the address of the metrics", listen, &new.listen, or_none);
        self.note("the socket of the metrics", socket, &new.socket, or_no_path);
    }

    fn audit(&mut self, old: &AuditLog, new: &AuditLog) {
        let AuditLog { on_failure, rotation } = old;
        self.note("while the audit log cannot be written, knocks", on_failure, &new.on_failure, |choice| {
            failure_words(*choice).to_owned()
        });
        self.note("the audit log is put away", rotation, &new.rotation, rotation_words);
    }

    fn guard(&mut self, old: &Guard, new: &Guard) {
        let Guard { on_change } = old;
        self.note("on a change of the guard", on_change, &new.on_change, |choice| choice.word().to_owned());
    }

    fn services(&mut self, old: &[Service], new: &[Service]) {
        for was in old {
            match new.iter().find(|service| service.id == was.id) {
                Some(is) => self.service(was, is),
                None => self.about(was, "is guarded no more".to_owned()),
            }
        }
        for is in new.iter().filter(|is| old.iter().all(|was| was.id != is.id)) {
            self.about(is, format!("is guarded, {}", ports_of(is)));
        }
    }

    fn about(&mut self, service: &Service, text: String) {
        self.0.push(Change { service: Some(service.id), text: format!("service {}: {text}", service.name) });
    }

    fn service(&mut self, old: &Service, new: &Service) {
        let mut own = Changes::default();
        own.own(old, new);
        if !own.0.is_empty() {
            let texts: Vec<_> = own.0.into_iter().map(|change| change.text).collect();
            self.about(old, texts.join(", "));
        }
    }

    /// What a service has otherwise, without its name.
    fn own(&mut self, old: &Service, new: &Service) {
        let Service {
            id: _,
            name,
            protocol,
            ports,
            hosts,
            open,
            max_open,
            forward_v4,
            forward_v6,
            masquerade,
            confirm,
            second_factor,
            follow,
            prefix_v4,
            prefix_v6,
        } = old;
        let yes = |yes: &bool| if *yes { "yes".to_owned() } else { "no".to_owned() };
        self.note("is called", name, &new.name, ToString::to_string);
        if (protocol, ports) != (&new.protocol, &new.ports) {
            self.say(format!("ports {} -> {}", ports_of(old), ports_of(new)));
        }
        self.note("hosts", hosts, &new.hosts, |hosts| format!("{hosts:?}"));
        self.time("open", *open, new.open);
        self.time("max-open", *max_open, new.max_open);
        self.note("forward-v4", forward_v4, &new.forward_v4, or_none);
        self.note("forward-v6", forward_v6, &new.forward_v6, or_none);
        self.note("masquerade", masquerade, &new.masquerade, yes);
        self.note("confirm", confirm, &new.confirm, yes);
        self.note("second-factor", second_factor, &new.second_factor, yes);
        self.note("follow", follow, &new.follow, yes);
        self.note("prefix-v4", prefix_v4, &new.prefix_v4, or_none);
        self.note("prefix-v6", prefix_v6, &new.prefix_v6, or_none);
    }

    fn statics(&mut self, old: &Statics, new: &Statics) {
        let Statics { sequences, traps } = old;
        let what = |one: &StaticSequence| {
            let StaticSequence { name: _, sequence: _, service, open, line: _ } = one;
            let open = open.map_or_else(String::new, |open| format!(" for {}", format_duration(open)));
            format!("{one} opens service {service}{open}")
        };
        self.each("static sequence", sequences, &new.sequences, |one| &one.name, what);
        self.note("the traps of static sequences", traps, &new.traps, |traps| traps.len().to_string());
    }

    fn policy(&mut self, old: &Policy, new: &Policy) {
        let Policy { engine, chain, services, clients, shadow, time_zone, keys, modules } = old;
        self.note("policies are run by", engine, &new.engine, |engine| {
            format!("the {}", super::engine::word(*engine))
        });
        self.note("the policy chain", chain, &new.chain, |chain| names(chain));
        self.note("policy chains of services", services, &new.services, |chains| chains_of(chains.iter()));
        self.note("policy chains of clients", clients, &new.clients, |chains| chains_of(chains.iter()));
        self.note("shadow policies", shadow, &new.shadow, |shadow| names(shadow));
        self.note("the time zone of policies", time_zone, &new.time_zone, |zone| {
            let name = zone.as_ref().map(|zone| zone.iana_name().unwrap_or("a rule").to_owned());
            name.unwrap_or_else(|| "the host's".to_owned())
        });
        self.note("keys of policy authors", keys, &new.keys, |keys| keys.len().to_string());
        self.each("policy module", modules, &new.modules, |module| &module.name, module_text);
    }

    /// For things that are too much for a line.
    fn named<T: PartialEq>(&mut self, what: &str, old: &[T], new: &[T], name: impl Fn(&T) -> &Name) {
        for was in old {
            match new.iter().find(|is| name(is) == name(was)) {
                None => self.say(format!("{what} {}: is gone", name(was))),
                Some(is) if is != was => self.say(format!("{what} {}: changed", name(was))),
                Some(_) => {}
            }
        }
        for is in new.iter().filter(|is| old.iter().all(|was| name(was) != name(is))) {
            self.say(format!("{what} {}: new", name(is)));
        }
    }

    fn each<T>(
        &mut self,
        what: &str,
        old: &[T],
        new: &[T],
        name: impl Fn(&T) -> &Name,
        text: impl Fn(&T) -> String,
    ) {
        for was in old {
            match new.iter().find(|is| name(is) == name(was)) {
                None => self.say(format!("{what} {}: is gone", name(was))),
                Some(is) => self.note(&format!("{what} {}", name(was)), &text(was), &text(is), String::clone),
            }
        }
        for is in new.iter().filter(|is| old.iter().all(|was| name(was) != name(is))) {
            self.say(format!("{what} {}: new, {}", name(is), text(is)));
        }
    }
}
