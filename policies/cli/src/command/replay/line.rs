//! One line of an audit log.

use std::fmt;

use knockgate_policy_host::record::{self, RecordError};
use knockgate_policy_host::{Action, Decision, Event};
use serde_json::{Map, Value, json};

use crate::command::actions_text;

/// What a line is to a replay.
pub(super) enum Line {
    Decision(Box<Record>),
    /// Something else that has happened, or another policy's decision.
    Other,
    /// A decision that cannot be made again, and why.
    Unreadable(String),
}

/// A recorded decision.
pub(super) struct Record {
    pub(super) time: String,
    pub(super) seq: Option<u64>,
    pub(super) policy: String,
    pub(super) event: Event,
    pub(super) loaded: Vec<(u32, u64)>,
    pub(super) said: Said,
}

/// What a policy said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    verdict: String,
    actions: Vec<Action>,
}

impl Said {
    pub(super) fn of(decision: &Decision) -> Self {
        Self { verdict: decision.answer().word().to_owned(), actions: decision.actions.to_vec() }
    }

    pub(super) fn opens(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Open { .. } | Action::OpenPrefix { .. }))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "verdict": self.verdict, "actions": record::actions_to_json(&self.actions) })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.verdict)?;
        if self.actions.is_empty() { Ok(()) } else { write!(f, " ({})", actions_text(&self.actions)) }
    }
}

impl Record {
    /// Who wanted what, for people.
    pub(super) fn about(&self) -> String {
        let Event { cause, client, source, request, .. } = &self.event;
        let who = client.as_ref().map_or("nobody", |client| client.name.as_str());
        let mut about = format!("{who}, {}", cause.name());
        if let Some(request) = request {
            about.push_str(&format!(" of {}", request.name));
        }
        if let Some(source) = source {
            about.push_str(&format!(" from {}", source.address));
        }
        about
    }
}

/// Reads a line; decisions of other policies than `of` are something else.
pub(super) fn read(text: &str, of: Option<&str>) -> Line {
    if text.trim().is_empty() {
        return Line::Other;
    }
    let whole = match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(whole) => whole,
        // After a crash a log has half a line.
        Err(error) => {
            return Line::Unreadable(format!("no JSON object ({error}); a crash may have cut it off"));
        }
    };
    let word = |name: &str| whole.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_meant = of.is_none_or(|name| word("policy") == name);
    if word("event") != "decision" || !is_meant {
        return Line::Other;
    }
    match decision(&whole) {
        Ok((event, loaded, said)) => Line::Decision(Box::new(Record {
            time: word("time").to_owned(),
            seq: whole.get("seq").and_then(Value::as_u64),
            policy: word("policy").to_owned(),
            event,
            loaded,
            said,
        })),
        Err(error) => Line::Unreadable(error.to_string()),
    }
}

type Parts = (Event, Vec<(u32, u64)>, Said);

fn decision(whole: &Map<String, Value>) -> Result<Parts, RecordError> {
    let Some(Value::Object(attributes)) = whole.get("attributes") else {
        return Err(RecordError::NotThere("attributes"));
    };
    // Logs of before there were chains have no `loaded`.
    let loaded = whole.get("loaded").map(record::loaded_from_json).transpose()?.unwrap_or_default();
    let verdict = whole.get("verdict").and_then(Value::as_str).ok_or(RecordError::NotThere("verdict"))?;
    let actions = record::actions_from_json(whole.get("actions").ok_or(RecordError::NotThere("actions"))?)?;
    Ok((record::event_from_json(attributes)?, loaded, Said { verdict: verdict.to_owned(), actions }))
}
