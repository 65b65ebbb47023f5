//! `[process]`: whether the agent is one process or two, and what is left to the one that strangers talk to.

use super::document::{At, Section};
use super::read::or_default;
use crate::confine::{Forbidden, Sandbox};

/// The worker's rights, if there is a broker beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Separation {
    /// The name of a user of the host; without one, the worker stays who the agent was started as.
    pub user: Option<String>,
    pub sandbox: Sandbox,
    pub forbidden: Forbidden,
}

/// `Some(None)` if the agent is one process.
pub(super) fn process(root: &Section<'_>) -> Option<Option<Separation>> {
    let section = &root.section("process");
    let separate = section.flag("separate");
    let separate = or_default(section, "separate", separate, false);
    let user = section.text("user");
    let user =
        or_default(section, "user", user.map(|At { line, value }| At { line, value: Some(value) }), None);
    let sandboxes =
        [("require", Sandbox::Require), ("best-effort", Sandbox::BestEffort), ("off", Sandbox::Off)];
    let sandbox = or_default(section, "sandbox", section.choice("sandbox", &sandboxes), Sandbox::BestEffort);
    let acts = [("refuse", Forbidden::Refuse), ("kill", Forbidden::Kill)];
    let forbidden = or_default(section, "forbidden", section.choice("forbidden", &acts), Forbidden::Refuse);
    section.refuse_unknown_keys();
    if separate == Some(false)
        && let Some(key) = ["user", "sandbox", "forbidden"].into_iter().find(|key| section.has(key))
    {
        section.note(
            section.line_of(key),
            format!(
                "{} is for the process beside a broker, and there is none; set separate = true or leave it out",
                section.path(key)
            ),
        );
    }
    let separation = Separation { user: user?.map(str::to_owned), sandbox: sandbox?, forbidden: forbidden? };
    Some(separate?.then_some(separation))
}
