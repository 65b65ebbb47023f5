//! `[guard]`: what is done about somebody else who changes the guard.

use super::document::Section;
use super::read::or_default;

/// `[guard]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guard {
    pub on_change: OnChange,
}

/// What happens when somebody else has changed the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// It is put back, with the grants that are open.
    Restore,
    /// It is written down and stays.
    Report,
}

impl OnChange {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Report => "report",
        }
    }
}

pub(super) fn guard(root: &Section<'_>) -> Option<Guard> {
    let section = &root.section("guard");
    let choices = [OnChange::Restore, OnChange::Report].map(|choice| (choice.word(), choice));
    let on_change = section.choice("on-change", &choices);
    let on_change = or_default(section, "on-change", on_change, OnChange::Restore);
    section.refuse_unknown_keys();
    Some(Guard { on_change: on_change? })
}
