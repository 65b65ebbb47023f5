//! Both address families in one go: a gate opens to the address that it has seen, and a program may take the other family.
//!
//! The resolver's first family comes first; the other one is not allowed to cost much once the first has succeeded. A family
//! without a route is left out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knockgate_core::Refusal;

use crate::dial;
use crate::outcome::Failure;
use crate::session::{Pace, Session};

/// What the other family may cost once one has succeeded: two tries on a good path.
const SECOND_WAIT: Duration = Duration::from_millis(1500);

/// When it is the turn of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing has succeeded yet.
    First,
    AfterSuccess,
}

/// Does `act` with the session turned to one family after the other. `act` may decline a turn with `None`. It is enough that
/// one succeeds; about another one that fails there is a notice.
pub(crate) fn at_each<T>(
    session: &mut Session<'_>,
    mut act: impl FnMut(&mut Session<'_>, Turn) -> Result<Option<T>, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut families = split(session.addresses()?);
    if families.len() > 1 && families.iter().any(|family| has_route(family)) {
        families.retain(|family| has_route(family));
    }
    let [first, second] = families.as_slice() else {
        return Ok(act(session, Turn::First)?.into_iter().collect());
    };

    session.turn_to(first.clone());
    session.pace = Pace::Hurried;
    let result = act(session, Turn::First);
    session.pace = Pace::Usual;
    match result {
        Ok(done) => {
            let other = after_success(session, second, act);
            Ok(done.into_iter().chain(other).collect())
        }
        Err(failure) if may_differ(&failure) => {
            session.turn_to(second.clone());
            match act(session, Turn::First) {
                Ok(done) => {
                    tell(session, first, &failure);
                    Ok(done.into_iter().collect())
                }
                Err(other) => Err(both(failure, other)),
            }
        }
        Err(failure) => Err(failure),
    }
}

fn after_success<T>(
    session: &mut Session<'_>,
    family: &[SocketAddr],
    mut act: impl FnMut(&mut Session<'_>, Turn) -> Result<Option<T>, Failure>,
) -> Option<T> {
    let (deadline, facts) = (session.deadline, session.facts.clone());
    session.deadline = deadline.min(Instant::now() + SECOND_WAIT);
    session.turn_to(family.to_vec());
    let result = act(session, Turn::AfterSuccess);
    session.deadline = deadline;
    if let Err(failure) = &result {
        tell(session, family, failure);
    }
    // What is told of the attempt is told of the family that came first.
    *session.facts = facts;
    result.ok().flatten()
}

/// A gate may say one thing to one address and another thing to another one; what is the client's own fault stays so.
fn may_differ(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) => true,
        Failure::Refused { refusal, .. } => matches!(refusal, Refusal::Denied | Refusal::NoGrant),
        _ => false,
    }
}

/// The one that says more.
fn both(first: Failure, second: Failure) -> Failure {
    match (first, second) {
        (Failure::Unreachable(mut tries), Failure::Unreachable(more)) => {
            tries.extend(more);
            Failure::Unreachable(tries)
        }
        (Failure::Unreachable(_), second) => second,
        (first, _) => first,
    }
}

fn tell(session: &Session<'_>, family: &[SocketAddr], failure: &Failure) {
    let word = if family.iter().all(SocketAddr::is_ipv4) { "IPv4" } else { "IPv6" };
    session.voice.notice(&format!("not over {word}: {}", failure.sentence(session.facts)));
}

fn split(addresses: Vec<SocketAddr>) -> Vec<Vec<SocketAddr>> {
    let is_like = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == is_like);
    [first, second].into_iter().filter(|family| !family.is_empty()).collect()
}

fn has_route(family: &[SocketAddr]) -> bool {
    family.iter().any(|&address| dial::route(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolvers_first_family_comes_first() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a4, b4, a6, b6) = (at("192.0.2.1:0"), at("192.0.2.2:0"), at("[::1]:0"), at("[::2]:0"));
        assert_eq!(split(vec![a6, a4, b6, b4]), [vec![a6, b6], vec![a4, b4]]);
        assert_eq!(split(vec![a4, a6]), [vec![a4], vec![a6]]);
        assert_eq!(split(vec![a4]), [vec![a4]]);
    }
}
