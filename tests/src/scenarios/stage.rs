//! The stage of a scenario: one site, guarded by one or the other agent, and who is there.
//!
//! A [`Plan`] says what there shall be, in the words of the configuration that both agents share. [`Stage::set`] makes a site
//! of it: on Linux `knockgated` guards services of its own host; with a gateway they are on the host behind it, and `knockgated`
//! is what the site is administered with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::clients::Client;
use crate::gates::{CENTRAL, Configuration, Gate};
use crate::gateways::Gateway;
use crate::packets::KNOCK;
use crate::peers::Service;
use crate::scenes::{SSH, WEB};
use crate::workshop::Workshop;
use crate::{Family, Host, Lab, sequences, waiting};

/// What guards a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    Linux,
    Gateway,
}

impl Agent {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Linux => "on Linux",
            Self::Gateway => "with the gateway",
        }
    }
}

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Client,
    Visitor,
    Stranger,
}

impl Place {
    pub const ALL: [Self; 3] = [Self::Client, Self::Visitor, Self::Stranger];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Visitor => "visitor",
            Self::Stranger => "stranger",
        }
    }

    pub fn host(self, lab: &Lab) -> &Host {
        match self {
            Self::Client => &lab.client,
            Self::Visitor => &lab.visitor,
            Self::Stranger => &lab.stranger,
        }
    }
}

/// How clients can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// By packet, and nothing else.
    Packets,
    /// At the central port, and nothing else.
    Central,
    /// Either way.
    Both,
}

/// What a site shall be.
#[derive(Debug, Clone)]
pub struct Plan {
    family: Family,
    entrance: Entrance,
    ssh: &'static str,
    sections: String,
    people: Vec<Enrolment>,
}

#[derive(Debug, Clone)]
struct Enrolment {
    name: &'static str,
    place: Place,
    services: Vec<&'static str>,
    options: Vec<String>,
}

impl Plan {
    /// Two guarded services, ssh and web, and Alice, who may use both, at the lab's client.
    pub fn of(family: Family, entrance: Entrance) -> Self {
        let plan = Self { family, entrance, ssh: "", sections: String::new(), people: Vec::new() };
        plan.person("alice", Place::Client, &["ssh", "web"], &[])
    }

    /// IPv4, by packet.
    pub fn by_packet() -> Self {
        Self::of(Family::V4, Entrance::Packets)
    }

    /// The paper's, over IPv4.
    pub fn by_sequence() -> Self {
        Self::of(Family::V4, Entrance::Central)
    }

    /// With keys in the table of ssh.
    pub fn ssh(self, keys: &'static str) -> Self {
        Self { ssh: keys, ..self }
    }

    /// With more sections in the configuration.
    pub fn with(mut self, sections: &str) -> Self {
        self.sections.push_str(sections);
        self.sections.push('\n');
        self
    }

    /// With somebody else, who may use these services; more options of `client add` as given.
    pub fn person(
        mut self,
        name: &'static str,
        place: Place,
        services: &[&'static str],
        options: &[&str],
    ) -> Self {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        self.people.push(Enrolment { name, place, services: services.to_vec(), options });
        self
    }

    /// With Bob, who may use ssh, at the lab's visitor.
    pub fn bob(self) -> Self {
        self.person("bob", Place::Visitor, &["ssh"], &[])
    }

    fn configuration(&self, lab: &Lab, agent: Agent) -> Result<Configuration> {
        let address = lab.gate.ip(self.family).to_string();
        let text = match agent {
            Agent::Linux => Configuration::for_packets(lab, &address).with_services(),
            Agent::Gateway => Configuration::for_gateway(lab, &address).with_services(),
        };
        let ssh = format!("[service.ssh]\n{}\n", self.ssh);
        let text = text.replacing("[service.ssh]\n", &ssh)?;
        let entrance = match self.entrance {
            Entrance::Packets => "",
            Entrance::Central => "[central]\n[packet]\nmode = \"off\"\n",
            Entrance::Both => "[central]\n",
        };
        let text = text.with(&format!("{entrance}{}", self.sections));
        match agent {
            Agent::Linux => Ok(text),
            Agent::Gateway => text.with_hosts(lab),
        }
    }
}

/// Where a scenario is played.
pub struct Stage<'lab> {
    pub lab: &'lab Lab,
    pub agent: Agent,
}

