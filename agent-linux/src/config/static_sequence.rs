//! `[[static-sequence]]`: fixed sequences, for clients that can do nothing better.
//!
//! Whoever has seen one can repeat it, so each start says so (see [`Statics::warning`]). What could never work is refused: a step that
//! somebody else on this host hears, and a service that asks for more than a port can say.

#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use knockgate_core::limits::{MAX_GRANT, MAX_STATIC_SEQUENCES, STATIC_WITHIN};
use knockgate_core::profile::Protocol;
use knockgate_core::static_sequence::{self, Bucket, StaticSequenceError, StaticWatch, Step, Transport};
use knockgate_core::time::Instant;
use knockgate_core::{ClientId, Name};

use super::document::{At, Scalar, Section};
use super::read::{accept, accept_name, or_default};
use super::service::ServiceDraft;
use super::{Central, Config, ConfigError, Packet, Problem, Sequence, StaticSequence, Statics, value};

/// What a section of the file is called.
const TABLE: &str = "static-sequence";
const DEFAULT_WITHIN: Duration = Duration::from_secs(5);
const GRANTS: RangeInclusive<Duration> = Duration::from_secs(1)..=MAX_GRANT;

/// Whoever else is on this host, as far as it could be read.
pub(super) struct Others<'a> {
    pub(super) services: &'a [ServiceDraft],
    pub(super) central: Option<Central>,
    pub(super) packet: Option<&'a Packet>,
    pub(super) sequence: Option<&'a Sequence>,
}

/// `None` only if a problem was noted.
pub(super) fn statics(root: &Section<'_>, others: &Others<'_>) -> Option<Statics> {
    let sections = root.listed_sections(TABLE);
    if let Some(beyond) = sections.get(MAX_STATIC_SEQUENCES) {
        let (count, most) = (sections.len(), MAX_STATIC_SEQUENCES);
        let what =
            format!("there are {count} static sequences; a gate hears at most {most}, so take some out");
        beyond.note(beyond.line, what);
    }
    let drafts: Vec<_> = sections.iter().map(|section| Draft::of(section, others)).collect();
    check_names(root, &drafts);
    let sequences: Vec<_> = drafts.into_iter().map(|draft| draft.read).collect::<Option<_>>()?;
    let statics = Statics { traps: traps(&sequences, others), sequences };
    check_each_opens(&sections, &statics);
    check_scans(&sections, &statics);
    Some(statics)
}

/// A sequence as far as it could be read.
struct Draft<'t> {
    name: Option<At<&'t str>>,
    read: Option<StaticSequence>,
}

