//! Everything that the agent hears by. All of it is made ready before the gate is shut, and nothing is heard before it is.
//!
//! Under another configuration the sockets stay that it wants as they are. The others are there before the old ones go, and those go
//! when what has come to them is taken.

use anyhow::anyhow;
use knockgate_core::book::Decoys;
use knockgate_core::message;
use tokio::net::TcpListener;

use crate::capture::decoy;
use crate::capture::opener::Opener;
use crate::capture::watch::Means;
use crate::config::Config;

use super::holders::Holders;
use super::input::Calls;
use super::listen::{Listener, Stop};
use super::noise::Visits;
use super::packets::{self, Heard, Mouth, NewPackets, Packets};
use super::{central, decoys};

/// Ready to hear.
pub(super) struct Ears {
    central: Option<Open>,
    /// Behind the decoys of connect mode.
    decoys: Option<Open>,
    packets: Packets,
    heard: Heard,
}

/// A port that was taken.
struct Open {
    /// 0 for any.
    asked: u16,
    listener: TcpListener,
}

/// What callers are heard by now, and what is watched.
pub(super) struct InUse {
    central: Option<Taken>,
    decoys: Option<Taken>,
    heard: Heard,
    visitors: Visitors,
}

/// A port that is listened at.
struct Taken {
    asked: u16,
    port: u16,
    _stop: Stop,
}

/// Whom callers are handed over to.
pub(super) struct Visitors {
    pub(super) calls: Calls,
    pub(super) visits: Visits,
    pub(super) holders: Holders,
}

/// What another configuration wants otherwise: ready, and heard by nobody yet.
pub(super) struct NewEars {
    central: Part<Open>,
    decoys: Part<Open>,
    pub(super) packets: NewPackets,
    heard: Heard,
    pub(super) decoy_port: u16,
}

/// A socket under another configuration.
enum Part<T> {
    /// As it is.
    Same,
    Other(Option<T>),
}

impl Ears {
    /// Takes the ports and sockets that the configuration wants, and the way by which packet knocks are answered.
    pub(super) fn open(
        config: &Config,
        decoys: &Decoys,
        opener: &dyn Opener,
    ) -> anyhow::Result<(Self, Mouth)> {
        let central = config.central.map(|central| listen_central(central.port)).transpose()?;
        let (packets, mouth, heard) = packets::open(config, decoys, opener)?;
        Ok((Self { central, decoys: decoy_listener(config, decoys)?, packets, heard }, mouth))
    }

    /// The port behind the decoys; 0 where there is none.
    pub(super) fn decoy_port(&self) -> std::io::Result<u16> {
        self.decoys.as_ref().map_or(Ok(0), Open::port)
    }

    /// How packets are heard.
    pub(super) fn means(&self) -> &Means {
        self.heard.means()
    }

    /// Hears callers from now on; packets are for the gate's thread to read.
    pub(super) fn listen(self, visitors: Visitors) -> anyhow::Result<(Packets, InUse)> {
        let Self { central, decoys, packets, heard } = self;
        let mut in_use = InUse { central: None, decoys: None, heard, visitors };
        in_use.central = in_use.serve_central(central)?;
        in_use.decoys = in_use.serve_decoys(decoys)?;
        Ok((packets, in_use))
    }
}

impl InUse {
    /// Makes ready what the configuration wants otherwise. In the context of the runtime.
    pub(super) fn prepare(
        &self,
        config: &Config,
        decoys: &Decoys,
        opener: &dyn Opener,
    ) -> anyhow::Result<NewEars> {
        let wanted = config.central.map(|central| central.port);
        let central = match self.central.as_ref().map(|taken| taken.asked) == wanted {
            true => Part::Same,
            false => Part::Other(wanted.map(listen_central).transpose()?),
        };
        let wanted = wanted_decoys(config);
        let decoy_listener = match &self.decoys {
            Some(taken) if Some(taken.asked) == wanted && !decoys.contains(taken.port) => Part::Same,
            None if wanted.is_none() => Part::Same,
            Some(_) | None => Part::Other(decoy_listener(config, decoys)?),
        };
        let decoy_port = match &decoy_listener {
            Part::Same => self.decoys.as_ref().map_or(0, |taken| taken.port),
            Part::Other(open) => open.as_ref().map_or(Ok(0), Open::port)?,
        };
        let (packets, heard) = self.heard.prepare(config, decoys, opener)?;
        Ok(NewEars { central, decoys: decoy_listener, packets, heard, decoy_port })
    }

