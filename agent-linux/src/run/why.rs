//! What has become of a knock: which of the things that it has to get past it got past, and what to do about the one that it did not.

mod checks;
mod remedies;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use knockgate_core::message::Kind;
use knockgate_core::{ClientId, Way};

use crate::audit::Names;
use crate::control::{Attempt, Memory, Passed, Step, Why};

use super::driver::Driver;
use super::trails::{self, End, Ignored, Seal, Silenced, Wish};

use checks::{Check, check_of, checks};
use remedies::{CONFIRM, OVER_BUDGET, UNHEARD, remedy_of};

/// Attempts that are told.
const MOST: usize = 8;

/// Who is asked about.
enum Whom {
    Address(IpAddr),
    Client(ClientId),
}

/// What is remembered of somebody.
enum Known<'a> {
    Tried(ClientId, &'a trails::Attempt),
    Silenced(&'a Silenced),
}

impl Known<'_> {
    fn at(&self) -> Option<SystemTime> {
        match self {
            Self::Tried(_, attempt) => Some(attempt.at),
            Self::Silenced(one) => time_of(one),
        }
    }
}

impl Driver {
    /// What has become of somebody's last knocks; none if nobody is called so.
    pub(super) fn why(&self, whom: &str) -> Option<Why> {
        let who = match whom.parse::<IpAddr>() {
            Ok(address) => Whom::Address(address.to_canonical()),
            Err(_) => Whom::Client(self.client_named(whom)?),
        };
        let mut known: Vec<Known<'_>> = match who {
            Whom::Address(address) => {
                let all = self.trails.at_address(address);
                all.map(|(client, attempt)| Known::Tried(client, attempt)).collect()
            }
            Whom::Client(client) => {
                self.trails.of_client(client).map(|attempt| Known::Tried(client, attempt)).collect()
            }
        };
        let silenced = self.trails.silenced(|one| match who {
            Whom::Address(address) => one.source == address,
            Whom::Client(client) => one.client == Some(client),
        });
        known.extend(silenced.iter().map(Known::Silenced));
        known.sort_by_key(|one| std::cmp::Reverse(one.at()));
        // Thousands of clients may be behind one address, and the gate's thread does this.
        known.truncate(MOST);
        let tell = |one: &Known<'_>| match one {
            Known::Tried(client, attempt) => self.told(*client, attempt),
            Known::Silenced(one) => self.told_of_silence(one),
        };
        let mut attempts: Vec<_> = known.iter().map(tell).collect();
        if attempts.is_empty() {
            attempts.push(unheard(whom));
        }
        let memory = Memory { places: trails::PLACES, washed_out: self.trails.washed_out() };
        Some(Why { whom: whom.to_owned(), attempts, memory })
    }

    fn told(&self, client: ClientId, attempt: &trails::Attempt) -> Attempt {
        let (outcome, stop) = outcome(attempt);
        let (reason, remedy) = match attempt.end {
            End::Refused(refusal) => (Some(refusal.word().to_owned()), Some(remedy_of(refusal))),
            End::Pending if outcome == "confirm" => (None, Some(CONFIRM)),
            End::Pending | End::Offered(_) | End::Complete | End::Opened { .. } => (None, None),
        };
        let names = self.scribe(attempt.at);
        let mut reached = true;
        let steps = checks(attempt.wish).into_iter().map(|check| {
            let passed = match stop {
                Some((at, how)) if at == check => {
                    reached = false;
                    how
                }
                // Whoever is refused is told so.
                _ if check == Check::Answer => answered(attempt),
                _ if reached => Passed::Yes,
                _ => Passed::NotReached,
            };
            step(check, passed, self.detail(check, passed, client, attempt))
        });
        Attempt {
            steps: steps.collect(),
            at: Some(rfc3339(attempt.at)),
            source: attempt.source.to_string(),
            client: names.client(client),
            service: attempt.service.map(|id| names.service(id).unwrap_or_else(|| format!("#{id}"))),
            asked: asked(attempt.wish).to_owned(),
            outcome: outcome.to_owned(),
            reason,
            times: 1,
            remedy: remedy.map(str::to_owned),
        }
    }

    /// What is particular about a step of this attempt.
    fn detail(
        &self,
        check: Check,
        passed: Passed,
        client: ClientId,
        attempt: &trails::Attempt,
    ) -> Option<String> {
        let arrival = attempt.arrival?;
        match (check, passed) {
            (Check::Heard, _) => Some(format!("{} from {}", way(arrival.way), attempt.source)),
            (Check::Seal, _) => Some(seal(arrival.seal).to_owned()),
            (Check::Client, Passed::Yes) => {
                Some(format!("it is {}", self.scribe(attempt.at).client(client)?))
            }
            (Check::Policy, Passed::Yes | Passed::No) if !attempt.said.is_empty() => {
                Some(said(&attempt.said))
            }
            (Check::Firewall, Passed::Yes) => match attempt.end {
                End::Opened { grant, seconds } => Some(format!("opened as grant {grant} for {seconds} s")),
                End::Pending | End::Offered(_) | End::Complete | End::Refused(_) => None,
            },
            _ => None,
        }
    }

    fn told_of_silence(&self, one: &Silenced) -> Attempt {
        let (stop, reason, remedy) = match one.why {
            Ignored::OverBudget => (Check::Budget, "over-budget", OVER_BUDGET),
            Ignored::Refused(refusal) => (check_of(refusal), refusal.word(), remedy_of(refusal)),
        };
        let mut reached = true;
        let steps = checks(Wish::Unknown).into_iter().map(|check| {
            let passed = match check == stop {
                true => {
                    reached = false;
                    Passed::No
                }
                false if reached => Passed::Yes,
                false => Passed::NotReached,
            };
            let what = (check == Check::Answer)
                .then(|| "none: strangers and copies are met with silence".to_owned());
            step(check, if check == Check::Answer { Passed::No } else { passed }, what)
        });
        Attempt {
            steps: steps.collect(),
            at: time_of(one).map(rfc3339),
            source: one.source.to_string(),
            client: one.client.and_then(|client| self.scribe(SystemTime::now()).client(client)),
            service: None,
            asked: asked(Wish::Unknown).to_owned(),
            outcome: "silence".to_owned(),
            reason: Some(reason.to_owned()),
            times: one.times,
            remedy: Some(remedy.to_owned()),
        }
    }
}

