//! The numbers that a policy has kept, during a replay.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use knockgate_policy_host::{MemoryState, StateError, StateStore};

/// What was recorded counts; for other keys what the policy has stored in this replay.
#[derive(Default)]
pub(super) struct Kept {
    recorded: Mutex<BTreeMap<u32, u64>>,
    own: MemoryState,
}

impl Kept {
    /// From now on these were read.
    pub(super) fn recall(&self, loaded: &[(u32, u64)]) {
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = loaded.iter().copied().collect();
    }
}

impl StateStore for Kept {
    fn load(&self, key: u32) -> u64 {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.get(&key).copied().unwrap_or_else(|| self.own.load(key))
    }

    fn len(&self) -> usize {
        self.own.len()
    }

    fn commit(&self, writes: &[(u32, u64)]) -> Result<(), StateError> {
        self.own.commit(writes)
    }
}
