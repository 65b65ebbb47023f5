//! Packet knocks: where they come in, and the way back.
//!
//! Noise is thrown away where it comes in, by the door key alone: a flood of it costs this thread, not the gate. What is left was
//! written by somebody who has a door key, and goes to the driver.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, anyhow};
use knockgate_core::envelope::{Doorkeeper, Message, Unsealed};

use crate::capture::answer::Answerer;
use crate::capture::bound::{BoundAnswerer, BoundSocket};
use crate::capture::packets::{PacketLog, PacketSeen};
use crate::config::{Config, PacketMode, PacketPorts};

use super::input::{Input, Inputs};

/// NFLOG group of packet knocks, beside that of the probes of closed mode.
pub(super) const NFLOG_GROUP: u16 = super::plan::NFLOG_GROUP + 1;

/// What the ears share with the driver.
#[derive(Clone)]
pub(super) struct Door {
    keeper: Arc<RwLock<Doorkeeper>>,
    noise: Arc<AtomicU64>,
}

impl Door {
    pub(super) fn new(keeper: Doorkeeper) -> Self {
        Self { keeper: Arc::new(RwLock::new(keeper)), noise: Arc::default() }
    }

    /// Other door keys are in force.
    pub(super) fn change(&self, keeper: Doorkeeper) {
        *self.keeper.write().unwrap_or_else(PoisonError::into_inner) = keeper;
    }

    /// How much noise has come since this was last asked.
    pub(super) fn take_noise(&self) -> u64 {
        self.noise.swap(0, Ordering::Relaxed)
    }

    fn unseal(&self, message: &Message) -> Option<Unsealed> {
        let unsealed = self.keeper.read().unwrap_or_else(PoisonError::into_inner).unseal(message);
        if unsealed.is_none() {
            self.noise.fetch_add(1, Ordering::Relaxed);
        }
        unsealed
    }

    fn admit(&self, seen: PacketSeen) -> Option<Input> {
        let PacketSeen { source, destination, message } = seen;
        let message = Box::new(self.unseal(&message)?);
        Some(Input::Packet { source, destination, message })
    }
}

/// Where packet knocks come in; nothing is heard before [`Ears::listen`].
pub(super) enum Ears {
    None,
    Watching(PacketLog),
    Bound(Vec<BoundSocket>),
}

/// The way back.
pub(super) enum Mouth {
    None,
    Raw(Answerer),
    /// By the port that was asked.
    Bound(HashMap<u16, BoundAnswerer>),
}

/// Gets ready to hear and to answer.
pub(super) fn open(config: &Config) -> anyhow::Result<(Ears, Mouth)> {
    match (config.packet.mode, &config.packet.ports) {
        (PacketMode::Off, _) => Ok((Ears::None, Mouth::None)),
        (PacketMode::Watch, _) => {
            let log = PacketLog::bind(NFLOG_GROUP).context("packet knocks cannot be watched")?;
            Ok((Ears::Watching(log), Mouth::Raw(Answerer::open()?)))
        }
        (PacketMode::Socket, PacketPorts::Listed(ranges)) => {
            let ports = ranges.iter().cloned().flatten();
            let bound: Vec<_> = ports.map(bind).collect::<anyhow::Result<_>>()?;
            let ways = bound.iter().map(|(port, socket)| (*port, socket.answerer())).collect();
            Ok((Ears::Bound(bound.into_iter().map(|(_, socket)| socket).collect()), Mouth::Bound(ways)))
        }
        (PacketMode::Socket, PacketPorts::Any) => Err(anyhow!("a socket cannot be bound to every port")),
    }
}

fn bind(port: u16) -> anyhow::Result<(u16, BoundSocket)> {
    let socket = BoundSocket::bind(port).map_err(|error| {
        anyhow!("UDP port {port} cannot be used for packet knocks: {error}; `ss -ulnp` shows who has it, or choose another")
    })?;
    Ok((port, socket))
}

impl Ears {
    /// Listens for ever.
    pub(super) fn listen(self, door: &Door, inputs: &Inputs) -> anyhow::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Watching(log) => watch(log, door.clone(), inputs.clone()),
            Self::Bound(sockets) => {
                for socket in sockets {
                    tokio::spawn(receive(socket, door.clone(), inputs.clone()));
                }
                Ok(())
            }
        }
    }
}

/// On a thread of its own, since a flood keeps it busy.
fn watch(mut log: PacketLog, door: Door, inputs: Inputs) -> anyhow::Result<()> {
    let watching = move || {
        loop {
            let input = match log.recv() {
                Ok(seen) => door.admit(seen),
                Err(error) => Some(Input::Broken(anyhow::Error::new(error).context("packet knocks"))),
            };
            let Some(input) = input else { continue };
            let broken = matches!(input, Input::Broken(_));
            if inputs.blocking_send(input).is_err() || broken {
                return;
            }
        }
    };
    let started = std::thread::Builder::new().name("packets".into()).spawn(watching);
    started.map(drop).context("cannot start the thread that reads packet knocks")
}

async fn receive(mut socket: BoundSocket, door: Door, inputs: Inputs) {
    loop {
        let Some(input) = door.admit(socket.recv().await) else { continue };
        if inputs.send(input).await.is_err() {
            return;
        }
    }
}

impl Mouth {
    /// Answers from the address and port that were asked. A client that hears nothing asks again.
    pub(super) fn answer(&mut self, to: SocketAddr, from: SocketAddr, message: &Message) {
        let sent = match self {
            Self::None => return,
            Self::Raw(answerer) => answerer.answer(to, from, message),
            Self::Bound(ways) => match ways.get(&from.port()) {
                Some(way) => way.answer(to, from, message),
                None => return,
            },
        };
        if let Err(error) = sent {
            tracing::debug!(%to, "a packet knock could not be answered: {error}");
        }
    }
}
