//! A forwarded service needs a kernel that forwards. Switching that on makes a router of a host, which is its
//! administrator's decision; so this only looks and says.

use std::{fs, io};

use super::error::FirewallError;
use super::plan::Service;

struct Switch {
    family: &'static str,
    sysctl: &'static str,
    path: &'static str,
}

const V4: Switch =
    Switch { family: "IPv4", sysctl: "net.ipv4.ip_forward", path: "/proc/sys/net/ipv4/ip_forward" };
const V6: Switch = Switch {
    family: "IPv6",
    sysctl: "net.ipv6.conf.all.forwarding",
    path: "/proc/sys/net/ipv6/conf/all/forwarding",
};

enum State {
    On,
    Off,
    /// A unit with `ProcSubset=pid` sees nothing of it.
    Unknown(io::Error),
}

impl Switch {
    fn state(&self) -> State {
        match fs::read_to_string(self.path) {
            Ok(value) if value.trim() == "0" => State::Off,
            Ok(_) => State::On,
            Err(error) => State::Unknown(error),
        }
    }

    /// What is wrong for `service`, and what to look at, if the switch cannot be read.
    fn doubt(&self, service: &str) -> Option<String> {
        let State::Unknown(error) = self.state() else { return None };
        let Self { family, sysctl, path } = self;
        Some(format!(
            "{path} cannot be read ({error}), so it is not known whether the kernel forwards {family}, which service \"{service}\" \
             needs: look whether `sysctl {sysctl}` says 1, and switch it on if not"
        ))
    }
}

/// What cannot be read is not known to be off.
pub(crate) fn check(services: &[Service]) -> Result<(), FirewallError> {
    wanted(services).try_for_each(|(service, switch)| match switch.state() {
        State::On | State::Unknown(_) => Ok(()),
        State::Off => Err(FirewallError::ForwardingOff {
            service: service.name.clone(),
            family: switch.family,
            sysctl: switch.sysctl,
        }),
    })
}

/// What cannot be read although a service needs it, a sentence for each switch.
pub(crate) fn unknown(services: &[Service]) -> Vec<String> {
    let first = |switch: &Switch| wanted(services).find(|(_, wanted)| wanted.family == switch.family);
    [V4, V6].iter().filter_map(|switch| switch.doubt(&first(switch)?.0.name)).collect()
}

fn wanted(services: &[Service]) -> impl Iterator<Item = (&Service, Switch)> {
    services.iter().flat_map(|service| {
        let forward = service.forward.iter();
        let switches = forward
            .flat_map(|forward| [forward.v4.is_some().then_some(V4), forward.v6.is_some().then_some(V6)]);
        switches.flatten().map(move |switch| (service, switch))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_cannot_be_read_is_told_of_with_what_to_look_at() {
        let hidden = Switch { path: "/proc/sys/net/hidden", ..V4 };
        let said = hidden.doubt("plc").unwrap();
        for expected in
            ["/proc/sys/net/hidden cannot be read", "\"plc\"", "`sysctl net.ipv4.ip_forward` says 1"]
        {
            assert!(said.contains(expected), "{said}");
        }
        assert!(V4.doubt("plc").is_none(), "it can be read here");
    }
}
