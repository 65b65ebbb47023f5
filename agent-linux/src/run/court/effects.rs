//! What an answer means: effects for the gate, errands for the host.

use knockgate_core::{Decision, Effect};
use knockgate_policy_host::{Action, gate};

use crate::audit::Heard;

use super::case::{Outcome, verdict};

/// Something that is done beside the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) enum Errand {
    /// Start a unit of the service manager.
    Start { unit: u16 },
    /// Send a code to a channel.
    Notify { channel: u16, code: u32 },
}

/// What the gate shall do about a knock.
pub(in crate::run) fn decision(heard: &Heard) -> Decision {
    let (answer, actions) = verdict(heard);
    gate::decision(answer, actions)
}

/// What the gate shall do about an event: several policies together may want more than one may.
pub(in crate::run) fn reaction(outcome: &Outcome) -> Vec<Effect> {
    gate::effects(&outcome.actions).collect()
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
