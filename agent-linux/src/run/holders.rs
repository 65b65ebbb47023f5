//! To whom the decoys answer now.
//!
//! The gate's thread changes it; the listener behind the decoys looks, so that it can close a holder's connection at once. That
//! close is what the client waits for with each port. A holder is there before he gets his number, so before he can knock.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Clones are of the same set. Nobody keeps it locked for longer than a look takes.
#[derive(Clone, Default)]
pub(super) struct Holders(Arc<RwLock<HashSet<IpAddr>>>);

impl Holders {
    pub(super) fn contains(&self, source: IpAddr) -> bool {
        self.read().contains(&source)
    }

    pub(super) fn insert(&self, source: IpAddr) {
        self.write().insert(source);
    }

    pub(super) fn remove(&self, source: IpAddr) {
        self.write().remove(&source);
    }

    // A set of addresses is whole whoever panicked with it.
    fn read(&self) -> RwLockReadGuard<'_, HashSet<IpAddr>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashSet<IpAddr>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
