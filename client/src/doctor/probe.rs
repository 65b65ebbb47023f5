//! Questions of status to every address family, by packet and over TCP.

use std::net::SocketAddr;

use knockgate_core::message::{Kind, Request};

use crate::dial;
use crate::exchange::{Answered, Way};
use crate::outcome::Failure;
use crate::session::Session;

/// One question and what came of it.
pub(super) struct Probe {
    pub(super) way: Way,
    pub(super) family: &'static str,
    pub(super) result: Result<Answered, Failure>,
}

pub(super) struct Probes(pub(super) Vec<Probe>);

impl Probes {
    /// Asks every family that there is a route to, on every way that the profile names.
    pub(super) fn make(session: &mut Session<'_>, addresses: &[SocketAddr]) -> Self {
        let profile = &session.kept.profile;
        let packet = profile.packet_ports.map(|_| Way::Packet);
        let tcp = Some(Way::Tcp).filter(|_| profile.central_port != 0);
        let mut probes = Vec::new();
        for way in packet.into_iter().chain(tcp) {
            for (family, addresses) in reachable(addresses) {
                session.use_only(way);
                session.turn_to(addresses);
                let result = session.ask(&Request::new(Kind::Status, 0));
                probes.push(Probe { way, family, result });
            }
        }
        Self(probes)
    }

    /// The first answer.
    pub(super) fn best(&self) -> Option<&Answered> {
        self.0.iter().find_map(|probe| probe.result.as_ref().ok())
    }

    pub(super) fn by(&self, way: Way) -> impl Iterator<Item = &Probe> {
        self.0.iter().filter(move |probe| probe.way == way)
    }
}

fn reachable(addresses: &[SocketAddr]) -> Vec<(&'static str, Vec<SocketAddr>)> {
    let with_route = addresses.iter().copied().filter(|&address| dial::route(address).is_ok());
    let (v4, v6): (Vec<_>, Vec<_>) = with_route.partition(SocketAddr::is_ipv4);
    [("IPv4", v4), ("IPv6", v6)].into_iter().filter(|(_, addresses)| !addresses.is_empty()).collect()
}
