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
use crate::capture::opener::Opener;
use crate::capture::watch::{Counts, Means, Seen, Taken, Wanted, Watch};
use crate::config::{Config, PacketMode, PacketPorts};

use super::plan;

/// Looks at the old sockets, and at what the new ones have heard beside them, at most. So many batches hold more than any queue.
const LOOKS: usize = 1024;
/// Packets of one look.
const LOOK: usize = 64;

/// Where packets come in.
pub(super) struct Packets {
    watch: Watch,
    bound: Vec<BoundSocket>,
    /// What watches have counted that are no more.
    before: Counts,
}

/// The way back.
pub(super) enum Mouth {
    None,
    Raw(Answerer),
    /// By the port that was asked.
    Bound(HashMap<u16, BoundAnswerer>),
}

/// What is heard by now, for whoever prepares another configuration.
pub(super) struct Heard {
    wanted: Wanted,
    means: Means,
    /// Stays, so that nobody needs the right to open another one.
    answerer: Option<Answerer>,
    bound: HashMap<u16, BoundAnswerer>,
}

/// What another configuration wants otherwise. What it hears already is old or comes to the old sockets, too.
pub(super) struct NewPackets {
    /// `None`: the same.
    watch: Option<Watch>,
    /// Every port that a socket is bound to then, and the sockets of those to which none is now.
    ports: Vec<u16>,
    added: Vec<BoundSocket>,
    mouth: Mouth,
}

/// Gets ready to hear and to answer. From now on packets wait until they are read.
pub(super) fn open(
    config: &Config,
    decoys: &Decoys,
    opener: &dyn Opener,
) -> anyhow::Result<(Packets, Mouth, Heard)> {
    let wanted = plan::wanted(config, decoys);
    let watch = Watch::opened_by(opener, &wanted).context("packets cannot be watched")?;
    let heard = Heard { wanted, means: watch.means().clone(), answerer: None, bound: HashMap::new() };
    let Bound { ports, sockets, mouth } = heard.bind(config, opener)?;
    let bound = heard.answerers(&ports, &sockets);
    let answerer = mouth.answerer();
    let packets = Packets { watch, bound: sockets, before: Counts::default() };
    Ok((packets, mouth, Heard { answerer, bound, ..heard }))
}

/// Sockets for packet knocks, and the way back.
struct Bound {
    ports: Vec<u16>,
    /// Of the ports that had none.
    sockets: Vec<BoundSocket>,
    mouth: Mouth,
}

impl Heard {
    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    /// Gets ready what the configuration wants otherwise.
    pub(super) fn prepare(
        &self,
        config: &Config,
        decoys: &Decoys,
        opener: &dyn Opener,
    ) -> anyhow::Result<(NewPackets, Self)> {
        let Bound { ports, sockets, mouth } = self.bind(config, opener)?;
        let answerer = mouth.answerer().or_else(|| self.answerer.clone());
        let bound = self.answerers(&ports, &sockets);
        let groups = self.wanted.groups;
        let wanted = Wanted { groups, ..plan::wanted(config, decoys) };
        if wanted == self.wanted {
            let heard = Self { wanted, means: self.means.clone(), answerer, bound };
            return Ok((NewPackets { watch: None, ports, added: sockets, mouth }, heard));
        }
        let wanted = Wanted { groups: groups.other(), ..wanted };
        let watch = Watch::opened_by(opener, &wanted).context("packets cannot be watched")?;
        let heard = Self { wanted, means: watch.means().clone(), answerer, bound };
        Ok((NewPackets { watch: Some(watch), ports, added: sockets, mouth }, heard))
    }