impl<'t> Draft<'t> {
    fn of(section: &Section<'t>, others: &Others<'_>) -> Self {
        let name = section.require("name", section.text("name"), r#"say what it is called: name = "lab""#);
        Self { name, read: static_sequence(section, name, others) }
    }
}

fn static_sequence(
    section: &Section<'_>,
    name: Option<At<&str>>,
    others: &Others<'_>,
) -> Option<StaticSequence> {
    let name = name.and_then(|text| accept_name("static sequence", section, &text));
    let steps = steps(section, others);
    let within = section.duration("within", &STATIC_WITHIN);
    let within = or_default(section, "within", within, DEFAULT_WITHIN);
    let service = section.text("service");
    let service = section.require("service", service, r#"name what it opens: service = "ssh""#);
    let service = service.and_then(|name| chosen(section, others, name));
    let open = open(section, service);
    section.refuse_unknown_keys();
    let (steps, within) = (steps?, within?);
    let sequence = static_sequence::StaticSequence::new(&steps.value, within);
    let sequence = sequence.map_err(|error| section.note(steps.line, refused(section, error))).ok();
    let service = service?.id?.value;
    Some(StaticSequence { name: name?, sequence: sequence?, service, open: open?, line: section.line })
}

/// Why there is no such sequence. What its time may be was checked before.
fn refused(section: &Section<'_>, error: StaticSequenceError) -> String {
    let path = section.path("sequence");
    match error {
        StaticSequenceError::Length(_) | StaticSequenceError::PortZero => format!("{path} has {error}"),
        StaticSequenceError::Twice(step) => format!(
            "{path} has {} twice, and a packet that came twice on the way could not be told from a step; take another port",
            shown(step)
        ),
        StaticSequenceError::Within(_) => format!("{} is {error}", section.path("within")),
    }
}

fn steps(section: &Section<'_>, others: &Others<'_>) -> Option<At<Vec<Step>>> {
    let list = section.scalars("sequence");
    let list = section.require(
        "sequence",
        list,
        r#"name its ports: sequence = ["7000/tcp", "8000/tcp", "9000/udp"]"#,
    )?;
    let mut is_good = true;
    let mut steps = Vec::new();
    for item in &list.value {
        let step = accept(section, "sequence", item.line, step(&item.value));
        if let Some(step) = step
            && let Some(whose) = others.whose(step)
        {
            let path = section.path("sequence");
            section
                .note(item.line, format!("{path} has {}, which is {whose}; take another port", shown(step)));
        }
        is_good &= step.is_some();
        steps.extend(step);
    }
    is_good.then_some(list.with(steps))
}

/// A port alone is meant for TCP, as with `knock`.
fn step(item: &Scalar<'_>) -> Result<Step, String> {
    let text = match item {
        Scalar::Number(number) => {
            return value::port(*number).map(|port| Step { transport: Transport::Tcp, port });
        }
        Scalar::Text(text) => text,
    };
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let transport = match protocol {
        "tcp" => Some(Transport::Tcp),
        "udp" => Some(Transport::Udp),
        _ => None,
    };
    let (Some(transport), Ok(number)) = (transport, number.parse::<u32>()) else {
        return Err(format!(
            r#"{text:?} is no step; write a port, or a port with its protocol such as "7000/tcp" or "9000/udp""#
        ));
    };
    value::port(number.into()).map(|port| Step { transport, port })
}

impl<'a> Others<'a> {
    /// Who hears at a step's port already.
    fn whose(&self, step: Step) -> Option<String> {
        let Step { transport, port } = step;
        let protocol = match transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        let guards = |service: &&ServiceDraft| {
            service.protocol == Some(protocol) && service.ports.iter().any(|known| known.value == port)
        };
        if let Some(service) = self.services.iter().find(guards) {
            let name = service.name.as_ref().map_or("?", Name::as_str);
            return Some(format!("guarded as service {name}"));
        }
        let whose = match transport {
            Transport::Tcp if self.central.is_some_and(|central| central.port == port) => "the central port",
            Transport::Tcp if self.sequence.is_some_and(|sequence| sequence.listener == Some(port)) => {
                "the port behind the decoys"
            }
            Transport::Udp if self.packet.is_some_and(|packet| packet.hears(port)) => "for packet knocks",
            Transport::Tcp | Transport::Udp => return None,
        };
        Some(whose.into())
    }

    fn service(&self, name: &str) -> Option<&'a ServiceDraft> {
        self.services.iter().find(|service| service.name.as_ref().is_some_and(|known| known.as_str() == name))
    }
}

/// The service that is opened. It must not ask for what no sequence of ports can give.
fn chosen<'a>(section: &Section<'_>, others: &Others<'a>, name: At<&str>) -> Option<&'a ServiceDraft> {
    let (path, what, line) = (section.path("service"), name.value, name.line);
    let Some(service) = others.service(what) else {
        section.note(line, format!("{path} names {what:?}, which is not defined; add [service.{what}]"));
        return None;
    };
    let wanted = [(service.confirm, "a confirmation"), (service.second_factor, "a one-time code")];
    for (_, lacking) in wanted.into_iter().filter(|(is_wanted, _)| *is_wanted) {
        section.note(
            line,
            format!(
                "{path} names {what}, which opens only with {lacking}, and a static sequence has none; choose another service"
            ),
        );
    }
    Some(service)
}

/// How long the grant lasts; `Some(None)` for the service's own time.
fn open(section: &Section<'_>, service: Option<&ServiceDraft>) -> Option<Option<Duration>> {
    let open = section.duration("open", &GRANTS);
    let path = section.path("open");
    if let Some(At { line, value }) = open {
        if value.subsec_nanos() != 0 {
            section.note(line, format!("{path} has a fraction of a second; use whole seconds"));
        }
        if let Some(longest) = service.and_then(|service| service.max_open).filter(|longest| value > *longest)
        {
            let [value, longest] = [value, longest].map(humantime::format_duration);
            section.note(
                line,
                format!("{path} is {value}, above max-open of its service, which is {longest}; raise that or lower this"),
            );
        }
    }
    or_default(section, "open", open.map(|open| open.with(Some(open.value))), None)
}

/// In logs a sequence stands where else a client does, so nobody else has its name.
fn check_names(root: &Section<'_>, drafts: &[Draft<'_>]) {
    for (at, draft) in drafts.iter().enumerate() {
        let Some(At { line, value: name }) = draft.name else { continue };
        let earlier = drafts.iter().take(at).filter_map(|other| other.name);
        if earlier.into_iter().any(|other| other.value == name) {
            root.note(line, format!("two static sequences are called {name}; give each a name of its own"));
        }
        for At { line, value: path } in root.places(&["policy", "clients", name]) {
            let what = format!(
                "{path} is a static sequence and no client; give its service a chain in [policy.services]"
            );
            root.note(line, what);
        }
    }
}

