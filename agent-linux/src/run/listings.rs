//! What is open, who is locked out, who is enrolled. What takes longer with a big roster is put together beside the gate's thread,
//! from what that hands out.

use std::collections::HashMap;
use std::time::SystemTime;

use knockgate_core::note::Locked;
use knockgate_core::{Client, ClientId, Grant, GrantId, UnixTime};

use crate::audit::Names;
use crate::control::{BookLevel, ClientSeen, LastKnock, LockedOut, OpenGrant};
use crate::state::RosterView;

use super::clock;
use super::driver::Driver;
use super::trails;
use super::why::{outcome_of, rfc3339};

/// Books that a status tells of.
const BOOKS: usize = 10;

/// What a list of clients is made of.
pub(super) struct People {
    view: RosterView,
    services: HashMap<u16, String>,
    last: HashMap<ClientId, LastKnock>,
    failures: HashMap<ClientId, u32>,
    grants: Vec<(ClientId, OpenGrant)>,
    unix: Option<UnixTime>,
}

impl Driver {
    /// What is open, the longest first.
    pub(super) fn grants(&self) -> Vec<OpenGrant> {
        let mut grants: Vec<_> = self.gate.open_grants().map(|grant| self.open_grant(grant)).collect();
        grants.sort_by_key(|grant| std::cmp::Reverse(grant.left_seconds));
        grants
    }

    pub(super) fn grant(&self, id: GrantId) -> Option<OpenGrant> {
        self.gate.open_grants().find(|grant| grant.id() == id).map(|grant| self.open_grant(grant))
    }

    fn open_grant(&self, grant: &Grant) -> OpenGrant {
        let names = self.scribe(SystemTime::now());
        OpenGrant {
            grant: grant.id().0,
            client: names.client(grant.client()).unwrap_or_else(|| format!("#{}", grant.client().0)),
            to: grant.to().to_string(),
            service: names.service(grant.service()).unwrap_or_else(|| format!("#{}", grant.service())),
            left_seconds: grant.deadline().left(clock::now().instant).as_secs(),
        }
    }

    /// Who is locked out, and how long, in no order.
    pub(super) fn lockouts(&self) -> Vec<(Locked, LockedOut)> {
        let now = clock::now().instant;
        let current = self.gate.lockouts().iter().filter(|(_, until)| *until > now);
        current.map(|(who, until)| (who, self.locked_out(who, until.left(now).as_secs()))).collect()
    }

    fn locked_out(&self, who: Locked, left_seconds: u64) -> LockedOut {
        let (kind, who) = match who {
            Locked::Source(prefix) => ("source", format!("{}/{}", prefix.address(), prefix.bits())),
            Locked::Client(id) => {
                let name = self.scribe(SystemTime::now()).client(id);
                ("client", name.unwrap_or_else(|| format!("#{}", id.0)))
            }
            Locked::Everybody => ("everybody", "everybody".to_owned()),
        };
        LockedOut { who, kind: kind.to_owned(), left_seconds }
    }

    /// The client, the static sequence or the console of that name.
    pub(super) fn client_named(&self, name: &str) -> Option<ClientId> {
        if name == CONSOLE {
            return Some(ClientId::CONSOLE);
        }
        let client = self.gate.roster().clients().find(|client| client.name.as_str() == name);
        let mut statics = self.config.statics.sequences.iter();
        let sequence =
            || statics.find(|one| one.name.as_str() == name).map(|one| ClientId::of_static(&one.name));
        client.map(|client| client.id).or_else(sequence)
    }

    /// What a list of clients is made of.
    pub(super) fn people(&self) -> People {
        let failures = self.gate.failures().filter_map(|(who, count)| match who {
            Locked::Client(client) => Some((client, count)),
            Locked::Source(_) | Locked::Everybody => None,
        });
        let services = self.config.services.iter();
        People {
            view: self.gate.roster().view(),
            services: services.map(|service| (service.id, service.name.to_string())).collect(),
            last: self.trails.latest().map(|(client, attempt)| (client, last(attempt))).collect(),
            failures: failures.collect(),
            grants: self.gate.open_grants().map(|grant| (grant.client(), self.open_grant(grant))).collect(),
            unix: clock::now().unix,
        }
    }
}

/// What grants are called that were opened from the host itself.
pub(crate) const CONSOLE: &str = "console";

fn last(attempt: &trails::Attempt) -> LastKnock {
    let reason = match attempt.end {
        trails::End::Refused(refusal) => Some(refusal.word().to_owned()),
        trails::End::Pending | trails::End::Offered(_) => None,
        trails::End::Complete | trails::End::Opened { .. } => None,
    };
    LastKnock {
        at: rfc3339(attempt.at),
        source: attempt.source.to_string(),
        outcome: outcome_of(attempt).to_owned(),
        reason,
    }
}

impl People {
    /// Everybody on the roster.
    pub(super) fn list(&self) -> Vec<ClientSeen> {
        self.view.clients().iter().map(|client| self.row(client)).collect()
    }

    fn row(&self, client: &Client) -> ClientSeen {
        let service = |id: &u16| self.services.get(id).cloned().unwrap_or_else(|| format!("#{id}"));
        let own = self.grants.iter().filter(|(bearer, _)| *bearer == client.id);
        let (book_left, book_of) = self.view.level(client.book).unwrap_or_default();
        ClientSeen {
            client: client.name.to_string(),
            id: client.id.0,
            services: client.services.iter().map(service).collect(),
            expired: client.has_expired(self.unix),
            book_left,
            book_of,
            failures: self.failures.get(&client.id).copied().unwrap_or(0),
            last: self.last.get(&client.id).cloned(),
            grants: own.map(|(_, grant)| grant.clone()).collect(),
        }
    }
}

/// The books that have fewest numbers left.
pub(super) fn lowest(view: &RosterView) -> Vec<BookLevel> {
    let clients = view.clients().iter();
    let levels = clients.filter_map(|client| view.level(client.book).map(|(left, of)| (left, of, client)));
    let mut levels: Vec<_> = levels.collect();
    levels.sort_by_key(|(left, _, client)| (*left, client.book));
    levels.dedup_by_key(|(_, _, client)| client.book);
    let told = levels.into_iter().take(BOOKS).map(|(left, of, client)| BookLevel {
        client: client.name.to_string(),
        book: client.book.to_string(),
        left,
        of,
    });
    told.collect()
}
