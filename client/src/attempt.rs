//! One attempt: from the profile's name to the exit code.
//!
//! Whatever comes of it is told in the same way and written into the journal.

use std::time::Instant;

use knockgate_core::Name;
use knockgate_core::profile::{Profile, ProfileService};

use crate::cli::Form;
use crate::journal::Journal;
use crate::knock;
use crate::ledger::Ledger;
use crate::outcome::Failure;
use crate::print::{self, Facts, Report};
use crate::session::Session;
use crate::settings::Choices;
use crate::status;
use crate::store::{Store, StoreFault};
use crate::voice::Voice;

/// What is asked of a gate, as the command line says it.
pub(crate) struct Call {
    /// None for the default profile of the settings file.
    pub(crate) profile: Option<Name>,
    pub(crate) asked: Asked,
    pub(crate) choices: Choices,
    pub(crate) form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Knock,
    Status,
}

impl Asked {
    const fn command(self) -> &'static str {
        match self {
            Self::Knock => "knock",
            Self::Status => "status",
        }
    }
}

/// What came of it.
struct Done {
    report: Report,
    remark: Option<String>,
}

/// Whom it is asked of.
struct Target<'a> {
    store: &'a Store,
    name: Name,
    /// From the command line and, where that is silent, from the settings file.
    choices: Choices,
}

/// One attempt: done, told, and written into the journal, whatever comes of it.
pub(crate) fn attempt(call: &Call, voice: &Voice) -> u8 {
    let started = Instant::now();
    let mut facts = Facts::of(call.asked.command(), call.profile.as_ref().map_or("", Name::as_str));
    let store = Store::find();
    let result = match &store {
        Ok(store) => find_target(store, call, &mut facts)
            .and_then(|target| ask_gate(&target, call.asked, voice, &mut facts)),
        Err(_) => Err(Failure::Store(StoreFault::NoHome)),
    };
    let done = result.unwrap_or_else(|failure| Done {
        report: Report::failed(&facts, &failure, started.elapsed()),
        remark: None,
    });
    if let Ok(store) = &store {
        write_journal(store, &done.report, voice);
    }
    tell(&done, call.form, voice);
    done.report.exit
}

fn find_target<'a>(store: &'a Store, call: &Call, facts: &mut Facts) -> Result<Target<'a>, Failure> {
    let settings = store.settings().map_err(Failure::Settings)?;
    let name = call.profile.as_ref().or(settings.default_profile.as_ref()).cloned();
    let name =
        name.ok_or_else(|| Failure::NoProfile { known: store.names(), config: store.config_path() })?;
    facts.profile = name.to_string();
    let choices = call.choices.clone().or(&settings.of(&name));
    Ok(Target { store, name, choices })
}

fn ask_gate(target: &Target<'_>, asked: Asked, voice: &Voice, facts: &mut Facts) -> Result<Done, Failure> {
    let Target { store, name, choices } = target;
    let kept = store.profile(name, choices, voice).map_err(Failure::Store)?;
    // Whoever types a passphrase takes the time that he needs.
    let started = Instant::now();
    let profile = &kept.profile;
    facts.learn_profile(profile, choices);
    let service = match asked {
        Asked::Knock => Some(choose(profile, choices.service.as_ref(), facts)?),
        Asked::Status => None,
    };
    let deadline = started + choices.patience();
    let ledger = open_ledger(store, name, deadline, voice)?;
    let mut session = Session::new(profile, ledger, voice, facts, (choices, deadline))?;

    let result = match (asked, service) {
        (Asked::Knock, Some(service)) => knock::knock(&mut session, service, choices.seconds.unwrap_or(0))
            .map(|opened| {
                let report = Report::knocked(session.facts, &opened, started.elapsed());
                Done { report, remark: None }
            }),
        (Asked::Knock | Asked::Status, _) => status::ask(&mut session).map(|standing| {
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

/// The profile's ledger, once no other run has it.
pub(crate) fn open_ledger(
    store: &Store,
    name: &Name,
    deadline: Instant,
    voice: &Voice,
) -> Result<Ledger, Failure> {
    let path = store.ledger_path(name).map_err(Failure::Store)?;
    let waiting = || voice.notice(&format!("another knockgate uses profile \"{name}\"; waiting for it"));
    Ledger::open(&path, deadline, waiting).map_err(Failure::Ledger)
}

fn write_journal(store: &Store, report: &Report, voice: &Voice) {
    // Nobody was to be asked.
    if report.profile.is_empty() {
        return;
    }
    let written = store
        .journal_dir()
        .map_err(|fault| fault.to_string())
        .and_then(|dir| Journal::new(dir).append(report).map_err(|fault| fault.to_string()));
    if let Err(fault) = written {
        voice.warning(&format!("this attempt is not in the log: {fault}"));
    }
}

fn tell(done: &Done, form: Form, voice: &Voice) {
    voice.end();
    if done.report.exit != 0 {
        voice.error(&done.report.message);
    }
    if form == Form::Json {
        print::lines([done.report.json()]);
    } else if done.report.exit == 0 {
        print::lines([&done.report.message]);
        if let Some(remark) = &done.remark {
            print::lines([remark]);
        }
    }
}