    /// Hears by the new ones, and by the old ones no more. In the context of the runtime.
    pub(super) fn take(&mut self, new: TakenOver) -> anyhow::Result<()> {
        let TakenOver { central, decoys, heard } = new;
        self.heard = heard;
        if let Part::Other(open) = central {
            self.central = self.serve_central(open)?;
        }
        if let Part::Other(open) = decoys {
            self.decoys = self.serve_decoys(open)?;
        }
        Ok(())
    }

    fn serve_central(&self, open: Option<Open>) -> anyhow::Result<Option<Taken>> {
        let Visitors { calls, visits, .. } = &self.visitors;
        taken(open, "central port", |listener| {
            tokio::spawn(central::serve(listener, calls.clone(), visits.clone()));
        })
    }

    fn serve_decoys(&self, open: Option<Open>) -> anyhow::Result<Option<Taken>> {
        let Visitors { calls, holders, .. } = &self.visitors;
        taken(open, "decoys", |listener| {
            tokio::spawn(decoys::serve(listener, calls.clone(), holders.clone()));
        })
    }
}

/// What is left of new ears when the gate's thread has what it reads by itself.
pub(super) struct TakenOver {
    central: Part<Open>,
    decoys: Part<Open>,
    heard: Heard,
}

impl NewEars {
    /// How packets are heard then.
    pub(super) fn means(&self) -> &Means {
        self.heard.means()
    }

    /// Those for the gate's thread, and the others.
    pub(super) fn split(self) -> (NewPackets, TakenOver) {
        let Self { central, decoys, packets, heard, .. } = self;
        (packets, TakenOver { central, decoys, heard })
    }
}

impl Open {
    fn at(asked: u16, what: &str) -> anyhow::Result<Self> {
        let listener = decoy::listen(asked).map_err(|error| {
            anyhow!(
                "{what} cannot use TCP port {asked}: {error}; `ss -tlnp` shows who has it, or choose another one"
            )
        })?;
        Ok(Self { asked, listener: TcpListener::from_std(listener)? })
    }

    fn port(&self) -> std::io::Result<u16> {
        self.listener.local_addr().map(|address| address.port())
    }
}

fn taken(
    open: Option<Open>,
    what: &'static str,
    serve: impl FnOnce(Listener),
) -> anyhow::Result<Option<Taken>> {
    let Some(open) = open else { return Ok(None) };
    let (asked, port) = (open.asked, open.port()?);
    let (listener, stop) = Listener::new(open.listener, what);
    serve(listener);
    Ok(Some(Taken { asked, port, _stop: stop }))
}

fn listen_central(port: u16) -> anyhow::Result<Open> {
    Open::at(port, "the central port")
}

/// The port that shall be behind the decoys, 0 for any; none in closed mode.
fn wanted_decoys(config: &Config) -> Option<u16> {
    match config.sequence.mode {
        message::Mode::Closed => None,
        message::Mode::Connect => Some(config.sequence.listener.unwrap_or(0)),
    }
}

fn decoy_listener(config: &Config, decoys: &Decoys) -> anyhow::Result<Option<Open>> {
    let Some(wanted) = wanted_decoys(config) else { return Ok(None) };
    // The kernel may hand out a decoy. Those are kept until there is another one, so that it does not do so again.
    let mut useless = Vec::new();
    loop {
        let open = Open::at(wanted, "the listener behind the decoys")?;
        if wanted != 0 || !decoys.contains(open.port()?) {
            return Ok(Some(open));
        }
        useless.push(open);
    }
}
