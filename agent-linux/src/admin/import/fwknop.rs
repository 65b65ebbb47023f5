//! `knockgated import fwknop`: stanzas of `access.conf` become services, and clients to be enrolled.
//!
//! Keys stay behind: fwknop's are shared by both ends and lie on the server in clear text, while a client here has a key pair of
//! its own and the gate its public half. So every stanza ends as a line `knockgated client add`. Nobody gets more than before:
//! where two stanzas disagree about a service, the shorter time holds. Source of what is read: fwknopd(8) of version 2.6.10.

mod daemon;
mod expiry;
mod stanza;

use std::path::Path;

use knockgate_core::limits::MAX_GRANT;
use knockgate_core::profile::Protocol;

use self::stanza::{Ports, Stanza};
use super::command::{Audience, Opening};
use super::draft::{Draft, Masquerade, NewClient, duration, network};
use super::finding::Findings;
use super::{Imported, Request, address, finish};

/// What fwknopd grants if nothing is said, in seconds. Source: fwknopd(8).
const FW_ACCESS_TIMEOUT: u64 = 30;
/// See [`FW_ACCESS_TIMEOUT`].
const MAX_FW_TIMEOUT: u64 = 300;
/// Networks of one policy. Rule: `docs/policies.md`, `known-networks`.
const MAX_NETWORKS: usize = 85;
/// Lists of networks that can be policies. Rule: `docs/agent-toml.md`, `[policy]`; one place is the default policy's.
const MAX_LISTS: usize = 15;

/// Makes a configuration of fwknop's two files; the daemon's own one may be left out.
pub fn run(access: &Path, daemon: Option<&Path>, request: &Request) -> anyhow::Result<Imported> {
    let mut findings = Findings::default();
    let stanzas = stanza::read(access, &mut findings)?;
    let mut draft = Draft::new("fwknop", access, address(request, &mut findings), request.worker);
    let settings = daemon.map(|path| daemon::read(path, &mut draft, &mut findings)).transpose()?;
    let masquerade = settings.map_or(Masquerade::NotAsked, |settings| settings.masquerade);
    let mut import = Import { draft, findings, masquerade, lists: Vec::new() };
    for (number, stanza) in (1..).zip(&stanzas) {
        import.stanza(number, stanza);
    }
    let Import { mut draft, mut findings, .. } = import;
    if let Some(first) = stanzas.first() {
        findings.lost(
            &first.place,
            "keys and passphrases: fwknop's are shared secrets, and a client here has a key pair whose secret half never \
             leaves it, so each is enrolled anew: `knockgated client add` below makes the profiles",
        );
    }
    finish(&mut draft, findings, request)
}

struct Import {
    draft: Draft,
    findings: Findings,
    masquerade: Masquerade,
    /// Lists of networks that clients are bound to so far.
    lists: Vec<Vec<String>>,
}

impl Import {
    fn stanza(&mut self, number: u32, stanza: &Stanza) {
        let services = self.services(stanza);
        if services.is_empty() {
            let what = "this stanza opens nothing that could be named, so no client is proposed; name its ports in OPEN_PORTS";
            return self.findings.lost(&stanza.place, what);
        }
        let expires = match stanza.expires.as_ref().map(|end| end.when()) {
            None => None,
            Some(Ok(when)) => Some(when),
            Some(Err(over)) => return self.findings.lost(&stanza.place, over),
        };
        let networks = match self.networks(stanza) {
            Ok(networks) => networks,
            Err(what) => return self.findings.lost(&stanza.place, what),
        };
        let name = stanza.username.clone().unwrap_or_else(|| format!("client-{number}"));
        self.draft.add_client(NewClient {
            name,
            services,
            networks,
            expires,
            origin: stanza.place.to_string(),
        });
    }

