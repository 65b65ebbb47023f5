//! What a policy keeps between two events, for as long as the check runs.

use core::cell::RefCell;

use critical_section::Mutex;
use heapless::Vec;
use knockgate_policy_host::{StateError, StateStore};

/// As many numbers as a policy of the edge profile keeps.
const KEYS: usize = 16;

pub(crate) struct Numbers(Mutex<RefCell<Vec<(u32, u64), KEYS>>>);

impl Numbers {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(RefCell::new(Vec::new())))
    }
}

impl StateStore for Numbers {
    fn load(&self, key: u32) -> u64 {
        critical_section::with(|cs| {
            let numbers = self.0.borrow_ref(cs);
            numbers.iter().find(|(known, _)| *known == key).map_or(0, |(_, number)| *number)
        })
    }

    fn len(&self) -> usize {
        critical_section::with(|cs| self.0.borrow_ref(cs).len())
    }

    fn commit(&self, writes: &[(u32, u64)]) -> Result<(), StateError> {
        critical_section::with(|cs| {
            let mut numbers = self.0.borrow_ref_mut(cs);
            let mut changed = numbers.clone();
            for write in writes {
                changed.retain(|(known, _)| *known != write.0);
                if write.1 != 0 {
                    changed.push(*write).map_err(|_| StateError)?;
                }
            }
            *numbers = changed;
            Ok(())
        })
    }
}