impl<'lab> Stage<'lab> {
    pub fn new(lab: &'lab Lab, agent: Agent) -> Self {
        Self { lab, agent }
    }

    /// Makes the site and waits until its gate is up.
    pub fn set(&self, plan: &Plan) -> Result<Site<'lab>> {
        self.prepare(plan)?.enrol()?.start()
    }

    /// A site that is configured; nobody is enrolled yet.
    pub fn prepare(&self, plan: &Plan) -> Result<Prepared<'lab>> {
        let (lab, agent) = (self.lab, self.agent);
        let office = Gate::configured(lab, &plan.configuration(lab, agent)?)?;
        Ok(Prepared { lab, agent, plan: plan.clone(), office, clients: BTreeMap::new() })
    }
}

/// A site on its way.
pub struct Prepared<'lab> {
    lab: &'lab Lab,
    agent: Agent,
    plan: Plan,
    /// What the site is administered with.
    pub office: Gate<'lab>,
    clients: BTreeMap<&'static str, Client<'lab>>,
}

impl<'lab> Prepared<'lab> {
    /// Enrols the people of the plan.
    pub fn enrol(mut self) -> Result<Self> {
        for Enrolment { name, place, services, options } in &self.plan.people {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let profile = self.office.enrol(name, services, &options)?;
            let client = Client::with_profile(self.lab, place.host(self.lab), name, &profile)?;
            self.clients.insert(name, client);
        }
        Ok(self)
    }

    /// Starts the gate and the services behind it.
    pub fn start(self) -> Result<Site<'lab>> {
        let Self { lab, agent, plan, mut office, clients } = self;
        let guard = match agent {
            Agent::Linux => {
                office.start()?;
                Guard::Server
            }
            Agent::Gateway => {
                let workshop = Workshop::open(lab, &office)?;
                let mut gateway = Gateway::with_flash(lab, &workshop.flash(&office)?);
                gateway.start()?;
                Guard::Gateway(Box::new(Appliance { gateway, workshop }))
            }
        };
        let host = guard.host(lab);
        let services = [Service::start(host, SSH, "ssh")?, Service::start(host, WEB, "web")?];
        Ok(Site { lab, family: plan.family, office, guard, clients, _services: services })
    }
}

/// Who guards a site.
enum Guard<'lab> {
    /// The office itself.
    Server,
    Gateway(Box<Appliance<'lab>>),
}

/// A gateway and where it was made.
struct Appliance<'lab> {
    gateway: Gateway<'lab>,
    workshop: Workshop<'lab>,
}

impl Guard<'_> {
    fn host<'lab>(&self, lab: &'lab Lab) -> &'lab Host {
        match self {
            Self::Server => &lab.gate,
            Self::Gateway(_) => &lab.inner,
        }
    }
}

/// A guarded site whose gate is up.
pub struct Site<'lab> {
    pub lab: &'lab Lab,
    pub family: Family,
    /// What the site is administered with.
    pub office: Gate<'lab>,
    guard: Guard<'lab>,
    clients: BTreeMap<&'static str, Client<'lab>>,
    _services: [Service; 2],
}

impl<'lab> Site<'lab> {
    pub fn agent(&self) -> Agent {
        match self.guard {
            Guard::Server => Agent::Linux,
            Guard::Gateway(_) => Agent::Gateway,
        }
    }

