//! What policies have said, complete enough to ask them again.

use std::time::Duration;

use knockgate_policy_host::{Action, Decision, Event, record};
use serde_json::{Value, json};

use super::AuditRecord;

/// One policy's answer.
pub struct Answered<'a> {
    pub policy: &'a str,
    /// The event as this policy was told of it.
    pub event: &'a Event,
    pub said: &'a Decision,
    pub took: Duration,
}

impl AuditRecord {
    /// What a policy was asked and what it said. `chain` has those that were asked so far, this one last, and what they said.
    pub fn decision<'a>(
        answered: &Answered<'_>,
        chain: impl IntoIterator<Item = (&'a str, &'a Decision)>,
    ) -> Self {
        let said =
            |(policy, said): (&str, &Decision)| json!({ "policy": policy, "verdict": said.answer().word() });
        let &Answered { policy, event, .. } = answered;
        Self::Decision {
            client: client(event),
            source: event.source.map(|source| source.address),
            service: service(event),
            policy: policy.to_owned(),
            chain: chain.into_iter().map(said).collect(),
            said: record::decision_to_json(answered.said),
            elapsed_us: micros(answered.took),
            attributes: record::event_to_json(event),
        }
    }

    /// A shadow would have decided otherwise than the live policies, whose verdict and actions these are.
    pub fn shadow_difference(answered: &Answered<'_>, verdict: &str, actions: &[Action]) -> Self {
        let &Answered { policy, event, .. } = answered;
        Self::ShadowDifference {
            client: client(event),
            source: event.source.map(|source| source.address),
            service: service(event),
            policy: policy.to_owned(),
            said: record::decision_to_json(answered.said),
            live: live(verdict, actions),
            elapsed_us: micros(answered.took),
            attributes: record::event_to_json(event),
        }
    }
}

fn live(verdict: &str, actions: &[Action]) -> Value {
    json!({ "verdict": verdict, "actions": record::actions_to_json(actions) })
}

fn client(event: &Event) -> Option<String> {
    event.client.as_ref().map(|client| client.name.to_string())
}

fn service(event: &Event) -> Option<String> {
    event.request.as_ref().map(|request| request.name.to_string())
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
