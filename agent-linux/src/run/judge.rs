//! Asks the policy, on a thread of its own: a slow decision delays no other packet.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use heapless::Vec;
use knockgate_core::limits::MAX_EFFECTS;
use knockgate_core::{self as core, Consultation, Decision, Effect, GrantId, Ticket, Verdict};
use knockgate_policy_host::{self as host, Cause, Event, HostKind, Policy, StateStore, text};

use super::input::{Input, Inputs};

/// A policy with what it needs to decide.
pub(super) struct Judge {
    pub(super) policy: Policy,
    pub(super) state: Arc<dyn StateStore>,
    /// Names of the services, which policies may read.
    pub(super) services: HashMap<u16, String>,
    /// The zone in which office hours are meant.
    pub(super) zone: jiff::tz::TimeZone,
}

/// A decision, and what the operator shall know of it.
pub(super) struct Judgement {
    pub(super) event: Event,
    pub(super) policy: String,
    pub(super) said: host::Decision,
    pub(super) took: Duration,
    /// What the gate shall do.
    pub(super) decision: Decision,
}

/// The way to the judge. Questions are answered in the order in which they are put.
pub(super) struct Bench {
    questions: Sender<Consultation>,
}

impl Bench {
    /// Puts a question; its ticket comes back if the judge is gone.
    pub(super) fn ask(&self, consultation: Consultation) -> Result<(), Ticket> {
        self.questions.send(consultation).map_err(|unsent| unsent.0.ticket)
    }
}

/// Starts the judge's thread.
pub(super) fn start(judge: Judge, inputs: Inputs) -> anyhow::Result<Bench> {
    let (questions, asked) = channel();
    std::thread::Builder::new()
        .name("policy".into())
        .spawn(move || sit(&judge, &asked, &inputs))
        .context("cannot start the thread that asks the policy")?;
    Ok(Bench { questions })
}

fn sit(judge: &Judge, questions: &Receiver<Consultation>, inputs: &Inputs) {
    while let Ok(consultation) = questions.recv() {
        let judgement = Box::new(judge.decide(&consultation));
        if inputs.blocking_send(Input::Judged { ticket: consultation.ticket, judgement }).is_err() {
            return;
        }
    }
}

impl Judge {
    fn decide(&self, asked: &Consultation) -> Judgement {
        let event = self.event(asked);
        let begun = Instant::now();
        let said = self.policy.decide(&event, &self.state);
        let took = begun.elapsed();
        Judgement { decision: effects(&said), event, policy: self.policy.name().to_owned(), said, took }
    }

    fn event(&self, asked: &Consultation) -> Event {
        let time = jiff::Timestamp::now();
        let local = time.to_zoned(self.zone.clone());
        let prefix = knockgate_core::address::SourcePrefix::of(asked.source);
        let service = self.services.get(&asked.service).map_or("", String::as_str);
        Event {
            time: u64::try_from(time.as_second()).ok(),
            local: Some(host::LocalTime {
                weekday: local.weekday().to_monday_one_offset().unsigned_abs(),
                minute: u16::from(local.hour().unsigned_abs()) * 60
                    + u16::from(local.minute().unsigned_abs()),
            }),
            client: Some(host::Client {
                id: asked.client.0,
                name: text(asked.name.as_str()),
                failures: asked.standing.failures,
                grants: asked.standing.grants.client,
                oldest_grant: asked.standing.grants.oldest.map(|grant| grant.0.into()),
                second_factor: asked.second_factor,
            }),
            source: Some(host::Source {
                address: asked.source,
                prefix: prefix.bits(),
                failures: asked.standing.source_failures,
                grants: asked.standing.grants.source,
            }),
            request: Some(host::Request {
                service: asked.service,
                name: text(service),
                seconds: asked.seconds,
                grants: asked.standing.grants.service,
                prefix: asked.prefix,
            }),
            book: asked.number.map(|number| host::Book { number, left: asked.book_left }),
            grant: asked.grant.map(|(grant, left)| host::Grant {
                id: grant.0.into(),
                left: u32::try_from(left.as_secs()).unwrap_or(u32::MAX),
            }),
            grants_open: asked.standing.grants.all,
            ..Event::new(self.cause(asked.cause), HostKind::Linux)
        }
    }

    /// A policy that makes no difference between keeping and opening judges the one as the other.
    fn cause(&self, cause: core::Cause) -> Cause {
        match cause {
            core::Cause::Sequence => Cause::Sequence,
            core::Cause::Renew if self.policy.wants(Cause::Renew) => Cause::Renew,
            core::Cause::Renew | core::Cause::Packet => Cause::Packet,
        }
    }
}

/// What the gate shall do. Whoever abstains at the end of the chain has not allowed anything.
fn effects(said: &host::Decision) -> Decision {
    let verdict = match (said.verdict, &said.failure) {
        (_, Some(_)) => Verdict::Failed,
        (host::Verdict::Commit, None) => Verdict::Commit,
        (host::Verdict::Deny | host::Verdict::Abstain, None) => Verdict::Deny,
    };
    let effects: Vec<_, MAX_EFFECTS> = said.actions.iter().filter_map(effect).take(MAX_EFFECTS).collect();
    Decision { verdict, effects }
}

/// `None` for what this host does not support; a policy that tries it was answered so, and nothing was queued.
fn effect(action: &host::Action) -> Option<Effect> {
    match *action {
        host::Action::Open { service, seconds } => Some(Effect::Open { service, seconds }),
        host::Action::Extend { grant, seconds } => {
            grant_id(grant).map(|grant| Effect::Extend { grant, seconds })
        }
        host::Action::Revoke { grant } => grant_id(grant).map(|grant| Effect::Revoke { grant }),
        host::Action::Lockout { seconds } => Some(Effect::Lockout { seconds }),
        host::Action::OpenPrefix { service, bits, seconds } => {
            Some(Effect::OpenPrefix { service, bits, seconds })
        }
        host::Action::Start { .. } | host::Action::Notify { .. } => None,
    }
}

fn grant_id(number: u64) -> Option<GrantId> {
    u32::try_from(number).ok().map(GrantId)
}
