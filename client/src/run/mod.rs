//! Keeps a service open while a command runs: knocks, starts the command, renews in time, and closes at the end.
//!
//! The profile is locked against other clients only while the gate is asked. A service that cannot be kept open is no reason to
//! end the command: what is connected may stay so.

mod child;

use std::ffi::OsString;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use knockgate_core::profile::ProfileService;
use knockgate_core::{Name, Refusal};

use crate::attempt::{Done, Target, recorded, tell};
use crate::cli::Form;
use crate::code::Codes;
use crate::knock;
use crate::opening::{self, Opening, Wish};
use crate::outcome::Failure;
use crate::print::{Facts, Report, lasting};
use crate::service_wait::await_service;
use crate::settings::Choices;
use crate::store::Store;
use crate::voice::{Loudness, Voice};

use child::{Child, Event};

/// A grant is renewed at the latest so long before its end: time for two questions on a slow path.
const MARGIN: Duration = Duration::from_secs(1);
/// The shortest pause between two renewals.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
/// Pause between two questions to a gate that does not answer, once nothing is left to be renewed.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5);
/// How long the gate may take while the command runs, in seconds: the command's end waits for it.
const PATIENCE: u32 = 5;

/// What shall be done, as the command line says it.
pub(crate) struct RunCall {
    pub(crate) profile: Name,
    pub(crate) choices: Choices,
    pub(crate) codes: Codes,
    pub(crate) command: Vec<OsString>,
}

/// Returns the exit code of the command, or that of the knock if it failed.
pub(crate) fn run(call: &RunCall, voice: &Voice) -> u8 {
    let mut facts = Facts::of("run", call.profile.as_str());
    let store = Store::find().ok();
    let mut keeper = None;
    let done = recorded(store.as_ref(), &mut facts, voice, |store, facts| {
        let target = Target::find(store, (Some(&call.profile), &call.choices), facts, voice)?;
        let started = Instant::now();
        let opened = Keeper::knock(target, &call.codes, facts, voice)?;
        let report = Report::opened(facts, &opened.openings(), started.elapsed());
        keeper = Some(opened);
        Ok(Done::plain(report))
    });
    let Some(keeper) = keeper else {
        tell(&done, Form::Text, voice);
        return done.report.exit;
    };
    voice.end();
    voice.notice(&done.report.message);
    keeper.run(&call.command, facts)
}

/// What is kept open.
struct Keeper<'a> {
    target: Target<'a>,
    service: ProfileService,
    wish: Wish,
    held: Vec<Held>,
}

/// One address that the service is open to.
struct Held {
    opening: Opening,
    /// When to renew.
    next: Instant,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    /// The gate did not answer, and that was told.
    Unanswered,
    /// The gate said no; it is not asked again.
    Refused,
}

impl<'a> Keeper<'a> {
    fn knock(
        mut target: Target<'a>,
        codes: &Codes,
        facts: &mut Facts,
        voice: &Voice,
    ) -> Result<Self, Failure> {
        let service = target.service(facts)?;
        let mut wish = target.wish(service.id, codes.clone());
        let mut session = target.session(voice, facts)?;
        session.keep_to(&service)?;
        let openings = knock::knock(&mut session, &mut wish)?;
        drop(session);
        if let Some(patience) = target.choices.service_patience() {
            await_service(&openings, &service, patience, voice)?;
        }
        target.choices.timeout = Some(target.choices.timeout.unwrap_or(PATIENCE).min(PATIENCE));
        // While the command runs, the terminal is its own.
        wish.codes = Codes::Never;
        Ok(Self { target, service, wish, held: openings.into_iter().map(Held::new).collect() })
    }

    fn openings(&self) -> Vec<Opening> {
        self.held.iter().map(|held| held.opening.clone()).collect()
    }

    fn run(mut self, command: &[OsString], mut facts: Facts) -> u8 {
        let voice = Voice::new(Loudness::Quiet);
        let code = match Child::start(command, &self.environment(&facts)) {
            Ok(child) => self.watch(&child, &mut facts, &voice),
            Err(fault) => {
                voice.error(&fault.to_string());
                fault.exit_code()
            }
        };
        self.close(&mut facts, &voice);
        code
    }

    fn environment(&self, facts: &Facts) -> Vec<(&'static str, String)> {
        let opening = self.held.first().map(|held| &held.opening);
        let place = opening.and_then(|opening| opening.at);
        let behind = place.filter(|_| opening.is_some_and(Opening::is_behind));
        let address = place.map(|place| place.ip().to_string()).unwrap_or_default();
        // Whoever connects to this name shall not end at the gate, where nothing listens.
        let host = behind.map_or_else(|| facts.host.clone(), |_| address.clone());
        vec![
            ("KNOCKGATE_PROFILE", facts.profile.clone()),
            ("KNOCKGATE_SERVICE", self.service.name.to_string()),
            ("KNOCKGATE_HOST", host),
            ("KNOCKGATE_ADDRESS", address),
            ("KNOCKGATE_PORT", self.service.port.to_string()),
            ("KNOCKGATE_PROTOCOL", self.service.protocol.word().to_owned()),
        ]
    }

