//! What may be open, and whether each opening and closing that the gate offers is due.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use knockgate_core::Bearer;
use knockgate_core::note::CloseReason;

use super::At;

const RETRY: At = 1_000;

/// What the kernel knows of a grant.
pub(crate) type Door = (IpAddr, u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    No,
    /// To be closed, not before this moment.
    Due(At, CloseReason),
    /// The host is at it.
    Offered(CloseReason),
}

#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) client: u32,
    pub(crate) door: Door,
    pub(crate) deadline: At,
    /// Until when it is open, as far as the host has said so.
    pub(crate) confirmed: Option<At>,
    /// The deadline of the opening that the host is at.
    pub(crate) offered: Option<At>,
    /// Must be opened or refreshed.
    pub(crate) wanted: bool,
    pub(crate) closing: Closing,
    /// The last two knocks that wait for the opening.
    pub(crate) waiters: Vec<usize>,
}

impl Grant {
    fn await_by(&mut self, waiter: usize) {
        if self.waiters.last() != Some(&waiter) {
            self.waiters.push(waiter);
        }
        if self.waiters.len() > 2 {
            self.waiters.remove(0);
        }
    }
}

#[derive(Default)]
pub(crate) struct Grants {
    pub(crate) all: BTreeMap<u32, Grant>,
    pub(crate) numbered: u32,
    /// Closed with success; the gate must note it.
    closed: BTreeMap<u32, CloseReason>,
    /// Doors whose grant was handed over to another one, which may be refreshed.
    handed_over: BTreeSet<Door>,
}

impl Grants {
    /// The policy opens a service for a knock, or nobody waits for it.
    pub(crate) fn grant(&mut self, client: u32, door: Door, deadline: At, waiter: Option<usize>) {
        let same =
            |grant: &&mut Grant| (grant.client, grant.door, grant.closing) == (client, door, Closing::No);
        if let Some(grant) = self.all.values_mut().find(same) {
            grant.deadline = grant.deadline.max(deadline);
            grant.wanted = true;
            waiter.into_iter().for_each(|waiter| grant.await_by(waiter));
            return;
        }
        self.numbered += 1;
        let (confirmed, offered, wanted, closing) = (None, None, true, Closing::No);
        let waiters = waiter.into_iter().collect();
        let grant = Grant { client, door, deadline, confirmed, offered, wanted, closing, waiters };
        self.all.insert(self.numbered, grant);
    }

    pub(crate) fn extend(&mut self, client: u32, id: u32, deadline: At, waiter: usize) {
        let his = |grant: &&mut Grant| (grant.client, grant.closing) == (client, Closing::No);
        if let Some(grant) = self.all.get_mut(&id).filter(his) {
            (grant.deadline, grant.wanted) = (deadline, true);
            grant.await_by(waiter);
        }
    }

    pub(crate) fn revoke(&mut self, now: At, id: u32) {
        if let Some(grant) = self.all.get_mut(&id).filter(|grant| grant.closing == Closing::No) {
            grant.closing = Closing::Due(now, CloseReason::Revoked);
            grant.wanted = false;
        }
    }

    /// The grants of a client that it means, from `source`.
    pub(crate) fn meant(&self, client: u32, source: IpAddr, grant: u32, service: u16) -> Vec<u32> {
        let means = |(id, its): &(&u32, &Grant)| {
            let (at, what) = its.door;
            let named = if grant == 0 { at == source } else { **id == grant };
            its.client == client && named && (service == 0 || service == what)
        };
        self.all.iter().filter(means).map(|(id, _)| *id).collect()
    }

    /// The grant that a client wants to keep: one that is open to the address that it asks from.
    pub(crate) fn kept(&self, now: At, client: u32, source: IpAddr, grant: u32, service: u16) -> Option<u32> {
        let is_kept = |id: &u32| self.all[id].door.0 == source && self.is_in_force(now, *id);
        self.meant(client, source, grant, service).into_iter().find(is_kept)
    }

