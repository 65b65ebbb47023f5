//! The secret handshake: one Noise IK message each way, with a payload of fixed size.
//!
//! `Noise_IK_25519_ChaChaPoly_BLAKE2s` through `clatter`; this module adds the prologue, fixed sizes, the refusal of keys
//! of low order, and the rule that ephemeral keys come from the host's own generator. The first message proves who the client is; the second proves the
//! gate and ends the handshake. A [`Channel`] may follow, where both sides go on over one connection. Rule: `docs/protocol.md`, section 4.

use clatter::NqHandshakeCore;
use clatter::cipherstate::CipherStates;
use clatter::crypto::cipher::ChaChaPoly;
use clatter::crypto::hash::Blake2s;
use clatter::handshakepattern::noise_ik;
use clatter::traits::Handshaker;
use clatter::transportstate::TransportState;

use crate::channel::Channel;
use crate::envelope::Inner;
use crate::key::{GateId, Identity, PublicKey};
use crate::limits::{ANSWER_LEN, INNER_LEN, REQUEST_LEN};

mod responder;
mod x25519;

pub use responder::{Opened, Responder};

type Noise = NqHandshakeCore<x25519::Contributory, ChaChaPoly, Blake2s, sealed_generator::NoGenerator>;

const PROLOGUE_PREFIX: &[u8; 11] = b"knockgate/1";
const PROLOGUE_LEN: usize = PROLOGUE_PREFIX.len() + 16;

/// The handshake failed: the message is not from whom it should be, or not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// The client's side, between its question and the answer.
#[derive(Clone)]
pub struct Initiator(Noise);

impl Initiator {
    /// Writes the first message, with `request` sealed for the gate whose key is `gate_key`.
    ///
    /// # Errors
    /// [`Failed`] if a key is unusable.
    pub fn start(
        client: &Identity,
        ephemeral: Identity,
        gate_key: PublicKey,
        gate: GateId,
        request: &[u8; REQUEST_LEN],
    ) -> Result<(Self, Inner), Failed> {
        let pattern = noise_ik();
        let mut noise = Noise::new(
            pattern,
            &prologue(gate),
            true,
            Some(client.pair()),
            Some(ephemeral.pair()),
            Some(gate_key.0),
            None,
        )
        .map_err(|_| Failed)?;
        let mut inner = [0; INNER_LEN];
        let written = noise.write_message(request, &mut inner).map_err(|_| Failed)?;
        if written != INNER_LEN {
            return Err(Failed);
        }
        Ok((Self(noise), inner))
    }

    /// Reads the second message.
    ///
    /// # Errors
    /// [`Failed`] if it was not written by the gate in answer to this handshake's first message.
    pub fn finish(self, inner: &Inner) -> Result<[u8; ANSWER_LEN], Failed> {
        self.read(inner).map(|(answer, _)| answer)
    }

    /// Reads the second message, after which the conversation goes on.
    ///
    /// # Errors
    /// As [`Initiator::finish`].
    pub fn finish_and_go_on(self, inner: &Inner) -> Result<([u8; ANSWER_LEN], Channel), Failed> {
        let (answer, noise) = self.read(inner)?;
        Ok((answer, Channel::of_client(split(noise)?)))
    }

    fn read(mut self, inner: &Inner) -> Result<([u8; ANSWER_LEN], Noise), Failed> {
        let mut answer = [0; ANSWER_LEN];
        let read = self.0.read_message(inner, &mut answer).map_err(|_| Failed)?;
        if read != ANSWER_LEN {
            return Err(Failed);
        }
        Ok((answer, self.0))
    }
}

/// The keys that a finished handshake leaves.
fn split(noise: Noise) -> Result<CipherStates<ChaChaPoly>, Failed> {
    noise.finalize().map(TransportState::take).map_err(|_| Failed)
}

fn prologue(gate: GateId) -> [u8; PROLOGUE_LEN] {
    let mut prologue = [0; PROLOGUE_LEN];
    let (prefix, id) = prologue.split_at_mut(PROLOGUE_PREFIX.len());
    prefix.copy_from_slice(PROLOGUE_PREFIX);
    id.copy_from_slice(&gate.0);
    prologue
}

/// `clatter` makes a generator by `Default` and only calls it when no ephemeral key was handed in. Ours always is.
mod sealed_generator {
    use clatter::traits::{CryptoRng, RngCore};

    #[derive(Clone, Default)]
    pub(super) struct NoGenerator;

    const NEVER: &str = "Initiator and Responder always hand in an ephemeral key";

    impl RngCore for NoGenerator {
        fn next_u32(&mut self) -> u32 {
            unreachable!("{NEVER}")
        }

        fn next_u64(&mut self) -> u64 {
            unreachable!("{NEVER}")
        }

        fn fill_bytes(&mut self, _: &mut [u8]) {
            unreachable!("{NEVER}")
        }

        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), clatter::rand_core::Error> {
            unreachable!("{NEVER}")
        }
    }

    impl CryptoRng for NoGenerator {}
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
