//! Writes down what happened: every note into the audit log, what an operator wants to see at once into the log.

use std::sync::Arc;
use std::time::SystemTime;

use knockgate_core::note::Note;
use knockgate_core::time::seconds;
use knockgate_core::{ClientId, Name, Refusal, Roster};
use knockgate_policy_host as host;

use crate::audit::{Audit, AuditRecord, Heard, Names, Opinion};
use crate::config::Config;
use crate::state::LiveRoster;

use super::listings::CONSOLE;

/// Who is meant by the numbers in a note.
pub(super) struct Scribe<'a> {
    pub(super) audit: &'a Audit,
    pub(super) roster: &'a LiveRoster,
    pub(super) config: &'a Config,
    /// The one before, if there was one in this run.
    pub(super) former: Option<&'a Config>,
    /// When it happened.
    pub(super) time: SystemTime,
}

impl Names for Scribe<'_> {
    fn client(&self, id: ClientId) -> Option<String> {
        if id == ClientId::CONSOLE {
            return Some(CONSOLE.to_owned());
        }
        let sequence = || self.configs().find_map(|config| config.statics.sequence(id)).map(|one| &one.name);
        self.roster.name(id).or_else(sequence).map(Name::to_string)
    }

    fn service(&self, id: u16) -> Option<String> {
        let mut configs = self.configs();
        configs.find_map(|config| config.service_by_id(id)).map(|service| service.name.to_string())
    }
}

impl<'a> Scribe<'a> {
    fn configs(&self) -> impl Iterator<Item = &'a Config> {
        std::iter::once(self.config).chain(self.former)
    }

    pub(super) fn note(&self, note: &Note) {
        self.audit.write_at(self.time, AuditRecord::note(note, self));
        match *note {
            Note::Offered { client, book, left, .. } => self.watch_book(client, book, left),
            Note::Refused { client, refusal: Refusal::Exhausted, .. } => self.exhausted(client),
            Note::GrantOpened { client, to, service, lasts, .. } => {
                let (client, service) = (self.name(client), self.service_name(service));
                tracing::info!(%client, %to, %service, seconds = seconds(lasts), "opened");
            }
            Note::GrantClosed { client, to, service, .. } => {
                let (client, service) = (self.name(client), self.service_name(service));
                tracing::info!(%client, %to, %service, "closed");
            }
            Note::Refused { .. }
            | Note::SequenceRefused { .. }
            | Note::Packet { .. }
            | Note::StaticKnock { .. }
            | Note::Console { .. }
            | Note::KnockEnded { .. }
            | Note::LockedOut { .. } => {
                tracing::debug!(?note, "noted");
            }
        }
    }

    /// What every policy has said about a question, in the order in which they were asked.
    pub(super) fn opinions(&self, heard: &Arc<Heard>) {
        heard.records().for_each(|record| self.audit.write_at(self.time, record));
        heard.opinions.iter().for_each(opinion_to_log);
    }

    fn watch_book(&self, client: ClientId, book: knockgate_core::book::BookId, left: u32) {
        let low = self.roster.book(book).is_some_and(|known| known.shape().is_low(left));
        if low {
            let client = self.name(client);
            tracing::warn!(%client, "the knock book runs low, {left} knocks left; enrol the client again in time");
            self.audit.write_at(self.time, AuditRecord::BookLow { client, book: book.to_string(), left });
        }
    }

    fn exhausted(&self, client: ClientId) {
        let book =
            self.roster.client_by_id(client).map_or_else(String::new, |client| client.book.to_string());
        let client = self.name(client);
        tracing::warn!(%client, "the knock book is used up; `knockgated client remove {client}` and `client add` make a new one");
        self.audit.write_at(self.time, AuditRecord::BookExhausted { client, book });
    }

    fn name(&self, id: ClientId) -> String {
        self.client(id).unwrap_or_else(|| format!("#{}", id.0))
    }

    fn service_name(&self, id: u16) -> String {
        self.service(id).unwrap_or_else(|| format!("#{id}"))
    }
}

fn opinion_to_log(opinion: &Opinion) {
    let Opinion { policy, said, cause, .. } = opinion;
    for line in &said.log {
        match line.level {
            host::LogLevel::Debug => tracing::debug!(%policy, "{}", line.text),
            host::LogLevel::Information => tracing::info!(%policy, "{}", line.text),
            // A policy's trouble is not the agent's: it goes on, with this knock denied or not.
            host::LogLevel::Warning | host::LogLevel::Error => tracing::warn!(%policy, "{}", line.text),
        }
    }
    if let Some(failure) = &said.failure {
        let cause = cause.name();
        tracing::warn!(%policy, %cause, "the policy failed, which denies: {failure}");
    }
    for refused in &said.refused {
        let (act, answer) = (refused.act.name(), refused.refusal);
        tracing::warn!(%policy, %act, ?answer, "the policy asked for what it may not have");
    }
}
