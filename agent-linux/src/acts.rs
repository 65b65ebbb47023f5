//! What policies set going besides the gate: units are started, channels are notified.
//!
//! Nothing here keeps the caller waiting, and nothing that fails here touches a decision that was made: every concern has a
//! thread and a bounded queue of its own, and what finds no room is dropped, counted and logged. What an act is about
//! travels with it as a [`Notice`]. What became of it is in the log and in the audit log.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`units`] | starts units through the service manager |
//! | [`channel`] | sends notices, again where it may help |
//! | [`webhook`], [`socket`] | the two kinds of channels |
//! | [`queue`] | the way to a thread |

mod channel;
mod notice;
mod queue;
mod socket;
mod units;
mod webhook;

use std::collections::HashMap;
use std::sync::Arc;

use knockgate_policy_host::{Capabilities, Capability};

use crate::audit::Audit;
use crate::config::{self, Config, Destination};

use channel::Channel;
use units::{Bus, Units};
use webhook::WebhookClient;

pub use notice::Notice;

/// The threads that carry acts out. They end when this is dropped and their queues are empty.
pub struct Acts {
    /// `None` if there is nothing to start.
    units: Option<Units>,
    channels: HashMap<u16, Channel>,
}

impl Acts {
    /// Starts a thread for the service manager, if there are units to start, and one for each channel.
    ///
    /// # Errors
    /// What [`check`] finds, or a thread cannot be started. That a service manager or a receiver is not there now is no
    /// error: it may come.
    pub fn start(config: &Config, audit: &Arc<Audit>) -> anyhow::Result<Self> {
        Self::start_on(Bus::System, config, audit)
    }

    fn start_on(bus: Bus, config: &Config, audit: &Arc<Audit>) -> anyhow::Result<Self> {
        let units = match config.units.as_slice() {
            [] => None,
            units => Some(units::start(units, bus, Arc::clone(audit))?),
        };
        let start = |wanted: &config::Channel| {
            Ok((wanted.id, channel::start(wanted, &config.gate.address, Arc::clone(audit))?))
        };
        let channels = config.channels.iter().map(start).collect::<anyhow::Result<_>>()?;
        Ok(Self { units, channels })
    }

    /// Starts the unit of that number.
    pub fn start_unit(&self, id: u16, about: Notice) {
        let asked = self.units.as_ref().is_some_and(|units| units.start(id, about));
        if !asked {
            tracing::error!(
                id,
                "a policy started a unit that is not in the configuration; restart the agent"
            );
        }
    }

    /// Sends a code to the channel of that number.
    pub fn notify(&self, channel: u16, code: u32, about: Notice) {
        match self.channels.get(&channel) {
            Some(channel) => channel.notify(code, about),
            None => {
                tracing::error!(
                    id = channel,
                    "a policy notified a channel that is not in the configuration; restart the agent"
                );
            }
        }
    }

    /// What cannot be done now: `start`, as long as no service manager answers. Cheap enough to ask for every event.
    pub fn lacking(&self) -> Capabilities {
        match &self.units {
            Some(units) if !units.manager_answers() => Capabilities::of(&[Capability::Start]),
            Some(_) | None => Capabilities::NONE,
        }
    }
}

/// Whether the files that channels need are there and as private as they must be.
///
/// # Errors
/// Names the channel, the file, what is wrong and the remedy.
pub fn check(config: &Config) -> anyhow::Result<()> {
    config.channels.iter().try_for_each(|channel| match &channel.to {
        Destination::Webhook(webhook) => {
            WebhookClient::new(&channel.name, webhook, channel.timeout).map(drop)
        }
        Destination::Socket(_) => Ok(()),
    })
}
