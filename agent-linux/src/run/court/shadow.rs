//! Policies that decide beside the live ones, and of which only the differences are told.
//!
//! A shadow is asked once the gate has acted, on a thread of its own, as if it stood in front of the live chain: what it abstains from is decided as
//! it was, so it makes no difference. It keeps its numbers in memory, and nothing that it wants happens.

use std::sync::Arc;

use knockgate_policy_host::Answer;

use crate::audit::{Audit, AuditRecord, Heard};

use super::case::Outcome;
use super::seat::Seat;

/// What was asked, and what came of it.
pub(super) struct Decided {
    pub(super) heard: Arc<Heard>,
    pub(super) live: Outcome,
}

/// Works off what a shadow is told, until its docket is closed.
pub(super) fn watch(seat: &Seat<Arc<Decided>>, audit: &Audit) {
    let _docket = seat.docket.close_in_the_end();
    while let Some((decided, _turn)) = seat.docket.take() {
        compare(seat, &decided, audit);
    }
}

fn compare(seat: &Seat<Arc<Decided>>, decided: &Decided, audit: &Audit) {
    let event = &decided.heard.event;
    let Some(opinion) = seat.chair.ask(event) else { return };
    let shadow = Outcome::of_one(&opinion);
    if !differs(&shadow, &decided.live) {
        return;
    }
    let (policy, live) = (seat.chair.name(), &decided.live);
    let client = event.client.as_ref().map_or("nobody", |client| client.name.as_str());
    tracing::info!(
        %policy, %client, cause = event.cause.name(), said = shadow.answer.word(), live = live.answer.word(),
        "the shadow decides otherwise"
    );
    audit.write(AuditRecord::shadow_difference(event, &opinion, live.answer.word(), &live.actions));
}

fn differs(shadow: &Outcome, live: &Outcome) -> bool {
    shadow.answer != Answer::Abstain && shadow != live
}

#[cfg(test)]
mod tests {
    use knockgate_policy_host::Action;

    use super::*;

    #[test]
    fn what_a_shadow_abstains_from_makes_no_difference_and_everything_else_may() {
        let open = |seconds| vec![Action::Open { service: 1, seconds }];
        let outcome = |answer, actions: &[Action]| Outcome { answer, actions: actions.to_vec() };
        #[rustfmt::skip]
        let cases = [
            (1, outcome(Answer::Commit, &open(60)), outcome(Answer::Commit, &open(60)), false),
            (2, outcome(Answer::Commit, &open(60)), outcome(Answer::Commit, &open(30)), true),
            (3, outcome(Answer::Deny, &[]), outcome(Answer::Commit, &open(60)), true),
            (4, outcome(Answer::Deny, &[]), outcome(Answer::Deny, &[]), false),
            (5, outcome(Answer::Abstain, &[]), outcome(Answer::Commit, &open(60)), false),
            (6, outcome(Answer::Abstain, &[]), outcome(Answer::Deny, &[]), false),
            (7, outcome(Answer::Failed, &[]), outcome(Answer::Deny, &[]), true),
            (8, outcome(Answer::Commit, &[]), outcome(Answer::Deny, &[]), true),
        ];
        for (case, shadow, live, expected) in cases {
            assert_eq!(differs(&shadow, &live), expected, "case {case}");
        }
    }
}