    /// Waits for the end of the command, and renews meanwhile.
    fn watch(&mut self, child: &Child, facts: &mut Facts, voice: &Voice) -> u8 {
        loop {
            match child.next_event(self.next_renewal()) {
                Ok(Event::Exited(code)) => return code,
                Ok(Event::Signal(signal)) => child.forward(signal),
                Err(RecvTimeoutError::Timeout) => self.renew_what_is_due(facts, voice),
                Err(RecvTimeoutError::Disconnected) => return 1,
            }
        }
    }

    fn next_renewal(&self) -> Option<Instant> {
        let asked = self.held.iter().filter(|held| held.standing != Standing::Refused);
        asked.map(|held| held.next).min()
    }

    fn renew_what_is_due(&mut self, facts: &mut Facts, voice: &Voice) {
        let now = Instant::now();
        let Self { target, wish, held, .. } = self;
        for held in held.iter_mut().filter(|held| held.standing != Standing::Refused && held.next <= now) {
            match renew(target, wish, held, facts) {
                Ok(opening) => *held = Held::new(opening),
                Err(failure) => held.complain(&failure, facts, voice),
            }
        }
    }

    fn close(&mut self, facts: &mut Facts, voice: &Voice) {
        for held in &self.held {
            let left = held.opening.ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                continue;
            }
            match close(&mut self.target, &self.wish, held, facts) {
                Ok(()) | Err(Failure::Refused { refusal: Refusal::NoGrant, .. }) => {}
                Err(failure) => voice.warning(&format!(
                    "{} was not closed and stays open for {}: {}",
                    self.service.name,
                    lasting(left),
                    failure.sentence(facts)
                )),
            }
        }
    }
}

/// Knocks again if the grant is lost.
fn renew(target: &mut Target<'_>, wish: &Wish, held: &Held, facts: &mut Facts) -> Result<Opening, Failure> {
    let voice = Voice::new(Loudness::Quiet);
    let mut session = target.session(&voice, facts)?;
    session.turn_to(vec![held.opening.route.to]);
    let mut renewal = Wish { grant: held.opening.opened.grant, ..wish.clone() };
    match opening::renew_once(&mut session, &mut renewal) {
        Err(Failure::Refused { refusal: Refusal::NoGrant, .. }) => {
            let openings = knock::knock_once(&mut session, &mut wish.clone())?;
            openings.into_iter().next().ok_or(Failure::Unexpected)
        }
        result => result,
    }
}

fn close(target: &mut Target<'_>, wish: &Wish, held: &Held, facts: &mut Facts) -> Result<(), Failure> {
    let voice = Voice::new(Loudness::Quiet);
    let mut session = target.session(&voice, facts)?;
    session.turn_to(vec![held.opening.route.to]);
    let mut closing = Wish { grant: held.opening.opened.grant, ..wish.clone() };
    opening::close(&mut session, &mut closing).map(|_| ())
}

impl Held {
    fn new(opening: Opening) -> Self {
        let next = Instant::now() + pause(opening.ends.saturating_duration_since(Instant::now()));
        Self { opening, next, standing: Standing::Good }
    }

    /// Says once that it cannot be renewed, and decides whether to try again.
    fn complain(&mut self, failure: &Failure, facts: &Facts, voice: &Voice) {
        let left = self.opening.ends.saturating_duration_since(Instant::now());
        let standing = match failure {
            Failure::Refused { .. } | Failure::UnknownRefusal(_) | Failure::LockedOut(_) => Standing::Refused,
            _ => Standing::Unanswered,
        };
        if standing != self.standing {
            voice.warning(&format!(
                "{} is not renewed and closes in {}; the command goes on: {}",
                self.opening.opened.service,
                lasting(left),
                failure.sentence(facts)
            ));
        }
        self.standing = standing;
        self.next = Instant::now() + if left.is_zero() { OUTAGE_PAUSE } else { pause(left) };
    }
}

/// Until the next renewal of what is open for `left`: half of it, so that there is time for another try.
fn pause(left: Duration) -> Duration {
    (left / 2).min(left.saturating_sub(MARGIN)).max(SHORTEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_comes_at_half_of_the_time_and_a_second_before_the_end() {
        #[rustfmt::skip]
        let cases = [(1, 60_000, 30_000), (2, 3000, 1500), (3, 1800, 800), (4, 1000, 500), (5, 0, 500)];
        for (case, left, wait) in cases {
            assert_eq!(pause(Duration::from_millis(left)), Duration::from_millis(wait), "case {case}");
        }
    }
}
