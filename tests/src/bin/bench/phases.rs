//! Where the time of a knock goes: the wire's times and those of the agent's audit log on one line.

use anyhow::{Context, Result};
use knockgate_tests::gates::CENTRAL;
use serde_json::Value;

use crate::agent_log::Record;
use crate::wire::{Moment, Seen};

/// What happens from the first packet to the open port, one after the other, without a gap.
pub(crate) const PHASES: [&str; 8] = [
    "connection to the central port, question sealed by the client",
    "question opened by the gate",
    "number and counter synced to the gate's disk, decoys shown",
    "answer sealed by the gate",
    "answer opened by the client, number synced to the client's disk",
    "six connections, one after the other",
    "policy",
    "firewall, next probe, SYN-ACK",
];

/// Milliseconds of each phase.
pub(crate) struct Phases {
    pub(crate) each: [f64; 8],
    /// Of the policy's phase, what the decision itself took; the rest is on the way to its thread and back.
    pub(crate) decision: f64,
    /// Of the last phase, what the gate took until it knew from the kernel that the service was open.
    pub(crate) firewall: f64,
}

impl Phases {
    pub(crate) fn of(begun: Moment, seen: &Seen, records: &[Record], service: u16) -> Result<Self> {
        let asked = seen.first("the question", |s| s.has_payload && s.to.port() == CENTRAL)?;
        let answered = seen.first("the answer", |s| s.has_payload && s.from.port() == CENTRAL)?;
        let knocking = seen.first("the first port of the sequence", |s| {
            s.is_attempt() && ![CENTRAL, service].contains(&s.to.port())
        })?;
        let recorded = |event: &str| {
            let found = records.iter().find(|record| record.event == event);
            found.with_context(|| format!("no {event:?} in the audit log"))
        };
        let decision = recorded("decision")?;
        let line = [
            begun,
            asked,
            recorded("central-connection")?.at,
            recorded("offered")?.at,
            answered,
            knocking,
            recorded("knock")?.at,
            decision.at,
            seen.open,
        ];
        let elapsed = decision.json.get("elapsed-us").and_then(Value::as_f64);
        Ok(Self {
            each: std::array::from_fn(|phase| line[phase + 1].since(line[phase])),
            decision: elapsed.context("a decision without its time")? / 1_000.0,
            firewall: recorded("grant-opened")?.at.since(decision.at),
        })
    }
}
