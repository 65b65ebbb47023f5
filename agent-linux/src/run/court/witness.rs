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
        self.scene_at(jiff::Timestamp::now(), service, lacking)
    }

    fn scene_at(&self, time: jiff::Timestamp, service: Option<u16>, lacking: Capabilities) -> Scene<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_is_that_of_the_calendar_on_both_sides_of_a_change_of_clocks() {
        let witness = witness(jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        for (time, weekday, minute) in [
            ("2026-03-29T00:59:59Z", 7, 119),
            ("2026-03-29T01:00:00Z", 7, 180),
            ("2026-10-25T00:59:59Z", 7, 179),
            ("2026-10-25T01:00:00Z", 7, 120),
            ("2026-12-31T23:30:00Z", 5, 30),
        ] {
            let scene = witness.scene_at(time.parse().unwrap(), Some(1), Capabilities::NONE);
            assert_eq!(scene.local, Some(LocalTime { weekday, minute }), "{time}");
            assert_eq!(scene.service, "ssh");
        }
    }

    #[test]
    fn the_time_is_told_without_allocating() {
        for zone in [jiff::tz::TimeZone::system(), jiff::tz::TimeZone::UTC] {
            let witness = witness(zone);
            let counted = allocation_counter::measure(|| {
                let _ = witness.scene(Some(1), Capabilities::NONE);
            });
            assert_eq!(counted.count_total, 0);
        }
    }

    fn witness(zone: jiff::tz::TimeZone) -> Witness {
        Witness { services: [(1, "ssh".to_owned())].into(), zone }
    }
}
