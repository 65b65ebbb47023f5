//! The policy engine: its words, and what only an agent that has it can be configured to.

use knockgate_policy_host::Execution;

use super::document::{At, Section};
use super::{BUILT_IN, ModuleSource, Policy};

/// Whether this agent was built with the feature `engine`.
const HERE: bool = cfg!(feature = "engine");

/// What the configuration can choose, and a status tells.
pub(super) const WORDS: [(&str, Execution); 2] = [
    (word(Execution::Interpreted), Execution::Interpreted),
    (word(Execution::Compiled), Execution::Compiled),
];

pub(super) const fn word(engine: Execution) -> &'static str {
    match engine {
        Execution::Interpreted => "interpreter",
        Execution::Compiled => "compiler",
    }
}

impl Policy {
    /// What runs modules here.
    pub(crate) fn engine_in_use(&self) -> &'static str {
        if HERE { word(self.engine) } else { "none" }
    }
}

/// Notes what this agent would have to leave undone.
pub(super) fn refuse_what_needs_it(root: &Section<'_>, policy: Option<&Policy>) {
    if HERE {
        return;
    }
    for At { line, value: path } in root.places(&["gateway"]) {
        root.note(
            line,
            format!(
                "{path} is for site images, which need the policy engine, and this agent was built without; make them with one that has it"
            ),
        );
    }
    for module in policy.into_iter().flat_map(|policy| &policy.modules) {
        let what = match &module.source {
            ModuleSource::BuiltIn(built_in) if built_in.name == BUILT_IN => continue,
            ModuleSource::BuiltIn(built_in) => format!("the built-in {}", built_in.name),
            ModuleSource::File { path, .. } => path.display().to_string(),
        };
        let name = &module.name;
        root.note(
            module.line,
            format!(
                "policy-module.{name} is {what}, which needs the policy engine, and this agent was built without; leave the decision to \
                 \"{BUILT_IN}\", or install an agent that has the engine"
            ),
        );
    }
}
