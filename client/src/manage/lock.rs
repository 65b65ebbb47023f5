//! Sets, changes or removes the passphrase of a profile.

use std::time::Instant;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;

use super::{Told, sentence};
use crate::attempt::open_ledger;
use crate::cli::Passphrase;
use crate::locked::{Cost, Seal};
use crate::passphrase::Source;
use crate::print::Facts;
use crate::store::Store;
use crate::voice::Voice;

/// What is to become of the passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Remove,
    /// A new one, from here.
    Set(Source),
}

pub(crate) fn run(passphrase: &Passphrase, voice: &Voice) -> Result<Told, String> {
    let name = &passphrase.profile;
    let store = Store::find().map_err(sentence)?;
    let choices = passphrase.choices().or(&store.settings().map_err(sentence)?.of(name));
    let of_what = format!("profile \"{name}\"");

    let mut kept = store.profile(name, &choices, voice).map_err(sentence)?;
    let was_locked = kept.seal.is_some();
    kept.seal = match passphrase.wanted() {
        Wanted::Remove => None,
        Wanted::Set(source) => {
            let new = source.ask_new(&of_what, voice).map_err(sentence)?;
            voice.step(format!("locking {of_what}"));
            let seal = Seal::new(new.as_bytes(), Cost::USUAL, &mut UnwrapErr(SysRng));
            Some(seal.map_err(|fault| format!("{of_what} was not locked: {fault}"))?)
        }
    };
    // A run that knocks may be about to write a new door key.
    let deadline = Instant::now() + choices.patience();
    let _ledger = open_ledger(&store, name, deadline, voice)
        .map_err(|failure| failure.sentence(&Facts::of("passphrase", name.as_str())))?;
    kept.write().map_err(sentence)?;

    let line = match (was_locked, kept.seal.is_some()) {
        (false, true) => {
            format!("{of_what} is locked now; without its passphrase nobody can use it, not even you")
        }
        (true, true) => format!("{of_what} has a new passphrase"),
        (true, false) => format!("{of_what} has no passphrase any more"),
        (false, false) => format!("{of_what} had no passphrase"),
    };
    let facts = json!({ "profile": name.as_str(), "locked": kept.seal.is_some(), "file": kept.path });
    Ok(Told { lines: vec![line], facts })
}