    /// The names of what it may open.
    fn services(&mut self, stanza: &Stanza) -> Vec<String> {
        let mut names = Vec::new();
        for (protocol, port) in self.ports(stanza) {
            let opening = Opening {
                protocol,
                ports: vec![port],
                forward: stanza.forward,
                audience: Audience::Knocker,
                seconds: None,
                conditions: Vec::new(),
            };
            match self.draft.place(&opening) {
                Ok(placed) => {
                    self.times(stanza, placed.name());
                    names.push(placed.name().to_owned());
                }
                Err(reason) => {
                    self.findings.lost(&stanza.place, format!("{}/{port} {reason}", protocol.word()))
                }
            }
        }
        names
    }

    /// What it may open, less what it may not.
    fn ports(&mut self, stanza: &Stanza) -> Vec<(Protocol, u16)> {
        let all = match &stanza.open {
            Ports::Named(ports) => ports.clone(),
            Ports::Any => {
                let what = "this stanza has no OPEN_PORTS, so its client could open any port. Knockgate opens what is named: ssh at \
                            tcp/22 is taken; add a [service.NAME] for everything else that is wanted";
                self.findings.guessed(&stanza.place, what);
                vec![(Protocol::Tcp, 22)]
            }
        };
        all.into_iter().filter(|port| !stanza.restricted.contains(port)).collect()
    }

    /// A service has one time for all; the shorter one is right for everybody.
    fn times(&mut self, stanza: &Stanza, name: &str) {
        let longest = MAX_GRANT.as_secs();
        let max = stanza.max_timeout.unwrap_or(MAX_FW_TIMEOUT).clamp(1, longest);
        let open = stanza.timeout.unwrap_or(FW_ACCESS_TIMEOUT).clamp(1, longest);
        // fwknopd cuts only what a client asks for, never its own time.
        let max = max.max(open);
        let masquerade =
            if stanza.masquerade == Masquerade::Wanted { Masquerade::Wanted } else { self.masquerade };
        let Some(service) = self.draft.service_mut(name) else { return };
        let before = (service.open, service.max_open);
        service.open = Some(service.open.map_or(open, |known| known.min(open)));
        service.max_open = Some(service.max_open.map_or(max, |known| known.min(max)));
        // The shorter longest time bounds the usual one, too.
        service.open = service.open.min(service.max_open);
        if masquerade == Masquerade::Wanted {
            service.masquerade = masquerade;
        }
        let now = (service.open, service.max_open);
        if before.0.is_some() && (now != before || now != (Some(open), Some(max))) {
            let [open, max] = [now.0, now.1].map(|seconds| duration(seconds.unwrap_or_default()));
            let what = format!(
                "service {name} has one time for all, and stanzas disagree: it opens for {open}, {max} at most, so that nobody gets \
                 more than before; `knockgate knock --seconds` asks for more than `open`"
            );
            self.findings.changed(&stanza.place, what);
        }
    }

    /// From where it may knock; none for everywhere.
    ///
    /// # Errors
    /// With the remedy, if it cannot be bound to its networks. Without them it would get more than before.
    fn networks(&mut self, stanza: &Stanza) -> Result<Vec<String>, String> {
        if stanza.sources.iter().any(|text| text.eq_ignore_ascii_case("any")) {
            return Ok(Vec::new());
        }
        let mut networks = Vec::new();
        for text in &stanza.sources {
            match network(text) {
                Ok(network) => networks.push(network),
                Err(what) => self.findings.lost(&stanza.place, format!("SOURCE: {what}")),
            }
        }
        networks.sort_unstable();
        networks.dedup();
        if networks.is_empty() {
            return Err("SOURCE names no network that can be read, so no client is proposed; write its networks and import again".into());
        }
        let is_new = !self.lists.contains(&networks);
        if networks.len() > MAX_NETWORKS || (is_new && self.lists.len() == MAX_LISTS) {
            return Err(format!(
                "SOURCE: a policy knows {MAX_NETWORKS} networks and there can be {MAX_LISTS} such policies, so no client is proposed; \
                 join its networks and import again"
            ));
        }
        if is_new {
            self.lists.push(networks.clone());
        }
        Ok(networks)
    }
}

#[cfg(test)]
mod tests;
