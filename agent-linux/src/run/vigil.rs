//! Watches the files that admin commands change, on a thread of its own: a roster of a hundred thousand clients is loaded, compared and
//! thrown away there, and the event loop only takes over what is ready.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use knockgate_core::UnixTime;

use crate::state::{IdentityWatch, RosterWatch};

use super::clock;
use super::input::{Input, Inputs};

/// An admin command is noticed within a second.
const EVERY: Duration = Duration::from_millis(500);

/// Watches for ever.
pub(super) fn start(roster: RosterWatch, identity: IdentityWatch, inputs: Inputs) -> anyhow::Result<()> {
    std::thread::Builder::new()
        .name("files".into())
        .spawn(move || watch(roster, identity, &inputs))
        .map(drop)
        .context("cannot start the thread that watches roster and keys")
}

fn watch(mut roster: RosterWatch, mut identity: IdentityWatch, inputs: &Inputs) {
    // Rosters that the event loop may still hold. The last one to let go of a roster pays for that.
    let mut retired = Vec::new();
    loop {
        std::thread::sleep(EVERY);
        retired.retain(|old| Arc::strong_count(old) > 1);
        let before = Arc::clone(roster.current());
        let unix = clock::now().unix;
        let news = look(&mut roster, &mut identity, unix);
        if !Arc::ptr_eq(&before, roster.current()) {
            retired.push(before);
        }
        for input in news {
            if inputs.blocking_send(input).is_err() {
                return;
            }
        }
    }
}

/// What has changed. What cannot be used leaves in force what is in use.
fn look(roster: &mut RosterWatch, identity: &mut IdentityWatch, unix: Option<UnixTime>) -> Vec<Input> {
    let mut news = Vec::new();
    match roster.poll() {
        Ok(change) => news.extend(change.map(Box::new).map(Input::Roster)),
        Err(error) => {
            tracing::warn!("the roster was changed and cannot be used, the old one stays: {error}");
        }
    }
    match identity.poll(unix) {
        Ok(keys) => news.extend(keys.map(Input::DoorKeys)),
        Err(error) => {
            tracing::warn!("the gate's keys were changed and cannot be used, the old ones stay: {error}");
        }
    }
    news
}
