//! The gate itself: one nftables table that shuts guarded ports and lets grants through.
//!
//! The table outlives this process. Its guard only drops, so a dead agent means shut doors; its grants carry kernel
//! timeouts, so open doors shut on time without us; and each grant names itself in the kernel, so that a new agent
//! finds what the old one left. Rules are written once, by `nft`, in one transaction. Grants are set elements, changed
//! over netlink in microseconds. No other table is ever touched, and what [`ruleset`] leaves to the host's own
//! firewall stays its business.
//!
//! Not here: which client may have what, and for how long. The firewall does as it is told and reports what became of
//! it.

pub(crate) mod elements;
mod error;
pub(crate) mod flows;
pub(crate) mod forwarding;
mod integrity;
pub(crate) mod namespace;
pub(crate) mod netlink;
mod nft;
mod plan;
mod prefixes;
mod reach;
mod ruleset;
mod sessions;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use elements::{Answer, Change, KernelElement, Key, NewElement, Tag};
use integrity::{Count, Fingerprint, Remains};
use netlink::{NFPROTO_INET, NLM_F_ACK, NLM_F_REQUEST, Socket};
use prefixes::PrefixTable;
use ruleset::Before;

pub use elements::SetName;
pub use error::FirewallError;
pub use flows::{FlowTable, Flows, FlowsError};
pub use integrity::Integrity;
pub use plan::{
    Access, Forward, MAX_PORTS, Mode, Packets, Plan, PlanError, PortRange, Prefixes, Protocol, Report,
    ReturnPath, Service, Statics,
};
pub use reach::Reach;
pub use ruleset::TABLE;
pub(crate) use ruleset::{PACKET_BYTES, PROBE_BYTES};

const DELTABLE: u16 = (10 << 8) | 2;
const TABLE_NAME: u16 = 1;
/// The kernel counts in milliseconds, and takes 0 for no end at all.
const SHORTEST: Duration = Duration::from_millis(1);
/// No grant is longer than the core allows; a longer one is a mistake that must not reach the kernel's arithmetic.
const LONGEST: Duration = knockgate_core::limits::MAX_GRANT;
/// Elements in one message, whose list must stay below 64 KiB.
const ELEMENTS_PER_MESSAGE: usize = 64;

/// The installed table and the way to change it.
pub struct Firewall {
    socket: Socket,
    fingerprint: Fingerprint,
    /// As it was when the fingerprint was right.
    count: Count,
    prefixes: PrefixTable,
}

/// A door for one address, or for a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Unique among the grants that are open; part of the journal in the kernel.
    pub id: u32,
    pub client: u32,
    pub service: u16,
    pub source: IpAddr,
    /// A prefix has the length that the plan gives the service.
    pub reach: Reach,
    pub protocol: Protocol,
    pub ports: heapless::Vec<u16, MAX_PORTS>,
    /// From now; the kernel closes the door by then whatever happens.
    pub timeout: Duration,
}

/// A grant found in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingGrant {
    pub id: u32,
    pub client: u32,
    pub service: u16,
    /// For a prefix its first address.
    pub source: IpAddr,
    pub reach: Reach,
    pub protocol: Protocol,
    /// Ascending.
    pub ports: Vec<u16>,
    /// Until the first of its ports shuts.
    pub remaining: Duration,
}

/// An open door in our table that this program has not opened, or that never shuts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignElement {
    pub set: SetName,
    pub source: IpAddr,
    pub protocol: Protocol,
    pub port: u16,
    pub comment: Option<String>,
}

/// What the grant sets hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    pub grants: Vec<ExistingGrant>,
    pub foreign: Vec<ForeignElement>,
}

/// What [`Firewall::remove`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Removed,
    WasNotThere,
}

impl Firewall {
    /// Guards what the plan names. Grants of an earlier run stay open and keep their deadlines; watched sources are
    /// forgotten, because their holds are the new agent's to renew.
    ///
    /// # Errors
    /// The plan cannot be applied, or this process may not. The kernel then holds what it held before.
    pub fn install(plan: &Plan) -> Result<Self, FirewallError> {
        let mut socket = Socket::open()?;
        let (fingerprint, count) = apply(&mut socket, plan)?;
        let mut firewall = Self { socket, fingerprint, count, prefixes: PrefixTable::of(plan) };
        firewall.unwatch_all()?;
        Ok(firewall)
    }