    /// Somebody of the plan.
    pub fn client(&self, name: &str) -> Result<&Client<'lab>> {
        self.clients.get(name).with_context(|| format!("nobody of the plan is called {name}"))
    }

    /// Somebody who was enrolled later.
    pub fn admit(&mut self, name: &'static str, client: Client<'lab>) {
        self.clients.insert(name, client);
    }

    /// The gateway and its workshop, where the site has them.
    pub fn gateway(&mut self) -> Result<(&mut Gateway<'lab>, &Workshop<'lab>, &Gate<'lab>)> {
        match &mut self.guard {
            Guard::Server => bail!("this site is guarded by a server"),
            Guard::Gateway(it) => Ok((&mut it.gateway, &it.workshop, &self.office)),
        }
    }

    /// Where packet knocks go.
    pub fn door(&self) -> SocketAddr {
        self.lab.gate.at(self.family, KNOCK)
    }

    /// Where sequence knocks begin.
    pub fn central(&self) -> SocketAddr {
        self.lab.gate.at(self.family, CENTRAL)
    }

    /// Where a guarded port is.
    pub fn service(&self, port: u16) -> SocketAddr {
        self.host().at(self.family, port)
    }

    /// The host that has the guarded services.
    pub fn host(&self) -> &'lab Host {
        self.guard.host(self.lab)
    }

    /// How long nobody answers who answers at all. An emulated gateway thinks longer.
    pub fn patience(&self) -> Duration {
        match self.agent() {
            Agent::Linux => crate::peers::PATIENCE,
            Agent::Gateway => Duration::from_secs(2),
        }
    }

    /// Stops and starts the gate in good order.
    pub fn restart(&mut self) -> Result<()> {
        match &mut self.guard {
            Guard::Server => {
                self.office.stop()?;
                self.office.start()
            }
            Guard::Gateway(it) => it.gateway.reset(),
        }
    }

    /// The gate ends wherever it is, and starts again.
    pub fn crash(&mut self) -> Result<()> {
        self.die()?;
        self.come_back()
    }

    /// Starts a gate that has ended.
    pub fn come_back(&mut self) -> Result<()> {
        match &mut self.guard {
            Guard::Server => self.office.start(),
            Guard::Gateway(it) => it.gateway.start(),
        }
    }

    /// The gate ends wherever it is.
    pub fn die(&mut self) -> Result<()> {
        match &mut self.guard {
            Guard::Server => self.office.kill(),
            Guard::Gateway(it) => it.gateway.cut_power(),
        }
    }

    /// Administers the site, and lets the gate take up what has changed. An agent on a server notices by itself, within
    /// some seconds.
    pub fn change(&mut self, act: impl FnOnce(&Gate<'lab>) -> Result<()>) -> Result<()> {
        act(&self.office)?;
        match &mut self.guard {
            Guard::Server => Ok(()),
            Guard::Gateway(it) => it.workshop.update(&self.office, &mut it.gateway),
        }
    }

    /// Enrols somebody while the gate is up.
    pub fn enrol(
        &mut self,
        name: &'static str,
        place: Place,
        services: &[&str],
        options: &[&str],
    ) -> Result<()> {
        let mut profile = None;
        self.change(|office| {
            profile = Some(office.enrol(name, services, options)?);
            Ok(())
        })?;
        let Some(profile) = profile else { bail!("no profile for {name}") };
        let client = Client::with_profile(self.lab, place.host(self.lab), name, &profile)?;
        self.admit(name, client);
        Ok(())
    }

    /// Every record of the audit log so far.
    pub fn audit(&self) -> Result<Vec<Value>> {
        match &self.guard {
            Guard::Server => self.office.audit(),
            Guard::Gateway(it) => Ok(it.gateway.audit()),
        }
    }

    /// Waits for an audit record for which the condition holds.
    pub fn wait_for_audit(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        waiting::until(&format!("{what} in the audit log"), Duration::from_secs(10), || {
            self.audit().ok()?.into_iter().find(|record| holds(record))
        })
    }

    /// Somebody who holds a number connects to decoys in ascending order; so does somebody who has none.
    pub fn knocks_wrongly(&self, from: Place) -> Result<()> {
        let decoys = sequences::decoys(&self.office)?;
        let patience = match from {
            Place::Client | Place::Visitor => sequences::FOR_AN_ANSWER,
            Place::Stranger => sequences::IN_PASSING,
        };
        sequences::knock_wrongly(&decoys, self.lab.gate.ip(self.family), from.host(self.lab), patience)
    }

    /// Waits until a port is shut; returns when.
    pub fn wait_until_shut(&self, place: Place, port: u16) -> Result<Instant> {
        let what = format!("port {port} is shut for the {}", place.word());
        waiting::until(&what, Duration::from_secs(10), || {
            matches!(self.reached(place, port), Ok(crate::peers::Reached::Silence)).then(Instant::now)
        })
    }

    pub fn is_healthy(&mut self) -> Result<()> {
        match &mut self.guard {
            Guard::Server if self.office.is_alive() => Ok(()),
            Guard::Server => bail!("the agent has ended"),
            Guard::Gateway(it) => it.gateway.must_be_healthy(),
        }
    }
}
