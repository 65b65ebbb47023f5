//! Applies a configuration that was found good, between two batches of packets. Only the guard can fail, and it comes first.

use std::collections::BTreeMap;
use std::time::Instant;

use knockgate_core::GrantId;
use knockgate_core::gate::Ports;

use crate::acts::Acts;
use crate::config::{Change, Config, Service, changes};
use crate::control::Reply;
use crate::firewall::{self, FirewallError, Plan};
use crate::run::clock;
use crate::run::court::{Court, Successor, Witness};
use crate::run::deeds::opening;
use crate::run::driver::{CoreConfig, Driver};
use crate::run::input::Input;
use crate::run::packets::{NewPackets, Packets};

use super::fixed::{Running, only_by_a_restart};

/// All that changes on the gate's thread.
pub(in crate::run) struct Turnover {
    pub(super) config: Config,
    pub(super) core: CoreConfig,
    pub(super) plan: Plan,
    pub(super) packets: NewPackets,
    pub(super) court: Court,
    pub(super) successors: Vec<Successor>,
    pub(super) witness: Witness,
    /// By which means packets are heard, for people.
    pub(super) heard_by: String,
    /// `None` if they stay.
    pub(super) acts: Option<Acts>,
    /// Roster and keys, if they are new as well.
    pub(super) news: Vec<Input>,
}

/// What has become of what was open: by the number of the service, how many grants there were, and how many of them are left.
#[derive(Default)]
pub(in crate::run) struct Fates(BTreeMap<u16, (usize, usize)>);

impl Fates {
    /// Such as `; 2 grants stay, 1 ends`; nothing where nothing was open.
    pub(super) fn of(&self, service: u16) -> Option<String> {
        let (before, after) = *self.0.get(&service)?;
        let ended = before.saturating_sub(after);
        let stays = match after {
            1 => "1 grant stays".to_owned(),
            more => format!("{more} grants stay"),
        };
        let ends = match ended {
            1 => "1 grant ends".to_owned(),
            more => format!("{more} grants end"),
        };
        match (after, ended) {
            (0, _) => Some(format!("; {ends}")),
            (_, 0) => Some(format!("; {stays}")),
            (_, _) => Some(format!("; {stays}, {ends}")),
        }
    }
}

impl Driver {
    /// Goes over to another configuration, or leaves everything as it was.
    ///
    /// # Errors
    /// The guard refuses.
    pub(in crate::run) fn turn_over(
        &mut self,
        packets: &mut Packets,
        change: Turnover,
    ) -> Result<Fates, FirewallError> {
        if let Err(error) = self.change_guard(&change) {
            self.take_news(change.news);
            return Err(error);
        }
        let before = self.open_now();
        let Turnover {
            config,
            core,
            plan,
            packets: new_packets,
            court,
            successors,
            witness,
            heard_by,
            acts,
            news,
        } = change;
        self.upkeep.plan = plan;
        successors.into_iter().for_each(Successor::take_over);
        // What the policies have been asked that are asked no more, they still answer.
        self.former_court = Some((Instant::now(), std::mem::replace(&mut self.court, court)));
        self.witness = witness;
        self.heard_by = heard_by;
        self.statics.change(&config.statics);
        if let Some(acts) = acts {
            self.acts = acts;
        }
        self.renewal.change(config.packet.lease);
        if !self.renewal.is_wanted() {
            self.gate.set_lease(None);
        }
        let former = std::mem::replace(&mut self.config, config);
        let config = &self.config;
        self.gate.reconfigure(clock::now(), core, |service| ports(&former, config, service));
        self.former = Some(former);
        self.take_news(news);
        self.turn();
        let mouth = packets.change(new_packets, &mut |seen| self.seen(seen));
        self.peers.change_mouth(mouth);
        self.turn();
        Ok(self.fates(&before))
    }

    /// What is new of roster and keys is so under any configuration.
    fn take_news(&mut self, news: Vec<Input>) {
        for input in news {
            // Neither stops anything.
            let _ = self.take(input);
        }
    }

    /// Doors that no grant leads to any more are shut before the rules change that they were for. If the guard refuses, what was
    /// open is opened again.
    fn change_guard(&mut self, change: &Turnover) -> Result<(), FirewallError> {
        let stale: Vec<_> = self
            .gate
            .open_grants()
            .filter_map(|grant| {
                let service = self.config.service_by_id(grant.service())?;
                let gone = gone(service, &change.config);
                let opening = opening(grant.id(), grant.to(), service);
                (!gone.is_empty()).then_some(firewall::Grant { ports: gone, ..opening })
            })
            .collect();
        if change.plan == self.upkeep.plan {
            return Ok(());
        }
        let mut changed = stale.iter().try_for_each(|grant| self.firewall.close(grant));
        if changed.is_ok() {
            changed = self.firewall.reinstall(&change.plan);
        }
        let Err(error) = changed else { return Ok(()) };
        if let Err(error) = self.upkeep.restore(clock::now(), &mut self.firewall, &self.gate, &self.config) {
            self.upkeep.tell(format!("the guard could not be restored, trying again in a second: {error}"));
        }
        Err(error)
    }

