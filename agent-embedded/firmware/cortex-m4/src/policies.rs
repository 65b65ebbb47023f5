//! Policies that were compiled ahead, loaded and asked as a gateway does it.
//!
//! What was given is, for each policy, its name, its rights and its file, each after its length. All of these fill multiples of 16
//! bytes, so that compiled code lies as in a site image.

use alloc::sync::Arc;

use cortex_m_semihosting::hprintln;
use knockgate_policy_host::precompiled::Precompiled;
use knockgate_policy_host::{Capabilities, Event, Policy, PolicyEngine, Profile, Rights, StateStore};

use crate::clock::Clock;
use crate::events::{events, line};
use crate::numbers::Numbers;
use crate::sys;

/// On a frame of its own, so that the stack is counted for it alone.
#[inline(never)]
pub(crate) fn check(clock: &mut Clock, given: &'static [u8]) -> Result<(), &'static str> {
    let (engine, took) = clock.measure(|| PolicyEngine::new(Profile::Edge, Capabilities::ALL))?;
    let engine = engine.map_err(|_| "the policy engine did not start")?;
    let (heap, stack) = (sys::heap_in_use(), sys::high_water().1);
    hprintln!("engine: {took} instructions, {heap} bytes of heap, {stack} bytes of stack");
    let events = events();
    let mut rest = given;
    while !rest.is_empty() {
        let (name, after) = field(rest)?;
        let (rights, after) = field(after)?;
        let (file, after) = field(after)?;
        let name = core::str::from_utf8(name).map_err(|_| "the name of a policy is no text")?;
        let policy = load(clock, &engine, name, rights, file)?;
        decide(clock, &policy, &events)?;
        rest = after;
    }
    Ok(())
}

fn field(bytes: &'static [u8]) -> Result<(&'static [u8], &'static [u8]), &'static str> {
    const CUT_OFF: &str = "the file of policies is cut off";
    let (head, rest) = bytes.split_first_chunk::<16>().ok_or(CUT_OFF)?;
    let [length @ .., _, _, _, _, _, _, _, _, _, _, _, _] = *head;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| CUT_OFF)?;
    let (padded, after) =
        rest.split_at_checked(length.checked_next_multiple_of(16).ok_or(CUT_OFF)?).ok_or(CUT_OFF)?;
    Ok((padded.get(..length).ok_or(CUT_OFF)?, after))
}

fn load(
    clock: &mut Clock,
    engine: &PolicyEngine,
    name: &str,
    rights: &[u8],
    file: &'static [u8],
) -> Result<Policy, &'static str> {
    let rights = Rights::decode(rights).map_err(|_| "the rights of a policy cannot be read")?;
    let file = Precompiled::parse(file).map_err(|error| told(name, &error))?;
    let before = sys::heap_in_use();
    let trusted = sys::vouched(file);
    let (policy, took) = clock.measure(|| engine.load_precompiled(name, &trusted, &rights))?;
    let policy = policy.map_err(|error| told(name, &error))?;
    let heap = sys::heap_in_use().saturating_sub(before);
    let stack = sys::high_water().1;
    hprintln!("{name}: loaded in {took} instructions, {heap} bytes of heap, {stack} bytes of stack so far");
    Ok(policy)
}

fn told(name: &str, error: &impl core::fmt::Display) -> &'static str {
    hprintln!("{name}: {error}");
    "a policy does not load"
}

fn decide(clock: &mut Clock, policy: &Policy, events: &[Event]) -> Result<(), &'static str> {
    let state: Arc<dyn StateStore> = Arc::new(Numbers::new());
    let mut longest = 0;
    for (number, event) in events.iter().enumerate() {
        let (decision, took) = clock.measure(|| policy.decide(event, &state))?;
        longest = took.max(longest);
        hprintln!("decided: {}", line(policy.name(), number, &decision));
    }
    hprintln!("{}: at most {longest} instructions for a decision", policy.name());
    Ok(())
}
