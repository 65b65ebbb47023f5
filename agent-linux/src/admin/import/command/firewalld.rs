//! Options of `firewall-cmd`.

use knockgate_core::profile::Protocol;

use super::{Condition, Deed, Opening, Words, audience, is_knocker, ports, protocol, seconds};
use crate::admin::import::names;

/// What an option names.
type Ports = (Protocol, Vec<u16>);

/// `--add-rich-rule='rule family="ipv4" source address="%IP%" port port="22" protocol="tcp" accept'`, `--add-port=22/tcp`,
/// `--add-service=ssh`, each with `--remove-` as well, and `--timeout=60`.
pub(super) fn deed(words: &[String]) -> Option<Deed> {
    let (mut named, mut timeout, mut conditions): (Option<(bool, Ports)>, _, _) = (None, None, Vec::new());
    let mut rest = Words::of(words);
    while let Some(word) = rest.next() {
        let (option, value) =
            word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        let mut value = || value.or_else(|| rest.next());
        let (is_added, ports) = match option {
            "--add-rich-rule" => (true, rich_rule(value()?, &mut conditions)?),
            "--remove-rich-rule" => (false, rich_rule(value()?, &mut conditions)?),
            "--add-port" => (true, port(value()?)?),
            "--remove-port" => (false, port(value()?)?),
            "--add-service" => (true, service(value()?)?),
            "--remove-service" => (false, service(value()?)?),
            "--timeout" => {
                timeout = seconds(value()?);
                continue;
            }
            "--permanent" | "--quiet" | "-q" => continue,
            _ if option.starts_with('-') => {
                conditions.push(Condition::other(option));
                continue;
            }
            _ => continue,
        };
        // Several at once are more than one service.
        if named.replace((is_added, ports)).is_some() {
            return None;
        }
    }
    let (is_added, (protocol, ports)) = named?;
    let audience = audience(words, &conditions);
    let opening = Opening { protocol, ports, forward: None, audience, seconds: timeout, conditions };
    Some(if is_added { Deed::Opens(opening) } else { Deed::Closes(opening) })
}

/// Elements, each with attributes behind it: `source address="%IP%"`.
fn rich_rule(text: &str, conditions: &mut Vec<Condition>) -> Option<Ports> {
    let (mut element, mut accepts) = ("", false);
    let (mut port_text, mut protocol_word, mut service_name) = (None, None, None);
    for word in text.split_whitespace() {
        let Some((key, value)) = word.split_once('=') else {
            match word {
                "accept" => accepts = true,
                "NOT" | "not" => return None,
                // How much of it is written down.
                "limit" if matches!(element, "log" | "audit") => {}
                "rule" | "source" | "destination" | "port" | "service" | "log" | "audit" => {}
                _ => conditions.push(Condition::other(word)),
            }
            element = word;
            continue;
        };
        let value = value.trim_matches(['"', '\'']);
        match (element, key) {
            ("source", "address") if is_knocker(value) => {}
            ("source", "address") => conditions.push(Condition::from(value)),
            ("destination", "address") => conditions.push(Condition::to(value)),
            ("source" | "destination", other) => conditions.push(Condition::other(other)),
            ("port", "port") => port_text = Some(value),
            ("port", "protocol") => protocol_word = Some(value),
            ("service", "name") => service_name = Some(value),
            // Of the rule as a whole, of what is written down, or of an element that has been told already.
            _ => {}
        }
    }
    match port_text {
        _ if !accepts => None,
        Some(port) => Some((protocol(protocol_word?)?, ports(port)?)),
        None => service(service_name?),
    }
}

fn port(text: &str) -> Option<Ports> {
    let (port, word) = text.split_once('/')?;
    Some((protocol(word)?, ports(port)?))
}

fn service(name: &str) -> Option<Ports> {
    names::by_name(name).map(|(protocol, port)| (protocol, vec![port]))
}
