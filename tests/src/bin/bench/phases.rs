//! Where the time of a knock goes: the wire's times and those of the agent's audit log on one line.

use anyhow::{Context, Result};
use knockgate_tests::gates::CENTRAL;
use serde_json::Value;

use crate::agent_log::Record;
use crate::segment::Moment;
use crate::wire::Seen;

/// What happens from the packet to the open port, one after the other, without a gap; then parts of it.
pub(crate) const PACKET: [&str; 4] = [
    "packet heard, unsealed, opened by the gate",
    "policy",
    "firewall, next probe, SYN-ACK",
    "*of these, the policy's own decision*",
];

/// The same for a sequence knock.
pub(crate) const SEQUENCE: [&str; 10] = [
    "connection to the central port, question sealed by the client",
    "question opened by the gate",
    "number stored if it was not before, decoys shown",
    "answer sealed by the gate",
    "answer opened by the client",
    "six connections, one after the other",
    "policy",
    "firewall, next probe, SYN-ACK",
    "*of these, the policy's own decision*",
    "*of these, until the gate knows from the kernel that it is open*",
];

/// Milliseconds of the phases of [`PACKET`].
pub(crate) fn of_packet(begun: Moment, seen: &Seen, records: &[Record]) -> Result<Vec<f64>> {
    let decision = recorded(records, "decision")?;
    let mut phases = between(&[begun, recorded(records, "packet-knock")?.at, decision.at, seen.open]);
    // That the grant was opened is written down when the answer has been sealed, so its time says nothing about the firewall.
    phases.push(own_time(decision));
    Ok(phases)
}

/// Milliseconds of the phases of [`SEQUENCE`].
pub(crate) fn of_sequence(begun: Moment, seen: &Seen, records: &[Record], service: u16) -> Result<Vec<f64>> {
    let asked = seen.first("the question", |s| s.has_payload && s.to.port() == CENTRAL)?;
    let answered = seen.first("the answer", |s| s.has_payload && s.from.port() == CENTRAL)?;
    let knocking = seen.first("the first port of the sequence", |s| {
        s.is_attempt() && ![CENTRAL, service].contains(&s.to.port())
    })?;
    let decision = recorded(records, "decision")?;
    let line = [
        begun,
        asked,
        recorded(records, "central-connection")?.at,
        recorded(records, "offered")?.at,
        answered,
        knocking,
        recorded(records, "knock")?.at,
        decision.at,
        seen.open,
    ];
    let mut phases = between(&line);
    phases.extend([own_time(decision), recorded(records, "grant-opened")?.at.since(decision.at)]);
    Ok(phases)
}

fn recorded<'r>(records: &'r [Record], event: &str) -> Result<&'r Record> {
    let found = records.iter().find(|record| record.event == event);
    found.with_context(|| format!("no {event:?} in the audit log"))
}

fn between(line: &[Moment]) -> Vec<f64> {
    line.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

/// What the decision itself took.
fn own_time(decision: &Record) -> f64 {
    let elapsed = decision.json.get("elapsed-us").and_then(Value::as_f64);
    elapsed.map_or(f64::NAN, |micros| micros / 1_000.0)
}