fn asked(wish: Wish) -> &'static str {
    match wish {
        Wish::Unknown => "unknown",
        Wish::Packet(kind) => kind.word(),
        Wish::Sequence => "sequence",
        Wish::Static => "static-sequence",
    }
}

/// What has become of it, in a word.
pub(super) fn outcome_of(attempt: &trails::Attempt) -> &'static str {
    outcome(attempt).0
}

/// What has become of it, and where it stopped or waits if it did not come through.
fn outcome(attempt: &trails::Attempt) -> (&'static str, Option<(Check, Passed)>) {
    let has_agreed = !attempt.said.is_empty();
    match attempt.end {
        End::Refused(refusal) => {
            let check = check_of(refusal);
            let is_there = checks(attempt.wish).contains(&check);
            ("refused", Some((if is_there { check } else { Check::Request }, Passed::No)))
        }
        End::Opened { .. } => ("opened", None),
        End::Offered(_) => ("number", Some((Check::Sequence, Passed::Waits))),
        End::Pending if attempt.wish == Wish::Packet(Kind::Close) => ("closed", None),
        End::Pending if attempt.wish == Wish::Unknown => ("pending", None),
        End::Pending if attempt.is_answered && !has_agreed => {
            ("confirm", Some((Check::Confirmation, Passed::Waits)))
        }
        // Whoever is refused leaves a note; so this one has got what he asked for, without a new grant.
        End::Pending if has_agreed && attempt.is_answered => ("opened", None),
        End::Pending | End::Complete if has_agreed => ("pending", Some((Check::Firewall, Passed::Waits))),
        End::Pending | End::Complete => ("pending", Some((Check::Policy, Passed::Waits))),
    }
}

fn answered(attempt: &trails::Attempt) -> Passed {
    if attempt.is_answered { Passed::Yes } else { Passed::Waits }
}

fn step(check: Check, passed: Passed, detail: Option<String>) -> Step {
    let what = detail.unwrap_or_else(|| match passed {
        Passed::Yes => check.passed().to_owned(),
        Passed::No => format!("not so that {}", check.passed()),
        Passed::Waits => "it waits for this, or nothing is known of it".to_owned(),
        Passed::NotReached => "it did not come so far".to_owned(),
    });
    Step { step: check.word().to_owned(), passed, what }
}

fn unheard(whom: &str) -> Attempt {
    Attempt {
        at: None,
        source: whom.to_owned(),
        client: None,
        service: None,
        asked: asked(Wish::Unknown).to_owned(),
        outcome: "unheard".to_owned(),
        reason: None,
        times: 0,
        steps: vec![step(
            Check::Heard,
            Passed::No,
            Some("nothing is remembered that came from there".to_owned()),
        )],
        remedy: Some(UNHEARD.to_owned()),
    }
}

fn way(way: Way) -> &'static str {
    match way {
        Way::Connection => "over a connection",
        Way::Datagram => "a datagram",
    }
}

fn seal(seal: Seal) -> &'static str {
    match seal {
        Seal::InForce => "sealed under the door key in force",
        Seal::Former => "sealed under the door key before; the answer brings the one in force",
    }
}

/// Every policy that was asked, with its verdict and why it failed.
fn said(all: &[trails::Said]) -> String {
    let one = |said: &trails::Said| match &said.failure {
        Some(failure) => format!("{}: {} ({failure})", said.policy, said.verdict),
        None => format!("{}: {}", said.policy, said.verdict),
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn time_of(one: &Silenced) -> Option<SystemTime> {
    one.last.map(|unix| SystemTime::UNIX_EPOCH + Duration::from_micros(unix.as_micros()))
}

pub(super) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
