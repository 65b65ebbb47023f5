//! The new configuration, while it grows: services, static sequences, what clients are to be enrolled, and proposals as comments.

mod text;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use knockgate_core::limits::{MAX_GRANT, MAX_SERVICE_PORTS};
use knockgate_core::profile::Protocol;

use super::command::Opening;
use super::finding::shown;
use super::names;
use crate::admin::init::WorkersUser;
use crate::config::{Config, ConfigError, DEFAULT_PATH};

/// Longest grant if nothing is said. Rule: `docs/agent-toml.md`, `max-open`.
const USUAL_MAX_OPEN: u64 = 3600;
/// Nobody finishes more of them by hand.
const MAX_PROPOSALS: u16 = 64;
/// No table of a policy is called so. Rule: `docs/policies.md`, "Built-in policies".
const BUILT_IN: &str = "default";

pub(super) struct Draft {
    /// `knockd` or `fwknop`.
    pub(super) old: &'static str,
    pub(super) file: PathBuf,
    pub(super) address: String,
    worker: WorkersUser,
    pub(super) interfaces: Vec<String>,
    /// UDP ports for packet knocks, as they stand in the file: `62202` or `"10000-20000"`; none for the usual one.
    pub(super) packet_port: Option<String>,
    pub(super) max_age: Option<u64>,
    services: Vec<NewService>,
    doors: Vec<Door>,
    clients: Vec<NewClient>,
    proposals: Vec<Proposal>,
}

/// A service to be. Ports belong to one service, so whoever opens some of them opens all of them.
#[derive(Clone)]
pub(super) struct NewService {
    pub(super) name: String,
    protocol: Protocol,
    ports: BTreeSet<u16>,
    /// Seconds; a service's usual time if none.
    pub(super) open: Option<u64>,
    pub(super) max_open: Option<u64>,
    forward: Vec<SocketAddr>,
    pub(super) masquerade: Masquerade,
}

/// Whether an inner host sees the gate as the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Masquerade {
    Wanted,
    NotAsked,
}

/// A static sequence to be.
pub(super) struct Door {
    pub(super) name: String,
    /// As they stand in the file.
    pub(super) steps: Vec<String>,
    pub(super) service: String,
    pub(super) open: u64,
    pub(super) within: u64,
    /// Where it comes from.
    pub(super) origin: String,
}

/// A client to be enrolled.
pub(super) struct NewClient {
    pub(super) name: String,
    pub(super) services: Vec<String>,
    /// From where it may knock; everywhere if empty.
    pub(super) networks: Vec<String>,
    /// As `client add` takes it.
    pub(super) expires: Option<String>,
    pub(super) origin: String,
}

/// The beginning of a policy.
struct Proposal {
    /// Of its tables.
    name: String,
    text: String,
}

/// What an opening has become.
pub(super) enum Placed {
    /// A service with these ports alone.
    Alone(String),
    /// One that has other ports, too.
    WithOthers(String),
}

impl Placed {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Alone(name) | Self::WithOthers(name) => name,
        }
    }
}

impl Draft {
    pub(super) fn new(old: &'static str, file: &Path, address: String, worker: WorkersUser) -> Self {
        Self {
            old,
            file: file.to_owned(),
            address,
            worker,
            interfaces: Vec::new(),
            packet_port: None,
            max_age: None,
            services: Vec::new(),
            doors: Vec::new(),
            clients: Vec::new(),
            proposals: Vec::new(),
        }
    }

    /// The service that has these ports, made if there is none.
    ///
    /// # Errors
    /// With the reason and the remedy, if there can be none. Then nothing has changed.
    pub(super) fn place(&mut self, opening: &Opening) -> Result<Placed, String> {
        let before = self.services.clone();
        let placed = self.find_place(opening).and_then(|placed| match self.problems() {
            Ok(()) => Ok(placed),
            Err(problems) => Err(problems.join("; ")),
        });
        if placed.is_err() {
            self.services = before;
        }
        placed
    }

    fn find_place(&mut self, opening: &Opening) -> Result<Placed, String> {
        let Opening { protocol, ports, forward, .. } = opening;
        if let Some(to) = forward
            && let [_, _, ..] = ports.as_slice()
        {
            return Err(format!(
                "forwards several ports to {}; make a service with one port and `forward` for each",
                to.ip()
            ));
        }
        let overlaps = |service: &NewService| {
            service.protocol == *protocol && ports.iter().any(|port| service.ports.contains(port))
        };
        let mut overlapping = self.services.iter_mut().filter(|service| overlaps(service));
        let (Some(known), None) = (overlapping.next(), overlapping.next()) else {
            return self.add_service(opening);
        };
        known.take(ports, *forward)
    }

    /// A new one; refused if two others have its ports.
    fn add_service(&mut self, opening: &Opening) -> Result<Placed, String> {
        let Opening { protocol, ports, forward, .. } = opening;
        let has = |port: &u16| {
            self.services.iter().any(|service| service.protocol == *protocol && service.ports.contains(port))
        };
        if ports.iter().any(has) {
            return Err("opens ports of two other services at once; knock for each of them".into());
        }
        let taken = self.services.iter().map(|service| service.name.as_str());
        let name = names::fresh(&names::of_service(*protocol, ports), taken);
        self.services.push(NewService {
            name: name.clone(),
            protocol: *protocol,
            ports: ports.iter().copied().collect(),
            open: None,
            max_open: None,
            forward: forward.iter().copied().collect(),
            masquerade: Masquerade::NotAsked,
        });
        Ok(Placed::Alone(name))
    }

