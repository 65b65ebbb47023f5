//! The numbers that policies keep between events, each policy's in one record: a decision's writes are taken over as a whole.

use alloc::sync::Arc;

use blake2::{Blake2b512, Digest};
use heapless::Vec;
use knockgate_core::Name;
use knockgate_policy_host::{StateError, StateStore};
use spin::Mutex;

use crate::board::Flash;
use crate::storage::journal::Journal;

/// Most numbers of one policy: the edge profile's.
const MOST: usize = 16;

/// The numbers of one policy, each under its key. None is 0.
pub(crate) type Numbers = Vec<(u32, u64), MOST>;

/// Names a policy in the journal: from its name on this site, so that a new version of it finds its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PolicyId(pub(crate) [u8; 8]);

impl PolicyId {
    fn of(name: &Name) -> Self {
        let hash = Blake2b512::digest(name.as_str());
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(hash) {
            *to = from;
        }
        Self(id)
    }
}

/// The numbers of one policy, for the engine that runs it.
pub struct PolicyNumbers<F: Flash> {
    // The engine may be used from several threads, so it wants what it keeps to be safe there. A gateway has one: the lock is
    // always free, and nobody ever waits for it.
    journal: Arc<Mutex<Journal<F>>>,
    policy: PolicyId,
}

impl<F: Flash> PolicyNumbers<F> {
    /// Those of the policy that the site calls `name`.
    pub fn new(journal: Arc<Mutex<Journal<F>>>, name: &Name) -> Self {
        Self { journal, policy: PolicyId::of(name) }
    }

    fn with<T>(&self, ask: impl FnOnce(&Numbers) -> T) -> T {
        let journal = self.journal.lock();
        let numbers = journal.numbers.iter().find(|(policy, _)| *policy == self.policy);
        ask(numbers.map_or(&Numbers::new(), |(_, numbers)| numbers))
    }
}

impl<F: Flash> StateStore for PolicyNumbers<F> {
    fn load(&self, key: u32) -> u64 {
        self.with(|numbers| numbers.iter().find(|(known, _)| *known == key).map_or(0, |(_, number)| *number))
    }

    fn len(&self) -> usize {
        self.with(|numbers| numbers.len())
    }

    fn commit(&self, writes: &[(u32, u64)]) -> Result<(), StateError> {
        let new = self.with(|numbers| changed(numbers, writes))?;
        let mut journal = self.journal.lock();
        journal.store_numbers(self.policy, &new).map_err(|_| StateError)?;
        match journal.numbers.iter_mut().find(|(policy, _)| *policy == self.policy) {
            Some((_, numbers)) => *numbers = new,
            None => journal.numbers.push((self.policy, new)),
        }
        Ok(())
    }
}

fn changed(numbers: &Numbers, writes: &[(u32, u64)]) -> Result<Numbers, StateError> {
    let kept = numbers.iter().filter(|(key, _)| writes.iter().all(|(written, _)| written != key));
    let mut new = Numbers::new();
    for number in kept.chain(writes.iter().filter(|(_, number)| *number != 0)) {
        new.push(*number).map_err(|_| StateError)?;
    }
    Ok(new)
}
