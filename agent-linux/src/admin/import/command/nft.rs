//! Rules and set elements of nft.

use knockgate_core::profile::Protocol;

use super::{Condition, Deed, Opening, audience, is_knocker, port, ports, protocol, seconds};

pub(super) fn deed(words: &[String]) -> Option<Deed> {
    // A rule may be one word in quotes, or many. Braces stick to their neighbours; what is in them becomes one word.
    let line = words.join(" ").replace(['{', '}'], " ");
    let line: Vec<&str> = line.split(',').map(str::trim).collect();
    let line = line.join(",");
    let split: Vec<&str> = line.split_whitespace().filter(|word| !word.starts_with('-')).collect();
    match split.as_slice() {
        ["add" | "insert", "rule", rule @ ..] => self::rule(rule, words).map(Deed::Opens),
        ["delete" | "destroy", "rule", rule @ ..] => {
            Some(self::rule(rule, words).map_or(Deed::ClosesAll, Deed::Closes))
        }
        ["add", "element", _, _, _, element @ ..] => {
            Some(self::element(element, words).map_or(Deed::ChangesSet, Deed::Opens))
        }
        ["delete" | "destroy", "element", _, _, _, element @ ..] => {
            Some(self::element(element, words).map_or(Deed::ChangesSet, Deed::Closes))
        }
        _ => None,
    }
}

/// `inet filter input ip saddr %IP% tcp dport 22 accept`
fn rule(rule: &[&str], words: &[String]) -> Option<Opening> {
    let at = rule.iter().position(|word| *word == "dport")?;
    let protocol = protocol(rule.get(at.checked_sub(1)?)?)?;
    let ports = ports(rule.get(at.checked_add(1)?)?)?;
    if !rule.contains(&"accept") || rule.contains(&"!=") {
        return None;
    }
    let conditions = conditions(rule);
    let audience = audience(words, &conditions);
    Some(Opening { protocol, ports, forward: None, audience, seconds: None, conditions })
}

/// What the expressions of a rule ask for beside the port and the knocker.
fn conditions(rule: &[&str]) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut rest = after_the_chain(rule).iter().copied().peekable();
    while let Some(word) = rest.next() {
        match word {
            "saddr" => conditions.extend(sources(rest.next().unwrap_or_default())),
            "daddr" => conditions.push(Condition::to(rest.next().unwrap_or_default())),
            "iif" | "iifname" => {
                conditions.push(Condition::at(rest.next().unwrap_or_default().trim_matches('"')));
            }
            "state" => conditions.extend(state(rest.next().unwrap_or_default())),
            "dport" | "l4proto" | "protocol" | "prefix" | "level" => {
                rest.next();
            }
            // The rest is a text.
            "comment" => break,
            "ip" | "ip6" | "tcp" | "udp" | "th" | "meta" | "ct" | "counter" | "log" | "accept" => {}
            // Its arguments go with it, and cannot be told from what follows.
            _ => {
                conditions.push(Condition::other(word));
                while rest.next_if(|word| !is_expression(word)).is_some() {}
            }
        }
    }
    conditions
}

/// What begins a connection is new to conntrack.
fn state(states: &str) -> Option<Condition> {
    (!states.split(',').any(|state| state == "new")).then(|| Condition::other("state"))
}

/// What begins an expression, or ends a rule.
fn is_expression(word: &str) -> bool {
    matches!(
        word,
        "ip" | "ip6"
            | "tcp"
            | "udp"
            | "th"
            | "meta"
            | "ct"
            | "iif"
            | "iifname"
            | "counter"
            | "log"
            | "comment"
            | "accept"
    )
}

/// Without the family, which may be left out, the table, the chain and the rule's place in it.
fn after_the_chain<'r>(rule: &'r [&'r str]) -> &'r [&'r str] {
    let rest = match rule {
        ["ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev", _, _, rest @ ..] | [_, _, rest @ ..] => rest,
        _ => &[],
    };
    match rest {
        ["handle" | "position" | "index", _, rest @ ..] => rest,
        _ => rest,
    }
}

fn sources(addresses: &str) -> impl Iterator<Item = Condition> {
    addresses.split(',').filter(|address| !is_knocker(address)).map(Condition::from)
}

/// `%IP% . 22 timeout 1m`, possibly with `tcp` in it: an element that names its port.
fn element(element: &[&str], words: &[String]) -> Option<Opening> {
    let timeout = element.iter().position(|word| *word == "timeout");
    let key = element.get(..timeout.unwrap_or(element.len()))?;
    if !key.iter().any(|word| is_knocker(word)) {
        return None;
    }
    let parts = || key.iter().copied().filter(|word| *word != "." && !is_knocker(word));
    let ports = vec![parts().find_map(port)?];
    let protocol = parts().find_map(protocol_word).unwrap_or(Protocol::Tcp);
    // What another part is asked of stands in the rules.
    let is_more = |part: &&str| port(part).is_none() && protocol_word(part).is_none();
    let conditions: Vec<_> = parts().filter(is_more).map(Condition::other).collect();
    let seconds = timeout.and_then(|at| element.get(at.checked_add(1)?)).and_then(|text| seconds(text));
    let audience = audience(words, &conditions);
    Some(Opening { protocol, ports, forward: None, audience, seconds, conditions })
}

/// A protocol by its name alone: a bare number in an element is a port.
fn protocol_word(word: &str) -> Option<Protocol> {
    word.parse::<u16>().is_err().then(|| protocol(word)).flatten()
}
