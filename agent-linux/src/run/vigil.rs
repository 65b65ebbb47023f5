//! Watches the files that admin commands change, on a thread of its own: a roster of a hundred thousand clients is loaded, compared and
//! thrown away there, and the event loop only takes over what is ready.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use knockgate_core::UnixTime;

use crate::state::{Enrolment, IdentityWatch, RosterWatch, StateError};

use super::clock;
use super::input::{Input, Inputs};

/// An admin command is noticed within a second.
const EVERY: Duration = Duration::from_millis(500);

/// The files, and what was seen of them. Whoever looks tells the gate's thread what is new.
#[derive(Clone)]
pub(super) struct Vigil(Arc<Mutex<Files>>);

struct Files {
    roster: RosterWatch,
    identity: IdentityWatch,
    /// Rosters that the gate's thread may still hold. The last one to let go of a roster pays for that.
    retired: Vec<Arc<Enrolment>>,
}

/// Watches for ever.
pub(super) fn start(roster: RosterWatch, identity: IdentityWatch, inputs: Inputs) -> anyhow::Result<Vigil> {
    let vigil = Vigil(Arc::new(Mutex::new(Files { roster, identity, retired: Vec::new() })));
    let watcher = vigil.clone();
    std::thread::Builder::new()
        .name("files".into())
        .spawn(move || watcher.watch(&inputs))
        .map(|_| vigil)
        .context("cannot start the thread that watches roster and keys")
}

impl Vigil {
    fn watch(&self, inputs: &Inputs) {
        // What lasts is looked at again each time, and told once.
        let mut told = Vec::new();
        loop {
            std::thread::sleep(EVERY);
            let Look { news, troubles } = self.look();
            let troubles: Vec<_> = troubles
                .iter()
                .map(|(what, error)| format!("{what} changed and cannot be used, the old one stays: {error}"))
                .collect();
            troubles
                .iter()
                .filter(|trouble| !told.contains(*trouble))
                .for_each(|new| tracing::warn!("{new}"));
            told = troubles;
            for input in news {
                if inputs.blocking_send(input).is_err() {
                    return;
                }
            }
        }
    }

    /// What has changed since the last look, whoever had that.
    pub(super) fn look(&self) -> Look {
        // Each file is taken up by one statement, so a panic elsewhere has left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).look(clock::now().unix)
    }
}

/// What was seen.
#[derive(Default)]
pub(super) struct Look {
    pub(super) news: Vec<Input>,
    /// What cannot be used leaves in force what is in use.
    pub(super) troubles: Vec<(&'static str, StateError)>,
}

impl Files {
    fn look(&mut self, unix: Option<UnixTime>) -> Look {
        self.retired.retain(|old| Arc::strong_count(old) > 1);
        let before = Arc::clone(self.roster.current());
        let mut look = Look::default();
        match self.roster.poll() {
            Ok(change) => look.news.extend(change.map(Box::new).map(Input::Roster)),
            Err(error) => look.troubles.push(("the roster was", error)),
        }
        match self.identity.poll(unix) {
            Ok(keys) => look.news.extend(keys.map(Input::DoorKeys)),
            Err(error) => look.troubles.push(("the gate's keys were", error)),
        }
        if !Arc::ptr_eq(&before, self.roster.current()) {
            self.retired.push(before);
        }
        look
    }
}
