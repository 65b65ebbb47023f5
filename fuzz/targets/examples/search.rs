//! Searches for policies that the engines decide differently: `cargo run --example search -- FOLDER SECONDS SEED`.
//!
//! Stands in for the fuzzer, whose build instruments the compiler of policies and takes the better part of an hour. It makes
//! random inputs and changes those that reached something new; each new outcome is kept in FOLDER, each difference in
//! `FOLDER/different`. What is there already is read first.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use knockgate_fuzz_targets::policy::{self, Outcome};
use knockgate_policy_host::{Decision, Failure};

/// Longest input. The corpus takes files below 4 kB.
const MOST_BYTES: usize = 2000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, seconds, seed] = arguments.as_slice() else {
        return Err(io::Error::other(
            "name a folder, how many seconds to search, and a number to begin with",
        ));
    };
    let number = |text: &String| text.parse().map_err(|_| io::Error::other(format!("{text} is no number")));
    let (seconds, seed) = (Duration::from_secs(number(seconds)?), number(seed)?);
    Search::begin(PathBuf::from(folder), seed)?.run(seconds)
}

/// What was found so far.
struct Search {
    folder: PathBuf,
    random: Random,
    /// By what was reached: the shortest input that reached it.
    kept: BTreeMap<String, Vec<u8>>,
    /// How often something happened.
    counts: BTreeMap<&'static str, u64>,
}

impl Search {
    fn begin(folder: PathBuf, seed: u64) -> io::Result<Self> {
        fs::create_dir_all(folder.join("different"))?;
        let mut search = Self {
            random: Random(seed),
            kept: BTreeMap::new(),
            counts: BTreeMap::new(),
            folder: folder.clone(),
        };
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_file() {
                search.try_input(&fs::read(path)?)?;
            }
        }
        Ok(search)
    }

    fn run(mut self, seconds: Duration) -> io::Result<()> {
        let begin = Instant::now();
        let mut told = begin;
        while begin.elapsed() < seconds {
            let input = self.next_input();
            self.try_input(&input)?;
            if told.elapsed() > Duration::from_secs(20) {
                told = Instant::now();
                self.tell();
            }
        }
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        println!("{} kept, {:?}", self.kept.len(), self.counts);
    }

    /// Something new, or something that reached something, changed a little.
    fn next_input(&mut self) -> Vec<u8> {
        if self.kept.is_empty() || self.random.below(3) == 0 {
            return self.fresh();
        }
        let place = self.random.below(self.kept.len());
        let mut input = self.kept.values().nth(place).cloned().unwrap_or_default();
        for _ in 0..=self.random.below(6) {
            self.change(&mut input);
        }
        input.truncate(MOST_BYTES);
        input
    }

    /// Bytes of which some are small: large ones are seldom lengths, verdicts or keys.
    fn fresh(&mut self) -> Vec<u8> {
        let (length, small) = (self.random.below(MOST_BYTES), self.random.below(5));
        (0..length)
            .map(|_| {
                let is_small = self.random.below(4) < small;
                if is_small { self.random.byte() % 4 } else { self.random.byte() }
            })
            .collect()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let place = self.random.below(input.len() + 1);
        let byte = self.random.byte();
        match self.random.below(6) {
            0 => input.insert(place, byte),
            1 if place < input.len() => drop(input.remove(place)),
            2 => input.truncate(place),
            3 => {
                let more = self.fresh();
                input.truncate(place);
                input.extend(more);
            }
            _ => {
                if let Some(old) = input.get_mut(place) {
                    *old = if byte.is_multiple_of(2) { byte } else { *old ^ (1 << (byte / 2 % 8)) };
                }
            }
        }
    }

    fn try_input(&mut self, input: &[u8]) -> io::Result<()> {
        self.count("inputs");
        let outcome = match std::panic::catch_unwind(|| policy::compare(input)) {
            Ok(outcome) => outcome,
            Err(_) => Err("a panic".to_owned()),
        };
        match outcome {
            Ok(outcome) => self.keep(input, &outcome),
            Err(difference) => {
                self.count("different");
                println!("{difference}");
                write(&self.folder.join("different"), &difference, input)
            }
        }
    }

    fn keep(&mut self, input: &[u8], outcome: &Outcome) -> io::Result<()> {
        self.count(match outcome {
            Outcome::NoModule => "no module",
            Outcome::Refused(_) => "refused",
            Outcome::Incomparable => "incomparable",
            Outcome::Decided(decision) if decision.failure.is_none() => "verdict",
            Outcome::Decided(_) => "failure",
        });
        let reached = reached(outcome);
        let known = self.kept.get(&reached).map_or(usize::MAX, Vec::len);
        if input.len() >= known {
            return Ok(());
        }
        if known == usize::MAX {
            println!("new: {reached}");
        }
        write(&self.folder, &reached, input)?;
        self.kept.insert(reached, input.to_vec());
        Ok(())
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}

/// What tells one outcome from another, without the numbers in it.
fn reached(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NoModule => "no module".to_owned(),
        Outcome::Incomparable => "incomparable".to_owned(),
        Outcome::Refused(reason) => format!("refused {}", first_word(&format!("{reason:?}"))),
        Outcome::Decided(decision) => decided(decision),
    }
}

fn decided(decision: &Decision) -> String {
    let end = match &decision.failure {
        None => format!("{:?}", decision.verdict),
        Some(Failure::Trap { kind, .. }) => format!("{kind:?}"),
        Some(failure) => first_word(&format!("{failure:?}")),
    };
    let acts: Vec<_> = decision.actions.iter().map(|act| first_word(&format!("{act:?}"))).collect();
    let refused: Vec<_> =
        decision.refused.iter().map(|act| format!("{:?}{:?}", act.act, act.refusal)).collect();
    let used = [!decision.loaded.is_empty(), !decision.log.is_empty()];
    format!("{end} {} {} {used:?}", acts.join(" "), refused.first().cloned().unwrap_or_default())
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric()).collect()
}

/// Under a name made of what is shown, so that it is replaced by a shorter one.
fn write(folder: &Path, shows: &str, input: &[u8]) -> io::Result<()> {
    let name = shows.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fs::write(folder.join(format!("{name:016x}")), input)
}

/// Numbers that are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        let number = usize::try_from(self.next() >> 11).unwrap_or(0);
        number.checked_rem(limit).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        let [byte, ..] = self.next().to_be_bytes();
        byte
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
