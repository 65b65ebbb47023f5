//! A forwarded service needs a kernel that forwards. Switching that on makes a router of a host, which is its
//! administrator's decision; so this only looks and says.

use std::fs;

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

pub(crate) fn check(services: &[Service]) -> Result<(), FirewallError> {
    for service in services {
        let Some(forward) = &service.forward else { continue };
        if forward.v4.is_some() {
            check_family(service, &V4)?;
        }
        if forward.v6.is_some() {
            check_family(service, &V6)?;
        }
    }
    Ok(())
}

/// What cannot be read is not known to be off.
fn check_family(service: &Service, switch: &Switch) -> Result<(), FirewallError> {
    match fs::read_to_string(switch.path) {
        Ok(value) if value.trim() == "0" => Err(FirewallError::ForwardingOff {
            service: service.name.clone(),
            family: switch.family,
            sysctl: switch.sysctl,
        }),
        _ => Ok(()),
    }
}
