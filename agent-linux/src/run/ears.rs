//! Everything that the agent hears by. All of it is made ready before the gate is shut, and nothing is heard before it is.

use anyhow::anyhow;
use knockgate_core::book::Decoys;
use knockgate_core::message;
use tokio::net::TcpListener;

use crate::capture::decoy;
use crate::capture::watch::Means;
use crate::config::Config;

use super::holders::Holders;
use super::input::Calls;
use super::noise::Visits;
use super::packets::{self, Mouth, Packets};
use super::{central, decoys};

/// Ready to hear.
pub(super) struct Ears {
    central: Option<TcpListener>,
    /// Behind the decoys of connect mode.
    decoys: Option<TcpListener>,
    packets: Packets,
}

impl Ears {
    /// Takes the ports and sockets that the configuration wants, and the way by which packet knocks are answered.
    pub(super) fn open(config: &Config, decoys: &Decoys) -> anyhow::Result<(Self, Mouth)> {
        let central = config.central.map(|central| listen(central.port, "the central port")).transpose()?;
        let (packets, mouth) = packets::open(config, decoys)?;
        Ok((Self { central, decoys: decoy_listener(config, decoys)?, packets }, mouth))
    }

    /// The port behind the decoys; 0 where there is none.
    pub(super) fn decoy_port(&self) -> std::io::Result<u16> {
        self.decoys.as_ref().map_or(Ok(0), |listener| listener.local_addr().map(|address| address.port()))
    }

    /// How packets are heard.
    pub(super) fn means(&self) -> &Means {
        self.packets.means()
    }

    /// Hears callers from now on; packets are for the gate's thread to read.
    pub(super) fn listen(self, calls: &Calls, visits: &Visits, holders: Holders) -> Packets {
        if let Some(listener) = self.central {
            tokio::spawn(central::serve(listener, calls.clone(), visits.clone()));
        }
        if let Some(listener) = self.decoys {
            tokio::spawn(decoys::serve(listener, calls.clone(), holders));
        }
        self.packets
    }
}

fn listen(port: u16, what: &str) -> anyhow::Result<TcpListener> {
    let listener = decoy::listen(port).map_err(|error| {
        anyhow!(
            "{what} cannot use TCP port {port}: {error}; `ss -tlnp` shows who has it, or choose another one"
        )
    })?;
    Ok(TcpListener::from_std(listener)?)
}

fn decoy_listener(config: &Config, decoys: &Decoys) -> anyhow::Result<Option<TcpListener>> {
    const WHAT: &str = "the listener behind the decoys";
    match (config.sequence.mode, config.sequence.listener) {
        (message::Mode::Closed, _) => Ok(None),
        (message::Mode::Connect, Some(port)) => listen(port, WHAT).map(Some),
        (message::Mode::Connect, None) => {
            // The kernel may hand out a decoy. Those are kept until there is another one, so that it does not do so again.
            let mut useless = Vec::new();
            loop {
                let listener = listen(0, WHAT)?;
                if !decoys.contains(listener.local_addr()?.port()) {
                    return Ok(Some(listener));
                }
                useless.push(listener);
            }
        }
    }
}
