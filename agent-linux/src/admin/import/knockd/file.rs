//! `knockd.conf`, as knockd itself reads it: sections, keys in any case, blanks anywhere around them.

use std::path::Path;

use super::Seconds;
use crate::admin::import::finding::{Findings, Place, shown};
use crate::admin::import::source::{self, Line};

/// Where a door's own settings are silent. Source: `knockd.c` of version 0.8.
const SEQ_TIMEOUT: u64 = 25;
/// See [`SEQ_TIMEOUT`].
const CMD_TIMEOUT: u64 = 10;
/// Most doors that are looked at: a gate has sixteen static sequences, and nobody has ten times as many doors.
const MAX_DOORS: usize = 160;
/// Most steps of a door. Source: `SEQ_MAX` of `knockd.c`.
const MAX_STEPS: usize = 32;

/// All that it says.
#[derive(Debug)]
pub(super) struct OldFile {
    pub(super) interface: Option<Said>,
    pub(super) doors: Vec<Door>,
}

/// What stands there, and where.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) place: Place,
    pub(super) text: String,
}

/// A section that is no `[options]`.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) sequence: Sequence,
    pub(super) said: Settings,
}

/// What may be said of a door.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) seq_timeout: Seconds,
    pub(super) cmd_timeout: Seconds,
    pub(super) flags: Flags,
    pub(super) target: Option<Said>,
    pub(super) start: Option<Said>,
    pub(super) start_6: Option<Said>,
    pub(super) stop: Option<Said>,
    pub(super) stop_6: Option<Said>,
}

#[derive(Debug)]
pub(super) enum Sequence {
    /// Steps such as `7000/tcp`.
    Fixed(Place, Vec<String>),
    /// In a file, each used once.
    OneTime(Place),
}

/// Which TCP segments are steps.
#[derive(Debug)]
pub(super) enum Flags {
    Any,
    /// Those that begin a connection, and no others that a client could send.
    Syn,
    Other(Place),
}

impl Sequence {
    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Fixed(place, _) | Self::OneTime(place) => place,
        }
    }

    pub(super) fn has_tcp(&self) -> bool {
        match self {
            Self::Fixed(_, steps) => steps.iter().any(|step| step.ends_with("/tcp")),
            Self::OneTime(_) => false,
        }
    }
}

/// Where a line belongs.
enum Section {
    None,
    Options,
    Door(Box<DoorDraft>),
}

/// A door whose sequence may still come.
struct DoorDraft {
    place: Place,
    name: String,
    sequence: Option<Sequence>,
    said: Settings,
}

impl OldFile {
    /// Reads it; what has no meaning here goes to `findings`.
    ///
    /// # Errors
    /// If it cannot be read, or knockd would refuse it.
    pub(super) fn read(path: &Path, findings: &mut Findings) -> anyhow::Result<Self> {
        let mut old = Self { interface: None, doors: Vec::new() };
        let mut section = Section::None;
        for line in source::lines(path)? {
            if let Some(name) = line.text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                old.end(std::mem::replace(&mut section, begin(&line.place, name)?))?;
                continue;
            }
            let (key, value) = match line.text.split_once('=') {
                Some((key, value)) => (key.trim(), Some(value.trim())),
                None => (line.text.as_str(), None),
            };
            match &mut section {
                Section::None => {
                    return Err(line
                        .place
                        .wrong("stands in no section; put [options] or the name of a knock above it"));
                }
                Section::Options => old.option(&line, key, value, findings)?,
                Section::Door(door) => door.key(&line, key, value)?,
            }
        }
        old.end(section)?;
        if old.doors.is_empty() {
            anyhow::bail!(
                "{}: has no knock; name knockd's configuration, usually /etc/knockd.conf",
                shown(path)
            );
        }
        Ok(old)
    }

    fn end(&mut self, section: Section) -> anyhow::Result<()> {
        let Section::Door(draft) = section else { return Ok(()) };
        let place = draft.place.clone();
        if self.doors.len() == MAX_DOORS {
            return Err(place.wrong(format!("more than {MAX_DOORS} knocks; import them in parts")));
        }
        self.doors.push(draft.finish()?);
        Ok(())
    }

    fn option(
        &mut self,
        line: &Line,
        key: &str,
        value: Option<&str>,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let place = &line.place;
        match (key.to_ascii_uppercase().as_str(), value) {
            ("USESYSLOG", _) => {
                findings.needless(
                    place,
                    "UseSyslog: the agent's log goes to the journal, and the audit log is a file of its own",
                );
            }
            ("LOGFILE", Some(_)) => {
                findings.needless(
                    place,
                    "LogFile: `gate.audit-log` is where every knock, decision and grant is written down",
                );
            }
            ("PIDFILE", Some(_)) => {
                findings.needless(place, "PidFile: the service manager knows the agent's process")
            }
            ("INTERFACE", Some(value)) => {
                if let Err(what) = crate::config::value::interface(value) {
                    return Err(place.wrong(what));
                }
                self.interface = Some(Said { place: place.clone(), text: value.to_owned() });
            }
            _ => return Err(unknown(place, key, "[options]")),
        }
        Ok(())
    }
}

