//! What an answer means: effects for the gate, errands for the host.

use knockgate_core::limits::MAX_EFFECTS;
use knockgate_core::{Decision, Effect, GrantId, Verdict};
use knockgate_policy_host::Action;

use super::case::{Answer, Outcome};

/// Something that is done beside the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) enum Errand {
    /// Start a unit of the service manager.
    Start { unit: u16 },
    /// Send a code to a channel.
    Notify { channel: u16, code: u32 },
}

/// What the gate shall do about a knock.
pub(in crate::run) fn decision(outcome: &Outcome) -> Decision {
    let verdict = match outcome.answer {
        Answer::Commit => Verdict::Commit,
        Answer::Deny | Answer::Abstain => Verdict::Deny,
        Answer::Failed => Verdict::Failed,
    };
    Decision { verdict, effects: effects(&outcome.actions).take(MAX_EFFECTS).collect() }
}

/// What the gate shall do about an event: several policies together may want more than one may.
pub(in crate::run) fn reaction(outcome: &Outcome) -> Vec<Effect> {
    effects(&outcome.actions).collect()
}

/// What shall be done beside the gate.
pub(in crate::run) fn errands(actions: &[Action]) -> impl Iterator<Item = Errand> {
    actions.iter().filter_map(|action| match *action {
        Action::Start { unit } => Some(Errand::Start { unit }),
        Action::Notify { channel, code } => Some(Errand::Notify { channel, code }),
        Action::Open { .. }
        | Action::OpenPrefix { .. }
        | Action::Extend { .. }
        | Action::Revoke { .. }
        | Action::Lockout { .. } => None,
    })
}

fn effects(actions: &[Action]) -> impl Iterator<Item = Effect> {
    actions.iter().filter_map(effect)
}

fn effect(action: &Action) -> Option<Effect> {
    match *action {
        Action::Open { service, seconds } => Some(Effect::Open { service, seconds }),
        Action::Extend { grant, seconds } => grant_id(grant).map(|grant| Effect::Extend { grant, seconds }),
        Action::Revoke { grant } => grant_id(grant).map(|grant| Effect::Revoke { grant }),
        Action::Lockout { seconds } => Some(Effect::Lockout { seconds }),
        Action::OpenPrefix { service, bits, seconds } => Some(Effect::OpenPrefix { service, bits, seconds }),
        Action::Start { .. } | Action::Notify { .. } => None,
    }
}

fn grant_id(number: u64) -> Option<GrantId> {
    u32::try_from(number).ok().map(GrantId)
}
