//! The client's half of an exchange: seal a request, read the answer.

use rand_core::CryptoRng;

use crate::envelope::{self, Direction, Message};
use crate::handshake::Initiator;
use crate::key::{DoorKey, GateId, Identity, PublicKey};
use crate::message::{Answer, Request};
use crate::profile::Profile;

/// The keys with which a client talks to its gate.
pub struct Keys {
    gate: GateId,
    gate_key: PublicKey,
    door_key: DoorKey,
    client: Identity,
}

/// A question that waits for its answer.
pub struct Question<'a> {
    keys: &'a Keys,
    handshake: Initiator,
}

/// Why there is no question or no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeError {
    /// A key in the profile is missing or unusable.
    Keys,
    /// The bytes that came back were not written by the gate in answer to this question.
    NotTheGate,
    /// The gate answered in a way that this version cannot read.
    NewerGate,
}

impl Keys {
    /// The keys in a profile. Computes the client's public key.
    ///
    /// # Errors
    /// [`ExchangeError::Keys`] if the profile has no secret key: the client has not put its own in yet.
    pub fn of(profile: &Profile) -> Result<Self, ExchangeError> {
        let secret = profile.secret.clone().ok_or(ExchangeError::Keys)?;
        Ok(Self {
            gate: profile.gate,
            gate_key: profile.gate_key,
            door_key: profile.door_key.clone(),
            client: Identity::new(secret),
        })
    }

    /// Seals `request`.
    ///
    /// # Errors
    /// [`ExchangeError::Keys`] if a key is unusable.
    pub fn ask(
        &self,
        request: &Request,
        rng: &mut impl CryptoRng,
    ) -> Result<(Question<'_>, Message), ExchangeError> {
        let ephemeral = Identity::generate(rng);
        let payload = request.encode();
        let (handshake, inner) =
            Initiator::start(&self.client, ephemeral, self.gate_key, self.gate, &payload)
                .map_err(|_| ExchangeError::Keys)?;
        let message = envelope::seal(&self.door_key, self.gate, Direction::Request, &inner, rng)
            .ok_or(ExchangeError::Keys)?;
        Ok((Question { keys: self, handshake }, message))
    }
}

impl Question<'_> {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`ExchangeError::NotTheGate`] or [`ExchangeError::NewerGate`].
    pub fn answer(self, message: &Message) -> Result<Answer, ExchangeError> {
        let Keys { gate, door_key, .. } = self.keys;
        let inner =
            envelope::open(door_key, *gate, Direction::Answer, message).ok_or(ExchangeError::NotTheGate)?;
        let payload = self.handshake.finish(&inner).map_err(|_| ExchangeError::NotTheGate)?;
        Answer::decode(&payload).map_err(|_| ExchangeError::NewerGate)
    }
}
