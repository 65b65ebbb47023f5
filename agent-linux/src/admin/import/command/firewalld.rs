//! Options of `firewall-cmd`.

use knockgate_core::profile::Protocol;

use super::{Deed, Opening, Words, audience, ports, protocol, seconds};
use crate::admin::import::names;

/// What an option names, and whether it is added.
type Named = (bool, (Protocol, Vec<u16>));

/// `--add-rich-rule='rule family="ipv4" source address="%IP%" port port="22" protocol="tcp" accept'`, `--add-port=22/tcp`,
/// `--add-service=ssh`, each with `--remove-` as well, and `--timeout=60`.
pub(super) fn deed(words: &[String]) -> Option<Deed> {
    let (mut named, mut timeout): (Option<Named>, _) = (None, None);
    let mut rest = Words::of(words);
    while let Some(word) = rest.next() {
        let (option, value) =
            word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        let mut value = || value.or_else(|| rest.next());
        match option {
            "--add-rich-rule" => named = Some((true, rich_rule(value()?)?)),
            "--remove-rich-rule" => named = Some((false, rich_rule(value()?)?)),
            "--add-port" => named = Some((true, port(value()?)?)),
            "--remove-port" => named = Some((false, port(value()?)?)),
            "--add-service" => named = Some((true, service(value()?)?)),
            "--remove-service" => named = Some((false, service(value()?)?)),
            "--timeout" => timeout = seconds(value()?),
            _ => {}
        }
    }
    let (is_added, (protocol, ports)) = named?;
    let opening = Opening { protocol, ports, forward: None, audience: audience(words), seconds: timeout };
    Some(if is_added { Deed::Opens(opening) } else { Deed::Closes(opening) })
}

fn rich_rule(text: &str) -> Option<(Protocol, Vec<u16>)> {
    if !text.split_whitespace().any(|word| word == "accept") {
        return None;
    }
    let value = |key: &str| {
        let value = text.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        value.map(|value| value.trim_matches(['"', '\'']))
    };
    if let Some(port) = value("port") {
        return Some((protocol(value("protocol")?)?, ports(port)?));
    }
    service(value("name")?)
}

fn port(text: &str) -> Option<(Protocol, Vec<u16>)> {
    let (port, word) = text.split_once('/')?;
    Some((protocol(word)?, ports(port)?))
}

fn service(name: &str) -> Option<(Protocol, Vec<u16>)> {
    names::by_name(name).map(|(protocol, port)| (protocol, vec![port]))
}
