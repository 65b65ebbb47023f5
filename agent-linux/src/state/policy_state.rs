//! The numbers that one policy keeps between events, in memory for its questions and in the store for the next start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use knockgate_policy_host::{StateError as NotKept, StateStore};

use super::{StateError, Store};

/// One policy's numbers.
pub struct PolicyState {
    policy: String,
    store: Arc<Store>,
    numbers: Mutex<HashMap<u32, u64>>,
}

impl PolicyState {
    /// Reads what the policy of that name has kept.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(store: Arc<Store>, policy: &str) -> Result<Self, StateError> {
        let numbers = Mutex::new(store.policy(policy)?);
        Ok(Self { policy: policy.to_owned(), store, numbers })
    }

    fn numbers(&self) -> MutexGuard<'_, HashMap<u32, u64>> {
        // Every change is one whole statement, so a panic elsewhere has left nothing half done.
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for PolicyState {
    fn load(&self, key: u32) -> u64 {
        self.numbers().get(&key).copied().unwrap_or(0)
    }

    fn len(&self) -> usize {
        self.numbers().len()
    }

    fn commit(&self, writes: &[(u32, u64)]) -> Result<(), NotKept> {
        let mut numbers = self.numbers();
        self.store.write_policy(&self.policy, writes).map_err(|error| {
            tracing::warn!("policy {} cannot keep its numbers, so its decision denies: {error}", self.policy);
            NotKept
        })?;
        for &(key, value) in writes {
            match value {
                0 => numbers.remove(&key),
                _ => numbers.insert(key, value),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use knockgate_core::key::GateId;

    use super::*;
    use crate::state::{RosterFile, StateDir};

    #[test]
    fn numbers_survive_a_restart_and_zero_is_absent() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&temp.path().join("state")).unwrap();
        let open = || Arc::new(Store::open(&dir, GateId([1; 16]), &RosterFile::default()).unwrap().0);
        let state = PolicyState::load(open(), "office-hours").unwrap();
        state.commit(&[(1, 10), (2, 20)]).unwrap();
        state.commit(&[(2, 0)]).unwrap();
        drop(state);

        let state = PolicyState::load(open(), "office-hours").unwrap();

        assert_eq!((state.load(1), state.load(2), state.len()), (10, 0, 1));
    }
}
