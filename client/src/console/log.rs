//! Prints a gateway's audit log: one JSON object for each record, as the gateway has written it.

use std::thread;
use std::time::Duration;

use knockgate_core::console::{Ask, Tell};

use crate::outcome::Failure;
use crate::print::{line, printable};
use crate::voice::Voice;

use super::conversation::{Conversation, Pace, TalkFault};

/// How often a gateway is asked for new records.
const PAUSE: Duration = Duration::from_secs(1);

/// Which records are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The number of the last one that is there already.
    pub(crate) after: u64,
    pub(crate) until: Until,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The newest that there is now.
    Now,
    /// For ever: new ones are awaited.
    Stopped,
}

/// What was printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) records: u64,
    /// Records that the gateway had no room to keep.
    pub(crate) lost: u64,
    /// The number of the last one.
    pub(crate) last: u64,
}

/// Whether anybody reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    There,
    /// He has closed the pipe, as `head` does: he has read enough.
    Gone,
}

pub(crate) fn print(
    conversation: &mut Conversation,
    wanted: Wanted,
    voice: &Voice,
) -> Result<Printed, Failure> {
    let mut printed = Printed { last: wanted.after, ..Printed::default() };
    loop {
        conversation.ask(&Ask::Log { after: printed.last })?;
        // What is waited for now is the gateway's records, not the gateway.
        voice.end();
        if hear_records(conversation, &mut printed, voice)? == Reader::Gone || wanted.until == Until::Now {
            return Ok(printed);
        }
        thread::sleep(PAUSE);
    }
}

fn hear_records(
    conversation: &mut Conversation,
    printed: &mut Printed,
    voice: &Voice,
) -> Result<Reader, Failure> {
    loop {
        match conversation.hear(Pace::Prompt)? {
            Tell::Record { number, line: record } => {
                // JSON has no control characters; what is none must not command the terminal.
                if line(&printable(record)).is_err() {
                    return Ok(Reader::Gone);
                }
                printed.records = printed.records.saturating_add(1);
                printed.last = printed.last.max(number);
            }
            Tell::End { lost } => {
                tell_lost(lost, voice);
                printed.lost = printed.lost.saturating_add(lost);
                return Ok(Reader::There);
            }
            Tell::Status(_) | Tell::Next { .. } | Tell::Done | Tell::Refused { .. } => {
                return Err(TalkFault::NotUnderstood.into());
            }
        }
    }
}

fn tell_lost(lost: u64, voice: &Voice) {
    let records = match lost {
        0 => return,
        1 => "1 record is lost".to_owned(),
        _ => format!("{lost} records are lost"),
    };
    voice.warning(&format!(
        "{records}: the gateway keeps the newest only; fetch them more often, or --follow"
    ));
}
