//! The court of a gateway: policies compiled ahead, used where they lie, asked in their order.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod chain;
mod fuel;
mod hostile;
mod memory;
#[path = "../../../policies/host/tests/stage/mod.rs"]
mod stage;

use std::sync::Arc;

use knockgate_core::{Instant, Now, UnixTime};
use knockgate_gateway::court::{Court, Minutes, Opinion};
use knockgate_gateway::names::ServiceNames;
use knockgate_policy_host::precompiled::{Precompiled, Target, Trusted, precompile};
use knockgate_policy_host::{
    Answer, Capabilities, Cause, Decision, Event, HostKind, MemoryState, Policy, PolicyEngine, Rights,
    StateStore,
};

/// Noon on a Monday in UTC.
const NOW: Now =
    Now { instant: Instant::from_micros(1), unix: Some(UnixTime::from_micros(1_767_614_400_000_000)) };

/// A policy, under which cause it was asked, what it said, and who was asked so far.
type Remembered = (String, Cause, Decision, Vec<(String, Answer)>);

/// What policies have said.
#[derive(Default)]
struct Told(Vec<Remembered>);

impl Minutes for Told {
    fn said(&mut self, _: Now, opinion: &Opinion<'_>) {
        let chain = opinion.chain.iter().map(|(name, answer)| ((*name).to_owned(), *answer)).collect();
        self.0.push((opinion.policy.to_owned(), opinion.event.cause, opinion.said.clone(), chain));
    }
}

/// A knock as the stage has it, at a gateway.
fn knock() -> Event {
    Event { host: HostKind::Gateway, ..stage::knock() }
}

/// A court of these policies, in this order.
fn court(policies: impl IntoIterator<Item = Policy>) -> Court {
    let mut court = Court::new(ServiceNames::default());
    for policy in policies {
        court.seat(policy, no_numbers()).unwrap();
    }
    court
}

fn no_numbers() -> Arc<dyn StateStore> {
    Arc::new(MemoryState::default())
}

/// A policy as a gateway has it: compiled ahead, in its place.
fn seated(name: &str, module: &[u8], rights: &Rights) -> Policy {
    let file = in_place(&precompile(module, Target::Wide).unwrap());
    // SAFETY: the code is from the engine's compiler, unchanged, and stays as it is for ever.
    let trusted = unsafe { Trusted::new(Precompiled::parse(file).unwrap()) };
    PolicyEngine::of_gateway(Capabilities::GATEWAY).unwrap().load_in_place(name, &trusted, rights).unwrap()
}

/// At a multiple of 16 bytes, as in a gateway's flash, for ever.
fn in_place(bytes: &[u8]) -> &'static [u8] {
    let room = vec![0_u128; bytes.len().div_ceil(16)].leak();
    // Whole words of 16 bytes from the front; the last one is filled up.
    for (word, part) in room.iter_mut().zip(bytes.chunks(16)) {
        let mut padded = [0; 16];
        padded[..part.len()].copy_from_slice(part);
        *word = u128::from_ne_bytes(padded);
    }
    // SAFETY: the room is longer than `bytes`, every byte of it was written, and nobody else has it.
    unsafe { std::slice::from_raw_parts(room.as_ptr().cast(), bytes.len()) }
}
