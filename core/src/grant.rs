//! Grants: what is open, to whom, until when.
//!
//! A grant counts as open only after the host has said so, and stays in the table until the host has closed it.
//! Rule: `docs/protocol.md`, section 6.7.

use heapless::Vec;

use crate::action::{GrantId, Waiter};
use crate::address::Network;
use crate::limits::CLOSE_RETRY;
use crate::note::CloseReason;
use crate::roster::ClientId;
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The host shall open it, or refresh it if it is open.
    OpenDue,
    /// The host is opening it.
    Opening,
    /// It is open.
    Open,
    /// The host shall close it, not before this moment.
    CloseDue(Instant, CloseReason),
    /// The host is closing it.
    Closing(CloseReason),
}

/// A grant.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    pub(crate) id: GrantId,
    pub(crate) client: ClientId,
    pub(crate) to: Network,
    pub(crate) service: u16,
    /// When it ends.
    pub(crate) deadline: Instant,
    /// How far it can be prolonged by connections through it.
    pub(crate) limit: Instant,
    pub(crate) flows: Flows,
    /// Until when it is open, as far as the host has said so.
    pub(crate) in_force: Option<Instant>,
    /// The deadline of the opening that the host is at.
    pub(crate) offered: Option<Instant>,
    pub(crate) phase: Phase,
    /// Who waits for it to open, the latest first. Two, since a client that hears nothing in time asks again.
    pub(crate) waiters: [Option<Waiter>; 2],
    /// Whether the opening that comes next is worth a note: nobody asked for a refreshment.
    pub(crate) notable: bool,
}

/// Whether connections go through a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flows {
    /// None does, or nobody has looked.
    None,
    /// At least one does.
    Alive,
}

impl Grant {
    /// Names it.
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// For whom.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// To which address or prefix.
    pub fn to(&self) -> Network {
        self.to
    }

    /// What.
    pub fn service(&self) -> u16 {
        self.service
    }

    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.in_force.unwrap_or(self.deadline)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.in_force.is_some()
    }

    /// Whether it is open now and is to stay so.
    pub(crate) fn is_in_force(&self, now: Instant) -> bool {
        self.in_force.is_some_and(|until| until > now) && self.deadline > now && !self.is_ending()
    }

    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::CloseDue(..) | Phase::Closing(_))
    }

    /// One more waits for it; of three the first is forgotten, and hears in time that it took too long.
    pub(crate) fn await_by(&mut self, waiter: Waiter) {
        let [latest, _] = self.waiters;
        if latest != Some(waiter) {
            self.waiters = [Some(waiter), latest];
        }
    }

    pub(crate) fn close(&mut self, now: Instant, reason: CloseReason) {
        match self.phase {
            Phase::CloseDue(..) | Phase::Closing(_) => {}
            Phase::OpenDue | Phase::Opening | Phase::Open => self.phase = Phase::CloseDue(now, reason),
        }
    }

    /// The host has opened it until `deadline`.
    pub(crate) fn opened(&mut self, deadline: Instant) {
        self.in_force = Some(deadline);
        if self.phase == Phase::Opening {
            self.phase = Phase::Open;
        }
    }

    /// A refreshment that failed leaves it as it was; anything else is closed, since nobody knows what is in force.
    pub(crate) fn opening_failed(&mut self, now: Instant) {
        match self.in_force {
            _ if self.phase != Phase::Opening => {}
            Some(deadline) => {
                self.deadline = deadline;
                self.phase = Phase::Open;
            }
            None => self.close(now, CloseReason::Failed),
        }
    }

    pub(crate) fn close_failed(&mut self, now: Instant) {
        if let Phase::Closing(reason) = self.phase {
            self.phase = Phase::CloseDue(now.after(CLOSE_RETRY), reason);
        }
    }

    /// Why the host shall close it now, if it shall.
    pub(crate) fn close_reason(&self, now: Instant) -> Option<CloseReason> {
        match self.phase {
            Phase::CloseDue(at, reason) => Some(reason).filter(|_| at <= now),
            // To open something for no time at all would leave it open in a host that takes no time for no limit.
            Phase::OpenDue => Some(CloseReason::Expired).filter(|_| self.deadline <= now),
            Phase::Opening | Phase::Open | Phase::Closing(_) => None,
        }
    }

    /// Whether it must be closed although nothing else has happened to it.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        match self.phase {
            Phase::OpenDue | Phase::Opening | Phase::Open => self.deadline <= now,
            Phase::CloseDue(..) | Phase::Closing(_) => false,
        }
    }

    /// When something is to be done about it next; `None` while the host is closing it.
    pub(crate) fn next(&self) -> Option<Instant> {
        match self.phase {
            Phase::OpenDue | Phase::Opening | Phase::Open => Some(self.deadline),
            Phase::CloseDue(at, _) => Some(at),
            Phase::Closing(_) => None,
        }
    }
}

/// At most `N` grants. None is ever pushed out by another one.
pub(crate) struct Grants<const N: usize> {
    entries: Vec<Grant, N>,
    next_id: u32,
}

/// What shall be opened.
pub(crate) struct Opening {
    pub(crate) client: ClientId,
    pub(crate) to: Network,
    pub(crate) service: u16,
    pub(crate) deadline: Instant,
    pub(crate) limit: Instant,
    /// Who hears of it, if anybody does.
    pub(crate) waiter: Option<Waiter>,
}

impl Opening {
    fn is_of(&self, grant: &Grant) -> bool {
        let (client, to, service) = (grant.client, grant.to, grant.service);
        (client, to, service) == (self.client, self.to, self.service) && !grant.is_ending()
    }
}

/// There is no room for another grant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<const N: usize> Grants<N> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), next_id: 1 }
    }

    /// Takes over a grant of an earlier run, which is open.
    pub(crate) fn adopt(&mut self, grant: Grant) -> Result<(), Full> {
        self.next_id = self.next_id.max(grant.id.0.wrapping_add(1));
        self.entries.push(grant).map_err(|_| Full)
    }

    /// Whether what is `wanted` has its place already.
    pub(crate) fn has(&self, wanted: &Opening) -> bool {
        self.entries.iter().any(|grant| wanted.is_of(grant))
    }

    /// Opens what is `wanted`; if that is open already, until the later deadline.
    pub(crate) fn open(&mut self, wanted: Opening) -> Result<GrantId, Full> {
        let own = self.entries.iter_mut().find(|grant| wanted.is_of(grant));
        let Opening { client, to, service, deadline, limit, waiter } = wanted;
        if let Some(grant) = own {
            grant.deadline = deadline.max(grant.deadline);
            grant.limit = limit.max(grant.limit);
            grant.phase = Phase::OpenDue;
            waiter.into_iter().for_each(|waiter| grant.await_by(waiter));
            grant.notable = true;
            return Ok(grant.id);
        }
        let id = GrantId(self.next_id);
        let grant = Grant {
            id,
            client,
            to,
            service,
            deadline,
            limit,
            flows: Flows::None,
            in_force: None,
            offered: None,
            phase: Phase::OpenDue,
            waiters: [waiter, None],
            notable: true,
        };
        self.entries.push(grant).map_err(|_| Full)?;
        self.next_id = self.next_id.wrapping_add(1).max(1);
        Ok(id)
    }

    pub(crate) fn by_id(&mut self, id: GrantId) -> Option<&mut Grant> {
        self.entries.iter_mut().find(|grant| grant.id == id)
    }

    pub(crate) fn remove(&mut self, id: GrantId) {
        self.entries.retain(|grant| grant.id != id);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Grant> {
        self.entries.iter_mut()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.iter().filter_map(Grant::next).min()
    }
}
