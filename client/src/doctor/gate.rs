//! What the answers of the gate say, and what their absence says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use knockgate_core::Refusal;
use knockgate_core::message::Verdict;
use knockgate_core::profile::{ProfileService, Protocol};

use crate::dial;
use crate::exchange::{Answered, NoAnswer, Way};
use crate::opening;
use crate::outcome::Failure;
use crate::print::{Facts, knocks, lasting};
use crate::session::Session;

use super::finding::Finding;
use super::probe::{Probe, Probes};

/// Clocks that differ by less do no harm to codes: as much is forgiven.
const CLOCK_LIMIT: Duration = Duration::from_secs(30);
/// How long a port may take to accept: the first SYN and its retransmission after a second.
const PORT_WAIT: Duration = Duration::from_secs(2);

/// Whether the gate answers, way by way.
pub(super) fn reached(probes: &Probes, session: &Session<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if session.kept.profile.packet_ports.is_none() {
        findings.push(Finding::ok("packet", "not used: the profile names no UDP port".to_owned()));
    }
    for probe in &probes.0 {
        findings.push(match &probe.result {
            Ok(answered) => Finding::ok(check(probe.way), answer_text(answered)),
            Err(failure) => no_answer(probe, failure, probes, session.facts),
        });
    }
    if session.kept.profile.central_port == 0 {
        findings.push(Finding::ok("tcp", "not used: the profile names no central port".to_owned()));
    }
    findings
}

const fn check(way: Way) -> &'static str {
    way.word()
}

fn answer_text(answered: &Answered) -> String {
    let (to, took) = (answered.route.to, answered.took.as_millis());
    let seen = match answered.answer.seen {
        Some(seen) if seen == answered.route.from.ip() => format!("it sees this machine as {seen}"),
        Some(seen) => format!("it sees this machine as {seen}, behind an address translation"),
        None => "it does not say how it sees this machine".to_owned(),
    };
    format!("{to} answers in {took} ms; {seen}")
}

fn no_answer(probe: &Probe, failure: &Failure, probes: &Probes, facts: &Facts) -> Finding {
    let check = check(probe.way);
    let Failure::Unreachable(tries) = failure else { return Finding::failure(check, failure, facts) };
    let (host, family) = (&facts.host, probe.family);
    let Some((address, why)) = tries.first() else { return Finding::failure(check, failure, facts) };
    let what = match why {
        NoAnswer::Unanswered { tries } => format!("{family}: {address} is silent after {tries} packets"),
        NoAnswer::Shut => format!("{family}: {address} is shut; a gate stays silent instead"),
        NoAnswer::NotTheGate => format!("{family}: what {address} answers is not from the gate"),
        NoAnswer::Silence => format!("{family}: {address} accepts the connection and stays silent"),
        NoAnswer::Cut => format!("{family}: {address} closes the connection without an answer"),
        NoAnswer::Connect(error) | NoAnswer::Unsent(error) => {
            format!("{family}: {address}: {}", crate::private_file::plain(error))
        }
        NoAnswer::NewerGate | NoAnswer::Keys => return Finding::failure(check, failure, facts),
    };
    if probes.by(probe.way).any(|other| other.result.is_ok()) {
        let remedy = format!("use the other address family, or ask the administrator of {host} for this one");
        return Finding::cannot_tell(check, what, remedy);
    }
    let remedy = match (probe.way, probes.best()) {
        (Way::Packet, Some(_)) => format!(
            "the gate answers over TCP, so UDP is blocked on the way or its packet knocks are off: try another network, knock \
             with --via tcp, or ask the administrator of {host}"
        ),
        (Way::Tcp, Some(_)) => {
            "the gate answers to packets, so TCP is blocked on the way or its central port is off; only \
                                knocks by sequence need it"
                .to_owned()
        }
        (Way::Packet | Way::Tcp, None) => {
            format!(
                "see below; try another network, then ask the administrator of {host} whether the gate is up"
            )
        }
    };
    Finding::problem(check, what, remedy)
}

/// Silence tells nothing to strangers, and no more to a client whose key is wrong.
pub(super) fn key_unknown(probes: &Probes, facts: &Facts) -> Finding {
    let (host, profile) = (&facts.host, &facts.profile);
    let connected = probes.by(Way::Tcp).any(|probe| match &probe.result {
        Err(Failure::Unreachable(tries)) => {
            tries.iter().any(|(_, why)| matches!(why, NoAnswer::Silence | NoAnswer::Cut))
        }
        Ok(_) | Err(_) => false,
    });
    let text = if connected {
        "something listens at the central port and says nothing: either the gate does not know this client, or it is another \
         machine"
    } else {
        "nothing answers: a gate that does not know this client looks like one that is down or that is blocked on the way"
    };
    Finding::cannot_tell(
        "key",
        text.to_owned(),
        format!(
            "ask the administrator of {host}: `knockgated client list` must name this client, and its door key must be that of \
             the gate; else take a new profile with `knockgate enroll FILE --name {profile} --force`"
        ),
    )
}

