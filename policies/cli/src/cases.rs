//! A table of cases: events and what shall be decided about them, in TOML or as JSON lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use knockgate_policy_host::record::{self, RecordError};
use knockgate_policy_host::{Action, Capability, Event};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::{Section, Trouble};
use crate::situation;
use crate::text::{from_toml, plain};

/// One case, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) event: Event,
    pub(crate) before: Before,
    /// Numbers that are kept before, beside those of `before`.
    pub(crate) state: Vec<(u32, u64)>,
    pub(crate) expect: Expected,
}

/// Which numbers the policy has kept when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Before {
    /// None.
    #[default]
    Nothing,
    /// Those that it had after the case before.
    Previous,
}

/// What shall be decided; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expected {
    pub(crate) verdict: Option<String>,
    pub(crate) actions: Option<Vec<Action>>,
    pub(crate) refused: Option<Vec<String>>,
    pub(crate) log: Option<Vec<String>>,
    pub(crate) state: Vec<(u32, u64)>,
    pub(crate) fuel_at_most: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    defaults: Map<String, Value>,
    #[serde(default)]
    case: Vec<Written>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    event: Map<String, Value>,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    after: Before,
    #[serde(default)]
    state: BTreeMap<String, u64>,
    expect: Wanted,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Wanted {
    verdict: Option<String>,
    actions: Option<Value>,
    refused: Option<Vec<String>>,
    log: Option<Vec<String>>,
    #[serde(default)]
    state: BTreeMap<String, u64>,
    fuel_at_most: Option<u64>,
}

/// Reads the cases of a file; JSON lines if its name ends in `.jsonl`.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>, Trouble> {
    let text = fs::read_to_string(path).map_err(|error| {
        let told = format!(
            "{}: cannot be read: {}; write the cases there, or name their file with --cases",
            path.display(),
            plain(&error)
        );
        Trouble::with_use(Section::Cases, told)
    })?;
    let document = if path.extension().is_some_and(|extension| extension == "jsonl") {
        from_lines(path, &text)?
    } else {
        from_toml(path, &text, Section::Cases)?
    };
    if document.case.is_empty() {
        let told = format!("{}: has no case; write at least one [[case]]", path.display());
        return Err(Trouble::with_use(Section::Cases, told));
    }
    let Document { defaults, case } = document;
    let ready = |written: Written| {
        let name = written.name.clone();
        prepare(written, &defaults).map_err(|fault| {
            Trouble::with_use(Section::Cases, format!("{}: case {name:?}: {fault}", path.display()))
        })
    };
    case.into_iter().map(ready).collect()
}

fn from_lines(path: &Path, text: &str) -> Result<Document, Trouble> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let case = lines
        .map(|(number, line): (usize, _)| {
            serde_json::from_str(line).map_err(|error| {
                let told =
                    format!("{}:{number}: {error}; write one case a line, as an object", path.display());
                Trouble::with_use(Section::Cases, told)
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Document { defaults: Map::new(), case })
}

fn prepare(written: Written, defaults: &Map<String, Value>) -> Result<Case, String> {
    let mut said = defaults.clone();
    said.extend(written.event);
    let event = situation::event(&said, &written.without).map_err(|error| format!("event: {error}"))?;
    let expect = written.expect.expected().map_err(|fault| format!("expect: {fault}"))?;
    if expect == Expected::default() {
        return Err("expect: is empty; say at least the verdict".to_owned());
    }
    Ok(Case { name: written.name, event, before: written.after, state: numbers(&written.state)?, expect })
}

impl Wanted {
    fn expected(self) -> Result<Expected, String> {
        const VERDICTS: [&str; 4] = ["commit", "deny", "abstain", "failed"];
        if let Some(verdict) = &self.verdict
            && !VERDICTS.contains(&verdict.as_str())
        {
            return Err(format!("verdict is {verdict:?}; write one of {}", VERDICTS.join(", ")));
        }
        for act in self.refused.iter().flatten() {
            if Capability::from_name(act).is_none() {
                return Err(format!("refused names {act:?}; write acts such as \"open\""));
            }
        }
        let actions = self.actions.as_ref().map(record::actions_from_json).transpose();
        Ok(Expected {
            verdict: self.verdict,
            actions: actions.map_err(|error: RecordError| error.to_string())?,
            refused: self.refused,
            log: self.log,
            state: numbers(&self.state)?,
            fuel_at_most: self.fuel_at_most,
        })
    }
}

fn numbers(state: &BTreeMap<String, u64>) -> Result<Vec<(u32, u64)>, String> {
    let number = |(key, value): (&String, &u64)| match key.parse() {
        Ok(key) => Ok((key, *value)),
        Err(_) => Err(format!("state has the key {key:?}; keys are numbers from 0 to 4294967295")),
    };
    state.iter().map(number).collect()
}
