//! What only an agent with the policy engine can do, and so no other one may be configured to.

use knockgate_policy_host::Execution;

use super::document::{At, Section};
use super::{BUILT_IN, ModuleSource, Policy};

/// Whether this agent was built with the feature `engine`.
const HERE: bool = cfg!(feature = "engine");

impl Policy {
    /// What runs modules here.
    pub(crate) fn engine_in_use(&self) -> &'static str {
        match self.engine {
            _ if !HERE => "none",
            Execution::Interpreted => "interpreter",
            Execution::Compiled => "compiler",
        }
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
