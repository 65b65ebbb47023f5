//! Rules that are for one family of addresses: a service here is of both.

use std::fmt::{self, Display};

use super::words::commands;
use super::{Deed, deed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin::import) enum Family {
    V4,
    V6,
}

impl Family {
    pub(in crate::admin::import) fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The family that all of a line's rules are for, if they are for one. Commands that change no firewall do not count.
pub(in crate::admin::import) fn only_family(line: &str) -> Option<Family> {
    let commands = commands(line);
    let rules = commands.iter().filter(|words| !matches!(deed(words), Deed::Errand(_)));
    let mut families = rules.map(|words| of_command(words));
    let first = families.next()??;
    families.all(|family| family == Some(first)).then_some(first)
}

fn of_command(words: &[String]) -> Option<Family> {
    let (program, rest) = words.split_first()?;
    match program.rsplit('/').next().unwrap_or(program) {
        "iptables" | "iptables-nft" | "iptables-legacy" => Some(Family::V4),
        "ip6tables" | "ip6tables-nft" | "ip6tables-legacy" => Some(Family::V6),
        "nft" => rest.iter().flat_map(|word| word.split_whitespace()).find_map(of_expression),
        "firewall-cmd" => rest.iter().flat_map(|word| word.split_whitespace()).find_map(of_rich_rule),
        _ => None,
    }
}

/// A table's family, or what an address is compared with.
fn of_expression(word: &str) -> Option<Family> {
    match word {
        "ip" => Some(Family::V4),
        "ip6" => Some(Family::V6),
        _ => None,
    }
}

fn of_rich_rule(word: &str) -> Option<Family> {
    match word.strip_prefix("family=")?.trim_matches('"') {
        "ipv4" => Some(Family::V4),
        "ipv6" => Some(Family::V6),
        _ => None,
    }
}
