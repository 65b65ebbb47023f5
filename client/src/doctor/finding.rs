//! What was found, for people and for programs.

use serde_json::{Value, json};

use crate::outcome::Failure;
use crate::print::{Facts, columns};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ok,
    Problem,
    /// Several explanations are left.
    CannotTell,
}

impl State {
    /// Never changes.
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "problem",
            Self::CannotTell => "cannot-tell",
        }
    }

    fn told(self) -> String {
        self.word().replace('-', " ")
    }
}

pub(super) struct Finding {
    /// A word; never changes.
    pub(super) check: &'static str,
    pub(super) state: State,
    text: String,
    remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, text: String) -> Self {
        Self { check, state: State::Ok, text, remedy: None }
    }

    pub(super) fn problem(check: &'static str, text: String, remedy: String) -> Self {
        Self { check, state: State::Problem, text, remedy: Some(remedy) }
    }

    pub(super) fn cannot_tell(check: &'static str, text: String, remedy: String) -> Self {
        Self { check, state: State::CannotTell, text, remedy: Some(remedy) }
    }

    /// Its sentence has the remedy.
    pub(super) fn failure(check: &'static str, failure: &Failure, facts: &Facts) -> Self {
        Self { check, state: State::Problem, text: failure.sentence(facts), remedy: None }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "check": self.check, "state": self.state.word(), "message": self.text, "remedy": self.remedy })
    }
}

/// One line each, and one more for a remedy.
pub(super) fn table(findings: &[Finding]) -> Vec<String> {
    let rows = findings.iter().flat_map(|finding| {
        let row = [finding.check.to_owned(), finding.state.told(), finding.text.clone()];
        let remedy =
            finding.remedy.as_ref().map(|remedy| [String::new(), String::new(), format!("-> {remedy}")]);
        [Some(row), remedy]
    });
    columns(&rows.flatten().collect::<Vec<_>>())
}
