//! One attempt: from the profile's name to the exit code.
//!
//! Whatever comes of it is told in the same way and written into the journal.

use std::time::Instant;

use knockgate_core::Name;
use knockgate_core::profile::{Profile, ProfileService};

use crate::cli::Reach;
use crate::journal::Journal;
use crate::knock;
use crate::ledger::Ledger;
use crate::outcome::Failure;
use crate::print::{self, Facts, Report};
use crate::session::Session;
use crate::status;
use crate::store::{Store, StoreFault};
use crate::voice::Voice;

/// What is asked of a gate.
pub(crate) enum Asked {
    Knock { service: Option<Name>, seconds: u32 },
    Status,
}

/// What came of it.
struct Done {
    report: Report,
    remark: Option<String>,
}

/// One attempt: done, told, and written into the journal, whatever comes of it.
pub(crate) fn attempt(name: &Name, asked: &Asked, reach: &Reach, voice: &Voice) -> u8 {
    let started = Instant::now();
    let command = match asked {
        Asked::Knock { .. } => "knock",
        Asked::Status => "status",
    };
    let mut facts = Facts::of(command, name.as_str());
    let store = Store::find();
    let result = match &store {
        Ok(store) => ask_gate(store, name, asked, reach, (voice, started), &mut facts),
        Err(_) => Err(Failure::Store(StoreFault::NoHome)),
    };
    let done = result.unwrap_or_else(|failure| Done {
        report: Report::failed(&facts, &failure, started.elapsed()),
        remark: None,
    });
    if let Ok(store) = &store {
        write_journal(store, &done.report, voice);
    }
    tell(&done, reach, voice);
    done.report.exit
}

fn ask_gate(
    store: &Store,
    name: &Name,
    asked: &Asked,
    reach: &Reach,
    (voice, started): (&Voice, Instant),
    facts: &mut Facts,
) -> Result<Done, Failure> {
    let profile = store.profile(name).map_err(Failure::Store)?;
    facts.learn_profile(&profile);
    let service = match asked {
        Asked::Knock { service, .. } => Some(choose(&profile, service.as_ref(), facts)?),
        Asked::Status => None,
    };
    let deadline = started + reach.patience();
    let ledger = open_ledger(store, name, deadline, voice)?;
    let mut session = Session::new(&profile, ledger, voice, facts, (reach, deadline))?;

    let result = match (asked, service) {
        (Asked::Knock { seconds, .. }, Some(service)) => {
            knock::knock(&mut session, service, *seconds).map(|opened| {
                let report = Report::knocked(session.facts, &opened, started.elapsed());
                Done { report, remark: None }
            })
        }
        (Asked::Knock { .. } | Asked::Status, _) => status::ask(&mut session).map(|standing| {
            let report =
                Report::answered(session.facts, standing.open, standing.last_knock, started.elapsed());
            Done { report, remark: standing.remark }
        }),
    };
    if !matches!(result, Err(Failure::Exhausted)) {
        knock::warn_if_low(&session);
    }
    result
}

fn choose<'a>(
    profile: &'a Profile,
    asked: Option<&Name>,
    facts: &mut Facts,
) -> Result<&'a ProfileService, Failure> {
    let found = match asked {
        Some(name) => profile.service(name.as_str()),
        None => profile.services.first(),
    };
    let service = found.ok_or_else(|| Failure::UnknownService {
        asked: asked.map(Name::to_string).unwrap_or_default(),
        known: profile.services.iter().map(|service| service.name.to_string()).collect(),
    })?;
    facts.service = Some(service.name.to_string());
    Ok(service)
}

fn open_ledger(store: &Store, name: &Name, deadline: Instant, voice: &Voice) -> Result<Ledger, Failure> {
    let path = store.ledger_path(name).map_err(Failure::Store)?;
    let waiting = || voice.notice(&format!("another knockgate uses profile \"{name}\"; waiting for it"));
    Ledger::open(&path, deadline, waiting).map_err(Failure::Ledger)
}

fn write_journal(store: &Store, report: &Report, voice: &Voice) {
    let written = store
        .journal_dir()
        .map_err(|fault| fault.to_string())
        .and_then(|dir| Journal::new(dir).append(report).map_err(|fault| fault.to_string()));
    if let Err(fault) = written {
        voice.warning(&format!("this attempt is not in the log: {fault}"));
    }
}

fn tell(done: &Done, reach: &Reach, voice: &Voice) {
    voice.end();
    if done.report.exit != 0 {
        voice.error(&done.report.message);
    }
    if reach.json {
        print::lines([done.report.json()]);
    } else if done.report.exit == 0 {
        print::lines([&done.report.message]);
        if let Some(remark) = &done.remark {
            print::lines([remark]);
        }
    }
}
