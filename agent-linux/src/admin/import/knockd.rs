//! `knockgated import knockd`: doors of `knockd.conf` become static sequences, what their commands open becomes services.
//!
//! A door that opens and one that closes become one static sequence with a limited time, for a grant here always ends by
//! itself. What else a command does is a matter for a policy; there is no shell in Knockgate, so such a command becomes a
//! proposal in a comment. Source of what is read: knockd(1) of version 0.8, and how that version takes what its page leaves open.

mod file;
mod proposal;

use std::path::Path;

use self::file::{Door, Flags, OldFile, Said, Sequence};
use super::command::{Audience, Condition, Deed, Errand, Family, Opening, deeds, only_family};
use super::draft::{self, Draft, Placed, duration};
use super::finding::{self, Findings, Place};
use super::{Imported, Request, address, finish, names};

/// How long a door stays open that knockd would never have closed by itself. The longest time of a service that says nothing.
const UNCLOSED: u64 = 3600;
/// The longest time for a sequence. Rule: `docs/agent-toml.md`, `within`.
const LONGEST_WITHIN: u64 = 60;

/// Makes a configuration of knockd's.
pub fn run(file: &Path, request: &Request) -> anyhow::Result<Imported> {
    let mut findings = Findings::default();
    let old = OldFile::read(file, &mut findings)?;
    let draft = Draft::new("knockd", file, address(request, &mut findings), request.worker);
    let mut import = Import { draft, findings };
    import.options(&old);
    for door in &old.doors {
        import.door(door, &old.doors);
    }
    let Import { mut draft, findings } = import;
    finish(&mut draft, findings, request)
}

struct Import {
    draft: Draft,
    findings: Findings,
}

impl Import {
    fn options(&mut self, old: &OldFile) {
        let Some(interface) = &old.interface else {
            let what = format!(
                "{}: no Interface is named, and then knockd hears at eth0 alone, unless it is started with -i; here every link but \
                 loopback is guarded and heard at: put `interfaces = [\"eth0\"]` under [gate] for one link",
                finding::shown(&self.draft.file)
            );
            return self.findings.check_this(what);
        };
        if interface.text == "any" {
            let what = "Interface = any: every interface but loopback is what holds without it";
            return self.findings.needless(&interface.place, what);
        }
        self.draft.interfaces = vec![interface.text.clone()];
        let what = format!(
            "Interface = {0}: services are guarded on {0} alone; take `interfaces` out to guard them on every interface",
            interface.text
        );
        self.findings.changed(&interface.place, what);
    }

    fn door(&mut self, door: &Door, all: &[Door]) {
        let Some(opening) = self.opening(door, all) else { return };
        self.beside_the_point(door);
        let service = match self.draft.place(&opening) {
            Ok(placed) => self.placed(door, &opening, placed),
            Err(reason) => {
                return self.findings.lost(&door.place, format!("[{}] {reason}", door.name));
            }
        };
        let open = self.time(door, &opening, all);
        if let Some(steps) = self.steps(door) {
            self.sequence(door, steps, service, open);
        }
    }

    fn placed(&mut self, door: &Door, opening: &Opening, placed: Placed) -> String {
        if let Placed::WithOthers(name) = &placed {
            let what = format!(
                "[{}] opens service {name}, which has further ports that other doors open; a port belongs to one service",
                door.name
            );
            self.findings.changed(&door.place, what);
        }
        let place = door.command().map_or(&door.place, |command| &command.place);
        for condition in &opening.conditions {
            self.findings.changed(place, format!("[{}] its command {condition}", door.name));
        }
        if opening.audience == Audience::Everybody {
            let what = format!(
                "[{}] opened to everybody; Knockgate opens to the address that has knocked, and to nobody else",
                door.name
            );
            self.findings.changed(&door.place, what);
        }
        placed.name().to_owned()
    }