    fn bind(&self, config: &Config, opener: &dyn Opener) -> anyhow::Result<Bound> {
        match (config.packet.mode, &config.packet.ports) {
            (PacketMode::Off, _) => Ok(Bound::none(Mouth::None)),
            (PacketMode::Watch, _) => {
                let there = self.answerer.clone().map(Ok);
                let answerer = there.unwrap_or_else(|| Answerer::opened_by(opener))?;
                Ok(Bound::none(Mouth::Raw(answerer)))
            }
            (PacketMode::Socket, PacketPorts::Listed(ranges)) => {
                let ports: Vec<u16> = ranges.iter().cloned().flatten().collect();
                let missing = ports.iter().filter(|port| !self.bound.contains_key(port));
                let sockets: Vec<_> = missing.map(|port| bind(*port)).collect::<anyhow::Result<_>>()?;
                let mouth = Mouth::Bound(self.answerers(&ports, &sockets));
                Ok(Bound { ports, sockets, mouth })
            }
            (PacketMode::Socket, PacketPorts::Any) => Err(anyhow!("a socket cannot be bound to every port")),
        }
    }

    /// The ways back from `ports`, some of which are those of the new `sockets`.
    fn answerers(&self, ports: &[u16], sockets: &[BoundSocket]) -> HashMap<u16, BoundAnswerer> {
        let kept = ports.iter().filter_map(|port| Some((*port, self.bound.get(port)?.clone())));
        kept.chain(sockets.iter().map(|socket| (socket.port(), socket.answerer()))).collect()
    }
}

impl Bound {
    fn none(mouth: Mouth) -> Self {
        Self { ports: Vec::new(), sockets: Vec::new(), mouth }
    }
}

fn bind(port: u16) -> anyhow::Result<BoundSocket> {
    BoundSocket::bind(port).map_err(|error| {
        anyhow!("UDP port {port} cannot be used for packet knocks: {error}; `ss -ulnp` shows who has it, or choose another")
    })
}

impl Packets {
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

    /// Hears as another configuration wants it. Whatever has come to a socket that goes is handed over first. What a new packet socket
    /// has heard before this moment has come to the old ones as well, and is thrown away; what comes to both in this very moment is
    /// heard twice, and a knock that is heard twice counts once. Over NFLOG a packet is reported once, by the rules that it met.
    pub(super) fn change(&mut self, new: NewPackets, each: &mut dyn FnMut(Seen<'_>)) -> Mouth {
        let NewPackets { watch, ports, added, mouth } = new;
        if let Some(mut watch) = watch {
            if let (Means::PacketSockets, Means::PacketSockets) = (self.watch.means(), watch.means()) {
                drain(&mut |ignored| watch.read(LOOK, ignored), &mut |_| {});
            }
            drain(&mut |each| self.watch.read(LOOK, each), each);
            self.before = self.before.and(self.watch.counts());
            self.watch = watch;
        }
        let is_kept = |socket: &BoundSocket| ports.contains(&socket.port());
        let (kept, mut gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.bound).into_iter().partition(is_kept);
        self.bound = kept;
        for socket in &mut gone {
            drain(&mut |each| Ok(socket.read(each)), each);
        }
        self.bound.extend(added);
        mouth
    }

    /// To be called every second.
    pub(super) fn look_after(&mut self) {
        self.watch.look_after();
    }

    /// What was not handed over.
    pub(super) fn counts(&self) -> Counts {
        self.before.and(self.watch.counts())
    }
}

/// Takes what was read.
type Each<'e> = dyn FnMut(Seen<'_>) + 'e;

/// Reads until nothing is left. What is broken has nothing; if that is a new one, the next look tells.
fn drain(read: &mut dyn FnMut(&mut Each<'_>) -> io::Result<Taken>, each: &mut Each<'_>) {
    for _ in 0..LOOKS {
        if !read(each).is_ok_and(|taken| taken.more) {
            return;
        }
    }
}

impl Mouth {
    fn answerer(&self) -> Option<Answerer> {
        match self {
            Self::Raw(answerer) => Some(answerer.clone()),
            Self::None | Self::Bound(_) => None,
        }
    }

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
