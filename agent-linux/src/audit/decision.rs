//! What policies have said, complete enough to ask them again. It is handed over as it is; the log's own thread makes text of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use knockgate_policy_host::{Action, Cause, Decision, Event, record};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::AuditRecord;

/// What one policy has said.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    pub policy: Arc<str>,
    /// The event's cause as it was asked about it: a policy that makes no difference between keeping and opening judges the
    /// one as the other.
    pub cause: Cause,
    pub said: Decision,
    pub took: Duration,
}

impl Opinion {
    /// The event as this policy was told of it.
    #[must_use]
    pub fn event(&self, event: &Event) -> Event {
        Event { cause: self.cause, ..event.clone() }
    }
}

/// A question, and what was said to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub event: Event,
    pub waits: Waits,
    /// In the order in which they were asked.
    pub opinions: Vec<Opinion>,
}

/// Whether a client waits for what is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    Somebody,
    Nobody,
}

/// What one policy was asked and what it said, and those that were asked before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    heard: Arc<Heard>,
    /// Which of the opinions.
    at: usize,
}

impl Heard {
    /// A record for every policy that was asked, in that order.
    pub fn records(self: &Arc<Self>) -> impl Iterator<Item = AuditRecord> {
        let record = |at| AuditRecord::Decision(Decided { heard: Arc::clone(self), at });
        (0..self.opinions.len()).map(record)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Written<'a> {
    client: Option<&'a str>,
    source: Option<IpAddr>,
    service: Option<&'a str>,
    policy: &'a str,
    /// Who was asked so far, this one last, each with its verdict.
    chain: Vec<Value>,
    /// Verdict, actions, refused acts, fuel, failure, and the numbers kept that were read.
    #[serde(flatten)]
    said: Map<String, Value>,
    elapsed_us: u64,
    attributes: Map<String, Value>,
}

impl Serialize for Decided {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Heard { event, waits, opinions } = &*self.heard;
        let so_far = opinions.get(..=self.at).unwrap_or_default();
        let Some((opinion, _)) = so_far.split_last() else { return serializer.serialize_unit() };
        let chain = match waits {
            Waits::Somebody => so_far,
            // About an event everybody is asked, and nobody for another.
            Waits::Nobody => std::slice::from_ref(opinion),
        };
        let written = Written {
            client: event.client.as_ref().map(|client| client.name.as_str()),
            source: event.source.map(|source| source.address),
            service: event.request.as_ref().map(|request| request.name.as_str()),
            policy: &opinion.policy,
            chain: chain.iter().map(link).collect(),
            said: record::decision_to_json(&opinion.said),
            elapsed_us: micros(opinion.took),
            attributes: record::event_to_json(&opinion.event(event)),
        };
        written.serialize(serializer)
    }
}

fn link(opinion: &Opinion) -> Value {
    json!({ "policy": &*opinion.policy, "verdict": opinion.said.answer().word() })
}

impl AuditRecord {
    /// A shadow would have decided about this event otherwise than the live policies, whose verdict and actions these are.
    #[must_use]
    pub fn shadow_difference(event: &Event, opinion: &Opinion, verdict: &str, actions: &[Action]) -> Self {
        Self::ShadowDifference {
            client: event.client.as_ref().map(|client| client.name.to_string()),
            source: event.source.map(|source| source.address),
            service: event.request.as_ref().map(|request| request.name.to_string()),
            policy: opinion.policy.to_string(),
            said: record::decision_to_json(&opinion.said),
            live: json!({ "verdict": verdict, "actions": record::actions_to_json(actions) }),
            elapsed_us: micros(opinion.took),
            attributes: record::event_to_json(&opinion.event(event)),
        }
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