    /// The one opening of a door that can be carried over, if there is one. Whatever else it does is said.
    fn opening(&mut self, door: &Door, all: &[Door]) -> Option<Opening> {
        let Some(command) = door.command() else {
            self.findings.lost(
                &door.place,
                format!("[{}] has no command, so it does nothing; leave it out", door.name),
            );
            return None;
        };
        let deeds = deeds(&command.text);
        let mut openings = Vec::new();
        for deed in &deeds {
            match deed {
                Deed::Opens(opening) => openings.push(opening.clone()),
                Deed::OpensAll(conditions) => openings.extend(self.every_port(door, command, conditions)),
                Deed::Closes(closed) => self.closes(door, command, closed, all),
                Deed::ClosesAll => self.findings.changed(
                    &command.place,
                    format!("[{}] closes what another door opens; a grant ends by itself, so no such door is needed", door.name),
                ),
                Deed::ChangesSet => self.findings.lost(
                    &command.place,
                    format!(
                        "[{}] adds to a set of addresses, and what that opens stands in your firewall's rules; add the ports \
                         as [service.NAME], and a [[static-sequence]] that opens it",
                        door.name
                    ),
                ),
                Deed::Errand(errand) => self.propose(door, command, errand),
            }
        }
        self.one_of(door, command, openings)
    }

    /// A sequence opens one service. Ports of one protocol are one.
    fn one_of(&mut self, door: &Door, command: &Said, openings: Vec<Opening>) -> Option<Opening> {
        let mut openings = openings.into_iter();
        let mut first = openings.next()?;
        for other in openings {
            if other.protocol == first.protocol && other.forward == first.forward {
                first.ports.extend(&other.ports);
                // Two rules often differ in their port alone.
                let more = other.conditions.into_iter().filter(|more| !first.conditions.contains(more));
                let more: Vec<_> = more.collect();
                first.conditions.extend(more);
                continue;
            }
            let what = format!(
                "[{}] also opens {}, and a static sequence opens one service; let it have a sequence of its own",
                door.name,
                shown(&other)
            );
            self.findings.lost(&command.place, what);
        }
        first.ports.sort_unstable();
        first.ports.dedup();
        Some(first)
    }

    /// A rule that names no port. What is meant can only be guessed from the door's name.
    fn every_port(&mut self, door: &Door, command: &Said, conditions: &[Condition]) -> Option<Opening> {
        let Some((protocol, port)) = names::within_name(&door.name) else {
            let what = format!(
                "[{}] opens every port, and Knockgate opens services that are named; add [service.NAME] with the ports that are \
                 wanted, and a [[static-sequence]] that opens it",
                door.name
            );
            self.findings.lost(&command.place, what);
            return None;
        };
        let opening = Opening {
            protocol,
            ports: vec![port],
            forward: None,
            audience: Audience::Knocker,
            seconds: None,
            conditions: conditions.to_vec(),
        };
        let what = format!(
            "[{}] opens every port, and Knockgate opens services that are named; {} is taken because of the door's name: correct \
             `ports` if others are meant",
            door.name,
            shown(&opening)
        );
        self.findings.guessed(&command.place, what);
        Some(opening)
    }

    fn closes(&mut self, door: &Door, command: &Said, closed: &Opening, all: &[Door]) {
        let opener = all.iter().find(|other| other.opens(closed));
        let what = match opener {
            Some(opener) => format!(
                "[{}] closes what [{}] opens; the two are one static sequence now, whose grant ends by itself",
                door.name, opener.name
            ),
            None => format!(
                "[{}] closes {}, which no door opens; a grant ends by itself, so no such door is needed",
                door.name,
                shown(closed)
            ),
        };
        self.findings.changed(&command.place, what);
    }

    fn propose(&mut self, door: &Door, command: &Said, errand: &Errand) {
        self.findings.lost(&command.place, proposal::reason(door, errand));
        self.draft.propose(&door.name, |name, id| proposal::text(door, errand, name, id));
    }

    /// Seconds that a grant lasts.
    fn time(&mut self, door: &Door, opening: &Opening, all: &[Door]) -> u64 {
        let stopped = door.stop_commands().find(|stop| closes(&deeds(&stop.text)));
        let wanted = match (stopped, opening.seconds, door.said.cmd_timeout.value) {
            (Some(_), _, seconds) => seconds.max(1),
            (None, Some(seconds), _) => seconds,
            (None, None, _) => self.unclosed(door, opening, all),
        };
        let longest = knockgate_core::limits::MAX_GRANT.as_secs();
        if wanted > longest {
            let what = format!(
                "[{}] stays open for longer than {}, which is the most here",
                door.name,
                duration(longest)
            );
            self.findings.changed(&door.place, what);
        }
        wanted.min(longest)
    }

