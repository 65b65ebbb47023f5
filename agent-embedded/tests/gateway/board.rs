//! What a board gives to a gateway: a store, a policy, an audit log, random numbers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::IpAddr;

use knockgate_core::action::Effect;
use knockgate_core::channel::Channel;
use knockgate_core::{
    ClientId, Consultation, Decision, Happening, Name, Note, Now, Occasion, Outcome, Record, Standing,
    Verdict,
};
use knockgate_gateway::environment::{Health, Over, Reaction};
use knockgate_gateway::{Decide, Journal, Operate, Store};
use rand_core::{TryCryptoRng, TryRng};

use crate::sys::unwatched;

/// A board whose store and policy do what the test wants.
pub(crate) struct Board {
    pub(crate) stored: Vec<Record>,
    pub(crate) store: Outcome,
    pub(crate) verdict: Verdict,
    pub(crate) asked: usize,
    pub(crate) notes: Vec<Note>,
    /// What was said to the console.
    pub(crate) heard: Vec<u8>,
    /// What the console has still to say.
    pub(crate) to_say: VecDeque<u8>,
    /// How often somebody came to it and left.
    pub(crate) visits: (usize, usize),
}

impl Board {
    /// Stores everything, and grants what is asked.
    pub(crate) fn generous() -> Self {
        Self {
            stored: Vec::new(),
            store: Outcome::Done,
            verdict: Verdict::Commit,
            asked: 0,
            notes: Vec::new(),
            heard: Vec::new(),
            to_say: VecDeque::new(),
            visits: (0, 0),
        }
    }
}

impl Store for Board {
    fn remember(&mut self, record: &Record) -> Outcome {
        if self.store == Outcome::Done {
            unwatched(|| self.stored.push(*record));
        }
        self.store
    }
}

impl Decide for Board {
    fn decide(&mut self, _: Now, question: &Consultation) -> Decision {
        self.asked += 1;
        let open = Effect::Open { service: question.service, seconds: question.seconds };
        Decision { verdict: self.verdict, effects: [open].into_iter().collect() }
    }

    fn wants(&self, _: Occasion) -> bool {
        false
    }

    fn react(&mut self, _: Now, _: &Happening, _: &Standing, _: Option<&Name>) -> Reaction {
        Reaction::new()
    }
}

/// Says what it has to say, and hears everything until somebody says "over".
impl Operate for Board {
    fn welcome(&mut self, _: Now, _: ClientId, _: IpAddr, _: Channel) {
        self.visits.0 += 1;
    }

    fn hear(&mut self, _: Now, _: Health, bytes: &[u8]) -> Result<usize, Over> {
        unwatched(|| self.heard.extend(bytes));
        if self.heard.ends_with(b"over") { Err(Over) } else { Ok(bytes.len()) }
    }

    fn say(&mut self, _: Now, buffer: &mut [u8]) -> Result<usize, Over> {
        let length = buffer.len().min(self.to_say.len());
        buffer.iter_mut().zip(self.to_say.drain(..length)).for_each(|(to, byte)| *to = byte);
        Ok(length)
    }

    fn leave(&mut self) {
        self.visits.1 += 1;
    }
}

impl Journal for Board {
    fn note(&mut self, _: Now, note: &Note, _: Option<&Name>) {
        unwatched(|| self.notes.push(note.clone()));
    }
}

/// A generator whose numbers are the same in every run. Not for keys of anybody.
#[derive(Clone)]
pub(crate) struct TestRng(u64);

impl TestRng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.step() % bound
    }

    /// SplitMix64.
    fn step(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.step().to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.step())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.step().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}
