//! The few numbers that a policy keeps between events.
//!
//! A host implements [`StateStore`] over what it has that lasts. One store belongs to one policy; decisions that share a store
//! are made one after the other by the host, else one could overwrite what another just counted.

use core::fmt;

/// Keeps one policy's numbers. A key that was never stored, or was stored as 0, is absent.
pub trait StateStore: Send + Sync + 'static {
    /// The number under `key`, 0 when absent.
    fn load(&self, key: u32) -> u64;

    /// How many keys are present.
    fn len(&self) -> usize;

    /// Whether nothing is kept.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over all of `writes` or none of them, and returns when they would survive a crash. Never called with a key twice.
    ///
    /// # Errors
    /// They were not taken over; the decision then denies.
    fn commit(&self, writes: &[(u32, u64)]) -> Result<(), StateError>;
}

/// The host could not store a policy's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateError;

impl core::error::Error for StateError {}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host's store failed; its log says why")
    }
}

#[cfg(feature = "std")]
pub use memory::MemoryState;

#[cfg(feature = "std")]
mod memory {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::{StateError, StateStore};

    /// Numbers kept in memory only: for tests, and for shadow decisions that must not leave anything behind.
    #[derive(Default)]
    pub struct MemoryState(Mutex<BTreeMap<u32, u64>>);

    impl MemoryState {
        fn numbers(&self) -> MutexGuard<'_, BTreeMap<u32, u64>> {
            // Whoever panicked with the lock left a usable map: every change is one insert or one remove.
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl StateStore for MemoryState {
        fn load(&self, key: u32) -> u64 {
            self.numbers().get(&key).copied().unwrap_or(0)
        }

        fn len(&self) -> usize {
            self.numbers().len()
        }

        fn commit(&self, writes: &[(u32, u64)]) -> Result<(), StateError> {
            let mut numbers = self.numbers();
            for (key, value) in writes {
                match value {
                    0 => numbers.remove(key),
                    value => numbers.insert(*key, *value),
                };
            }
            Ok(())
        }
    }
}