    pub(crate) fn is_in_force(&self, now: At, id: u32) -> bool {
        self.all.get(&id).is_some_and(|its| {
            its.closing == Closing::No && its.deadline > now && its.confirmed.is_some_and(|until| until > now)
        })
    }

    /// A client does not want them any more.
    pub(crate) fn close(&mut self, now: At, ids: &[u32]) {
        for id in ids {
            let grant = self.all.get_mut(id).expect("meant");
            if grant.closing == Closing::No {
                grant.closing = Closing::Due(now, CloseReason::ByClient);
                grant.wanted = false;
            }
        }
    }

    /// It ends by then at the latest, and is opened once more if that is earlier, or if it shall be anyway.
    pub(crate) fn shorten(&mut self, id: u32, latest: At, again: bool) {
        let its = self.all.get_mut(&id).expect("it is there");
        if its.closing == Closing::No {
            its.wanted |= again || its.deadline > latest;
            its.deadline = its.deadline.min(latest);
            its.confirmed = its.confirmed.map(|until| until.min(latest));
            its.offered = its.offered.map(|until| until.min(latest));
        }
    }

    pub(crate) fn revoke_all(&mut self, now: At, client: u32) {
        let his: Vec<_> =
            self.all.iter().filter(|(_, grant)| grant.client == client).map(|(id, _)| *id).collect();
        his.into_iter().for_each(|id| self.revoke(now, id));
    }

    /// How many openings a knock waits for.
    pub(crate) fn awaited(&self, waiter: usize) -> usize {
        self.all.values().filter(|grant| grant.wanted && grant.waiters.contains(&waiter)).count()
    }

    pub(crate) fn expire(&mut self, now: At) {
        for grant in self.all.values_mut().filter(|grant| grant.deadline <= now) {
            if grant.closing == Closing::No {
                grant.closing = Closing::Due(now, CloseReason::Expired);
                grant.wanted = false;
            }
        }
    }

    /// The grants that keep a door open after `now`.
    fn keepers(&self, now: At, door: Door) -> impl Iterator<Item = (&u32, &Grant)> {
        self.all.iter().filter(move |(_, grant)| {
            grant.door == door && grant.closing == Closing::No && grant.deadline > now
        })
    }

    /// The gate offers an opening: it must be wanted, or follow a handing over, and last as long as the longest.
    pub(crate) fn offer_open(&mut self, now: At, id: u32, bearer: Bearer, door: Door, lasts: At) {
        let longest = self.keepers(now, door).map(|(_, grant)| grant.deadline).max();
        let refresh = self.handed_over.contains(&door);
        let named = self.keepers(now, door).find(|(id, _)| **id == bearer.grant.0);
        assert_eq!(
            named.map(|(_, grant)| (grant.client, Some(grant.deadline))),
            Some((bearer.client.0, longest)),
            "an opening bears the name of the grant that ends last"
        );
        let grant = self.all.get_mut(&id).expect("only what was granted is opened");
        assert_eq!(grant.door, door, "and only where and what was granted");
        assert_eq!(grant.closing, Closing::No, "nothing is opened that is being closed");
        assert!(grant.wanted || refresh, "grant {id} is opened for no reason");
        assert_eq!(grant.offered, None, "an opening is offered once");
        assert!(lasts > 0, "an opening for no time might be one for ever");
        assert_eq!(
            Some(now + lasts),
            longest,
            "an opening lasts as long as the longest grant that shares it"
        );
        grant.offered = Some(grant.deadline);
        grant.wanted = false;
    }

    /// The gate offers a closing: it must be due, and nobody else may need the door.
    pub(crate) fn offer_close(&mut self, now: At, id: u32, door: Door) {
        let heir = self.keepers(now, door).next().map(|(id, _)| *id);
        assert_eq!(heir, None, "grant {id} is closed although another one needs the door");
        let grant = self.all.get_mut(&id).expect("only what was granted is closed");
        assert_eq!(grant.door, door);
        let reason = due(grant, now).unwrap_or_else(|| panic!("{grant:?} is closed for no reason at {now}"));
        (grant.closing, grant.wanted) = (Closing::Offered(reason), false);
    }

