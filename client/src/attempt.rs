//! One attempt: from the profile's name to the exit code.
//!
//! Whatever comes of it is told in the same way and written into the journal.

use std::time::Instant;

use knockgate_core::Name;
use knockgate_core::profile::{Profile, ProfileService};

use crate::cli::Form;
use crate::code::Codes;
use crate::journal::Journal;
use crate::kept::Kept;
use crate::knock;
use crate::ledger::Ledger;
use crate::opening::{self, Wish};
use crate::outcome::Failure;
use crate::print::{self, Facts, Report};
use crate::service_wait::await_service;
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
    pub(crate) codes: Codes,
    pub(crate) form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Knock,
    Status,
    /// Of one grant, or 0.
    Renew(u32),
    /// Of one grant, or 0.
    Close(u32),
}

impl Asked {
    const fn command(self) -> &'static str {
        match self {
            Self::Knock => "knock",
            Self::Status => "status",
            Self::Renew(_) => "renew",
            Self::Close(_) => "close",
        }
    }
}

/// What came of it.
pub(crate) struct Done {
    pub(crate) report: Report,
    pub(crate) remark: Option<String>,
}

impl Done {
    pub(crate) fn plain(report: Report) -> Self {
        Self { report, remark: None }
    }
}

/// Whom it is asked of.
pub(crate) struct Target<'a> {
    pub(crate) store: &'a Store,
    pub(crate) name: Name,
    /// From the command line and, where that is silent, from the settings file.
    pub(crate) choices: Choices,
    pub(crate) kept: Kept,
}

/// One attempt: done, told, and written into the journal, whatever comes of it.
pub(crate) fn attempt(call: &Call, voice: &Voice) -> u8 {
    let mut facts = Facts::of(call.asked.command(), call.profile.as_ref().map_or("", Name::as_str));
    let store = Store::find().ok();
    let done = recorded(store.as_ref(), &mut facts, voice, |store, facts| {
        let target = Target::find(store, (call.profile.as_ref(), &call.choices), facts, voice)?;
        ask_gate(target, call, voice, facts)
    });
    tell(&done, call.form, voice);
    done.report.exit
}

/// Does it, and writes into the journal what came of it. Without a store there is no directory for it.
pub(crate) fn recorded<'s>(
    store: Option<&'s Store>,
    facts: &mut Facts,
    voice: &Voice,
    act: impl FnOnce(&'s Store, &mut Facts) -> Result<Done, Failure>,
) -> Done {
    let started = Instant::now();
    let result = match store {
        Some(store) => act(store, facts),
        None => Err(Failure::Store(StoreFault::NoHome)),
    };
    let done =
        result.unwrap_or_else(|failure| Done::plain(Report::failed(facts, &failure, started.elapsed())));
    if let Some(store) = store {
        write_journal(store, &done.report, voice);
    }
    done
}

impl<'a> Target<'a> {
    /// The profile that was named or is the default, unlocked.
    pub(crate) fn find(
        store: &'a Store,
        (profile, choices): (Option<&Name>, &Choices),
        facts: &mut Facts,
        voice: &Voice,
    ) -> Result<Self, Failure> {
        let (name, choices) = find_name(store, (profile, choices), facts)?;
        let kept = store.profile(&name, &choices, voice).map_err(Failure::Store)?;
        facts.learn_profile(&kept.profile, &choices);
        Ok(Self { store, name, choices, kept })
    }

    /// Questions to the gate, for as long as the client's patience lasts from now on.
    pub(crate) fn session<'s>(
        &'s mut self,
        voice: &'s Voice,
        facts: &'s mut Facts,
    ) -> Result<Session<'s>, Failure> {
        let deadline = Instant::now() + self.choices.patience();
        let ledger = open_ledger(self.store, &self.name, deadline, voice)?;
        Session::new(&mut self.kept, ledger, voice, facts, (&self.choices, deadline))
    }

    /// The service that was chosen, or the first one.
    pub(crate) fn service(&self, facts: &mut Facts) -> Result<ProfileService, Failure> {
        choose(&self.kept.profile, self.choices.service.as_ref(), facts).cloned()
    }

    /// That service `service` be opened as it was chosen.
    pub(crate) fn wish(&self, service: u16, codes: Codes) -> Wish {
        let reach = self.choices.prefix.unwrap_or_default();
        Wish { service, seconds: self.choices.seconds.unwrap_or(0), reach, grant: 0, codes }
    }
}

