//! Packets that the gate's thread reads itself: packet knocks, the probes of closed mode and of static sequences; and the way
//! back to whoever knocked by a packet.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, anyhow};
use knockgate_core::book::Decoys;
use knockgate_core::envelope::Message;

use crate::capture::answer::Answerer;
use crate::capture::bound::{BoundAnswerer, BoundSocket};
use crate::capture::watch::{Counts, Means, Seen, Taken, Watch};
use crate::config::{Config, PacketMode, PacketPorts};

use super::plan;

/// Where packets come in.
pub(super) struct Packets {
    watch: Watch,
    bound: Vec<BoundSocket>,
}

/// The way back.
pub(super) enum Mouth {
    None,
    Raw(Answerer),
    /// By the port that was asked.
    Bound(HashMap<u16, BoundAnswerer>),
}

/// Gets ready to hear and to answer. From now on packets wait until they are read.
pub(super) fn open(config: &Config, decoys: &Decoys) -> anyhow::Result<(Packets, Mouth)> {
    let watch = Watch::open(&plan::wanted(config, decoys)).context("packets cannot be watched")?;
    let (bound, mouth) = match (config.packet.mode, &config.packet.ports) {
        (PacketMode::Off, _) => (Vec::new(), Mouth::None),
        (PacketMode::Watch, _) => (Vec::new(), Mouth::Raw(Answerer::open()?)),
        (PacketMode::Socket, PacketPorts::Listed(ranges)) => {
            let ports = ranges.iter().cloned().flatten();
            let bound: Vec<_> = ports.map(bind).collect::<anyhow::Result<_>>()?;
            let ways = bound.iter().map(|(port, socket)| (*port, socket.answerer())).collect();
            (bound.into_iter().map(|(_, socket)| socket).collect(), Mouth::Bound(ways))
        }
        (PacketMode::Socket, PacketPorts::Any) => {
            return Err(anyhow!("a socket cannot be bound to every port"));
        }
    };
    Ok((Packets { watch, bound }, mouth))
}

fn bind(port: u16) -> anyhow::Result<(u16, BoundSocket)> {
    let socket = BoundSocket::bind(port).map_err(|error| {
        anyhow!("UDP port {port} cannot be used for packet knocks: {error}; `ss -ulnp` shows who has it, or choose another")
    })?;
    Ok((port, socket))
}

impl Packets {
    /// How the watch hears.
    pub(super) fn means(&self) -> &Means {
        self.watch.means()
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watch.fds().into_iter().chain(self.bound.iter().map(AsFd::as_fd))
    }

    /// Hands over what is there now, at most about `most` packets. Never blocks.
    pub(super) fn read(&mut self, most: usize, each: &mut dyn FnMut(Seen<'_>)) -> io::Result<Taken> {
        let mut sum = self.watch.read(most, each)?;
        for socket in &mut self.bound {
            let Taken { packets, more } = socket.read(each);
            sum = Taken { packets: sum.packets.saturating_add(packets), more: sum.more || more };
        }
        Ok(sum)
    }

    /// To be called every second.
    pub(super) fn look_after(&mut self) {
        self.watch.look_after();
    }

    /// What was not handed over.
    pub(super) fn counts(&self) -> Counts {
        self.watch.counts()
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