    /// The gate notes that a grant has ended: it was closed, or handed over.
    pub(crate) fn note_closed(&mut self, now: At, id: u32, reason: CloseReason) {
        if let Some(expected) = self.closed.remove(&id) {
            assert_eq!(reason, expected);
            return;
        }
        let grant = self.all.remove(&id).expect("a grant ends once");
        assert_eq!(due(&grant, now), Some(reason), "{grant:?} ends for no reason");
        assert!(self.keepers(now, grant.door).next().is_some(), "{grant:?} ends without a closing");
        self.handed_over.insert(grant.door);
    }

    /// An opening is reported. Returns the knocks that are to be told, and what.
    pub(crate) fn opened(&mut self, now: At, id: u32, done: bool) -> Option<(Vec<usize>, bool)> {
        let grant = self.all.get_mut(&id)?;
        let deadline = grant.offered.take()?;
        if done {
            grant.confirmed = Some(deadline);
        }
        if grant.wanted {
            return None;
        }
        if !done && grant.closing == Closing::No {
            match grant.confirmed {
                Some(confirmed) => grant.deadline = confirmed,
                None => grant.closing = Closing::Due(now, CloseReason::Failed),
            }
        }
        let well = done && grant.closing == Closing::No;
        Some((std::mem::take(&mut grant.waiters), well))
    }

    /// A closing is reported.
    pub(crate) fn closed(&mut self, now: At, id: u32, done: bool) {
        let Some(grant) = self.all.get_mut(&id) else { return };
        let Closing::Offered(reason) = grant.closing else { return };
        if done {
            self.all.remove(&id);
            self.closed.insert(id, reason);
        } else {
            grant.closing = Closing::Due(now + RETRY, reason);
        }
    }

    /// After the host has done everything that it was offered.
    pub(crate) fn turn_is_over(&mut self, now: At) {
        assert!(self.closed.is_empty(), "closed without a note: {:?}", self.closed);
        self.handed_over.clear();
        let forgotten = |grant: &Grant| grant.wanted && grant.offered.is_none() && grant.deadline > now;
        for (id, grant) in &self.all {
            assert!(!forgotten(grant), "grant {id} is never opened: {grant:?}");
        }
    }

    /// After a timeout: whatever is over is being closed.
    pub(crate) fn everything_over_is_closing(&self, now: At) {
        for (id, grant) in &self.all {
            assert_eq!(due(grant, now), None, "grant {id} is not closed: {grant:?} at {now}");
        }
    }

    /// What is open as far as the host has said so, and until when.
    pub(crate) fn open(&self) -> BTreeMap<u32, (u32, Door, At)> {
        let open = |(id, grant): (&u32, &Grant)| Some((*id, (grant.client, grant.door, grant.confirmed?)));
        self.all.iter().filter_map(open).collect()
    }

    /// After a crash only this is left.
    pub(crate) fn adopt(&mut self, left: BTreeMap<u32, At>) {
        self.all.retain(|id, _| left.contains_key(id));
        for (id, until) in left {
            let grant = self.all.get_mut(&id).expect("what is adopted was open");
            let (confirmed, offered) = (Some(until), None);
            *grant = Grant {
                deadline: until,
                confirmed,
                offered,
                wanted: false,
                closing: Closing::No,
                waiters: Vec::new(),
                ..grant.clone()
            };
        }
        self.numbered = self.all.keys().last().copied().unwrap_or(0);
    }
}

fn due(grant: &Grant, now: At) -> Option<CloseReason> {
    match grant.closing {
        Closing::Due(at, reason) => Some(reason).filter(|_| at <= now),
        // Nothing is refreshed that is over.
        Closing::No => Some(CloseReason::Expired).filter(|_| grant.wanted && grant.deadline <= now),
        Closing::Offered(_) => None,
    }
}
