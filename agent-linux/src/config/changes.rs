//! What tells one configuration from another, for people: a line for each thing that would be otherwise.
//!
//! Every field is looked at: one that is added to a table and not here does not compile.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use humantime::format_duration;
use knockgate_core::Name;
use knockgate_core::book::Order;
use knockgate_core::message::Mode;

use super::{
    AuditLog, Capture, Config, Control, DecoyAudience, Gate, Guard, Lockout, LockoutScope, Metrics,
    OnFailure, Packet, PacketMode, PacketPorts, Policy, PolicyModule, Sequence, Service, StaticSequence,
    Statics,
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
    let Config { path: _, text: _, gate, gateway: _, packet, capture, central, sequence, lockout, .. } = old;
    let Config { services, statics, policy, units, channels, control, metrics, audit, guard, .. } = old;
    let mut all = Changes::default();
    all.gate(gate, &new.gate);
    all.packet(packet, &new.packet);
    let (Capture { via }, port) =
        (capture, |config: &Option<super::Central>| config.map(|central| central.port));
    all.note("how packets are heard", via, &new.capture.via, |via| format!("{via:?}").to_lowercase());
    all.note("the central port", &port(central), &port(&new.central), or_none);
    all.sequence(sequence, &new.sequence);
    let Lockout { duration, scope } = lockout;
    all.time("a lockout", *duration, new.lockout.duration);
    all.note("a lockout is", scope, &new.lockout.scope, |scope| scope_word(*scope).to_owned());
    all.services(services, &new.services);
    all.statics(statics, &new.statics);
    all.policy(policy, &new.policy);
    let Control { directory, group } = control;
    all.note("the control sockets", directory, &new.control.directory, |path| path.display().to_string());
    all.note("the group of the status socket", group, &new.control.group, or_none);
    let Metrics { listen, socket } = metrics;
    all.note("the address of the metrics", listen, &new.metrics.listen, or_none);
    all.note("the socket of the metrics", socket, &new.metrics.socket, or_no_path);
    let AuditLog { on_failure, rotation: _ } = audit;
    all.note("while the audit log cannot be written, knocks", on_failure, &new.audit.on_failure, |choice| {
        failure_words(*choice).to_owned()
    });
    let Guard { on_change } = guard;
    all.note("on a change of the guard", on_change, &new.guard.on_change, |choice| choice.word().to_owned());
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
        let knock = |mode: &Mode| match mode {
            Mode::Connect => "connect".to_owned(),
            Mode::Closed => "closed".to_owned(),
        };
        let audience = |audience: &DecoyAudience| match audience {
            DecoyAudience::Holder => "only the holder of a number".to_owned(),
            DecoyAudience::Always => "everybody".to_owned(),
        };
        let in_order = |order: &Order| match order {
            Order::Strict => "in order".to_owned(),
            Order::Any => "in any order".to_owned(),
        };
        self.note("the mode of sequences", mode, &new.mode, knock);
        self.note("decoys answer", decoys, &new.decoys, audience);
        self.note("sequences are knocked", order, &new.order, in_order);
        self.note("books that are made from now on", shape, &new.shape, |shape| {
            format!("{} ports of {} decoys, {} knocks", shape.length(), shape.decoys(), shape.count())
        });
        self.time("a hold", *hold, new.hold);
        self.note("forgiven strays", strays, &new.strays, u8::to_string);
        self.note("the listener behind the decoys", listener, &new.listener, or_any);
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
        let Service { id: _, name, protocol, ports, hosts, open, max_open, forward_v4, forward_v6, .. } = old;
        let Service { masquerade, confirm, second_factor, follow, prefix_v4, prefix_v6, .. } = old;
        let yes = |yes: &bool| if *yes { "yes".to_owned() } else { "no".to_owned() };
        let mut own = Changes::default();
        own.note("is called", name, &new.name, ToString::to_string);
        if (protocol, ports) != (&new.protocol, &new.ports) {
            own.say(format!("ports {} -> {}", ports_of(old), ports_of(new)));
        }
        own.note("hosts", hosts, &new.hosts, |hosts| format!("{hosts:?}"));
        own.time("open", *open, new.open);
        own.time("max-open", *max_open, new.max_open);
        own.note("forward-v4", forward_v4, &new.forward_v4, or_none);
        own.note("forward-v6", forward_v6, &new.forward_v6, or_none);
        own.note("masquerade", masquerade, &new.masquerade, yes);
        own.note("confirm", confirm, &new.confirm, yes);
        own.note("second-factor", second_factor, &new.second_factor, yes);
        own.note("follow", follow, &new.follow, yes);
        own.note("prefix-v4", prefix_v4, &new.prefix_v4, or_none);
        own.note("prefix-v6", prefix_v6, &new.prefix_v6, or_none);
        if !own.0.is_empty() {
            let texts: Vec<_> = own.0.into_iter().map(|change| change.text).collect();
            self.about(old, texts.join(", "));
        }
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

/// `tcp/80,443`
fn ports_of(service: &Service) -> String {
    let ports: Vec<_> = service.ports.iter().map(u16::to_string).collect();
    format!("{}/{}", service.protocol.word(), ports.join(","))
}

fn packet_ports(ports: &PacketPorts) -> String {
    match ports {
        PacketPorts::Any => "any".to_owned(),
        PacketPorts::Listed(ranges) => {
            let words = ranges.iter().map(|range| match (range.start(), range.end()) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first}-{last}"),
            });
            words.collect::<Vec<_>>().join(",")
        }
    }
}

