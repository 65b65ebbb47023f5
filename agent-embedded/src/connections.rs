//! The TCP connections of the gateway's own address: sockets made on demand from a fixed pool.
//!
//! A socket listens only for the one SYN that was just let in, and the stack sees a segment only if it belongs to a socket.
//! So there is never a reset for a stranger. When a pool is full, a connection that has done its work makes room, then
//! one of the source that has the most of them, first one that is not even complete or not any more, then the oldest. Whoever
//! was recognised is never pushed out, not even while he takes his time with the closing.

use alloc::vec;
use core::net::IpAddr;

use knockgate_core::address::SourcePrefix;
use knockgate_core::envelope::Message;
use knockgate_core::limits::MESSAGE_LEN;
use knockgate_core::{Instant, Peer};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};

use crate::frame::{Segment, Step};
use crate::limits::{CLOSING, CONSOLE_IDLE, LINGER};

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its SYN was let in.
    Opening,
    /// It is complete; whoever made it has proved nothing yet.
    Open,
    /// It has said something wrong, and is kept in silence.
    Silent,
    /// The gate knows who it is and will answer.
    Known,
    /// It has become a conversation with the console.
    Talking,
    /// The gateway has said all it had to say to whom it knows.
    Closing,
    /// It has nothing to say to a stranger.
    Dismissed,
}

#[derive(Clone, Copy)]
struct Connection {
    peer: Peer,
    source: (IpAddr, u16),
    target: (IpAddr, u16),
    stage: Stage,
    since: Instant,
    until: Instant,
}

struct Slot {
    socket: SocketHandle,
    connection: Option<Connection>,
}

/// At most `N` connections.
pub(crate) struct Pool<const N: usize> {
    slots: [Slot; N],
    next_peer: u64,
}

/// Something that a connection has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard<T> {
    pub(crate) peer: Peer,
    pub(crate) source: IpAddr,
    pub(crate) what: T,
}

impl<const N: usize> Pool<N> {
    /// Makes the sockets with so many bytes each way; none of them listens. Connections are named from `first_peer` on.
    pub(crate) fn new(sockets: &mut SocketSet<'static>, bytes: usize, first_peer: u64) -> Self {
        let buffer = || SocketBuffer::new(vec![0; bytes]);
        let slots = core::array::from_fn(|_| Slot {
            socket: sockets.add(Socket::new(buffer(), buffer())),
            connection: None,
        });
        Self { slots, next_peer: first_peer }
    }

    /// Whether a segment belongs to a connection of this pool. A SYN with the ends of one that is over begins another.
    pub(crate) fn has(&self, sockets: &SocketSet<'static>, segment: &Segment<'_>) -> bool {
        let again = |slot: &Slot| segment.step == Step::Begin && slot.is_over(sockets);
        self.slots.iter().any(|slot| slot.belongs(segment) && !again(slot))
    }

    /// Makes a socket listen for the connection that `segment` begins; `false` if there is none to spare.
    pub(crate) fn listen(
        &mut self,
        sockets: &mut SocketSet<'static>,
        now: Instant,
        segment: &Segment<'_>,
    ) -> bool {
        debug_assert_eq!(segment.step, Step::Begin, "only a SYN begins a connection");
        let Some(at) = self.place(sockets, segment) else { return false };
        let Some(slot) = self.slots.get_mut(at) else { return false };
        slot.forget(sockets);
        let target = core::net::SocketAddr::from(segment.ends.target);
        if sockets.get_mut::<Socket>(slot.socket).listen(target).is_err() {
            return false;
        }
        self.next_peer = self.next_peer.wrapping_add(1);
        slot.connection = Some(Connection {
            peer: Peer(self.next_peer),
            source: segment.ends.source,
            target: segment.ends.target,
            stage: Stage::Opening,
            since: now,
            until: now.after(LINGER),
        });
        true
    }

    /// The slot for a new connection: one with the same ends that is over, a free one, or one that must make room.
    fn place(&self, sockets: &SocketSet<'static>, segment: &Segment<'_>) -> Option<usize> {
        let same = self.slots.iter().position(|slot| slot.belongs(segment));
        let free = || self.slots.iter().position(|slot| slot.connection.is_none());
        same.or_else(free).or_else(|| self.victim(sockets))
    }

    fn victim(&self, sockets: &SocketSet<'static>) -> Option<usize> {
        let candidates = self.slots.iter().enumerate().filter_map(|(at, slot)| {
            let connection = slot.connection?;
            let crowd = N - self.of_source(connection.source.0);
            match connection.stage {
                Stage::Known | Stage::Talking => None,
                Stage::Closing | Stage::Dismissed if slot.is_over(sockets) => {
                    Some((at, (0, 0, 0, connection.since)))
                }
                Stage::Closing => None,
                Stage::Opening | Stage::Dismissed => Some((at, (1, crowd, 0, connection.since))),
                Stage::Open | Stage::Silent => Some((at, (1, crowd, 1, connection.since))),
            }
        });
        candidates.min_by_key(|(_, order)| *order).map(|(at, _)| at)
    }

