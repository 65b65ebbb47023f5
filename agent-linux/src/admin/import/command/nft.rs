//! Rules and set elements of nft.

use super::{Deed, Opening, audience, is_knocker, port, ports, protocol, seconds};

pub(super) fn deed(words: &[String]) -> Option<Deed> {
    // A rule may be one word in quotes, or many; braces, commas and semicolons stick to their neighbours.
    let line = words.join(" ").replace(['{', '}'], " ");
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

/// `ip saddr %IP% tcp dport 22 accept`
fn rule(rule: &[&str], words: &[String]) -> Option<Opening> {
    let at = rule.iter().position(|word| *word == "dport")?;
    let protocol = protocol(rule.get(at.checked_sub(1)?)?)?;
    let is_port = |word: &&&str| {
        word.trim_matches(',').split(',').all(|word| port(word).is_some() || word.contains('-'))
    };
    let named: Vec<&str> = rule.get(at.checked_add(1)?..)?.iter().take_while(is_port).copied().collect();
    let accepts = rule.contains(&"accept");
    let ports = ports(&named.join(","))?;
    accepts.then(|| Opening { protocol, ports, forward: None, audience: audience(words), seconds: None })
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
    let protocol = parts().find_map(protocol_word).unwrap_or(knockgate_core::profile::Protocol::Tcp);
    let seconds = timeout.and_then(|at| element.get(at.checked_add(1)?)).and_then(|text| seconds(text));
    Some(Opening { protocol, ports, forward: None, audience: audience(words), seconds })
}

/// A protocol by its name alone: a bare number in an element is a port.
fn protocol_word(word: &str) -> Option<knockgate_core::profile::Protocol> {
    word.parse::<u16>().is_err().then(|| protocol(word)).flatten()
}
