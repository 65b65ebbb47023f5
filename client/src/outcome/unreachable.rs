//! Why no gate has answered: what came of each address that was tried, in a word and in a sentence.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;

use crate::exchange::NoAnswer;
use crate::print::{Facts, host_and_port};
use crate::private_file::plain;

pub(super) fn unreachable_reason(tries: &[(SocketAddr, NoAnswer)]) -> &'static str {
    if tries.iter().any(|(_, why)| matches!(why, NoAnswer::NotTheGate)) {
        "not-the-gate"
    } else if tries.iter().any(|(_, why)| is_silence(why)) {
        "silence"
    } else {
        "unreachable"
    }
}

fn is_silence(why: &NoAnswer) -> bool {
    match why {
        NoAnswer::Silence | NoAnswer::Cut | NoAnswer::Unanswered { .. } => true,
        NoAnswer::Connect(_) | NoAnswer::NotTheGate | NoAnswer::NewerGate | NoAnswer::Keys => false,
        NoAnswer::Unsent(_) | NoAnswer::Shut => false,
    }
}

/// Whether it came of a datagram. That an answer was not from the gate can come of both.
fn is_of_packet(why: &NoAnswer) -> bool {
    match why {
        NoAnswer::Unsent(_) | NoAnswer::Unanswered { .. } | NoAnswer::Shut => true,
        NoAnswer::Connect(_) | NoAnswer::Silence | NoAnswer::Cut => false,
        NoAnswer::NotTheGate | NoAnswer::NewerGate | NoAnswer::Keys => false,
    }
}

pub(super) fn unreachable_sentence(tries: &[(SocketAddr, NoAnswer)], facts: &Facts) -> String {
    let (host, profile) = (&facts.host, &facts.profile);
    let port = tries.iter().map(|(address, _)| address.port()).next_back().unwrap_or(facts.port);
    let by_packet = tries.iter().any(|(_, why)| is_of_packet(why));
    let mut text = format!("no answer from {}", host_and_port(host, port));
    for (index, (address, why)) in tries.iter().enumerate() {
        let lead = if index == 0 { " (" } else { "; " };
        let _ = write!(text, "{lead}{}: {}", address.ip(), why_no_answer(why));
    }
    text.push_str(if tries.is_empty() { ". " } else { "). " });
    text.push_str(&match unreachable_reason(tries) {
        "not-the-gate" => format!(
            "Either the name leads to another machine, or somebody stands in between; \
             check the address with the administrator of {host} before you knock again"
        ),
        "silence" if by_packet => format!(
            "Either the key in profile \"{profile}\" is not on the gate's roster, {} is blocked on the way, or the gate is \
             down; `knockgate doctor {profile}` tells which it can rule out",
            udp_ports(tries)
        ),
        "silence" => format!(
            "Either the key in profile \"{profile}\" is not on the gate's roster, the address leads to another machine, \
             or the gate is overloaded; ask the administrator of {host} to look into `knockgated client list`"
        ),
        _ if by_packet => format!(
            "Either the gate is down or it has moved; `knockgate doctor {profile}` tells what it can rule out"
        ),
        _ => format!(
            "Either the gate is down, TCP port {port} is blocked on the way, or the gate has moved; \
             try another network, or ask the administrator of {host}"
        ),
    });
    text
}

/// `UDP 62201`, or all of them.
fn udp_ports(tries: &[(SocketAddr, NoAnswer)]) -> String {
    let packets = tries.iter().filter(|(_, why)| is_of_packet(why));
    let mut ports: Vec<_> = packets.map(|(address, _)| address.port().to_string()).collect();
    ports.sort_unstable();
    ports.dedup();
    format!("UDP {}", ports.join(", "))
}

fn why_no_answer(why: &NoAnswer) -> String {
    match why {
        NoAnswer::Unsent(error) => format!("no packet can be sent: {}", plain(error)),
        NoAnswer::Unanswered { tries: 1 } => "silence after 1 packet".to_owned(),
        NoAnswer::Unanswered { tries } => format!("silence after {tries} packets"),
        NoAnswer::Shut => "UDP port is shut".to_owned(),
        NoAnswer::Connect(error) if error.kind() == io::ErrorKind::TimedOut => {
            "connection timed out".to_owned()
        }
        NoAnswer::Connect(error) => plain(error),
        NoAnswer::Silence => "connected, then silence".to_owned(),
        NoAnswer::Cut => "connected, then closed without an answer".to_owned(),
        NoAnswer::NotTheGate => "the answer is not from the gate".to_owned(),
        NoAnswer::NewerGate => "a newer gate".to_owned(),
        NoAnswer::Keys => "unusable keys".to_owned(),
    }
}