    fn of_source(&self, source: IpAddr) -> usize {
        let prefix = SourcePrefix::of(source);
        let same = |connection: &Connection| SourcePrefix::of(connection.source.0) == prefix;
        self.slots.iter().filter_map(|slot| slot.connection.as_ref()).filter(|other| same(other)).count()
    }

    /// The next connection that has become complete and is to be closed at once: a knock at a decoy.
    pub(crate) fn next_knock(
        &mut self,
        sockets: &mut SocketSet<'static>,
        now: Instant,
    ) -> Option<Heard<u16>> {
        self.slots.iter_mut().find_map(|slot| {
            slot.settle(sockets);
            let connection = slot.connection.filter(|connection| connection.stage == Stage::Open)?;
            slot.close(sockets, now);
            Some(Heard { peer: connection.peer, source: connection.source.0, what: connection.target.1 })
        })
    }

    /// The next message that has come in whole. It counts as wrong until [`Pool::recognise`] is called.
    pub(crate) fn next_message(
        &mut self,
        sockets: &mut SocketSet<'static>,
        now: Instant,
    ) -> Option<Heard<Message>> {
        self.slots.iter_mut().find_map(|slot| {
            slot.settle(sockets);
            let what = slot.read(sockets, now)?;
            let connection = slot.connection.as_mut()?;
            connection.stage = Stage::Silent;
            Some(Heard { peer: connection.peer, source: connection.source.0, what })
        })
    }

    /// The gate will answer `peer`.
    pub(crate) fn recognise(&mut self, peer: Peer) {
        let of_peer = self.slots.iter_mut().filter_map(|slot| slot.connection.as_mut());
        of_peer
            .filter(|connection| connection.peer == peer)
            .for_each(|connection| connection.stage = Stage::Known);
    }

    /// Says `message` to `peer`, and nothing more. Whoever is gone asks again.
    pub(crate) fn answer(
        &mut self,
        sockets: &mut SocketSet<'static>,
        now: Instant,
        peer: Peer,
        message: &Message,
    ) {
        let of_peer = |slot: &&mut Slot| slot.connection.is_some_and(|connection| connection.peer == peer);
        let Some(slot) = self.slots.iter_mut().find(of_peer) else { return };
        // The buffer is empty and holds a message: it is sent whole, or the connection is gone.
        let _ = sockets.get_mut::<Socket>(slot.socket).send_slice(message);
        slot.close(sockets, now);
    }

    /// Says `message` to `peer`, and goes on. Returns whether it is still there.
    pub(crate) fn converse(
        &mut self,
        sockets: &mut SocketSet<'static>,
        now: Instant,
        peer: Peer,
        message: &Message,
    ) -> Option<Peer> {
        let of_peer = |slot: &&mut Slot| slot.connection.is_some_and(|connection| connection.peer == peer);
        let slot = self.slots.iter_mut().find(of_peer)?;
        let connection = slot.connection.as_mut()?;
        sockets.get_mut::<Socket>(slot.socket).send_slice(message).ok()?;
        (connection.stage, connection.until) = (Stage::Talking, now.after(CONSOLE_IDLE));
        Some(peer)
    }

