//! The ways back to those who have asked and have no answer yet.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knockgate_core::Peer;
use knockgate_core::envelope::Message;
use tokio::sync::oneshot;

use super::packets::Mouth;

/// Longer than any question waits for its answer in the core.
const LONGEST: Duration = Duration::from_secs(10);

/// One way back.
pub(super) enum Back {
    /// Over the connection that the question came from.
    Connection(oneshot::Sender<Message>),
    /// From the address and port that were asked to those that asked.
    Datagram { to: SocketAddr, from: SocketAddr },
}

/// All of them, by their numbers.
pub(super) struct Peers {
    waiting: HashMap<Peer, (Back, Instant)>,
    last: u64,
    mouth: Mouth,
}

impl Peers {
    pub(super) fn new(mouth: Mouth) -> Self {
        Self { waiting: HashMap::new(), last: 0, mouth }
    }

    /// A number that nobody has.
    pub(super) fn next(&mut self) -> Peer {
        self.last = self.last.wrapping_add(1);
        Peer(self.last)
    }

    pub(super) fn wait(&mut self, peer: Peer, back: Back) {
        self.waiting.insert(peer, (back, Instant::now()));
    }

    /// Whoever has gone meanwhile asks again.
    pub(super) fn answer(&mut self, peer: Peer, message: &Message) {
        match self.waiting.remove(&peer) {
            Some((Back::Connection(answer), _)) => drop(answer.send(*message)),
            Some((Back::Datagram { to, from }, _)) => self.mouth.answer(to, from, message),
            None => {}
        }
    }

    /// Forgets those whom nothing will be answered.
    pub(super) fn forget(&mut self) {
        self.waiting.retain(|_, (back, since)| match back {
            Back::Connection(answer) => !answer.is_closed(),
            Back::Datagram { .. } => since.elapsed() < LONGEST,
        });
    }
}
