//! What may be opened: a service of the plan, by its own ports, as far as the plan lets it reach, for as long as it may be open.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::firewall::{Grant, Plan, PlanError, Prefixes, Protocol, Reach};

/// What the rules do not say: how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// By the number of the service.
    pub longest: Vec<(u16, Duration)>,
    pub hold: Duration,
}

/// The plan as commands are held against it.
pub(super) struct Permit {
    services: HashMap<u16, Permitted>,
    hold: Duration,
}

struct Permitted {
    protocol: Protocol,
    /// Ascending.
    ports: Vec<u16>,
    prefix: Option<Prefixes>,
    longest: Duration,
}

/// Why something is not opened. It takes a worker that is not itself any more, or a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotPermitted {
    #[error("no service has the number {0}; restart the agent after a change of the configuration")]
    Service(u16),
    #[error("service {0} has other ports; restart the agent after a change of the configuration")]
    Ports(u16),
    #[error("service {0} opens to no such prefix; restart the agent after a change of the configuration")]
    Reach(u16),
    #[error("service {0} is never open for that long; restart the agent after a change of the configuration")]
    TooLong(u16),
    #[error("no sequence may be knocked for that long")]
    Hold,
}

impl Permit {
    pub(super) fn of(plan: &Plan, bounds: &Bounds) -> Result<Self, PlanError> {
        plan.check()?;
        let longest: HashMap<u16, Duration> = bounds.longest.iter().copied().collect();
        let services = plan.services.iter().map(|service| {
            let mut ports = service.ports.clone();
            ports.sort_unstable();
            let longest = longest.get(&service.id).copied().unwrap_or_default();
            (service.id, Permitted { protocol: service.protocol, ports, prefix: service.prefix, longest })
        });
        Ok(Self { services: services.collect(), hold: bounds.hold })
    }

    pub(super) fn open(&self, grant: &Grant) -> Result<(), NotPermitted> {
        let id = grant.service;
        let service = self.services.get(&id).ok_or(NotPermitted::Service(id))?;
        let mut ports = grant.ports.clone();
        ports.sort_unstable();
        if grant.protocol != service.protocol || *ports != *service.ports {
            return Err(NotPermitted::Ports(id));
        }
        let reaches = match grant.reach {
            Reach::Address => true,
            Reach::Prefix(bits) => {
                let network = grant.reach.network(grant.source);
                service.prefix.and_then(|prefixes| prefixes.of(&network)) == Some(bits)
            }
        };
        if !reaches {
            return Err(NotPermitted::Reach(id));
        }
        if grant.timeout > service.longest { Err(NotPermitted::TooLong(id)) } else { Ok(()) }
    }

    pub(super) fn watch(&self, hold: Duration) -> Result<(), NotPermitted> {
        if hold > self.hold { Err(NotPermitted::Hold) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::{Mode, Packets, Report, Service, Statics};

    const LONGEST: Duration = Duration::from_secs(600);

    #[test]
    fn only_what_the_plan_names_is_opened_and_only_as_far_and_as_long() {
        use NotPermitted as Not;
        let wide = || Grant { source: "192.0.2.9".parse().unwrap(), reach: Reach::Prefix(24), ..ssh() };
        let v6 = || Grant { source: "2001:db8::1".parse().unwrap(), ..wide() };
        let cases = [
            (1, ssh(), Ok(())),
            (2, Grant { ports: ports(&[2222, 22]), ..ssh() }, Ok(())),
            (3, Grant { service: 2, ..ssh() }, Err(Not::Service(2))),
            (4, Grant { ports: ports(&[22]), ..ssh() }, Err(Not::Ports(1))),
            (5, Grant { ports: ports(&[22, 2222, 80]), ..ssh() }, Err(Not::Ports(1))),
            (6, Grant { ports: ports(&[22, 80]), ..ssh() }, Err(Not::Ports(1))),
            (7, Grant { protocol: Protocol::Udp, ..ssh() }, Err(Not::Ports(1))),
            (8, wide(), Ok(())),
            (9, Grant { reach: Reach::Prefix(8), ..wide() }, Err(Not::Reach(1))),
            (10, Grant { reach: Reach::Prefix(0), ..wide() }, Err(Not::Reach(1))),
            (11, v6(), Err(Not::Reach(1))),
            (12, Grant { source: "::ffff:192.0.2.9".parse().unwrap(), ..wide() }, Ok(())),
            (13, Grant { timeout: LONGEST + Duration::from_millis(1), ..ssh() }, Err(Not::TooLong(1))),
        ];
        let permit = permit();
        for (case, grant, expected) in cases {
            assert_eq!(permit.open(&grant), expected, "case {case}");
        }
    }

    #[test]
    fn nobody_is_watched_for_longer_than_a_knock_takes() {
        assert_eq!(permit().watch(Duration::from_secs(6)), Ok(()));
        assert_eq!(permit().watch(Duration::from_secs(7)), Err(NotPermitted::Hold));
    }

    #[test]
    fn a_service_without_a_bound_is_never_opened() {
        let bounds = Bounds { longest: Vec::new(), hold: Duration::ZERO };
        assert_eq!(Permit::of(&plan(), &bounds).unwrap().open(&ssh()), Err(NotPermitted::TooLong(1)));
    }

    fn permit() -> Permit {
        let bounds = Bounds { longest: vec![(1, LONGEST)], hold: Duration::from_secs(6) };
        Permit::of(&plan(), &bounds).unwrap()
    }

    fn plan() -> Plan {
        let service = Service {
            id: 1,
            name: "ssh".to_owned(),
            protocol: Protocol::Tcp,
            ports: vec![2222, 22],
            forward: None,
            prefix: Some(Prefixes { v4: Some(24), v6: None }),
        };
        Plan {
            interfaces: Vec::new(),
            services: vec![service],
            decoys: Vec::new(),
            mode: Mode::Closed { report: Report::Unneeded },
            packets: Packets::Off,
            statics: Statics::none(),
        }
    }

    fn ssh() -> Grant {
        Grant {
            id: 1,
            client: 1,
            service: 1,
            source: "192.0.2.9".parse().unwrap(),
            reach: Reach::Address,
            protocol: Protocol::Tcp,
            ports: ports(&[22, 2222]),
            timeout: LONGEST,
        }
    }

    fn ports(list: &[u16]) -> heapless::Vec<u16, { crate::firewall::MAX_PORTS }> {
        heapless::Vec::from_slice(list).unwrap()
    }
}
