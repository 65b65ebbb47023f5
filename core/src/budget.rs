//! Budgets: what one source prefix may cost before anybody has proved who he is.
//!
//! A message that is no noise costs a handshake, and whoever has a door key can send as many as he likes. So every prefix, an IPv4
//! address or an IPv6 /64, has a token bucket of its own. There is never one for all: a stranger can use up his own budget, and
//! nobody else's. A prefix that is not in the table has its full budget, so whoever is pushed out of a full table gains by it:
//! a flood from many addresses is not what budgets are against.
//!
//! Rule: `docs/protocol.md`, section 6.12.

use core::net::IpAddr;

use crate::address::SourcePrefix;
use crate::limits::{BUDGET_BURST, BUDGET_PERIOD};
use crate::source_hash::{Hashed, SourceHash};
use crate::time::Instant;

/// Places of a [`Bucket`]: two lines of cache.
const PLACES: usize = 8;

/// The budgets of those prefixes that share a place in the table.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub struct Bucket([Account; PLACES]);

/// What one prefix has used.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    prefix: Hashed,
    /// When its budget is full again.
    full: Instant,
}

const _: () = assert!(size_of::<Bucket>() == 128);

/// The budgets of all prefixes.
///
/// `T` is the host's table: some [`Bucket`]s, each for eight prefixes.
pub struct Budget<T> {
    table: T,
    hash: SourceHash,
}

impl<T: AsRef<[Bucket]> + AsMut<[Bucket]>> Budget<T> {
    /// A full budget for everybody. `key` is random, so that nobody can aim at one bucket.
    pub fn new(table: T, key: [u8; 16]) -> Self {
        Self { table, hash: SourceHash::new(key) }
    }

    /// Takes one from the budget of the prefix of `source`; `false` if there is nothing left of it.
    ///
    /// Costs one hash and a look at one bucket, however full the table is. A table without places gives nobody anything.
    pub fn take(&mut self, now: Instant, source: IpAddr) -> bool {
        let prefix = self.hash.of(SourcePrefix::of(source).address());
        let at = prefix.place(self.table.as_ref().len());
        self.table.as_mut().get_mut(at).is_some_and(|bucket| bucket.take(now, prefix))
    }
}

impl Bucket {
    /// Takes one from the account of `prefix`: its own, or a new one in place of the one that has used least.
    fn take(&mut self, now: Instant, prefix: Hashed) -> bool {
        if let Some(own) = self.0.iter_mut().find(|account| account.prefix == prefix) {
            return own.take(now);
        }
        let Some(least) = self.0.iter_mut().min_by_key(|account| account.full) else { return false };
        *least = Account { prefix, full: now };
        least.take(now)
    }
}

impl Account {
    fn take(&mut self, now: Instant) -> bool {
        let full = self.full.max(now).after(BUDGET_PERIOD);
        if full.left(now) > BUDGET_PERIOD * BUDGET_BURST {
            return false;
        }
        self.full = full;
        true
    }
}

#[cfg(test)]
mod tests;
