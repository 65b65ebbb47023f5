//! Shows the journal.

use crate::cli::{Form, Log};
use crate::journal::Journal;
use crate::outcome::Outcome;
use crate::print::{self, Report};
use crate::store::Store;
use crate::voice::Voice;

use super::sentence;

/// Its JSON is one object per line, so it is printed here. Returns the exit code.
pub(crate) fn run(log: &Log, voice: &Voice) -> u8 {
    match show(log, voice) {
        Ok(()) => Outcome::Answered.exit_code(),
        Err(sentence) => {
            voice.error(&sentence);
            Outcome::Failed.exit_code()
        }
    }
}

fn show(log: &Log, voice: &Voice) -> Result<(), String> {
    let store = Store::find().map_err(sentence)?;
    let dir = store.journal_dir().map_err(sentence)?;
    let mut pages = Journal::new(dir).read().map_err(sentence)?;
    if let Some(profile) = &log.profile {
        pages.reports.retain(|report| report.profile == profile.as_str());
    }
    match log.form() {
        Form::Json => print::lines(pages.reports.iter().map(Report::json)),
        Form::Text => print::lines(print::table(&pages.reports)),
    }
    if pages.damaged > 0 {
        let lines = if pages.damaged == 1 { "1 line".to_owned() } else { format!("{} lines", pages.damaged) };
        voice
            .warning(&format!("{lines} of the log in {} could not be read and were left out", dir.display()));
    }
    Ok(())
}
