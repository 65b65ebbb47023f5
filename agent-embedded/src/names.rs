//! What people call the services.

use alloc::sync::Arc;

use knockgate_core::Name;

/// The names of a site's services, by number. Shared by those who write them.
#[derive(Clone, Debug, Default)]
pub struct ServiceNames(Arc<[(u16, Name)]>);

impl ServiceNames {
    /// The name of a service, if there is one of that number.
    #[must_use]
    pub fn get(&self, service: u16) -> Option<&str> {
        self.0.iter().find(|(id, _)| *id == service).map(|(_, name)| name.as_str())
    }

    /// Every name.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, name)| name.as_str())
    }
}

impl FromIterator<(u16, Name)> for ServiceNames {
    fn from_iter<I: IntoIterator<Item = (u16, Name)>>(services: I) -> Self {
        Self(services.into_iter().collect())
    }
}
