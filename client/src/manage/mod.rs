//! The commands that ask no gate: keys, profiles and what is told about them.

pub(crate) mod completions;
pub(crate) mod enroll;
pub(crate) mod keygen;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod profiles;
pub(crate) mod qr;

use serde_json::{Map, Value, json};

use crate::cli::Form;
use crate::outcome::Outcome;
use crate::print;
use crate::voice::Voice;

/// What came of a command: lines for people, one object for programs.
pub(crate) struct Told {
    pub(crate) lines: Vec<String>,
    pub(crate) facts: Value,
}

/// Tells what came of it and returns the exit code. An error is a sentence with its remedy.
pub(crate) fn finish(command: &str, form: Form, result: Result<Told, String>, voice: &Voice) -> u8 {
    voice.end();
    let (outcome, facts, message) = match result {
        Ok(told) => (Outcome::Answered, told.facts, told.lines),
        Err(sentence) => {
            voice.error(&sentence);
            (Outcome::Failed, Value::Null, vec![sentence])
        }
    };
    match form {
        Form::Json => print::lines([object(command, outcome, &message.join("\n"), facts).to_string()]),
        Form::Text if outcome == Outcome::Answered => print::lines(message),
        Form::Text => {}
    }
    outcome.exit_code()
}

fn object(command: &str, outcome: Outcome, message: &str, facts: Value) -> Value {
    let mut object = Map::new();
    object.insert("command".to_owned(), command.into());
    object.insert("outcome".to_owned(), outcome.word().into());
    object.insert("exit".to_owned(), json!(outcome.exit_code()));
    object.insert("message".to_owned(), message.into());
    if let Value::Object(facts) = facts {
        object.extend(facts);
    }
    Value::Object(object)
}

/// For `map_err`: faults of every kind end as their sentence.
fn sentence(fault: impl std::fmt::Display) -> String {
    fault.to_string()
}
