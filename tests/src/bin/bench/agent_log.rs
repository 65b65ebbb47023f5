//! The agent's audit log as it grows.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use knockgate_tests::waiting;
use serde_json::Value;

use crate::segment::Moment;

/// The agent writes within milliseconds; a grant of a second ends after one.
const PATIENCE: Duration = Duration::from_secs(8);

/// One record and its time.
pub(crate) struct Record {
    pub(crate) at: Moment,
    pub(crate) event: String,
    pub(crate) json: Value,
}

/// Reads each record once.
pub(crate) struct AgentLog {
    path: PathBuf,
    read: u64,
}

impl AgentLog {
    /// Passes over everything that is there.
    pub(crate) fn follow(path: PathBuf) -> Result<Self> {
        let read = std::fs::metadata(&path).context("no audit log")?.len();
        Ok(Self { path, read })
    }

    /// Passes over what has come since.
    pub(crate) fn skip(&mut self) -> Result<()> {
        self.read = std::fs::metadata(&self.path).context("no audit log")?.len();
        Ok(())
    }

    /// All new records up to the first one of an event, which is waited for.
    pub(crate) fn up_to(&mut self, event: &str) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        waiting::until(&format!("{event:?} in the audit log"), PATIENCE, || {
            match self.advance(event, &mut records) {
                Ok(true) => Some(Ok(())),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            }
        })??;
        Ok(records)
    }

    /// Whether the event has come.
    fn advance(&mut self, event: &str, records: &mut Vec<Record>) -> Result<bool> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            self.read += u64::try_from(line.len())?;
            let record = parse(line).with_context(|| format!("audit log: {line:?}"))?;
            records.push(record);
            if records.last().is_some_and(|record| record.event == event) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn parse(line: &str) -> Result<Record> {
    let json: Value = serde_json::from_str(line)?;
    let text = |field: &str| json.get(field).and_then(Value::as_str).with_context(|| format!("no {field:?}"));
    let at = humantime::parse_rfc3339(text("time")?)?.into();
    Ok(Record { at, event: text("event")?.to_owned(), json })
}