fn mode_word(mode: PacketMode) -> &'static str {
    match mode {
        PacketMode::Watch => "watched",
        PacketMode::Socket => "through sockets",
        PacketMode::Off => "off",
    }
}

fn scope_word(scope: LockoutScope) -> &'static str {
    match scope {
        LockoutScope::Source => "for the source and the client",
        LockoutScope::Global => "for everybody",
    }
}

fn failure_words(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Count => "open all the same",
        OnFailure::Refuse => "open nothing",
    }
}

fn module_text(module: &PolicyModule) -> String {
    let PolicyModule { name: _, source, services, capabilities, max_seconds, .. } = module;
    let PolicyModule { units, channels, wasi, parameters, line: _, parameters_line: _, .. } = module;
    let place = match source {
        super::ModuleSource::BuiltIn(built_in) => format!("built-in {}", built_in.name),
        super::ModuleSource::File { path, sha256 } => {
            let pinned = if sha256.is_some() { ", pinned" } else { "" };
            format!("{}{pinned}", path.display())
        }
    };
    let given = parameters.iter().map(|one| format!("{} = {}", one.name, one.given.join(" ")));
    let given: Vec<_> = given.collect();
    format!(
        "{place}; may {capabilities} services {services:?} for {max_seconds} s, units {units:?}, channels {channels:?}, \
         wasi {wasi:?}; {}",
        given.join(", ")
    )
}

fn names(chain: &[Name]) -> String {
    if chain.is_empty() {
        return "none".to_owned();
    }
    chain.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

fn chains_of<'c>(chains: impl Iterator<Item = (impl Display, &'c Vec<Name>)>) -> String {
    let words: Vec<_> = chains.map(|(of, chain)| format!("{of} by {}", names(chain))).collect();
    if words.is_empty() { "none".to_owned() } else { words.join("; ") }
}

fn or_none<T: Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), T::to_string)
}

fn or_no_path(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())
}

fn or_any(port: &Option<u16>) -> String {
    port.map_or_else(|| "any".to_owned(), |port| port.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BASE: &str = "[gate]\naddress = \"g\"\nstate-dir = \"/s\"\naudit-log = \"/l\"\n[central]\nport = 4444\n\
         [service.web]\nid = 3\nprotocol = \"tcp\"\nports = [80]\n";

    fn config(text: &str) -> Config {
        Config::parse(Path::new("agent.toml"), text).unwrap()
    }

    #[test]
    fn every_change_is_a_line_and_what_is_the_same_is_none() {
        let moved = |from: &str, to: &str| BASE.replace(from, to);
        let more = |text: &str| format!("{BASE}{text}");
        let lab = "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"web\"\n";
        #[rustfmt::skip]
        let cases: [(u8, String, &[&str]); 10] = [
            (1, more("# a comment\n"), &[]),
            (2, moved("[80]", "[80, 443]"), &["service web: ports tcp/80 -> tcp/80,443"]),
            (3, moved("4444", "5555"), &["the central port: 4444 -> 5555"]),
            (4, moved("id = 3", "id = 4"), &["service web: is guarded no more", "service web: is guarded, tcp/80"]),
            (5, moved("[service.web]", "[service.www]"), &["service web: is called: web -> www"]),
            (6, more("open = \"1m\"\nmax-open = \"2m\"\n"), &["service web: max-open: 1h -> 2m"]),
            (7, more("[lockout]\nduration = \"7m\"\n"), &["a lockout: "]),
            (8, more(lab), &["static sequence lab: new, tcp/7000, tcp/8000, tcp/9000 within ", "the traps of static sequences: 0 -> "]),
            (9, more("[packet]\nports = [\"1000-1002\"]\n"), &["the ports of packet knocks: 62201 -> 1000-1002"]),
            (10, moved("\"/l\"", "\"/m\""), &["the audit log: /l -> /m"]),
        ];
        let base = config(BASE);
        for (case, text, expected) in cases {
            let texts: Vec<_> =
                changes(&base, &config(&text)).into_iter().map(|change| change.text).collect();
            assert_eq!(texts.len(), expected.len(), "case {case}: {texts:?}");
            for (text, expected) in texts.iter().zip(expected) {
                assert!(text.starts_with(expected), "case {case}: {text}");
            }
        }
    }
}
