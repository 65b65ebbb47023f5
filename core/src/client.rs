//! The client's half of an exchange: seal a request, read the answer.

use rand_core::CryptoRng;

use crate::channel::Channel;
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
    /// Reads the answer. What the gate has not written leaves the question as it was: its answer may still come.
    ///
    /// # Errors
    /// [`ExchangeError::NotTheGate`] or [`ExchangeError::NewerGate`].
    pub fn answer(&self, message: &Message) -> Result<Answer, ExchangeError> {
        let Keys { gate, door_key, .. } = self.keys;
        let inner =
            envelope::open(door_key, *gate, Direction::Answer, message).ok_or(ExchangeError::NotTheGate)?;
        let payload = self.handshake.clone().finish(&inner).map_err(|_| ExchangeError::NotTheGate)?;
        Answer::decode(&payload).map_err(|_| ExchangeError::NewerGate)
    }

    /// Reads the answer to a question that asked for the console, and goes on over the connection that it came from.
    ///
    /// # Errors
    /// As [`Question::answer`].
    pub fn answer_and_go_on(&self, message: &Message) -> Result<(Answer, Channel), ExchangeError> {
        let Keys { gate, door_key, .. } = self.keys;
        let inner =
            envelope::open(door_key, *gate, Direction::Answer, message).ok_or(ExchangeError::NotTheGate)?;
        let (payload, channel) =
            self.handshake.clone().finish_and_go_on(&inner).map_err(|_| ExchangeError::NotTheGate)?;
        Ok((Answer::decode(&payload).map_err(|_| ExchangeError::NewerGate)?, channel))
    }
}

#[cfg(test)]
mod tests {
    use heapless::Vec;

    use super::*;
    use crate::book::{Book, DecoySeed, Shape};
    use crate::handshake::Responder;
    use crate::key::SecretKey;
    use crate::limits::MESSAGE_LEN;
    use crate::message::{Kind, Verdict};
    use crate::testing::TestRng;

    #[test]
    fn a_forged_answer_leaves_the_question_as_it_was() {
        let mut rng = TestRng::new(1);
        let gate = Identity::generate(&mut rng);
        let profile = profile(&gate, &mut rng);
        let keys = Keys::of(&profile).unwrap();
        let (_, earlier) = keys.ask(&Request::new(Kind::Status, 1), &mut rng).unwrap();
        let (question, message) = keys.ask(&Request::new(Kind::Status, 2), &mut rng).unwrap();
        let stale = answer(&gate, &profile, &earlier, &mut rng);
        let good = answer(&gate, &profile, &message, &mut rng);

        // Noise, and what the gate has said to another question: the envelope of that one is in order.
        for forged in [[0; MESSAGE_LEN], stale] {
            assert_eq!(question.answer(&forged).err(), Some(ExchangeError::NotTheGate));
        }
        assert_eq!(question.answer(&good).unwrap().verdict, Verdict::Nothing);
    }

    fn profile(gate: &Identity, rng: &mut TestRng) -> Profile {
        let shape = Shape::new(10, 3, 16, 10_000..=20_000).unwrap();
        Profile {
            client: "alice".parse().unwrap(),
            address: "gate.example".try_into().unwrap(),
            central_port: 1,
            packet_ports: None,
            gate: GateId([7; 16]),
            gate_key: gate.public(),
            door_key: DoorKey::generate(rng),
            secret: Some(SecretKey::generate(rng)),
            services: Vec::new(),
            book: Book::generate(shape, DecoySeed::from_bytes([1; 32]), rng),
        }
    }

    fn answer(gate: &Identity, profile: &Profile, question: &Message, rng: &mut TestRng) -> Message {
        let (key, id) = (&profile.door_key, profile.gate);
        let inner = envelope::open(key, id, Direction::Request, question).unwrap();
        let (responder, ..) = Responder::read(gate, &Identity::generate(rng), id, &inner).unwrap();
        let (verdict, offer, seen, door_key) = (Verdict::Nothing, None, None, None);
        let answer =
            Answer { verdict, retry_ms: 0, time: 0, book_left: 0, offer, open: Vec::new(), seen, door_key };
        envelope::seal(key, id, Direction::Answer, &responder.answer(&answer.encode()).unwrap(), rng).unwrap()
    }
}
