//! Who changes the firewall: this process, or a broker that this process has started and that alone may.
//!
//! The kernel lets a process write to nf_tables only while it has CAP_NET_ADMIN. Whoever parses what strangers send should not
//! have it, so with `[process] separate = true` the agent is two processes: a worker, which is all of the agent without any
//! capability, and a broker, which has that one, hears nobody but the worker, and does nothing but what [`command::Command`]
//! lists. It got its plan before the worker heard anybody, and opened what the worker hears by and has no right to open. A command names a service, a source and a time; the broker
//! looks each of them up in its plan ([`permit`]). No rule and no text ever comes from the worker after that.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`command`] | what the worker may say, and what the broker answers |
//! | [`channel`] | one message, one packet of a socket that only the two have |
//! | [`permit`] | what the plan allows to be opened |
//! | [`remote`] | the worker's end |
//! | [`serve`] | the broker's end |
//! | [`spawn`] | starts it |
//!
//! Either process ends when the other one has: the guard is in the kernel and stays. Not here: how the worker gives up its
//! rights, see [`confine`](crate::confine).

mod channel;
mod command;
mod permit;
mod remote;
mod serve;
mod spawn;

use std::net::IpAddr;
use std::time::Duration;

use crate::admin::unguard;
use crate::firewall::{
    Firewall, FirewallError, FlowTable, Flows, FlowsError, ForeignElement, Grant, Integrity, Inventory, Plan,
};

pub use permit::Bounds;
pub use serve::main;
pub use spawn::{BrokerError, NewBroker};

use remote::{Remote, RemoteFlows};

/// A guard that is planned and not yet there.
pub enum Prepared {
    Here(Plan),
    Broker(Plan, Remote),
}

/// The firewall of this process, or the broker that has it.
pub enum Lever {
    Here(Firewall),
    Broker(Plan, Remote),
}

/// The way to ask conntrack, from here or by the broker.
pub enum FlowLever {
    /// Opened when it is needed.
    Here(Option<FlowTable>),
    Broker(RemoteFlows),
}

impl Prepared {
    /// Shuts the gate. Whoever starts an agent wants it guarded, whatever he has ordered before.
    ///
    /// # Errors
    /// The kernel holds what it held before.
    pub fn install(self) -> anyhow::Result<Lever> {
        match self {
            Self::Here(plan) => {
                unguard::forget_order()?;
                Ok(Lever::Here(Firewall::install(&plan)?))
            }
            Self::Broker(plan, remote) => {
                remote.install()?;
                Ok(Lever::Broker(plan, remote))
            }
        }
    }
}

impl Lever {
    /// See [`Firewall::open`].
    ///
    /// # Errors
    /// Nothing was opened.
    pub fn open(&mut self, grant: &Grant) -> Result<(), FirewallError> {
        match self {
            Self::Here(firewall) => firewall.open(grant),
            Self::Broker(_, remote) => remote.open(grant),
        }
    }

    /// See [`Firewall::close`].
    ///
    /// # Errors
    /// The ports may still be open until their deadline.
    pub fn close(&mut self, grant: &Grant) -> Result<(), FirewallError> {
        match self {
            Self::Here(firewall) => firewall.close(grant),
            Self::Broker(_, remote) => remote.close(grant),
        }
    }

    /// See [`Firewall::watch`].
    ///
    /// # Errors
    /// The source is not watched.
    pub fn watch(&mut self, source: IpAddr, hold: Duration) -> Result<(), FirewallError> {
        match self {
            Self::Here(firewall) => firewall.watch(source, hold),
            Self::Broker(_, remote) => remote.watch(source, hold),
        }
    }

    /// See [`Firewall::unwatch`].
    ///
    /// # Errors
    /// The source may still be watched until its deadline.
    pub fn unwatch(&mut self, source: IpAddr) -> Result<(), FirewallError> {
        match self {
            Self::Here(firewall) => firewall.unwatch(source),
            Self::Broker(_, remote) => remote.unwatch(source),
        }
    }

    /// See [`Firewall::grants`].
    ///
    /// # Errors
    /// The kernel could not be asked.
    pub fn grants(&mut self) -> Result<Inventory, FirewallError> {
        match self {
            Self::Here(firewall) => firewall.grants(),
            Self::Broker(_, remote) => remote.grants(),
        }
    }

    /// Shuts doors that somebody else has opened in our table. A broker finds them by itself.
    ///
    /// # Errors
    /// Some may still be open.
    pub fn remove_foreign(&mut self, foreign: &[ForeignElement]) -> Result<(), FirewallError> {
        match self {
            Self::Here(firewall) => firewall.remove_foreign(foreign),
            Self::Broker(_, remote) => remote.remove_foreign(),
        }
    }

    /// See [`Firewall::verify`].
    ///
    /// # Errors
    /// The kernel could not be asked.
    pub fn verify(&mut self) -> Result<Integrity, FirewallError> {
        match self {
            Self::Here(firewall) => firewall.verify(),
            Self::Broker(_, remote) => remote.verify(),
        }
    }

    /// See [`Firewall::reinstall`].
    ///
    /// # Errors
    /// As there; and a broker takes no other plan than the one that it was started with.
    pub fn reinstall(&mut self, plan: &Plan) -> Result<(), FirewallError> {
        match self {
            Self::Here(firewall) => firewall.reinstall(plan),
            Self::Broker(own, _) if own != plan => Err(FirewallError::PlanIsFixed),
            Self::Broker(_, remote) => remote.restore(),
        }
    }
}

impl FlowLever {
    /// See [`FlowTable::look`].
    ///
    /// # Errors
    /// Nothing is known.
    pub fn look(&mut self, grants: &[Grant]) -> Result<Vec<Flows>, FlowsError> {
        match self {
            Self::Broker(remote) => remote.look(grants),
            Self::Here(table) => {
                let seen = match table {
                    Some(table) => table.look(grants),
                    None => table.insert(FlowTable::open()?).look(grants),
                };
                // A socket that has failed is opened anew the next time.
                seen.inspect_err(|_| *table = None)
            }
        }
    }
}
