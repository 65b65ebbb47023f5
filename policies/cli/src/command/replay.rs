//! Asks a policy about what has happened: every event that an audit log has a decision for.
//!
//! Decisions are made one after the other in the order of the log, so that a policy that keeps numbers finds what it has
//! stored before. What cannot be read is counted and said: a replay that silently leaves something out answers wrongly.

mod kept;
mod line;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use knockgate_policy_host::{Policy, Profile, StateStore};
use serde_json::{Value, json};

use super::{manifest_of, parse_manifest, title};
use crate::answer::{Exit, Section, Told, Trouble};
use crate::cli::{Replay, StateChoice};
use crate::project::Meant;
use crate::text::{count, plain};
use crate::{grants, judges};
use kept::Kept;
use line::{Line, Record, Said};

pub(crate) fn run(replay: &Replay) -> Result<Told, Trouble> {
    let new = Candidate::load(&replay.policy, replay)?;
    let against = replay.against.as_deref().map(|path| Candidate::load(path, replay)).transpose()?;
    let mut tally = Tally::default();
    for (number, text) in (1..).zip(lines(&replay.audit)?) {
        let text = text.map_err(|error| unreadable(&replay.audit, &error))?;
        match line::read(&text, replay.of.as_deref()) {
            Line::Decision(record) => tally.take(&record, &new, against.as_ref()),
            Line::Other => {}
            Line::Unreadable(why) => tally.miss(number, why),
        }
    }
    if tally.decisions == 0 {
        return Err(nothing_there(replay, &tally));
    }
    let than = against
        .as_ref()
        .map_or_else(|| "was decided then".to_owned(), |old| format!("{} decides", old.title));
    Ok(tally.told(&new.title, &than, replay))
}

/// A policy that is asked.
struct Candidate {
    title: String,
    policy: Policy,
    kept: Arc<Kept>,
    store: Arc<dyn StateStore>,
    choice: StateChoice,
}

impl Candidate {
    fn load(path: &Path, replay: &Replay) -> Result<Self, Trouble> {
        let meant = Meant::find(path)?;
        let manifest = parse_manifest(&meant.policy, manifest_of(&meant.policy)?)?;
        let rights = grants::gather(&replay.rights, meant.rights(), &manifest)?.rights;
        let kept = Arc::new(Kept::default());
        Ok(Self {
            title: title(&manifest),
            policy: judges::first(&meant.policy, &rights, Profile::Server)?,
            store: Arc::<Kept>::clone(&kept),
            kept,
            choice: replay.state,
        })
    }

    /// What it says about a recorded event; `None` if it does not want to be asked.
    fn decide(&self, record: &Record) -> Option<Said> {
        if !self.policy.wants(record.event.cause) {
            return None;
        }
        match self.choice {
            StateChoice::Recorded => self.kept.recall(&record.loaded),
            StateChoice::Own => {}
        }
        Some(Said::of(&self.policy.decide(&record.event, &self.store)))
    }
}

#[derive(Default)]
struct Tally {
    decisions: usize,
    /// That the policy does not want to be asked about.
    unasked: usize,
    granted: usize,
    denied: usize,
    differences: Vec<(String, Value)>,
    missed: usize,
    first_missed: Option<String>,
}

impl Tally {
    fn take(&mut self, record: &Record, new: &Candidate, against: Option<&Candidate>) {
        self.decisions += 1;
        let old = match against {
            Some(against) => against.decide(record),
            None => Some(record.said.clone()),
        };
        let (Some(old), Some(new)) = (old, new.decide(record)) else {
            self.unasked += 1;
            return;
        };
        if old == new {
            return;
        }
        match (old.opens(), new.opens()) {
            (false, true) => self.granted += 1,
            (true, false) => self.denied += 1,
            (true, true) | (false, false) => {}
        }
        let line = format!("{}  {}: {old}, now {new}", record.time, record.about());
        let facts = json!({
            "seq": record.seq, "time": record.time, "policy": record.policy, "about": record.about(),
            "then": old.to_json(), "now": new.to_json(),
        });
        self.differences.push((line, facts));
    }

    fn miss(&mut self, number: usize, why: String) {
        self.missed += 1;
        self.first_missed.get_or_insert_with(|| format!("line {number}: {why}"));
    }

    fn told(self, title: &str, than: &str, replay: &Replay) -> Told {
        let (lines, differences): (Vec<_>, Vec<_>) = self.differences.into_iter().unzip();
        let differ = lines.len();
        let mut all = lines;
        all.push(format!(
            "{title}: {} asked again; {} what {than}; {} granted now, {} denied now",
            count(self.decisions as u64, "decision", "decisions"),
            if differ == 0 { "all are".to_owned() } else { format!("{differ} are not") },
            self.granted,
            self.denied
        ));
        if self.unasked > 0 {
            all.push(format!(
                "  {} left out: a policy does not want to be asked about their cause",
                self.unasked
            ));
        }
        if let Some(first) = &self.first_missed {
            all.push(format!(
                "  {} could not be read; the first, {first}",
                count(self.missed as u64, "line", "lines")
            ));
        }
        let is_different = replay.fail_on_difference && differ > 0;
        let facts = json!({
            "policy": title, "decisions": self.decisions, "differ": differ, "granted-now": self.granted,
            "denied-now": self.denied, "not-asked": self.unasked, "unreadable": self.missed,
            "first-unreadable": self.first_missed, "differences": differences,
        });
        let exit = if is_different { Exit::PolicyIsNot } else { Exit::Fine };
        Told { exit, lines: all, facts }
    }
}

fn nothing_there(replay: &Replay, tally: &Tally) -> Trouble {
    let log = replay.audit.display();
    let told = match (&tally.first_missed, &replay.of) {
        (Some(first), _) => format!("{log}: no decision in it could be read; {first}"),
        (None, Some(name)) => {
            format!("{log}: has no decision of a policy {name:?}; correct --of, or leave it away")
        }
        (None, None) => format!(
            "{log}: has no decision in it; name the audit log of an agent (`audit-log` in agent.toml)"
        ),
    };
    Trouble::with_use(Section::Replay, told)
}

fn lines(path: &Path) -> Result<Box<dyn Iterator<Item = io::Result<String>>>, Trouble> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock().lines()));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(Box::new(BufReader::new(file).lines()))
}

fn unreadable(path: &Path, error: &io::Error) -> Trouble {
    let told =
        format!("{}: cannot be read: {}; check the path and its permissions", path.display(), plain(error));
    Trouble::with_use(Section::Replay, told)
}
