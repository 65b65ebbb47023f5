//! The filter: which grants are open, and what they let through.
//!
//! What the firewall's sets are to the Linux agent, this is to the gateway. Every grant carries its own end, so that it
//! closes on time whatever becomes of the core.

use core::net::IpAddr;

use heapless::Vec;
use knockgate_core::profile::Protocol;
use knockgate_core::{Instant, Network, Outcome};

use crate::config::GuardedService;
use crate::limits::GRANTS;

/// Where somebody wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub protocol: Protocol,
    /// To which host behind the gateway.
    pub address: IpAddr,
    /// To which port.
    pub port: u16,
}

#[derive(Clone, Copy)]
struct Opening {
    to: Network,
    service: u16,
    until: Instant,
}

/// What is open, to whom, until when.
pub struct Filter {
    services: alloc::vec::Vec<GuardedService>,
    open: Vec<Opening, GRANTS>,
}

impl Filter {
    /// A filter that lets nobody through.
    pub(crate) const fn new(services: alloc::vec::Vec<GuardedService>) -> Self {
        Self { services, open: Vec::new() }
    }

    /// Whether `source` may begin to speak with `target`.
    pub fn allows(&self, now: Instant, source: IpAddr, target: Target) -> bool {
        self.open
            .iter()
            .filter(|opening| opening.to.contains(source) && opening.until > now)
            .filter_map(|opening| self.services.iter().find(|service| service.id == opening.service))
            .any(|service| service.is_at(target))
    }

    /// Whether `target` belongs to `service`.
    pub(crate) fn leads_to(&self, service: u16, target: Target) -> bool {
        self.services.iter().any(|known| known.id == service && known.is_at(target))
    }

    /// Whether a machine behind the gateway has this address, as far as services tell.
    pub(crate) fn guards(&self, address: IpAddr) -> bool {
        self.services.iter().any(|service| service.hosts.contains(&address))
    }

    /// Opens `service` to an address or a prefix until `until`, in place of an earlier opening of the same.
    pub(crate) fn open(&mut self, now: Instant, to: Network, service: u16, until: Instant) -> Outcome {
        if !self.services.iter().any(|known| known.id == service) {
            return Outcome::Failed;
        }
        self.close(to, service);
        self.open.retain(|opening| opening.until > now);
        self.open.push(Opening { to, service, until }).map_or(Outcome::Failed, |()| Outcome::Done)
    }

    /// Closes `service` to those that it was opened to. What is not open is closed already.
    pub(crate) fn close(&mut self, to: Network, service: u16) {
        self.open.retain(|opening| (opening.to, opening.service) != (to, service));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSH: u16 = 1;
    const ALICE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1));
    const BOB: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 2));
    const PLC: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 100));
    const CAMERA: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 101));

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn filter() -> Filter {
        let hosts = Vec::from_slice(&[PLC]).unwrap();
        let ports = Vec::from_slice(&[22]).unwrap();
        Filter::new(alloc::vec![GuardedService { id: SSH, protocol: Protocol::Tcp, ports, hosts }])
    }

    #[test]
    fn a_grant_is_for_one_source_one_service_and_its_time() {
        let mut filter = filter();
        assert_eq!(filter.open(at(0), Network::host(ALICE), SSH, at(10)), Outcome::Done);
        use Protocol::{Tcp, Udp};
        #[rustfmt::skip]
        let cases = [
            (1, 9,  ALICE, Tcp, PLC,    22, true),
            (2, 10, ALICE, Tcp, PLC,    22, false),
            (3, 9,  BOB,   Tcp, PLC,    22, false),
            (4, 9,  ALICE, Udp, PLC,    22, false),
            (5, 9,  ALICE, Tcp, CAMERA, 22, false),
            (6, 9,  ALICE, Tcp, PLC,    23, false),
        ];
        for (case, now, source, protocol, address, port, allowed) in cases {
            let target = Target { protocol, address, port };
            assert_eq!(filter.allows(at(now), source, target), allowed, "case {case}");
        }
    }

    #[test]
    fn a_closed_grant_lets_nothing_through_before_its_time() {
        let mut filter = filter();
        filter.open(at(0), Network::host(ALICE), SSH, at(10));
        filter.close(Network::host(ALICE), SSH);
        filter.close(Network::host(ALICE), SSH);
        assert!(!filter.allows(at(1), ALICE, Target { protocol: Protocol::Tcp, address: PLC, port: 22 }));
    }

    #[test]
    fn a_service_that_is_not_configured_cannot_be_opened() {
        assert_eq!(filter().open(at(0), Network::host(ALICE), 2, at(10)), Outcome::Failed);
    }
}
