//! Rules of ufw.

use knockgate_core::profile::Protocol;

use super::{Condition, Deed, Opening, audience, is_knocker, ports, protocol};
use crate::admin::import::names;

/// `allow from %IP% to any port 22 proto tcp`, `delete allow 22/tcp`, `insert 1 allow OpenSSH`.
pub(super) fn deed(words: &[String]) -> Option<Deed> {
    let split: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let is_deleted = split.first() == Some(&"delete") || split.get(1) == Some(&"delete");
    let at = split.iter().position(|word| matches!(*word, "allow" | "limit"))?;
    let rule = Rule::read(split.get(at.checked_add(1)?..)?)?;
    // What this host passes on or sends is no service of its own.
    if split.first() == Some(&"route") || rule.is_outgoing {
        return None;
    }
    let mut conditions = rule.conditions;
    if split.get(at) == Some(&"limit") {
        conditions.push(Condition::other("limit"));
    }
    let Some((protocol, ports)) = rule.ports else {
        return Some(if is_deleted { Deed::ClosesAll } else { Deed::OpensAll(conditions) });
    };
    let audience = audience(words, &conditions);
    let opening = Opening { protocol, ports, forward: None, audience, seconds: None, conditions };
    Some(if is_deleted { Deed::Closes(opening) } else { Deed::Opens(opening) })
}

/// What follows `allow`.
#[derive(Default)]
struct Rule {
    /// None if it names none, and so all.
    ports: Option<(Protocol, Vec<u16>)>,
    is_outgoing: bool,
    conditions: Vec<Condition>,
}

impl Rule {
    /// None if it is no such rule, or one whose ports a service could not have.
    fn read(words: &[&str]) -> Option<Self> {
        let mut rule = Self::default();
        // Without a protocol ufw opens both; TCP is what is meant nearly always, and is what a service can have.
        let (mut protocol_word, mut port_words, mut is_of_source, mut is_long) = ("tcp", None, false, false);
        let mut short = None;
        let mut rest = words.iter().copied();
        while let Some(word) = rest.next() {
            match word {
                "in" | "log" | "log-all" => {}
                "out" => rule.is_outgoing = true,
                "on" => rule.conditions.push(Condition::at(rest.next()?)),
                "proto" => protocol_word = rest.next()?,
                "from" => {
                    (is_long, is_of_source) = (true, true);
                    rule.conditions.extend(from(rest.next()?));
                }
                "to" => {
                    (is_long, is_of_source) = (true, false);
                    rule.conditions.extend(to(rest.next()?));
                }
                "port" | "app" if is_of_source => {
                    rest.next()?;
                    rule.conditions.push(Condition::other("sport"));
                }
                "port" => port_words = Some(rest.next()?),
                "app" => short = Some(rest.next()?),
                // The rest is a text.
                "comment" => break,
                _ if short.is_none() => short = Some(word),
                _ => return None,
            }
        }
        rule.ports = match (port_words, short) {
            (Some(text), _) => Some((protocol(protocol_word)?, ports(text)?)),
            (None, Some(text)) => Some(short_ports(text)?),
            (None, None) => None,
        };
        (is_long || rule.ports.is_some()).then_some(rule)
    }
}

fn from(source: &str) -> Option<Condition> {
    (source != "any" && !is_knocker(source)).then(|| Condition::from(source))
}

fn to(address: &str) -> Option<Condition> {
    (address != "any").then(|| Condition::to(address))
}

/// `22/tcp`, `22` or the name of an application.
fn short_ports(what: &str) -> Option<(Protocol, Vec<u16>)> {
    if let Some((port, word)) = what.split_once('/') {
        return Some((protocol(word)?, ports(port)?));
    }
    if let Some((protocol, port)) = names::by_name(what) {
        return Some((protocol, vec![port]));
    }
    Some((Protocol::Tcp, ports(what)?))
}