    fn unclosed(&mut self, door: &Door, opening: &Opening, all: &[Door]) -> u64 {
        let closer = all.iter().find(|other| other.closes(opening));
        let until = match closer {
            Some(closer) => format!("until somebody knocks [{}]", closer.name),
            None => "for ever".into(),
        };
        let what = format!(
            "[{}] stays open {until}; here it closes by itself after {}: change `open` if that is not right. Connections that are \
             open then stay open",
            door.name,
            duration(UNCLOSED)
        );
        self.findings.changed(&door.place, what);
        UNCLOSED
    }

    /// The steps as they will stand in the file.
    fn steps(&mut self, door: &Door) -> Option<Vec<String>> {
        match &door.sequence {
            Sequence::Fixed(_, steps) => Some(steps.clone()),
            Sequence::OneTime(place) => {
                let what = format!(
                    "[{}] One_Time_Sequences: a knock book belongs to one client and its ports are drawn from the gate's decoys, \
                     so such a file cannot become one; `knockgated client add NAME` gives every client a book of its own, and \
                     `knockgate` knocks a new sequence every time",
                    door.name
                );
                self.findings.lost(place, what);
                None
            }
        }
    }

    fn sequence(&mut self, door: &Door, steps: Vec<String>, service: String, open: u64) {
        let within = door.said.seq_timeout.value.clamp(1, LONGEST_WITHIN);
        if within != door.said.seq_timeout.value {
            let what = format!(
                "[{}] Seq_Timeout of {} s; a sequence has to be through within {} here, so clients may have to leave less time",
                door.name,
                door.said.seq_timeout.value,
                duration(within)
            );
            self.findings.changed(door.said.seq_timeout.place.as_ref().unwrap_or(&door.place), what);
        }
        let origin = format!("[{}] of {}", door.name, door.place);
        let new =
            draft::Door { name: door.name.clone(), steps, service: service.clone(), open, within, origin };
        if let Err(reason) = self.draft.add_door(new) {
            let what = format!(
                "[{}] its sequence is none here; service {service} is there for clients with keys. {reason}",
                door.name
            );
            self.findings.lost(door.sequence.place(), what);
        }
    }

    /// What a sequence here does not look at.
    fn beside_the_point(&mut self, door: &Door) {
        if let Some(target) = &door.said.target {
            let what = format!(
                "[{}] Target: a gate hears what is sent to any address of its own, and nothing in transit; if the address is not \
                 this host's, put a gateway before that machine (docs/gateway.md)",
                door.name
            );
            self.findings.lost(&target.place, what);
        }
        self.flags(door);
        self.families(door);
        door.stop_commands().for_each(|stop| self.stop(door, stop));
    }

    /// What differs between knocks over IPv4 and over IPv6.
    fn families(&mut self, door: &Door) {
        match (&door.said.start_6, door.command_4()) {
            (Some(six), _) => self.start_6(door, six),
            (None, Some(command)) => self.command_of_both(door, command),
            (None, None) => {}
        }
        let four = door.said.stop.as_ref().map(|stop| deeds(&stop.text)).unwrap_or_default();
        if let Some(six) = door.said.stop_6.as_ref().filter(|six| deeds(&six.text) != four)
            && door.command_4().is_some()
        {
            let what = format!(
                "[{}] ends otherwise over IPv6; a grant ends in the same way in both families, by itself",
                door.name
            );
            self.findings.changed(&six.place, what);
        }
    }

    /// knockd runs it for a knock over either, and a program for rules of one takes no address of the other.
    fn command_of_both(&mut self, door: &Door, command: &Said) {
        if let Some(family) = only_family(&command.text) {
            self.findings.changed(&command.place, opens_for_both(door, family.other()));
        }
    }

    fn start_6(&mut self, door: &Door, six: &Said) {
        let what = match door.command_4() {
            // Without a command at all that is what there is to say.
            None if six.text.is_empty() => return,
            None => opens_for_both(door, Family::V4),
            Some(_) if six.text.is_empty() => opens_for_both(door, Family::V6),
            Some(four) if deeds(&four.text) == deeds(&six.text) => return,
            Some(_) => {
                format!(
                    "[{}] does something else over IPv6; a service is the same in both families",
                    door.name
                )
            }
        };
        self.findings.changed(&six.place, what);
    }

