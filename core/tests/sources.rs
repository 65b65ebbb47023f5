//! What the gate keeps of every source that it does not know, against plain maps: the attempts at static sequences, and the budgets.
//!
//! The tables are large enough that nobody is pushed out; `PROPTEST_CASES` says how many cases.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use knockgate_core::Instant;
use knockgate_core::budget::{self, Budget};
use knockgate_core::static_sequence::{self, StaticSequence, StaticWatch, Step, Transport};
use proptest::prelude::*;

const SOURCES: [&str; 5] = ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2"];
const KEY: [u8; 16] = [7; 16];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn static_sequences_are_followed_as_the_rule_says(
        sequences in prop::collection::vec(sequence(), 1..5),
        probes in prop::collection::vec(probe(), 1..300),
    ) {
        let table = vec![static_sequence::Bucket::default(); 1024];
        let mut watch = StaticWatch::new(sequences.iter().cloned().collect(), table, KEY);
        let mut naive = NaiveWatch::default();
        let mut now = 0;
        for (number, (pause, source, touch)) in probes.into_iter().enumerate() {
            now += pause;
            let source: IpAddr = SOURCES[source].parse().expect("an address");
            let step = match touch {
                Touch::Any(step) => step,
                Touch::Next(pick) => naive.next(&sequences, source.to_canonical(), pick),
            };
            let completed = watch.handle_probe(Instant::from_micros(now * 1000), source, step);
            let expected = naive.probe(&sequences, now, source.to_canonical(), step);
            prop_assert_eq!(completed, expected, "probe {}", number);
        }
    }

    #[test]
    fn budgets_are_those_of_a_token_bucket_for_each_prefix(
        takes in prop::collection::vec((pause_micros(), 0..SOURCES.len()), 1..1000),
    ) {
        let mut budget = Budget::new(vec![budget::Bucket::default(); 64], KEY);
        let mut naive = BTreeMap::<&str, Purse>::new();
        let mut now = 0;
        for (pause, source) in takes {
            now += pause;
            let taken = budget.take(Instant::from_micros(now), SOURCES[source].parse().expect("an address"));
            let purse = naive.entry(prefix(SOURCES[source])).or_insert(Purse { credit: BURST * PERIOD, at: now, taken: 0, since: now });
            prop_assert_eq!(taken, purse.take(now), "{} at {}", SOURCES[source], now);
            prop_assert!(purse.taken <= BURST + (now - purse.since) / PERIOD, "never more than burst and rate");
        }
    }
}

/// What a source touches.
#[derive(Clone, Copy, Debug)]
enum Touch {
    Any(Step),
    /// The step of one of the sequences that it misses.
    Next(usize),
}

/// Of eight ports and both transports, so that sequences meet.
fn step() -> impl Strategy<Value = Step> {
    let transport = prop_oneof![3 => Just(Transport::Udp), 1 => Just(Transport::Tcp)];
    (transport, 1..=8_u16).prop_map(|(transport, port)| Step { transport, port })
}

fn sequence() -> impl Strategy<Value = StaticSequence> {
    let steps = prop::sample::subsequence((1..=8_u16).collect::<Vec<_>>(), 3..=6).prop_shuffle();
    (steps, 1..5_u64).prop_map(|(ports, seconds)| {
        let steps: Vec<Step> =
            ports.into_iter().map(|port| Step { transport: Transport::Udp, port }).collect();
        StaticSequence::new(&steps, Duration::from_secs(seconds)).expect("a good one")
    })
}

/// Milliseconds since the last one, whose it is, and what it touches.
fn probe() -> impl Strategy<Value = (u64, usize, Touch)> {
    let pause = prop_oneof![8 => 0..100_u64, 1 => 500..6_000_u64];
    let touch = prop_oneof![
        1 => step().prop_map(Touch::Any),
        2 => (0..5_usize).prop_map(Touch::Next),
    ];
    (pause, 0..SOURCES.len(), touch)
}

/// The rule in plain words: `docs/protocol.md`, section 6.11.
#[derive(Default)]
struct NaiveWatch {
    attempts: BTreeMap<(IpAddr, usize), Attempt>,
}

struct Attempt {
    since: u64,
    come: BTreeSet<usize>,
    strays: usize,
}

impl NaiveWatch {
    fn next(&self, sequences: &[StaticSequence], source: IpAddr, pick: usize) -> Step {
        let at = pick % sequences.len();
        let steps = sequences[at].steps();
        let missing = self.attempts.get(&(source, at)).map_or(0, Attempt::first_missing);
        steps[missing]
    }

    fn probe(&mut self, sequences: &[StaticSequence], now: u64, source: IpAddr, step: Step) -> Option<usize> {
        let mut completed = Vec::new();
        for (at, sequence) in sequences.iter().enumerate() {
            let position = sequence.steps().iter().position(|&expected| expected == step);
            let within = u64::try_from(sequence.within().as_millis()).expect("a minute at most");
            if self.attempts.get(&(source, at)).is_some_and(|attempt| attempt.since + within < now) {
                self.attempts.remove(&(source, at));
            }
            match self.attempts.get_mut(&(source, at)) {
                None if position == Some(0) || position == Some(1) => {
                    let come = position.into_iter().collect();
                    self.attempts.insert((source, at), Attempt { since: now, come, strays: 0 });
                }
                None => {}
                Some(attempt) => {
                    attempt.probe(position);
                    let is_complete = attempt.come.len() == sequence.steps().len();
                    if is_complete {
                        completed.push(at);
                    }
                    if is_complete || attempt.strays > 2 {
                        self.attempts.remove(&(source, at));
                    }
                }
            }
        }
        completed.first().copied()
    }
}

impl Attempt {
    fn first_missing(&self) -> usize {
        (0..).find(|position| !self.come.contains(position)).expect("there are more numbers")
    }

    fn probe(&mut self, position: Option<usize>) {
        let missing = self.first_missing();
        match position {
            Some(position) if self.come.contains(&position) => {}
            Some(position) if position == missing || position == missing + 1 => {
                self.come.insert(position);
            }
            Some(_) | None => self.strays += 1,
        }
    }
}

/// Microseconds for which a message is paid.
const PERIOD: u64 = 62_500;
const BURST: u64 = 32;

fn pause_micros() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0..1_000_u64, 4 => 1_000..200_000_u64, 1 => Just(PERIOD), 1 => 1_000_000..4_000_000_u64]
}

/// Who shares a budget with this source.
fn prefix(source: &str) -> &str {
    match source {
        "::ffff:192.0.2.1" => "192.0.2.1",
        "2001:db8::2" => "2001:db8::1",
        other => other,
    }
}

/// Time that was saved up, as credit.
struct Purse {
    credit: u64,
    at: u64,
    taken: u64,
    since: u64,
}

impl Purse {
    fn take(&mut self, now: u64) -> bool {
        self.credit = (self.credit + now - self.at).min(BURST * PERIOD);
        self.at = now;
        let is_enough = self.credit >= PERIOD;
        if is_enough {
            self.credit -= PERIOD;
            self.taken += 1;
        }
        is_enough
    }
}
