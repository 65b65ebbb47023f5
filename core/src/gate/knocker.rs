//! Whoever has knocked, as far as the gate knows him: somebody on the roster, or whoever knows a static sequence.

use core::time::Duration;

use rand_core::CryptoRng;

use crate::book::BookId;
use crate::key::PublicKey;
use crate::roster::{Client, ClientId, Name, Roster};
use crate::time::Now;

use super::{Gate, StaticDoor};

/// By what a knocker is found again after a while.
#[derive(Clone, Copy)]
pub(super) enum Credential {
    /// The key that he has proved to have.
    Key(PublicKey),
    /// The static sequence that he has knocked.
    Sequence(usize),
}

/// What the gate knows of him.
#[derive(Clone)]
pub(super) enum Knocker {
    Enrolled(Client),
    Anybody(StaticDoor),
}

impl Knocker {
    pub(super) fn id(&self) -> ClientId {
        match self {
            Self::Enrolled(client) => client.id,
            Self::Anybody(door) => door.client(),
        }
    }

    pub(super) fn name(&self) -> &Name {
        match self {
            Self::Enrolled(client) => &client.name,
            Self::Anybody(door) => &door.name,
        }
    }

    pub(super) fn may_use(&self, service: u16) -> bool {
        match self {
            Self::Enrolled(client) => client.may_use(service),
            Self::Anybody(door) => door.service == service,
        }
    }

    pub(super) fn book(&self) -> Option<BookId> {
        match self {
            Self::Enrolled(client) => Some(client.book),
            Self::Anybody(_) => None,
        }
    }

    /// How long he is still enrolled. A sequence is good as long as it is configured.
    pub(super) fn enrolled_for(&self, now: Now) -> Duration {
        let expires = match self {
            Self::Enrolled(client) => client.expires,
            Self::Anybody(_) => None,
        };
        match (expires, now.unix) {
            (None, _) => Duration::MAX,
            (Some(end), Some(unix)) => end.left(unix),
            (Some(_), None) => Duration::ZERO,
        }
    }
}

impl<R: Roster, G: CryptoRng, const E: usize, const H: usize, const N: usize, const L: usize, const S: usize>
    Gate<R, G, E, H, N, L, S>
{
    /// Who that is, if he is still on the roster.
    pub(super) fn knocker(&self, credential: Credential) -> Option<Knocker> {
        match credential {
            Credential::Key(key) => self.roster.client(&key).cloned().map(Knocker::Enrolled),
            Credential::Sequence(door) => self.config.statics.get(door).cloned().map(Knocker::Anybody),
        }
    }
}
