//! Notices that the roster was replaced and makes it ready for the event loop, on a thread of its own.

use std::sync::Arc;

use super::enrolment::{Changes, Enrolment};
use super::file_stamp::FileStamp;
use super::identity::BookOrigin;
use super::{RosterFile, StateDir, StateError};

/// Loads the roster whenever it was replaced. To be polled where a second of work disturbs nobody.
pub struct RosterWatch {
    dir: StateDir,
    origin: BookOrigin,
    stamp: FileStamp,
    current: Arc<Enrolment>,
}

/// A roster that is to be taken over.
pub struct RosterChange {
    pub enrolment: Arc<Enrolment>,
    /// Since the enrolment that was told before.
    pub changes: Changes,
}

impl RosterWatch {
    /// Loads the roster, whose books must be of `origin`, and remembers what was loaded.
    ///
    /// # Errors
    /// As [`RosterFile::load`], and if a book belongs to another gate.
    pub fn begin(dir: &StateDir, origin: BookOrigin) -> Result<(Self, RosterFile), StateError> {
        let stamp = FileStamp::of(dir.roster_file());
        let roster = load(dir, &origin)?;
        let current = Arc::new(Enrolment::new(&roster));
        Ok((Self { dir: dir.clone(), origin, stamp, current }, roster))
    }

    /// The roster that was told last.
    pub fn current(&self) -> &Arc<Enrolment> {
        &self.current
    }

    /// The roster if it was replaced since the last call, which costs one `stat` if it was not. The roster in use stays as long as
    /// there is an error, which is told once, or again and again if it may pass.
    ///
    /// # Errors
    /// As [`RosterWatch::begin`].
    pub fn poll(&mut self) -> Result<Option<RosterChange>, StateError> {
        if !self.stamp.has_changed() {
            return Ok(None);
        }
        let roster = load(&self.dir, &self.origin).inspect_err(|error| {
            if error.may_pass() {
                self.stamp.forget();
            }
        })?;
        let enrolment = Arc::new(Enrolment::new(&roster));
        let changes = enrolment.changes_since(&self.current);
        self.current = Arc::clone(&enrolment);
        Ok(Some(RosterChange { enrolment, changes }))
    }
}

fn load(dir: &StateDir, origin: &BookOrigin) -> Result<RosterFile, StateError> {
    let roster = RosterFile::load(dir)?;
    let foreign = roster.books().iter().find(|enrolled| !origin.fits(&enrolled.book));
    match foreign {
        None => Ok(roster),
        Some(enrolled) => Err(StateError::refused(
            &dir.roster_file(),
            format!("book {} is drawn from the decoys of another gate", enrolled.book.id()),
            "remove its clients and enrol them again",
        )),
    }
}
