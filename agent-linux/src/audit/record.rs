//! What the log can say. Names of events and fields only grow; readers ignore what they do not know.

use std::fmt::Display;
use std::net::IpAddr;

use knockgate_core::note::{Locked, Note};
use knockgate_core::time::seconds;
use knockgate_core::{ClientId, GrantId};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Decided;
use super::chain::Link;
use super::noise::{Noise, NoiseFrom};

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum AuditRecord {
    Started {
        version: &'static str,
        services: Vec<String>,
        clients: usize,
    },
    Stopped {
        reason: String,
    },
    /// A client has asked at the central port. Strangers' connections are counted, see [`AuditRecord::Noise`].
    CentralConnection {
        source: IpAddr,
        outcome: &'static str,
    },
    /// What strangers did in about a minute.
    Noise {
        within_seconds: u64,
        #[serde(flatten)]
        noise: Noise,
        /// The prefixes that at least a hundredth of it came from each, the heaviest first. What has no source is not among it.
        from: Vec<NoiseFrom>,
    },
    Offered {
        client: String,
        source: IpAddr,
        book: String,
        number: u32,
        left: u32,
    },
    /// An enrolled client's request was refused, or a sequence that was complete.
    Refused {
        client: String,
        source: IpAddr,
        reason: &'static str,
        /// What it wanted; left out where that was nothing in particular, as in the records of before.
        #[serde(skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
    /// A packet knock; what became of it follows.
    PacketKnock {
        client: String,
        source: IpAddr,
        kind: &'static str,
        /// None where whatever is open is meant.
        service: Option<String>,
    },
    /// A static sequence was knocked; what became of it follows. `client` is the sequence's name.
    StaticKnock {
        client: String,
        source: IpAddr,
        service: String,
    },
    /// A client has come to the gate's console.
    Console {
        client: String,
        source: IpAddr,
    },
    Knock {
        client: String,
        source: IpAddr,
        book: String,
        number: u32,
        service: String,
        ended: &'static str,
        ports_seen: Vec<u16>,
    },
    /// With everything that the policy could see, so that the decision can be made again.
    Decision(Decided),
    /// A policy that decides for comparison only would have decided otherwise.
    ShadowDifference {
        client: Option<String>,
        source: Option<IpAddr>,
        service: Option<String>,
        policy: String,
        #[serde(flatten)]
        said: Map<String, Value>,
        /// Verdict and actions of the live policies.
        live: Value,
        elapsed_us: u64,
        attributes: Map<String, Value>,
    },
    /// A policy's module was taken up, at the start or in place of an older one.
    PolicyLoaded {
        policy: String,
        /// Name and version by its own manifest.
        title: String,
        /// Of the file; none of a built-in one.
        sha256: Option<String>,
    },
    /// The configuration was read again and is in force.
    Reloaded {
        by: String,
        /// A line for each thing that is otherwise now.
        changes: Vec<String>,
    },
    /// The configuration was read again and cannot be used; the one before stays in force.
    ReloadRefused {
        by: String,
        problems: Vec<String>,
    },
    /// A policy's file has changed and cannot be used; the module in use stays.
    PolicyRefused {
        policy: String,
        reason: String,
    },
    /// Events that a policy was not told of, because too many waited for it.
    EventsMissed {
        policy: String,
        events: u64,
    },
    GrantOpened {
        grant: u32,
        client: String,
        /// An address, or a prefix as `192.0.2.0/24`.
        source: String,
        service: String,
        seconds: u64,
    },
    /// Found open in the kernel at start, from an earlier run.
    GrantAdopted {
        grant: u32,
        client: String,
        /// An address, or a prefix as `192.0.2.0/24`.
        source: String,
        service: String,
        seconds: u64,
    },
    GrantClosed {
        grant: u32,
        client: String,
        /// An address, or a prefix as `192.0.2.0/24`.
        source: String,
        service: String,
        reason: &'static str,
    },
    Lockout {
        who: String,
        seconds: u64,
    },
    BookLow {
        client: String,
        book: String,
        left: u32,
    },
    BookExhausted {
        client: String,
        book: String,
    },
    RosterChanged {
        added: Vec<String>,
        removed: Vec<String>,
    },
    /// Somebody else has changed the table of the guard.
    GuardChanged {
        /// For people.
        what: String,
        /// `restored`, `reported` or `failed`.
        outcome: &'static str,
    },
    /// Somebody at the host itself has ordered something over the control socket.
    Ordered {
        uid: u32,
        pid: Option<i32>,
        /// `revoke`, `unlock` or `rescue`.
        order: &'static str,
        about: String,
    },
    /// A policy started a unit of the service manager.
    UnitStart {
        unit: String,
        policy: String,
        client: Option<String>,
        outcome: &'static str,
        why: Option<String>,
    },
    /// A policy sent a code to a channel.
    Notice {
        channel: String,
        code: u32,
        policy: String,
        client: Option<String>,
        outcome: &'static str,
        tries: u8,
        why: Option<String>,
    },
    /// Records that could not be written before this one.
    Lost {
        records: u64,
    },
    /// The first record of a file, or the first one that is chained.
    LogBegins {
        /// `new`, `next-file`; `unchained` after records of before the chain, `unreadable` after what is no log.
        reason: &'static str,
        /// The file that ends with the value before.
        file: Option<String>,
        hash_before: Link,
    },
    /// What is between this record and the last one before is what a crash or a full disk has left of one.
    Torn {
        bytes: u64,
        /// The first 16 bytes of SHA-256 over these.
        digest: Link,
    },
}

/// The names that people know, for the numbers that the core knows.
pub trait Names {
    fn client(&self, id: ClientId) -> Option<String>;
    fn service(&self, id: u16) -> Option<String>;
}

impl AuditRecord {
    /// What a started agent guards.
    pub fn started(services: impl IntoIterator<Item = impl Display>, clients: usize) -> Self {
        let services = services.into_iter().map(|service| service.to_string()).collect();
        Self::Started { version: env!("CARGO_PKG_VERSION"), services, clients }
    }

    pub(crate) fn guard_changed(what: impl Display, outcome: &'static str) -> Self {
        Self::GuardChanged { what: what.to_string(), outcome }
    }

    pub fn stopped(reason: impl Into<String>) -> Self {
        Self::Stopped { reason: reason.into() }
    }

    /// The chain begins.
    pub(super) fn log_begins(reason: &'static str) -> Self {
        Self::LogBegins { reason, file: None, hash_before: Link::NONE }
    }

    /// The chain goes on in another file.
    pub(super) fn log_goes_on(file: Option<String>, hash_before: Link) -> Self {
        Self::LogBegins { reason: "next-file", file, hash_before }
    }

    /// The value before this record, if that is not the one of the record before.
    pub(super) fn link_before(&self) -> Option<Link> {
        let Self::LogBegins { hash_before, .. } = self else { return None };
        Some(*hash_before)
    }

    /// A message that came to the central port was authentic and fresh.
    pub fn central_connection(source: IpAddr) -> Self {
        Self::CentralConnection { source, outcome: "answered" }
    }

    /// What the core has noted.
    pub fn note(note: &Note, names: &impl Names) -> Self {
        let client = |id: &ClientId| names.client(*id).unwrap_or_else(|| format!("#{}", id.0));
        let service = |id: &u16| names.service(*id).unwrap_or_else(|| format!("#{id}"));
        match note {
            Note::Offered { client: id, source, book, number, left } => Self::Offered {
                client: client(id),
                source: *source,
                book: book.to_string(),
                number: *number,
                left: *left,
            },
            Note::Refused { client: id, source, service: asked, refusal } => Self::Refused {
                client: client(id),
                source: *source,
                reason: refusal.word(),
                service: asked.as_ref().map(service),
            },
            Note::SequenceRefused { client: id, source, service: asked, refusal } => Self::Refused {
                client: client(id),
                source: *source,
                reason: refusal.word(),
                service: Some(service(asked)),
            },
            Note::Packet { client: id, source, kind: wanted, service: asked } => Self::PacketKnock {
                client: client(id),
                source: *source,
                kind: wanted.word(),
                service: (*asked != 0).then(|| service(asked)),
            },
            Note::StaticKnock { client: id, source, service: asked } => {
                Self::StaticKnock { client: client(id), source: *source, service: service(asked) }
            }
            Note::Console { client: id, source } => Self::Console { client: client(id), source: *source },
            Note::KnockEnded { client: id, source, book, number, service: asked, end, seen } => Self::Knock {
                client: client(id),
                source: *source,
                book: book.to_string(),
                number: *number,
                service: service(asked),
                ended: end.word(),
                ports_seen: seen.to_vec(),
            },
            Note::LockedOut { who, lasts } => {
                Self::Lockout { who: locked(who, client), seconds: seconds(*lasts) }
            }
            Note::GrantOpened { grant: GrantId(grant), client: id, to, service: asked, lasts } => {
                Self::GrantOpened {
                    grant: *grant,
                    client: client(id),
                    source: to.to_string(),
                    service: service(asked),
                    seconds: seconds(*lasts),
                }
            }
            Note::GrantClosed { grant: GrantId(grant), client: id, to, service: asked, reason } => {
                Self::GrantClosed {
                    grant: *grant,
                    client: client(id),
                    source: to.to_string(),
                    service: service(asked),
                    reason: reason.word(),
                }
            }
        }
    }
}

fn locked(who: &Locked, client: impl Fn(&ClientId) -> String) -> String {
    match who {
        Locked::Source(prefix) => format!("{}/{}", prefix.address(), prefix.bits()),
        Locked::Client(id) => format!("client {}", client(id)),
        Locked::Everybody => "everybody".into(),
    }
}