    pub(super) fn service_mut(&mut self, name: &str) -> Option<&mut NewService> {
        self.services.iter_mut().find(|service| service.name == name)
    }

    /// Takes a static sequence, if the agent would.
    ///
    /// # Errors
    /// With the agent's reason and remedy.
    pub(super) fn add_door(&mut self, mut door: Door) -> Result<(), String> {
        let taken = self.doors.iter().map(|door| door.name.as_str());
        door.name = names::fresh(&door.name, taken);
        door.open = door.open.clamp(1, MAX_GRANT.as_secs());
        let (before, longest) = (self.services.clone(), door.open);
        if let Some(service) = self.service_mut(&door.service) {
            service.allow(longest);
        }
        self.doors.push(door);
        let Err(problems) = self.problems() else { return Ok(()) };
        self.doors.pop();
        self.services = before;
        Err(problems.join("; "))
    }

    pub(super) fn add_client(&mut self, mut client: NewClient) {
        let taken = self.clients.iter().map(|client| client.name.as_str());
        client.name = names::fresh(&client.name, taken);
        self.clients.push(client);
    }

    /// Something for the administrator to finish, as TOML that is commented out. Its tables get a name and a number that those of
    /// no other proposal have, so that the marks of all can be taken away.
    pub(super) fn propose(&mut self, wanted: &str, text: impl FnOnce(&str, u16) -> String) {
        let Some(id) = (1..=MAX_PROPOSALS).nth(self.proposals.len()) else { return };
        let taken = self.proposals.iter().map(|proposal| proposal.name.as_str()).chain([BUILT_IN]);
        let name = names::fresh(wanted, taken);
        self.proposals.push(Proposal { text: text(&name, id), name });
    }

    /// The agent's own reader has nothing against it.
    ///
    /// # Errors
    /// If it has, or if there is nothing to guard.
    pub(super) fn check(&self) -> anyhow::Result<Config> {
        if self.services.is_empty() {
            anyhow::bail!(
                "{}: nothing in it opens a port that could be named, so there is nothing to guard; `knockgated init \
                 --service NAME=tcp/PORT` makes a configuration from scratch",
                shown(&self.file)
            );
        }
        Ok(Config::parse(DEFAULT_PATH.as_ref(), &self.text())?)
    }

    /// What the agent's reader says against it, without places: the file is not there yet.
    fn problems(&self) -> Result<(), Vec<String>> {
        match Config::parse(DEFAULT_PATH.as_ref(), &self.text()) {
            Ok(_) => Ok(()),
            Err(ConfigError::Wrong { problems, .. }) => {
                Err(problems.into_iter().map(|problem| problem.text).collect())
            }
            Err(other) => Err(vec![other.to_string()]),
        }
    }
}

impl NewService {
    /// More ports and another inner host for it.
    fn take(&mut self, ports: &[u16], forward: Option<SocketAddr>) -> Result<Placed, String> {
        let union: BTreeSet<u16> = self.ports.iter().chain(ports).copied().collect();
        if union.len() > MAX_SERVICE_PORTS {
            return Err(format!(
                "would have {} ports as part of service {}; a service has at most {MAX_SERVICE_PORTS}, so split them",
                union.len(),
                self.name
            ));
        }
        self.take_forward(forward)?;
        let is_same = union.len() == ports.len();
        self.ports = union;
        Ok(if is_same { Placed::Alone(self.name.clone()) } else { Placed::WithOthers(self.name.clone()) })
    }

    fn take_forward(&mut self, forward: Option<SocketAddr>) -> Result<(), String> {
        let refused = |to: String| {
            Err(format!(
                "the port is that of service {}, which goes {to}; choose another outer port",
                self.name
            ))
        };
        match (forward, self.forward.as_slice()) {
            (None, []) => Ok(()),
            (None, [to, ..]) => refused(format!("to {to}")),
            (Some(to), known) if known.contains(&to) => Ok(()),
            (Some(_), []) => refused("to this host itself".into()),
            (Some(to), known) => match known.iter().find(|known| known.is_ipv4() == to.is_ipv4()) {
                Some(known) => refused(format!("to {known}")),
                None => {
                    self.forward.push(to);
                    Ok(())
                }
            },
        }
    }

    /// Raises its longest time, if it must be.
    fn allow(&mut self, seconds: u64) {
        let longest = self.max_open.unwrap_or(USUAL_MAX_OPEN);
        if seconds > longest {
            self.max_open = Some(seconds);
        }
    }
}

/// Whole seconds as an administrator writes them.
pub(super) fn duration(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string().replace(' ', "")
}

/// A network of an old configuration, as a policy takes it.
pub(super) fn network(text: &str) -> Result<String, String> {
    let wrong =
        || format!("{text:?} is no network; write an address, or one with its bits such as 192.0.2.0/24");
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let ip: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    match bits.map(|bits| prefix(bits, most).ok_or_else(wrong)).transpose()? {
        None => Ok(ip.to_string()),
        Some(bits) => Ok(format!("{ip}/{bits}")),
    }
}

/// Bits, or a mask such as `255.255.255.0`.
fn prefix(text: &str, most: u32) -> Option<u32> {
    if let Ok(bits) = text.parse::<u32>() {
        return (bits <= most).then_some(bits);
    }
    let mask = u32::from(text.parse::<std::net::Ipv4Addr>().ok()?);
    (mask.leading_ones() + mask.trailing_zeros() == 32 || mask == u32::MAX).then_some(mask.leading_ones())
}

#[cfg(test)]
mod tests;