/// The name of the profile, and everything that was chosen for it.
pub(crate) fn find_name(
    store: &Store,
    (profile, choices): (Option<&Name>, &Choices),
    facts: &mut Facts,
) -> Result<(Name, Choices), Failure> {
    let settings = store.settings().map_err(Failure::Settings)?;
    let name = profile.or(settings.default_profile.as_ref()).cloned();
    let name =
        name.ok_or_else(|| Failure::NoProfile { known: store.names(), config: store.config_path() })?;
    facts.profile = name.to_string();
    let choices = choices.clone().or(&settings.of(&name));
    Ok((name, choices))
}

fn ask_gate(target: Target<'_>, call: &Call, voice: &Voice, facts: &mut Facts) -> Result<Done, Failure> {
    // Whoever types a passphrase takes the time that he needs.
    let started = Instant::now();
    match call.asked {
        Asked::Knock => knock_at(target, call, (voice, started), facts),
        Asked::Status => ask_status(target, (voice, started), facts),
        Asked::Renew(grant) => renew_at(target, (call, grant), (voice, started), facts),
        Asked::Close(grant) => close_at(target, (call, grant), (voice, started), facts),
    }
}

fn knock_at(
    mut target: Target<'_>,
    call: &Call,
    (voice, started): (&Voice, Instant),
    facts: &mut Facts,
) -> Result<Done, Failure> {
    let service = target.service(facts)?;
    let patience = target.choices.service_patience();
    let mut wish = target.wish(service.id, call.codes.clone());
    let mut session = target.session(voice, facts)?;
    session.keep_to(&service)?;
    let result = knock::knock(&mut session, &mut wish);
    knock::warn_if_low(&session, &result);
    let openings = result?;
    drop(session);
    if let Some(patience) = patience {
        await_service(&openings, &service, patience, voice)?;
    }
    Ok(Done::plain(Report::opened(facts, &openings, started.elapsed())))
}

fn ask_status(
    mut target: Target<'_>,
    (voice, started): (&Voice, Instant),
    facts: &mut Facts,
) -> Result<Done, Failure> {
    let mut session = target.session(voice, facts)?;
    let result = status::ask(&mut session);
    knock::warn_if_low(&session, &result);
    let standing = result?;
    let report = Report::answered(session.facts, standing.open, standing.last_knock, started.elapsed());
    Ok(Done { report, remark: standing.remark })
}

fn renew_at(
    mut target: Target<'_>,
    (call, grant): (&Call, u32),
    (voice, started): (&Voice, Instant),
    facts: &mut Facts,
) -> Result<Done, Failure> {
    let service = chosen(&target, call, grant, facts)?;
    let id = service.as_ref().map_or(0, |service| service.id);
    let mut wish = Wish { grant, ..target.wish(id, call.codes.clone()) };
    let mut session = target.session(voice, facts)?;
    if let Some(service) = &service {
        session.keep_to(service)?;
    }
    let openings = opening::renew(&mut session, &mut wish)?;
    Ok(Done::plain(Report::opened(session.facts, &openings, started.elapsed())))
}

fn close_at(
    mut target: Target<'_>,
    (call, grant): (&Call, u32),
    (voice, started): (&Voice, Instant),
    facts: &mut Facts,
) -> Result<Done, Failure> {
    // Only a service that was named here is meant: whoever leaves has everything closed.
    let service = match &call.choices.service {
        Some(name) => choose(&target.kept.profile, Some(name), facts)?.id,
        None => 0,
    };
    let mut wish = Wish { grant, ..target.wish(service, Codes::Never) };
    let mut session = target.session(voice, facts)?;
    let left = opening::close(&mut session, &mut wish)?;
    Ok(Done::plain(Report::closed(session.facts, left, started.elapsed())))
}

/// A grant that is named needs no service.
fn chosen(
    target: &Target<'_>,
    call: &Call,
    grant: u32,
    facts: &mut Facts,
) -> Result<Option<ProfileService>, Failure> {
    match (grant, &call.choices.service) {
        (0, _) | (_, Some(_)) => target.service(facts).map(Some),
        (_, None) => Ok(None),
    }
}

pub(crate) fn choose<'a>(
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

pub(crate) fn tell(done: &Done, form: Form, voice: &Voice) {
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