    /// The socket of the conversation with `peer`, while it lasts.
    pub(crate) fn talking<'s>(
        &mut self,
        sockets: &'s mut SocketSet<'static>,
        peer: Peer,
    ) -> Option<&'s mut Socket<'static>> {
        let slot = self.slots.iter_mut().find(|slot| slot.talks_with(peer))?;
        slot.settle(sockets);
        slot.talks_with(peer).then(|| sockets.get_mut(slot.socket))
    }

    /// Something was said in the conversation with `peer`.
    pub(crate) fn goes_on(&mut self, now: Instant, peer: Peer) {
        let talking = self.slots.iter_mut().filter(|slot| slot.talks_with(peer));
        let connections = talking.filter_map(|slot| slot.connection.as_mut());
        connections.for_each(|connection| connection.until = now.after(CONSOLE_IDLE));
    }

    /// Ends the conversation with `peer`, once what was said is under way.
    pub(crate) fn hang_up(&mut self, sockets: &mut SocketSet<'static>, now: Instant, peer: Peer) {
        let talking = self.slots.iter_mut().filter(|slot| slot.talks_with(peer));
        talking.for_each(|slot| slot.close(sockets, now));
    }

    /// Bytes that were said and have not been acknowledged.
    pub(crate) fn backlog(&self, sockets: &SocketSet<'static>) -> usize {
        let used = self.slots.iter().filter(|slot| slot.connection.is_some());
        used.map(|slot| sockets.get::<Socket>(slot.socket).send_queue()).sum()
    }

    /// Who is in a conversation, if somebody is.
    pub(crate) fn talks_with(&self) -> impl Iterator<Item = IpAddr> {
        let connections = self.slots.iter().filter_map(|slot| slot.connection);
        connections
            .filter(|connection| connection.stage == Stage::Talking)
            .map(|connection| connection.source.0)
    }

    /// Ends what has lasted long enough.
    pub(crate) fn expire(&mut self, sockets: &mut SocketSet<'static>, now: Instant) {
        for slot in &mut self.slots {
            slot.settle(sockets);
            let Some(connection) = slot.connection.filter(|connection| connection.until <= now) else {
                continue;
            };
            match connection.stage {
                Stage::Open | Stage::Silent | Stage::Known | Stage::Talking => slot.close(sockets, now),
                Stage::Opening | Stage::Closing | Stage::Dismissed => slot.forget(sockets),
            }
        }
    }

    /// When [`Pool::expire`] is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.connection).map(|connection| connection.until).min()
    }
}

impl Slot {
    fn talks_with(&self, peer: Peer) -> bool {
        let talks = |connection: Connection| (connection.peer, connection.stage) == (peer, Stage::Talking);
        self.connection.is_some_and(talks)
    }

    fn belongs(&self, segment: &Segment<'_>) -> bool {
        let ends = (segment.ends.source, segment.ends.target);
        self.connection.is_some_and(|connection| (connection.source, connection.target) == ends)
    }

    /// Both sides have said all they had to say.
    fn is_over(&self, sockets: &SocketSet<'static>) -> bool {
        matches!(sockets.get::<Socket>(self.socket).state(), State::Closed | State::TimeWait)
    }

    /// Takes over what the stack has done to the connection.
    fn settle(&mut self, sockets: &mut SocketSet<'static>) {
        let Some(connection) = &mut self.connection else { return };
        match sockets.get::<Socket>(self.socket).state() {
            // A connection that was never complete and was taken back listens again, for anybody.
            State::Listen | State::Closed => self.forget(sockets),
            State::SynSent | State::SynReceived => {}
            State::Established | State::CloseWait | State::FinWait1 | State::FinWait2 => {
                connection.complete()
            }
            State::Closing | State::LastAck | State::TimeWait => connection.complete(),
        }
    }

    /// A whole message, if this connection still may bring one.
    fn read(&mut self, sockets: &mut SocketSet<'static>, now: Instant) -> Option<Message> {
        let stage = self.connection?.stage;
        let socket = sockets.get_mut::<Socket>(self.socket);
        match stage {
            Stage::Opening | Stage::Known | Stage::Talking => return None,
            Stage::Closing | Stage::Dismissed => return None,
            Stage::Open if socket.recv_queue() >= MESSAGE_LEN => {
                let mut message = [0; MESSAGE_LEN];
                return (socket.recv_slice(&mut message) == Ok(MESSAGE_LEN)).then_some(message);
            }
            Stage::Open => {}
            // Hears nothing: what comes is taken and forgotten, as from anybody.
            Stage::Silent => drop(socket.recv(|bytes| (bytes.len(), ()))),
        }
        if !socket.may_recv() {
            self.close(sockets, now);
        }
        None
    }

    fn close(&mut self, sockets: &mut SocketSet<'static>, now: Instant) {
        sockets.get_mut::<Socket>(self.socket).close();
        if let Some(connection) = &mut self.connection {
            connection.stage = match connection.stage {
                Stage::Known | Stage::Talking | Stage::Closing => Stage::Closing,
                Stage::Opening | Stage::Open | Stage::Silent | Stage::Dismissed => Stage::Dismissed,
            };
            connection.until = now.after(CLOSING);
        }
    }

    /// Frees the slot without another word to the other side.
    fn forget(&mut self, sockets: &mut SocketSet<'static>) {
        self.connection = None;
        let socket = sockets.get_mut::<Socket>(self.socket);
        socket.abort();
        // An aborted socket still owes a reset. One that has listened since owes nothing.
        let _ = socket.listen(1);
        socket.close();
    }
}

impl Connection {
    fn complete(&mut self) {
        if self.stage == Stage::Opening {
            self.stage = Stage::Open;
        }
    }
}

#[cfg(test)]
#[path = "connections/tests.rs"]
mod tests;
