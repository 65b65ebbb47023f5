//! Rules of ufw.

use knockgate_core::profile::Protocol;

use super::{Deed, Opening, audience, ports, protocol};
use crate::admin::import::names;

/// `allow from %IP% to any port 22 proto tcp`, `delete allow 22/tcp`, `insert 1 allow OpenSSH`.
pub(super) fn deed(words: &[String]) -> Option<Deed> {
    let split: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let is_deleted = split.first() == Some(&"delete") || split.get(1) == Some(&"delete");
    let at = split.iter().position(|word| matches!(*word, "allow" | "limit"))?;
    let rule = split.get(at.checked_add(1)?..)?;
    let Some((protocol, ports)) = long_rule(rule).or_else(|| short_rule(rule)) else {
        return Some(if is_deleted { Deed::ClosesAll } else { Deed::OpensAll })
            .filter(|_| rule.first() == Some(&"from") && !rule.contains(&"port"));
    };
    let opening = Opening { protocol, ports, forward: None, audience: audience(words), seconds: None };
    Some(if is_deleted { Deed::Closes(opening) } else { Deed::Opens(opening) })
}

fn long_rule(rule: &[&str]) -> Option<(Protocol, Vec<u16>)> {
    let value = |key: &str| {
        let at = rule.iter().position(|word| *word == key)?;
        rule.get(at.checked_add(1)?).copied()
    };
    // Without a protocol ufw opens both; TCP is what is meant nearly always, and is what a service can have.
    let protocol = value("proto").map_or(Some(Protocol::Tcp), protocol)?;
    Some((protocol, ports(value("port")?)?))
}

/// `22/tcp`, `22` or the name of an application.
fn short_rule(rule: &[&str]) -> Option<(Protocol, Vec<u16>)> {
    let what = rule.iter().find(|word| !matches!(**word, "in" | "proto"))?;
    if let Some((port, word)) = what.split_once('/') {
        return Some((protocol(word)?, ports(port)?));
    }
    if let Some((protocol, port)) = names::by_name(what) {
        return Some((protocol, vec![port]));
    }
    Some((Protocol::Tcp, ports(what)?))
}