    /// Whether the kernel would take this plan, as far as can be said without doing it. Nothing is changed.
    ///
    /// # Errors
    /// What [`Firewall::reinstall`] would say.
    pub fn rehearse(plan: &Plan) -> Result<(), FirewallError> {
        plan.check()?;
        forwarding::check(&plan.services)?;
        nft::check(&ruleset::script(plan, &sessions::open_sessions(plan), Before::Replace(&[])))
    }

    /// Guards by another plan from now on, or by the same one after somebody altered the table. Grants and watched
    /// sources stay.
    ///
    /// # Errors
    /// As [`Firewall::install`].
    pub fn reinstall(&mut self, plan: &Plan) -> Result<(), FirewallError> {
        (self.fingerprint, self.count) = apply(&mut self.socket, plan)?;
        self.prefixes = PrefixTable::of(plan);
        Ok(())
    }

    /// Opens all ports of a grant at once, or none. What is open to that address already gets this grant's name and
    /// deadline: the kernel keeps one element per address and port, and the core says which of several grants it is for.
    ///
    /// # Errors
    /// Nothing was opened.
    pub fn open(&mut self, grant: &Grant) -> Result<(), FirewallError> {
        let tag = Tag { grant: grant.id, client: grant.client, service: grant.service, reach: grant.reach };
        let ends = (SHORTEST..=LONGEST).contains(&grant.timeout);
        if !ends || grant.ports.is_empty() {
            return Err(FirewallError::EmptyGrant { ports: grant.ports.len() });
        }
        self.prefixes.check(grant)?;
        self.put(&grant.elements(|key| NewElement { key, timeout: grant.timeout, tag: Some(tag) }))
    }

    /// Closes the ports of a grant; what is closed already is success.
    ///
    /// # Errors
    /// The ports may still be open until their deadline.
    pub fn close(&mut self, grant: &Grant) -> Result<(), FirewallError> {
        self.delete(&grant.elements(placeholder))
    }

    /// Offers the decoys to `source`, or watches its probes, for a time.
    ///
    /// # Errors
    /// The source is not watched.
    pub fn watch(&mut self, source: IpAddr, hold: Duration) -> Result<(), FirewallError> {
        self.put(&[NewElement { key: holder(source), timeout: hold, tag: None }])
    }

    /// Ends a watch; a source that is not watched is success.
    ///
    /// # Errors
    /// The source may still be watched until its deadline.
    pub fn unwatch(&mut self, source: IpAddr) -> Result<(), FirewallError> {
        self.delete(&[placeholder(holder(source))])
    }

    /// What is open, as the kernel has it. Where grants share a port, the one that was opened last is named.
    ///
    /// # Errors
    /// The kernel could not be asked.
    pub fn grants(&mut self) -> Result<Inventory, FirewallError> {
        inventory(&mut self.socket)
    }

    /// The same for whoever does not guard; nothing if nobody does.
    ///
    /// # Errors
    /// The kernel could not be asked.
    pub fn look() -> Result<Inventory, FirewallError> {
        let mut socket = Socket::open()?;
        match integrity::remains(&mut socket)? {
            Remains::None => Ok(Inventory::default()),
            Remains::SameShape | Remains::OtherShape => inventory(&mut socket),
        }
    }