/// Whether the gate's clock and this one agree.
pub(super) fn clock(answered: &Answered, facts: &Facts) -> Finding {
    let host = &facts.host;
    if answered.answer.refusal() == Some(Refusal::Stale) {
        return Finding::problem(
            "clock",
            "the gate finds this machine's messages too old (max-age)".to_owned(),
            "set this machine's clock".to_owned(),
        );
    }
    if answered.answer.time == 0 {
        return Finding::ok("clock", "the gate has none, and counters need none".to_owned());
    }
    let sent_back = unix_now().saturating_sub(answered.at.elapsed() + answered.took / 2);
    let gate = Duration::from_micros(answered.answer.time);
    let (difference, direction) = match sent_back.checked_sub(gate) {
        Some(ahead) => (ahead, "ahead of"),
        None => (gate.saturating_sub(sent_back), "behind"),
    };
    if difference <= CLOCK_LIMIT {
        return Finding::ok("clock", format!("agrees with the gate's to {}", lasting(difference)));
    }
    Finding::problem(
        "clock",
        format!("this machine's clock is {} {direction} the gate's", lasting(difference)),
        format!(
            "set this machine's clock, or have the administrator of {host} set the gate's; counters do not need it, but codes of \
             the second factor and a gate with max-age do"
        ),
    )
}

/// Whether the gate knows the client, and lets it in.
pub(super) fn key(answered: &Answered, facts: &Facts) -> Finding {
    let answer = &answered.answer;
    let host = &facts.host;
    let known = "the gate knows this client".to_owned();
    let Verdict::Refused(code) = answer.verdict else { return Finding::ok("key", known) };
    match Refusal::from_code(code) {
        Some(Refusal::LockedOut) => Finding::problem(
            "key",
            format!(
                "the gate knows this client, but has locked out it or its address for {}",
                lasting(Duration::from_millis(answer.retry_ms.into()))
            ),
            "wait until that is over".to_owned(),
        ),
        Some(Refusal::Expired) => Finding::problem(
            "key",
            "the gate knows this client, but its enrolment has ended".to_owned(),
            format!("ask the administrator of {host} to prolong it"),
        ),
        // The gate tells what became of the last knock.
        Some(_) | None => Finding::ok("key", known),
    }
}

/// How many numbers are left to be knocked.
pub(super) fn book(answered: &Answered, session: &Session<'_>) -> Finding {
    let (profile, left) = (&session.kept.profile, answered.answer.book_left);
    let text = format!("{} left in the knock book", knocks(left));
    if !profile.book.shape().is_low(left) {
        return Finding::ok("book", text);
    }
    if profile.packet_ports.is_some() {
        return Finding::ok("book", format!("{text}; packet knocks need none"));
    }
    let host = &session.facts.host;
    Finding::problem("book", text, format!("ask the administrator of {host} for a new profile"))
}

/// Whether the service is open, and whether it answers although it is not.
pub(super) fn service(answered: &Answered, service: &ProfileService, facts: &Facts) -> Finding {
    let ProfileService { name, port, protocol, .. } = service;
    let is_open = answered.answer.open.iter().any(|open| open.service == service.id);
    match protocol {
        Protocol::Tcp => {}
        Protocol::Udp if is_open => return Finding::ok("service", format!("{name} is open now")),
        Protocol::Udp => {
            let text =
                format!("{name} is not open now; whether UDP port {port} answers cannot be seen from here");
            return Finding::ok("service", text);
        }
    }
    let Some(to) = opening::place(service, answered.route.to) else {
        let flag = if answered.route.to.is_ipv4() { "-6" } else { "-4" };
        let text = format!("{name} has no address of the family that the gate has answered in");
        return Finding::cannot_tell("service", text, format!("look again with {flag}"));
    };
    let answers = dial::connect(to, Some(answered.route.from), PORT_WAIT).is_ok();
    let host = &facts.host;
    match (is_open, answers) {
        (true, true) => Finding::ok("service", format!("{name} is open now, and {to} answers")),
        (false, false) => Finding::ok(
            "service",
            format!("{name} is not open now, and {to} does not answer, as it should be"),
        ),
        (true, false) => Finding::problem(
            "service",
            format!("{name} is open now, but {to} does not answer"),
            format!("ask the administrator of {host} whether {name} is running"),
        ),
        (false, true) => Finding::problem(
            "service",
            format!("{to} answers although {name} is not open to this client"),
            format!(
                "ask the administrator of {host}: either the gate does not guard that port, or another grant or rule lets this \
                 address in"
            ),
        ),
    }
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