/// Of those that are complete at the same time one opens. So each, knocked in its order, has to be that one: a twin is not, and neither is
/// one that differs in the order of two neighbours only.
fn check_each_opens(sections: &[Section<'_>], statics: &Statics) {
    let heard = statics.sequences.iter().take(MAX_STATIC_SEQUENCES);
    for (at, (one, section)) in heard.zip(sections).enumerate() {
        let opened = last_opened(statics, one.sequence.steps());
        if opened == Some(at) {
            continue;
        }
        let path = section.path("sequence");
        let what = match opened.and_then(|other| statics.sequences.get(other)) {
            Some(other) => {
                format!("{path}: whoever knocks it opens {} instead; take other ports", other.name)
            }
            None => {
                format!("{path}: too many others begin with its ports, so it never opens; take other ports")
            }
        };
        section.note(section.line_of("sequence"), what);
    }
}

/// What the last of these steps opens, if somebody takes them one after the other.
fn last_opened(statics: &Statics, steps: &[Step]) -> Option<usize> {
    let mut watch = watch(statics);
    steps.iter().map(|step| watch.probe(*step)).last().flatten()
}

/// The neighbours of every step. Whoever tries one port after the other gives himself away there.
fn traps(sequences: &[StaticSequence], others: &Others<'_>) -> Vec<Step> {
    let steps: Vec<Step> = sequences.iter().flat_map(|one| one.sequence.steps()).copied().collect();
    let neighbours = steps.iter().flat_map(|step| {
        let ports = [step.port.checked_sub(1), step.port.checked_add(1)].into_iter().flatten();
        ports.filter(|port| *port != 0).map(|port| Step { port, ..*step })
    });
    let mut traps: Vec<Step> =
        neighbours.filter(|trap| !steps.contains(trap) && others.whose(*trap).is_none()).collect();
    traps.sort_unstable();
    traps.dedup();
    traps
}

/// A sequence that a scanner knocks without knowing it guards nothing.
fn check_scans(sections: &[Section<'_>], statics: &Statics) {
    for scan in scans(statics) {
        let mut watch = watch(statics);
        let opened = scan.iter().find_map(|step| watch.probe(*step));
        let Some(section) = opened.and_then(|at| sections.get(at)) else { continue };
        let path = section.path("sequence");
        section.note(
            section.line_of("sequence"),
            format!(
                "{path}: whoever tries one port after the other opens it; leave gaps between its ports, or change their order"
            ),
        );
        return;
    }
}

/// The gate's own watch, and one source that nobody has heard of before.
struct OneSource(StaticWatch<[Bucket; 1]>);

fn watch(statics: &Statics) -> OneSource {
    let heard = statics.sequences.iter().take(MAX_STATIC_SEQUENCES);
    let sequences = heard.map(|one| one.sequence.clone()).collect();
    OneSource(StaticWatch::new(sequences, [Bucket::default()], [0; 16]))
}

impl OneSource {
    /// The sequence that is complete with this step.
    fn probe(&mut self, step: Step) -> Option<usize> {
        self.0.handle_probe(Instant::from_micros(0), Ipv4Addr::LOCALHOST.into(), step)
    }
}

/// What is watched, in the orders in which scanners come by: upwards and downwards, one protocol after the other or both at once.
fn scans(statics: &Statics) -> Vec<Vec<Step>> {
    let steps = statics.sequences.iter().flat_map(|one| one.sequence.steps()).chain(&statics.traps);
    let mut by_protocol: Vec<Step> = steps.copied().collect();
    by_protocol.sort_unstable();
    by_protocol.dedup();
    let mut by_port = by_protocol.clone();
    by_port.sort_by_key(|step| step.port);
    let mut datagrams_first = by_port.clone();
    datagrams_first.sort_by_key(|step| std::cmp::Reverse(step.transport));
    let upwards = [by_protocol, by_port, datagrams_first];
    let downwards = upwards.clone().map(|scan| scan.into_iter().rev().collect());
    upwards.into_iter().chain(downwards).collect()
}

fn shown(step: Step) -> String {
    format!("{} port {}", step.transport, step.port)
}

impl Statics {
    /// The sequence that stands in a client's place.
    pub fn sequence(&self, id: ClientId) -> Option<&StaticSequence> {
        self.sequences.iter().find(|one| ClientId::of_static(&one.name) == id)
    }

    /// The sequence of that name.
    pub fn named(&self, name: &Name) -> Option<&StaticSequence> {
        self.sequences.iter().find(|one| one.name == *name)
    }

    /// Said at every start and by `knockgated check`.
    pub(super) fn warning(&self) -> Option<String> {
        let names: Vec<_> = self.sequences.iter().map(|one| one.name.as_str()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "whoever has seen a static sequence on the way can repeat it and gets in, as often as he likes: {}; use packet \
                 knocks wherever a client can run `knockgate`",
                names.join(", ")
            )
        })
    }
}

impl Config {
    /// A client and a static sequence of one name could not be told apart in the logs.
    ///
    /// # Errors
    /// If there are such.
    pub fn check_names<'c>(&self, mut clients: impl Iterator<Item = &'c Name>) -> Result<(), ConfigError> {
        let Some(namesake) = clients.find_map(|name| self.statics.named(name)) else { return Ok(()) };
        let StaticSequence { name, line, .. } = namesake;
        let text = format!("static sequence {name} has the name of a client; give it a name of its own");
        Err(ConfigError::Wrong { path: self.path.clone(), problems: vec![Problem { line: *line, text }] })
    }
}

/// A sequence in one line, without its name.
impl Display for StaticSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Step { transport, port }) in self.sequence.steps().iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{transport}/{port}")?;
        }
        write!(f, " within {}", humantime::format_duration(self.sequence.within()))
    }
}
