//! The worker's end: one command, one reply. Opening and closing take no memory unless they fail.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::channel::Channel;
use super::command::{Command, Item, MAX_FOLLOWED, Question, Reply, Sight};
use crate::firewall::{
    ExistingGrant, FirewallError, Flows, FlowsError, ForeignElement, Grant, Integrity, Inventory,
};

/// The way to the broker that the gate's thread has.
pub struct Remote(Channel<OwnedFd>);

/// The one that the flows' thread has.
pub struct RemoteFlows(Channel<OwnedFd>);

impl Remote {
    pub(super) fn over(channel: Channel<OwnedFd>) -> Self {
        Self(channel)
    }

    pub(super) fn install(&self) -> Result<(), FirewallError> {
        self.order(&Command::Install)
    }

    pub(super) fn restore(&self) -> Result<(), FirewallError> {
        self.order(&Command::Restore)
    }

    pub(super) fn open(&self, grant: &Grant) -> Result<(), FirewallError> {
        self.order(&Command::Open(grant.clone()))
    }

    pub(super) fn close(&self, grant: &Grant) -> Result<(), FirewallError> {
        self.order(&Command::Close(grant.clone()))
    }

    pub(super) fn watch(&self, source: IpAddr, hold: Duration) -> Result<(), FirewallError> {
        self.order(&Command::Watch { source, hold })
    }

    pub(super) fn unwatch(&self, source: IpAddr) -> Result<(), FirewallError> {
        self.order(&Command::Unwatch { source })
    }

    pub(super) fn remove_foreign(&self) -> Result<(), FirewallError> {
        self.order(&Command::RemoveForeign)
    }

    pub(super) fn verify(&self) -> Result<Integrity, FirewallError> {
        match self.ask(&Command::Verify)? {
            Reply::Verified(integrity) => Ok(integrity),
            Reply::Refused(reason) => Err(FirewallError::Broker(reason.into_text())),
            Reply::Done => Err(FirewallError::BrokerGone),
        }
    }

    pub(super) fn grants(&self) -> Result<Inventory, FirewallError> {
        self.0.send(&Command::List).map_err(gone)?;
        let mut found = Inventory::default();
        loop {
            match receive(&self.0)? {
                Item::Grant { id, client, service, source, reach, protocol, remaining } => {
                    let ports = Vec::new();
                    let grant =
                        ExistingGrant { id, client, service, source, reach, protocol, ports, remaining };
                    found.grants.push(grant);
                }
                Item::Ports(ports) => {
                    let grant = found.grants.last_mut().ok_or(FirewallError::BrokerGone)?;
                    grant.ports.extend_from_slice(&ports);
                }
                Item::Foreign { set, source, protocol, port } => {
                    found.foreign.push(ForeignElement { set, source, protocol, port, comment: None });
                }
                Item::End => break,
            }
        }
        done(receive(&self.0)?).map(|()| found)
    }

    fn order(&self, command: &Command) -> Result<(), FirewallError> {
        self.ask(command).and_then(done)
    }

    fn ask(&self, command: &Command) -> Result<Reply, FirewallError> {
        self.0.send(command).map_err(gone)?;
        receive(&self.0)
    }
}

impl RemoteFlows {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self(Channel::new(socket))
    }

    pub(super) fn look(&self, grants: &[Grant]) -> Result<Vec<Flows>, FlowsError> {
        let mut seen = Vec::with_capacity(grants.len());
        for some in grants.chunks(MAX_FOLLOWED) {
            some.iter()
                .try_for_each(|grant| self.0.send(&Question::Of(grant.clone())))
                .and_then(|()| self.0.send(&Question::Look))
                .map_err(|_| FlowsError::BrokerGone)?;
            let sight = self.0.receive().ok().flatten().ok_or(FlowsError::BrokerGone)?;
            let alive = match sight {
                Sight::Alive(alive) => alive,
                Sight::Unknown(reason) => return Err(FlowsError::Broker(reason.into_text())),
            };
            let is_alive = |at: usize| alive.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
            seen.extend((0..some.len()).map(|at| if is_alive(at) { Flows::Alive } else { Flows::None }));
        }
        Ok(seen)
    }
}

fn receive<T: serde::de::DeserializeOwned>(channel: &Channel<OwnedFd>) -> Result<T, FirewallError> {
    channel.receive().map_err(gone)?.ok_or(FirewallError::BrokerGone)
}

/// A broker that does not keep to the words is as good as none.
fn gone(_: io::Error) -> FirewallError {
    FirewallError::BrokerGone
}

fn done(reply: Reply) -> Result<(), FirewallError> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Refused(reason) => Err(FirewallError::Broker(reason.into_text())),
        Reply::Verified(_) => Err(FirewallError::BrokerGone),
    }
}
