//! What the core is told, by a server when it starts and by a gateway's image.

use knockgate_core::gate::{self, Prefixes};

use super::{LockoutScope, Service};

impl From<&Service> for gate::Service {
    fn from(service: &Service) -> Self {
        let Service { id, open, max_open, confirm, second_factor, follow, prefix_v4, prefix_v6, .. } =
            *service;
        let prefixes = (prefix_v4.is_some() || prefix_v6.is_some())
            .then(|| Prefixes { v4: prefix_v4.unwrap_or(32), v6: prefix_v6.unwrap_or(128) });
        Self { id, open, max_open, confirm, second_factor, follow, prefixes }
    }
}

impl From<LockoutScope> for gate::LockoutScope {
    fn from(scope: LockoutScope) -> Self {
        match scope {
            LockoutScope::Source => Self::Source,
            LockoutScope::Global => Self::Everybody,
        }
    }
}
