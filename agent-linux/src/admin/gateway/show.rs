//! `knockgated gateway show`: what is in a site image, without its secrets.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, bail};
use knockgate_core::profile::PortRange;
use knockgate_core::site::{Head, OuterAddress, PacketPorts, Signed, Site, SiteClient, SiteService};
use knockgate_policy_host::precompiled::Precompiled;

use super::{grouped, key, signed};
use crate::admin::{counted, moment};
use crate::state::private_file;

/// Reads an image, and checks its signature if there is a key to check it with.
pub fn run(path: &Path, public_key: Option<&str>) -> anyhow::Result<String> {
    let file = private_file::read(path)?;
    let place = || path.display().to_string();
    let found = Signed::find(&file).with_context(place)?;
    let by = key::name(found.signature.key_id);
    let signature = match public_key {
        None => format!("by key {by}, not checked; give --public-key"),
        Some(given) => {
            signed::check(&found, &key::owner(given)?).with_context(place)?;
            format!("by key {by}, as it should be")
        }
    };
    if found.length() != file.len() {
        bail!("{}: something follows the image; make it again", path.display());
    }
    let site = Site::read(found.image).with_context(place)?;
    Ok(format!("{}signed    {signature}\n", describe(&site, file.len())?))
}

fn describe(site: &Site<'_>, length: usize) -> anyhow::Result<String> {
    let head = &site.head;
    let mut text = String::new();
    writeln!(text, "image     {} of site {}, {} bytes", head.serial, head.name, grouped(length))?;
    writeln!(text, "made      {}", moment::shown(head.made))?;
    let gate: String = head.gate.0.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(text, "gate      {gate}, at {}", addresses(head))?;
    writeln!(text, "packets   {}", packets(&head.packet_ports))?;
    writeln!(text, "central   {}", port(head.central_port))?;
    writeln!(text, "console   {}", port(head.console.map(|console| console.port)))?;
    let services: Vec<_> = site.services().collect();
    let lines: Vec<_> = services.iter().map(service_line).collect();
    writeln!(text, "services  {}", lines.join("\n          "))?;
    let clients: Vec<_> = site.clients().map(|client| client_line(&client, &services)).collect();
    let books = counted(site.books().count(), "book");
    writeln!(text, "clients   {}, {books}", counted(clients.len(), "client"))?;
    clients.iter().try_for_each(|line| writeln!(text, "          {line}"))?;
    for (policy, code) in site.chain() {
        let compiled = Precompiled::parse(code).with_context(|| format!("policy {}", policy.name))?;
        let module: String = compiled.module_sha256().iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "policy    {}, {} bytes, module {module}", policy.name, grouped(code.len()))?;
    }
    Ok(text)
}

fn addresses(head: &Head) -> String {
    let v4 = head.ipv4.as_ref().map(address);
    let v6 = head.ipv6.as_ref().map(address);
    v4.into_iter().chain(v6).collect::<Vec<_>>().join(" and ")
}

fn address<A: std::fmt::Display>(own: &OuterAddress<A>) -> String {
    let router = own.router.as_ref().map_or(String::new(), |router| format!(" by {router}"));
    format!("{}/{}{router}", own.address, own.prefix)
}

fn packets(ports: &PacketPorts) -> String {
    let range = |range: &PortRange| match (range.first, range.last) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    match ports {
        PacketPorts::Off => "none".into(),
        PacketPorts::Any => "udp, every port".into(),
        PacketPorts::Listed(ranges) => {
            format!("udp/{}", ranges.iter().map(range).collect::<Vec<_>>().join(","))
        }
    }
}

fn port(port: Option<u16>) -> String {
    port.map_or("none".into(), |port| format!("tcp/{port}"))
}

fn service_line(service: &SiteService) -> String {
    let ports: Vec<_> = service.ports.iter().map(u16::to_string).collect();
    let hosts: Vec<_> = service.hosts.iter().map(ToString::to_string).collect();
    let hosts = if hosts.is_empty() { "the gateway itself".into() } else { hosts.join(" and ") };
    let (id, word) = (service.service.id, service.protocol.word());
    format!("{} ({id}): {word}/{} at {hosts}", service.name, ports.join(","))
}

fn client_line(entry: &SiteClient, services: &[SiteService]) -> String {
    let client = &entry.client;
    let name = |id: &u16| {
        let known = services.iter().find(|known| known.service.id == *id);
        known.map_or(format!("#{id}"), |known| known.name.to_string())
    };
    let may_use: Vec<_> = client.services.iter().map(name).collect();
    let end = client.expires.map_or(String::new(), |end| format!(", until {}", moment::shown(end)));
    let factor = if entry.totp.is_some() { ", with a second factor" } else { "" };
    format!("{} ({}): {}{end}{factor}", client.name, client.id.0, may_use.join(" "))
}