    /// Shuts doors that somebody else has opened in our table.
    ///
    /// # Errors
    /// Some may still be open.
    pub fn remove_foreign(&mut self, foreign: &[ForeignElement]) -> Result<(), FirewallError> {
        for set in SetName::GRANTS {
            let theirs = foreign.iter().filter(|element| element.set == set);
            self.delete(&theirs.map(|element| placeholder(element.key())).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Whether the table is still as it was installed. Cheap enough for every second: one question, and two short dumps after
    /// somebody has changed something in any table. What is open is looked at with [`Firewall::grants`].
    ///
    /// # Errors
    /// The kernel could not be asked.
    pub fn verify(&mut self) -> Result<Integrity, FirewallError> {
        // First: what is changed while the rules are read is seen the next time.
        let count = Count::now(&mut self.socket)?;
        if count.is_ours_since(self.count) {
            return Ok(Integrity::Whole);
        }
        match integrity::fingerprint(&mut self.socket)? {
            None => Ok(Integrity::Gone),
            Some(found) if found == self.fingerprint => {
                self.count = count;
                Ok(Integrity::Touched)
            }
            Some(_) => Ok(Integrity::Altered),
        }
    }

    /// Removes our table and with it the guard: everything is as if this program had never run.
    ///
    /// # Errors
    /// The guard stands.
    pub fn remove() -> Result<Removal, FirewallError> {
        let mut socket = Socket::open()?;
        if integrity::remains(&mut socket)? == Remains::None {
            return Ok(Removal::WasNotThere);
        }
        let removed = socket.commit(|out, sequence| {
            out.begin(DELTABLE, NLM_F_REQUEST | NLM_F_ACK, sequence, NFPROTO_INET, 0);
            out.text(TABLE_NAME, TABLE);
            out.end();
        });
        match removed {
            Err(Errno::NOENT) => Ok(Removal::WasNotThere),
            other => Ok(other.map(|()| Removal::Removed)?),
        }
    }

    fn unwatch_all(&mut self) -> Result<(), FirewallError> {
        for set in [SetName::Holders4, SetName::Holders6] {
            let watched = dump(&mut self.socket, set)?;
            let watched: Vec<_> = watched.iter().map(|element| placeholder(element.key)).collect();
            self.delete(&watched)?;
        }
        Ok(())
    }

    /// Writes elements of one set anew, whether they are there or not: no kernel before 6.12 refreshes the timeout of
    /// an element that is there, and none its comment. Adding first makes the deletion valid; packets see one change.
    fn put(&mut self, elements: &[NewElement]) -> Result<(), FirewallError> {
        if elements.is_empty() {
            return Ok(());
        }
        Ok(self.socket.commit(|out, sequence| {
            elements::encode(out, sequence, Change::Add, Answer::IfRefused, elements);
            elements::encode(out, sequence, Change::Delete, Answer::IfRefused, elements);
            elements::encode(out, sequence, Change::Add, Answer::Always, elements);
        })?)
    }

    /// Removes elements of one set. Adding them first costs a microsecond; a deletion that finds nothing costs the
    /// whole batch and milliseconds, and it is common: the kernel closes on time by itself.
    fn delete(&mut self, elements: &[NewElement]) -> Result<(), FirewallError> {
        for chunk in elements.chunks(ELEMENTS_PER_MESSAGE) {
            let deleted = self.socket.commit(|out, sequence| {
                elements::encode(out, sequence, Change::Add, Answer::IfRefused, chunk);
                elements::encode(out, sequence, Change::Delete, Answer::Always, chunk);
            });
            match deleted {
                Err(Errno::NFILE | Errno::EXIST) => self.delete_one_by_one(chunk)?,
                other => other?,
            }
        }
        Ok(())
    }

    /// For a set too full to add to.
    fn delete_one_by_one(&mut self, elements: &[NewElement]) -> Result<(), FirewallError> {
        for element in elements {
            let deleted = self.socket.commit(|out, sequence| {
                elements::encode(out, sequence, Change::Delete, Answer::Always, &[*element]);
            });
            match deleted {
                Err(Errno::NOENT) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

impl Grant {
    /// An element for each port. A v4 address written as v6 is a v4 address to the kernel's filter.
    fn elements(&self, of: impl Fn(Key) -> NewElement) -> heapless::Vec<NewElement, MAX_PORTS> {
        let (address, protocol) = (self.reach.network(self.source), self.protocol);
        let key = |&port: &u16| match self.reach {
            Reach::Address => Key::Grant { source: address, protocol, port },
            Reach::Prefix(_) => Key::Wide { network: address, protocol, port },
        };
        let is_first = |(at, port): &(usize, &u16)| !self.ports.iter().take(*at).any(|other| other == *port);
        self.ports.iter().enumerate().filter(is_first).map(|(_, port)| of(key(port))).collect()
    }
}

impl ForeignElement {
    fn key(&self) -> Key {
        let &Self { set, source, protocol, port, .. } = self;
        match set {
            SetName::Wide4 | SetName::Wide6 => Key::Wide { network: source, protocol, port },
            SetName::Grants4 | SetName::Grants6 => Key::Grant { source, protocol, port },
            SetName::Holders4 | SetName::Holders6 => Key::Holder { source },
        }
    }
}

fn holder(source: IpAddr) -> Key {
    Key::Holder { source: source.to_canonical() }
}

/// An element that lives only within the batch that deletes it.
fn placeholder(key: Key) -> NewElement {
    NewElement { key, timeout: Duration::from_secs(1), tag: None }
}

fn apply(socket: &mut Socket, plan: &Plan) -> Result<(Fingerprint, Count), FirewallError> {
    plan.check()?;
    let remains = integrity::remains(socket)?;
    forwarding::check(&plan.services)?;
    let sessions = sessions::open_sessions(plan);
    let kept = match remains {
        Remains::OtherShape => Err(FirewallError::TableGone),
        Remains::SameShape if !PrefixTable::of(plan).fits(&dump_wide(socket)?) => {
            Err(FirewallError::TableGone)
        }
        Remains::None | Remains::SameShape => nft::apply(&ruleset::script(plan, &sessions, Before::KeepSets)),
    };
    match (kept, remains) {
        (
            Err(FirewallError::Refused(_) | FirewallError::TableGone),
            Remains::SameShape | Remains::OtherShape,
        ) => {
            let prefixes = PrefixTable::of(plan);
            let (elements, stale): (Vec<_>, Vec<_>) =
                dump_all(socket).into_iter().partition(|element| prefixes.allows(element));
            if !stale.is_empty() {
                tracing::warn!(
                    "{} open ports were for prefixes that are not configured; closing them",
                    stale.len()
                );
            }
            nft::apply(&ruleset::script(plan, &sessions, Before::Replace(&elements)))?;
        }
        (kept, _) => kept?,
    }
    let count = Count::now(socket)?;
    Ok((integrity::fingerprint(socket)?.ok_or(FirewallError::TableGone)?, count))
}

/// Sets of another shape, or none at all, have nothing to be kept.
fn dump_all(socket: &mut Socket) -> Vec<KernelElement> {
    SetName::ALL.iter().filter_map(|&set| dump(socket, set).ok()).flatten().collect()
}

fn dump_wide(socket: &mut Socket) -> Result<Vec<KernelElement>, Errno> {
    let mut found = dump(socket, SetName::Wide4)?;
    found.extend(dump(socket, SetName::Wide6)?);
    Ok(found)
}

fn inventory(socket: &mut Socket) -> Result<Inventory, FirewallError> {
    let mut grants: BTreeMap<(Tag, IpAddr, Protocol), ExistingGrant> = BTreeMap::new();
    let mut foreign = Vec::new();
    for element in dump_grants(socket)? {
        let (set, source) = (element.key.set(), element.key.address());
        let Some((protocol, port)) = element.key.door() else { continue };
        let (Some(tag), Some(remaining)) = (element.tag(), element.remaining) else {
            foreign.push(ForeignElement { set, source, protocol, port, comment: element.comment });
            continue;
        };
        let grant = grants.entry((tag, source, protocol)).or_insert_with(|| ExistingGrant {
            id: tag.grant,
            client: tag.client,
            service: tag.service,
            source,
            reach: tag.reach,
            protocol,
            ports: Vec::new(),
            remaining,
        });
        grant.ports.push(port);
        grant.remaining = grant.remaining.min(remaining);
    }
    let mut grants: Vec<_> = grants.into_values().collect();
    grants.iter_mut().for_each(|grant| grant.ports.sort_unstable());
    Ok(Inventory { grants, foreign })
}

fn dump_grants(socket: &mut Socket) -> Result<Vec<KernelElement>, Errno> {
    let mut found = Vec::new();
    for set in SetName::GRANTS {
        found.extend(dump(socket, set)?);
    }
    Ok(found)
}

fn dump(socket: &mut Socket, set: SetName) -> Result<Vec<KernelElement>, Errno> {
    socket.dump(
        elements::GETSETELEM,
        |query| elements::encode_query(query, set),
        |found, message| elements::decode(set, found, message),
    )
}
