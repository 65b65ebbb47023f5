//! The gate's side, token by token on `clatter`'s symmetric state.
//!
//! `clatter`'s own responder makes all four shared secrets anew. One of them, `ss`, is made of the two static keys, so it is the
//! same in every handshake of a client, and a gate that has kept it saves one operation of three before it knows what is asked.
//! Bytes and refusals are the same either way. Rule: `docs/protocol.md`, sections 4.2 to 4.4.

use clatter::cipherstate::CipherStates;
use clatter::crypto::cipher::ChaChaPoly;
use clatter::crypto::hash::Blake2s;
use clatter::symmetricstate::SymmetricState;
use zeroize::Zeroize;

use crate::channel::Channel;
use crate::envelope::Inner;
use crate::key::{GateId, Identity, PublicKey, SharedSecret};
use crate::limits::{ANSWER_LEN, INNER_LEN, KEY_LEN, REQUEST_LEN, TAG_LEN};

use super::{Failed, prologue, x25519};

pub(super) const SUITE: &str = "Noise_IK_25519_ChaChaPoly_BLAKE2s";

/// The gate's side, between an authentic question and its answer.
pub struct Responder {
    half: Half,
    ephemeral: Identity,
}

/// What an authentic question says.
pub struct Opened {
    /// Who asks.
    pub client: PublicKey,
    /// What he asks.
    pub request: [u8; REQUEST_LEN],
    /// What his key and the gate's make, if it had to be made.
    pub made: Option<SharedSecret>,
}

impl Responder {
    /// Reads a first message: who wrote it, and what he asks.
    ///
    /// `ephemeral` is only sent by [`Responder::answer`]; after a failure it may be used for the next message.
    ///
    /// # Errors
    /// [`Failed`] if the message was not written for this gate's key by the owner of the client key inside it.
    pub fn read(
        gate_identity: &Identity,
        ephemeral: &Identity,
        gate: GateId,
        inner: &Inner,
    ) -> Result<(Self, PublicKey, [u8; REQUEST_LEN]), Failed> {
        let (responder, opened) = Self::read_knowing(gate_identity, ephemeral, gate, inner, |_| None)?;
        Ok((responder, opened.client, opened.request))
    }

    /// As [`Responder::read`], for a gate that keeps what it shares with clients. `known` says what it shares with the owner of a
    /// key, if it has it: exactly what an earlier [`Opened::made`] with that key was, under the same gate key.
    ///
    /// # Errors
    /// As [`Responder::read`].
    pub fn read_knowing<'known>(
        gate_identity: &Identity,
        ephemeral: &Identity,
        gate: GateId,
        inner: &Inner,
        known: impl FnOnce(&PublicKey) -> Option<&'known SharedSecret>,
    ) -> Result<(Self, Opened), Failed> {
        let mut request = [0; REQUEST_LEN];
        let read = Half::read(&prologue(gate), gate_identity, inner, &mut request, known);
        let Ok((half, made)) = read else {
            request.zeroize();
            return Err(Failed);
        };
        let client = half.client;
        Ok((Self { half, ephemeral: ephemeral.clone() }, Opened { client, request, made }))
    }

    /// Writes the second message.
    ///
    /// # Errors
    /// [`Failed`] if the client's keys are unusable.
    pub fn answer(self, answer: &[u8; ANSWER_LEN]) -> Result<Inner, Failed> {
        self.write(answer).map(|(inner, _)| inner)
    }

    /// Writes the second message, after which the conversation goes on.
    ///
    /// # Errors
    /// As [`Responder::answer`].
    pub fn answer_and_go_on(self, answer: &[u8; ANSWER_LEN]) -> Result<(Inner, Channel), Failed> {
        let (inner, half) = self.write(answer)?;
        Ok((inner, Channel::of_gate(half.split()?)))
    }

    fn write(self, answer: &[u8; ANSWER_LEN]) -> Result<(Inner, Half), Failed> {
        let Self { mut half, ephemeral } = self;
        let mut inner = [0; INNER_LEN];
        half.write(&ephemeral, answer, &mut inner)?;
        Ok((inner, half))
    }
}

/// The responder's half of the pattern IK, for payloads of any length.
pub(super) struct Half {
    noise: SymmetricState<ChaChaPoly, Blake2s>,
    client: PublicKey,
    client_ephemeral: PublicKey,
}

impl Half {
    /// `<- s`, then `-> e, es, s, ss` and the payload.
    pub(super) fn read<'known>(
        prologue: &[u8],
        gate: &Identity,
        message: &[u8],
        payload: &mut [u8],
        known: impl FnOnce(&PublicKey) -> Option<&'known SharedSecret>,
    ) -> Result<(Self, Option<SharedSecret>), Failed> {
        let (e, rest) = message.split_first_chunk::<KEY_LEN>().ok_or(Failed)?;
        let (s, sealed) = rest.split_at_checked(KEY_LEN + TAG_LEN).ok_or(Failed)?;
        if payload.len().checked_add(TAG_LEN) != Some(sealed.len()) {
            return Err(Failed);
        }

        let mut noise = SymmetricState::new(SUITE);
        noise.mix_hash(prologue);
        noise.mix_hash(&gate.public().0);

        let client_ephemeral = PublicKey(*e);
        noise.mix_hash(e);
        noise.mix_key(x25519::shared(gate, &client_ephemeral)?.bytes());
        let mut client = PublicKey([0; KEY_LEN]);
        noise.decrypt_and_hash(s, &mut client.0).map_err(|_| Failed)?;
        let made = match known(&client) {
            Some(shared) => {
                noise.mix_key(shared.bytes());
                None
            }
            None => {
                let shared = x25519::shared(gate, &client)?;
                noise.mix_key(shared.bytes());
                Some(shared)
            }
        };
        noise.decrypt_and_hash(sealed, payload).map_err(|_| Failed)?;
        Ok((Self { noise, client, client_ephemeral }, made))
    }

    /// `<- e, ee, se` and the payload.
    pub(super) fn write(
        &mut self,
        ephemeral: &Identity,
        payload: &[u8],
        message: &mut [u8],
    ) -> Result<(), Failed> {
        let (e, sealed) = message.split_first_chunk_mut::<KEY_LEN>().ok_or(Failed)?;
        if payload.len().checked_add(TAG_LEN) != Some(sealed.len()) {
            return Err(Failed);
        }
        let Self { noise, client, client_ephemeral } = self;
        *e = ephemeral.public().0;
        noise.mix_hash(e);
        noise.mix_key(x25519::shared(ephemeral, client_ephemeral)?.bytes());
        noise.mix_key(x25519::shared(ephemeral, client)?.bytes());
        noise.encrypt_and_hash(payload, sealed).map_err(|_| Failed)
    }

    #[cfg(test)]
    pub(super) fn hash(&self) -> impl clatter::bytearray::ByteArray {
        self.noise.get_hash()
    }

    /// The keys that a finished handshake leaves.
    pub(super) fn split(&self) -> Result<CipherStates<ChaChaPoly>, Failed> {
        self.noise.split().map_err(|_| Failed)
    }
}
