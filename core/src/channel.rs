//! What is said after a handshake, over the same connection: Noise transport messages, each with its length in front.
//!
//! `length 2 | sealed`, the length in big-endian and of what follows it. Both sides count their messages, so one that is
//! repeated, left out or moved does not open, and then the conversation is over. Rule: `docs/protocol.md`, section 6.10.

use clatter::cipherstate::{CipherState, CipherStates};
use clatter::crypto::cipher::ChaChaPoly;

use crate::handshake::Failed;
use crate::limits::{MAX_SAID, TAG_LEN};

/// Bytes of a length.
pub const LENGTH_LEN: usize = 2;
/// Bytes of the longest message with its length in front.
pub const MAX_FRAME: usize = LENGTH_LEN + MAX_SAID + TAG_LEN;

/// One side of a conversation. Without its keys once something has come that does not open: it is over then, whoever has put
/// it there, and what comes behind it does not open either.
pub struct Channel(Option<Keys>);

/// A key for each direction, with the number of its next message. Wiped when dropped.
struct Keys {
    ours: CipherState<ChaChaPoly>,
    theirs: CipherState<ChaChaPoly>,
}

impl Channel {
    /// The client's side of what a handshake leaves.
    pub(crate) fn of_client(states: CipherStates<ChaChaPoly>) -> Self {
        let CipherStates { initiator_to_responder: ours, responder_to_initiator: theirs } = states;
        Self(Some(Keys { ours, theirs }))
    }

    /// The gate's side of it.
    pub(crate) fn of_gate(states: CipherStates<ChaChaPoly>) -> Self {
        let CipherStates { initiator_to_responder: theirs, responder_to_initiator: ours } = states;
        Self(Some(Keys { ours, theirs }))
    }

    /// Seals `said`, of at most [`MAX_SAID`] bytes, and puts its length in front.
    ///
    /// # Errors
    /// [`Failed`] if it is too long, or `frame` too short for it, which costs nothing; or if the conversation is over.
    pub fn seal<'a>(&mut self, said: &[u8], frame: &'a mut [u8]) -> Result<&'a [u8], Failed> {
        let sealed = said.len().checked_add(TAG_LEN).filter(|_| said.len() <= MAX_SAID).ok_or(Failed)?;
        let frame = frame.get_mut(..LENGTH_LEN + sealed).ok_or(Failed)?;
        let Keys { ours, .. } = self.0.as_mut().ok_or(Failed)?;
        let (length, rest) = frame.split_at_mut(LENGTH_LEN);
        length.copy_from_slice(&u16::try_from(sealed).map_err(|_| Failed)?.to_be_bytes());
        ours.encrypt_with_ad(&[], said, rest).map_err(|_| Failed)?;
        Ok(frame)
    }

    /// Bytes that follow a length; `None` if no message is so long or so short.
    pub fn sealed_len(length: [u8; LENGTH_LEN]) -> Option<usize> {
        let sealed = usize::from(u16::from_be_bytes(length));
        (TAG_LEN..=MAX_SAID + TAG_LEN).contains(&sealed).then_some(sealed)
    }

    /// Opens what follows a length.
    ///
    /// # Errors
    /// [`Failed`] if it is not the other side's next message, or `said` is too short for it: the conversation is over.
    pub fn open<'a>(&mut self, sealed: &[u8], said: &'a mut [u8]) -> Result<&'a [u8], Failed> {
        let mut keys = self.0.take().ok_or(Failed)?;
        let length = sealed.len().checked_sub(TAG_LEN).filter(|&length| length <= MAX_SAID).ok_or(Failed)?;
        let said = said.get_mut(..length).ok_or(Failed)?;
        keys.theirs.decrypt_with_ad(&[], sealed, said).map_err(|_| Failed)?;
        self.0 = Some(keys);
        Ok(said)
    }
}

#[cfg(test)]
mod tests;
