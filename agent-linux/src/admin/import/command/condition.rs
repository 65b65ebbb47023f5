//! What a rule asks of a packet beside its port and source, and a grant does not.

use std::fmt::{self, Display};

use crate::admin::import::draft::network;
use crate::config::value;

/// Each of them makes the rule narrower than what is made of it, so none is left unsaid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::admin::import) enum Condition {
    /// A source that is not the knocker's. Without its value if that is no network.
    From(Option<String>),
    /// An address of this host, likewise.
    To(Option<String>),
    /// A link, likewise.
    At(Option<String>),
    /// Hours or days.
    When,
    /// Anything else, by the word for it.
    Other(String),
}

impl Condition {
    pub(super) fn from(text: &str) -> Self {
        Self::From(network(text).ok())
    }

    pub(super) fn to(text: &str) -> Self {
        Self::To(network(text).ok())
    }

    pub(super) fn at(link: &str) -> Self {
        Self::At(value::interface(link).ok())
    }

    /// A module, an option or an expression. `word` may be anything, and only what could be one is kept of it.
    pub(super) fn other(word: &str) -> Self {
        const SHOWN: usize = 20;
        let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        match word {
            "time" | "hour" | "day" => Self::When,
            _ => Self::Other(word.chars().take_while(is_plain).take(SHOWN).collect()),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RULE: &str =
            "keep a rule of your own that drops the rest, for a packet has to pass that and the guard";
        let shown =
            |value: &Option<String>| value.as_ref().map_or_else(String::new, |value| format!(" {value}"));
        match self {
            Self::From(network) => write!(
                f,
                "names the source{}, and a grant is for the address that has knocked, wherever that is; the built-in policy \
                 known-networks says from where a knock counts (docs/policies.md)",
                shown(network)
            ),
            Self::To(address) => write!(
                f,
                "is for the address{} alone, and a grant opens the service at every address of this host; {RULE}",
                shown(address)
            ),
            Self::At(link) => write!(
                f,
                "is for the link{} alone, and a grant opens the service at every link that is guarded; {RULE}",
                shown(link)
            ),
            Self::When => write!(
                f,
                "is for certain times alone, and a grant is there at any; the built-in policy office-hours says when a knock \
                 counts (docs/policies.md)"
            ),
            Self::Other(word) if word.is_empty() => write!(f, "asks for more, and a grant does not; {RULE}"),
            Self::Other(word) => write!(f, "asks for more ({word}), and a grant does not; {RULE}"),
        }
    }
}