    /// What the end of a grant does not do.
    fn stop(&mut self, door: &Door, stop: &Said) {
        const POLICY: &str = "Knockgate runs no commands; a policy hears of the end of a grant and can start units and notify \
                              channels then (docs/policies.md)";
        let deeds = deeds(&stop.text);
        let errands = deeds.iter().filter(|deed| matches!(deed, Deed::Errand(_))).count();
        let does = match errands {
            0 => return,
            _ if errands < deeds.len() => "does more than to close",
            _ if !closes(&deeds) => "does something else than to close",
            _ => {
                let what = format!(
                    "[{}] Stop_Command runs a program that nobody knows here; it is taken for one that closes: change `open` if it \
                     does not. {POLICY}",
                    door.name
                );
                return self.findings.guessed(&stop.place, what);
            }
        };
        self.findings.lost(&stop.place, format!("[{}] Stop_Command {does}. {POLICY}", door.name));
    }

    fn flags(&mut self, door: &Door) {
        let (place, what) = match &door.said.flags {
            Flags::Syn => return,
            Flags::Any | Flags::Other(_) if !door.sequence.has_tcp() => return,
            Flags::Any => (
                &door.place,
                format!(
                    "[{}] has no TCPFlags, so that any segment was a step; here a step is a SYN, which is what `knock` sends",
                    door.name
                ),
            ),
            Flags::Other(place) => (
                place,
                format!(
                    "[{}] TCPFlags: a step is a SYN here. Segments without one belong to no connection, and firewalls on the way \
                     drop them; let clients knock with `knock`, which sends SYNs",
                    door.name
                ),
            ),
        };
        self.findings.changed(place, what);
    }
}

/// Of a door that opened to nobody over this family.
fn opens_for_both(door: &Door, shut: Family) -> String {
    let everybody_else = match shut.other() {
        Family::V4 => "0.0.0.0/0",
        Family::V6 => "2000::/3",
    };
    format!(
        "[{}] did nothing for a knock over {shut}; here it opens to the address that has knocked, whichever family it is of: the \
         built-in policy known-networks with the network {everybody_else} keeps {shut} out",
        door.name
    )
}

/// Whether a door is shut by it. Of a program that is not known that is supposed, for then nobody gets more than before.
fn closes(deeds: &[Deed]) -> bool {
    deeds.iter().any(|deed| match deed {
        Deed::Errand(Errand::Runs(_)) | Deed::Closes(_) | Deed::ClosesAll | Deed::ChangesSet => true,
        Deed::Errand(Errand::Tells | Errand::Starts(_) | Errand::WakesMachine)
        | Deed::Opens(_)
        | Deed::OpensAll(_) => false,
    })
}

fn shown(opening: &Opening) -> String {
    let ports: Vec<_> = opening.ports.iter().map(u16::to_string).collect();
    format!("{}/{}", opening.protocol.word(), ports.join(","))
}

impl Door {
    /// What is run when somebody has knocked: over IPv4, or else over IPv6.
    fn command(&self) -> Option<&Said> {
        self.command_4().or_else(|| self.said.start_6.as_ref().filter(|command| !command.text.is_empty()))
    }

    fn command_4(&self) -> Option<&Said> {
        self.said.start.as_ref().filter(|command| !command.text.is_empty())
    }

    /// What is run when a door's time is over, over IPv4 and over IPv6.
    fn stop_commands(&self) -> impl Iterator<Item = &Said> {
        self.said.stop.iter().chain(&self.said.stop_6)
    }

    fn opens(&self, wanted: &Opening) -> bool {
        self.deeds().iter().any(|deed| matches!(deed, Deed::Opens(opening) if is_same_door(opening, wanted)))
    }

    fn closes(&self, wanted: &Opening) -> bool {
        self.deeds().iter().any(|deed| matches!(deed, Deed::Closes(opening) if is_same_door(opening, wanted)))
    }

    fn deeds(&self) -> Vec<Deed> {
        self.command().map(|command| deeds(&command.text)).unwrap_or_default()
    }
}

fn is_same_door(one: &Opening, other: &Opening) -> bool {
    one.protocol == other.protocol && one.ports == other.ports
}

/// A number with the place where it was said.
#[derive(Debug)]
struct Seconds {
    place: Option<Place>,
    value: u64,
}

#[cfg(test)]
mod tests;
