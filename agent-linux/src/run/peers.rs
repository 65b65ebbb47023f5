//! The ways back to those who have asked and have no answer yet.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knockgate_core::envelope::Message;
use knockgate_core::{ClientId, Peer};
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

/// One way back, whose it is, and since when.
struct Waiting {
    back: Back,
    client: ClientId,
    since: Instant,
}

/// All of them, by their numbers.
pub(super) struct Peers {
    waiting: HashMap<Peer, Waiting>,
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

    /// Answers go another way from now on.
    pub(super) fn change_mouth(&mut self, mouth: Mouth) {
        self.mouth = mouth;
    }

    pub(super) fn wait(&mut self, peer: Peer, client: ClientId, back: Back) {
        self.waiting.insert(peer, Waiting { back, client, since: Instant::now() });
    }

    /// Whoever has gone meanwhile asks again. Says who it was.
    pub(super) fn answer(&mut self, peer: Peer, message: &Message) -> Option<ClientId> {
        let Waiting { back, client, .. } = self.waiting.remove(&peer)?;
        match back {
            Back::Connection(answer) => drop(answer.send(*message)),
            Back::Datagram { to, from } => self.mouth.answer(to, from, message),
        }
        Some(client)
    }

    /// Forgets those whom nothing will be answered.
    pub(super) fn forget(&mut self) {
        self.waiting.retain(|_, Waiting { back, since, .. }| match back {
            Back::Connection(answer) => !answer.is_closed(),
            Back::Datagram { .. } => since.elapsed() < LONGEST,
        });
    }
}