fn begin(place: &Place, name: &str) -> anyhow::Result<Section> {
    if name.is_empty() {
        return Err(place.wrong("a section without a name; name the knock"));
    }
    if name.eq_ignore_ascii_case("options") {
        return Ok(Section::Options);
    }
    let none = |value| Seconds { place: None, value };
    let said = Settings {
        seq_timeout: none(SEQ_TIMEOUT),
        cmd_timeout: none(CMD_TIMEOUT),
        flags: Flags::Any,
        target: None,
        start: None,
        start_6: None,
        stop: None,
        stop_6: None,
    };
    Ok(Section::Door(Box::new(DoorDraft {
        place: place.clone(),
        name: name.to_owned(),
        sequence: None,
        said,
    })))
}

/// Only a key that could be one is shown: what stands in its place may be anything.
fn unknown(place: &Place, key: &str, section: &str) -> anyhow::Error {
    let is_key = key.len() <= 40 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let what = if is_key { format!("{key:?}") } else { "this line".to_owned() };
    place.wrong(format!("{what} is no setting of knockd in {section}; correct it, or leave it out"))
}

impl DoorDraft {
    fn key(&mut self, line: &Line, key: &str, value: Option<&str>) -> anyhow::Result<()> {
        let place = &line.place;
        let section = format!("[{}]", self.name);
        let Some(value) = value else { return Err(unknown(place, key, &section)) };
        let said = || Some(Said { place: place.clone(), text: value.to_owned() });
        match key.to_ascii_uppercase().as_str() {
            "SEQUENCE" => self.sequence = Some(Sequence::Fixed(place.clone(), steps(place, value)?)),
            "ONE_TIME_SEQUENCES" => self.sequence = Some(Sequence::OneTime(place.clone())),
            "SEQ_TIMEOUT" | "TIMEOUT" => self.said.seq_timeout = seconds(place, key, value)?,
            "CMD_TIMEOUT" => self.said.cmd_timeout = seconds(place, key, value)?,
            "TCPFLAGS" => self.said.flags = flags(place, value)?,
            "TARGET" => self.said.target = said(),
            "START_COMMAND" | "COMMAND" => self.said.start = said(),
            "START_COMMAND_6" | "COMMAND_6" => self.said.start_6 = said(),
            "STOP_COMMAND" => self.said.stop = said(),
            "STOP_COMMAND_6" => self.said.stop_6 = said(),
            _ => return Err(unknown(place, key, &section)),
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Door> {
        let Self { place, name, sequence, said } = self;
        let Some(sequence) = sequence else {
            return Err(place.wrong(format!("[{name}] has no sequence; add one, or leave it out")));
        };
        Ok(Door { place, name, sequence, said })
    }
}

fn steps(place: &Place, value: &str) -> anyhow::Result<Vec<String>> {
    let steps: Vec<String> =
        value.split(',').map(|item| step(place, item.trim())).collect::<Result<_, _>>()?;
    if steps.len() > MAX_STEPS {
        return Err(
            place.wrong(format!("a sequence of {} ports; knockd takes {MAX_STEPS} at most", steps.len()))
        );
    }
    Ok(steps)
}

/// `7000`, `7000:tcp` or `7000:udp`.
fn step(place: &Place, item: &str) -> anyhow::Result<String> {
    let (number, protocol) = item.split_once(':').unwrap_or((item, "tcp"));
    let protocol = protocol.trim().to_ascii_lowercase();
    let port = number.trim().parse::<u16>().ok().filter(|port| *port != 0);
    match (port, protocol.as_str()) {
        (Some(port), "tcp" | "udp") => Ok(format!("{port}/{protocol}")),
        _ => Err(place.wrong(format!(
            "{item:?} is no step of a sequence; write PORT, PORT:tcp or PORT:udp with a port of 1 to 65535"
        ))),
    }
}

fn seconds(place: &Place, key: &str, value: &str) -> anyhow::Result<Seconds> {
    let value = value.parse().map_err(|_| {
        place.wrong(format!("{key} = {value:?} is no number of seconds; write one, such as 10"))
    })?;
    Ok(Seconds { place: Some(place.clone()), value })
}

fn flags(place: &Place, value: &str) -> anyhow::Result<Flags> {
    let (mut wants_syn, mut wants_other) = (false, false);
    for flag in value.split(',') {
        let flag = flag.trim().to_ascii_lowercase();
        match flag.strip_prefix('!').unwrap_or(&flag) {
            // A SYN that begins a connection has no other flag, so it does not matter which of them are excluded.
            "syn" if !flag.starts_with('!') => wants_syn = true,
            "fin" | "rst" | "psh" | "ack" | "urg" => wants_other |= !flag.starts_with('!'),
            "syn" => wants_other = true,
            _ => {
                return Err(place.wrong(format!(
                    "{flag:?} is no TCP flag; fin, syn, rst, psh, ack and urg are, each with or without `!`"
                )));
            }
        }
    }
    Ok(if wants_syn && !wants_other { Flags::Syn } else { Flags::Other(place.clone()) })
}
