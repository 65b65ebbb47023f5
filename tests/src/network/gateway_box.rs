//! The box of a gateway: two ports for QEMU, one cabled to the router and one to the guarded host.
//!
//! Each port is a tap joined to its cable by a bridge that only passes frames on. They outlive QEMU, so neither the router nor
//! the guarded host sees its link go when the gateway loses power.

use std::path::Path;

use anyhow::{Context, Result};

use crate::network::Host;
use crate::programs;

/// The box's taps, as QEMU is told of them.
pub(crate) const OUTER: &str = "outer";
pub(crate) const INNER: &str = "inner";

/// Rules of the host have no say about frames, and above all put no fragments together.
const UNASKED: [&str; 3] =
    ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"];

pub(super) fn connect(net: &Host, gateway_box: &Host, guarded: &Host) -> Result<()> {
    pass_unasked(gateway_box)?;
    // The bridges shall not speak: what is heard at a port is the gateway's or a neighbour's.
    gateway_box.sysctl(&[("ipv6/conf/default/disable_ipv6", "1")])?;
    add_port(gateway_box, OUTER, net, "to1")?;
    add_port(gateway_box, INNER, guarded, "eth0")?;
    net.ip_batch("addr add 10.77.1.1/24 dev to1\naddr add fd77:1::1/64 dev to1\nlink set to1 up")?;
    guarded.ip_batch(&format!(
        "addr add {}/24 dev eth0\naddr add {}/64 dev eth0\nlink set eth0 up\n\
         route add default via 10.77.1.1\nroute add ::/0 via fd77:1::1",
        guarded.v4, guarded.v6
    ))
}

/// A tap, and a cable to a link of another host.
fn add_port(gateway_box: &Host, tap: &str, far: &Host, link: &str) -> Result<()> {
    let (near_end, bridge) = (format!("{tap}-cable"), format!("{tap}-joint"));
    let (near, far) = (gateway_box.namespace.as_str(), far.namespace.as_str());
    programs::run(
        "ip",
        &["link", "add", link, "netns", far, "type", "veth", "peer", "name", &near_end, "netns", near],
    )?;
    programs::run("ip", &["-n", near, "tuntap", "add", "dev", tap, "mode", "tap"])
        .context("a gateway needs /dev/net/tun: run as root, or `chmod 666 /dev/net/tun` as root")?;
    gateway_box.ip_batch(&format!(
        "link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
         link set {near_end} master {bridge} up\n\
         link set {tap} master {bridge} up\n\
         link set {bridge} up"
    ))
}

fn pass_unasked(gateway_box: &Host) -> Result<()> {
    gateway_box.inside(|| {
        for name in UNASKED {
            let file = Path::new("/proc/sys/net/bridge").join(name);
            // Without the file there is nothing to switch off.
            if file.exists() {
                std::fs::write(&file, "0").with_context(|| format!("cannot set {}", file.display()))?;
            }
        }
        Ok(())
    })
}
