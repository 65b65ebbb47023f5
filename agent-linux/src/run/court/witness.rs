//! Tells policies what has happened, with the time and the names that the gate's core does not know.

use std::collections::HashMap;

use knockgate_core::{Consultation, Happening, Name, Standing};
use knockgate_policy_host::gate::Scene;
use knockgate_policy_host::{Capabilities, Event, HostKind, LocalTime};

use crate::config::Config;

/// What the host adds to what the gate knows.
pub(in crate::run) struct Witness {
    services: HashMap<u16, String>,
    /// The zone in which office hours are meant.
    zone: jiff::tz::TimeZone,
}

impl Witness {
    pub(in crate::run) fn new(config: &Config) -> Self {
        let services = config.services.iter().map(|service| (service.id, service.name.to_string())).collect();
        let zone = config.policy.time_zone.clone().unwrap_or_else(jiff::tz::TimeZone::system);
        Self { services, zone }
    }

    /// A knock, as policies are told of it. `lacking` is what this host cannot do just now.
    pub(in crate::run) fn knock(&self, asked: &Consultation, lacking: Capabilities) -> Event {
        self.scene(Some(asked.service), lacking).knock(asked)
    }

    /// What has happened, as policies are told of it. `name` is the client's.
    pub(in crate::run) fn event(
        &self,
        happening: &Happening,
        name: Option<&Name>,
        standing: &Standing,
        lacking: Capabilities,
    ) -> Event {
        self.scene(happening.about.service, lacking).happening(happening, name, standing)
    }

    fn scene(&self, service: Option<u16>, lacking: Capabilities) -> Scene<'_> {
        let time = jiff::Timestamp::now();
        let unix = u64::try_from(time.as_second()).ok();
        let offset = self.zone.to_offset(time).seconds();
        Scene {
            host: HostKind::Linux,
            time: unix,
            local: unix.map(|unix| LocalTime::at(unix, offset)),
            lacking,
            service: service.and_then(|id| self.services.get(&id)).map_or("", String::as_str),
        }
    }
}
