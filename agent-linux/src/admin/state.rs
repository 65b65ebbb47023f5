//! `knockgated state rebuild`: the way back when the record of used numbers is lost.

use std::path::Path;

use anyhow::bail;

use super::{SetUp, counted};
use crate::state::{RosterFile, Store};

/// Says what a rebuild would do.
pub fn explain_rebuild(config: &Path) -> anyhow::Result<String> {
    let roster = RosterFile::load(&SetUp::load(config)?.dir)?;
    bail!(
        "a rebuild retires every book, because nobody knows any more which of its numbers were used: {} with {} \
         would need new profiles, and policies forget what they have kept.\nnothing was changed; say --yes to do it",
        counted(roster.clients().len(), "client"),
        counted(roster.books().len(), "book")
    )
}

/// Replaces the record by one that accepts nothing from before.
pub fn rebuild(config: &Path) -> anyhow::Result<String> {
    let SetUp { dir, identity, .. } = SetUp::load(config)?;
    let roster = RosterFile::load(&dir)?;
    Store::rebuild(&dir, identity.id, &roster)?;
    Ok(format!(
        "{} is new: nothing from before is accepted, and every book is used up.\n\
         Next, for each client: `knockgated client remove NAME`, `knockgated client add NAME`, and bring it the new profile.\n",
        dir.store_file().display()
    ))
}