    /// For whoever wants to know what another one would change.
    pub(in crate::run) fn in_force(&self) -> Reply {
        let grants = self.open_now().into_iter().map(|(service, grants)| (service, grants.len())).collect();
        let Config { path, text, .. } = &self.config;
        let started = (**text != *self.started).then(|| self.started.to_string());
        Reply::InForce { path: path.clone(), text: text.to_string(), started, grants }
    }

    fn open_now(&self) -> BTreeMap<u16, Vec<GrantId>> {
        let mut open = BTreeMap::<_, Vec<_>>::new();
        for grant in self.gate.open_grants() {
            open.entry(grant.service()).or_default().push(grant.id());
        }
        open
    }

    fn fates(&self, before: &BTreeMap<u16, Vec<GrantId>>) -> Fates {
        let now = self.open_now();
        let fate = |(service, grants): (&u16, &Vec<GrantId>)| {
            let left =
                now.get(service).map_or(0, |left| grants.iter().filter(|id| left.contains(id)).count());
            (*service, (grants.len(), left))
        };
        Fates(before.iter().map(fate).collect())
    }
}

/// What a running agent would make of another configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Why a reload would be refused and a restart is needed, a line for each thing. Empty: it would not be.
    pub restart: Vec<String>,
    /// What would be otherwise, a line for each thing.
    pub changes: Vec<String>,
}

/// Without a restart it is known what becomes of so many grants of each service.
pub fn forecast(running: &Running<'_>, new: &Config, grants: &[(u16, usize)]) -> Forecast {
    let restart = only_by_a_restart(running, new);
    let in_force = running.in_force;
    let fate = |&(service, count): &(u16, usize)| {
        let stays = ports(in_force, new, service) != Ports::Moved;
        (service, (count, if stays { count } else { 0 }))
    };
    let known = if restart.is_empty() { grants } else { &[] };
    let fates = Fates(known.iter().map(fate).collect());
    let changes = changes(in_force, new).iter().map(|change| with_fate(change, &fates)).collect();
    Forecast { restart, changes }
}

/// What has become of the grants of a service stands with its change.
pub(super) fn with_fate(change: &Change, fates: &Fates) -> String {
    let fate = change.service.and_then(|service| fates.of(service));
    format!("{}{}", change.text, fate.unwrap_or_default())
}

/// The ports of a service that it has no more.
fn gone(service: &Service, config: &Config) -> heapless::Vec<u16, { firewall::MAX_PORTS }> {
    let now = config.service_by_id(service.id).filter(|now| now.protocol == service.protocol);
    let is_gone = |port: &&u16| now.is_none_or(|now| !now.ports.contains(port));
    service.ports.iter().filter(is_gone).copied().collect()
}

/// What has become of the ports of a service.
fn ports(former: &Config, config: &Config, service: u16) -> Ports {
    let (Some(was), Some(is)) = (former.service_by_id(service), config.service_by_id(service)) else {
        return Ports::Moved;
    };
    let kept = was.ports.iter().filter(|port| is.ports.contains(port)).count();
    match (was.protocol == is.protocol, kept) {
        (false, _) | (true, 0) => Ports::Moved,
        (true, kept) if kept == was.ports.len() && kept == is.ports.len() => Ports::Same,
        (true, _) => Ports::Changed,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(protocol: &str, listed: &str) -> Config {
        let text = format!(
            "[gate]\naddress = \"g\"\nstate-dir = \"/s\"\naudit-log = \"/l\"\n\
             [service.web]\nid = 3\nprotocol = \"{protocol}\"\nports = [{listed}]\n"
        );
        Config::parse(Path::new("agent.toml"), &text).unwrap()
    }

    /// Protocol and ports before and after, what has become of them, and which are gone.
    type Case = (u8, [&'static str; 2], [&'static str; 2], Ports, &'static [u16]);

    #[test]
    fn a_service_keeps_its_grants_as_long_as_it_has_one_of_its_ports() {
        #[rustfmt::skip]
        let cases: [Case; 6] = [
            (1, ["tcp", "80"], ["tcp", "80"], Ports::Same, &[]),
            (2, ["tcp", "80, 443"], ["tcp", "443, 80"], Ports::Same, &[]),
            (3, ["tcp", "80"], ["tcp", "80, 443"], Ports::Changed, &[]),
            (4, ["tcp", "80, 443"], ["tcp", "80"], Ports::Changed, &[443]),
            (5, ["tcp", "80"], ["tcp", "8080"], Ports::Moved, &[80]),
            (6, ["tcp", "80"], ["udp", "80"], Ports::Moved, &[80]),
        ];
        for (case, old, new, expected, lost) in cases {
            let (old, new) = (config(old[0], old[1]), config(new[0], new[1]));
            assert_eq!(ports(&old, &new, 3), expected, "case {case}");
            assert_eq!(gone(&old.services[0], &new).as_slice(), lost, "case {case}");
        }
        assert_eq!(ports(&config("tcp", "80"), &config("tcp", "80"), 4), Ports::Moved);
    }

    #[test]
    fn what_has_become_of_grants_is_said_in_a_few_words() {
        let fates = Fates([(1, (2, 2)), (2, (1, 0)), (3, (3, 1)), (4, (1, 1))].into());
        let said = [1, 2, 3, 4, 5].map(|service| fates.of(service).unwrap_or_default());
        assert_eq!(
            said,
            ["; 2 grants stay", "; 1 grant ends", "; 1 grant stays, 2 grants end", "; 1 grant stays", ""]
        );
    }
}
