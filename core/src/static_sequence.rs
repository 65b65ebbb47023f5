//! Static sequences: the same few ports every time, as `knockd` has them.
//!
//! They are for clients that can do nothing better, and nothing is open by them unless it is configured: whoever has seen one
//! can knock it again. What is promised is that nobody disturbs anybody else: every source has an attempt of its own, and the
//! table of attempts neither grows nor gives up somebody who is half-way through for strangers who have just begun.
//!
//! | a probe | does |
//! | --- | --- |
//! | of the first missing step, or of the one after it | counts: neighbours may be reordered, and what was lost may follow |
//! | of a step that has come before | nothing: it was sent twice |
//! | of any other watched port | is a stray; one more than [`STATIC_STRAYS`] of them void the attempt |
//!
//! Rule: `docs/protocol.md`, section 6.11.

use core::net::IpAddr;
use core::time::Duration;

use heapless::Vec;

use crate::limits::{MAX_SEQUENCE, MAX_STATIC_SEQUENCES, SEQUENCE_LENGTHS, STATIC_STRAYS, STATIC_WITHIN};
use crate::source_hash::{Hashed, SourceHash};
use crate::time::Instant;

/// What a probe comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// A SYN.
    Tcp,
    /// Any datagram.
    Udp,
}

/// One port of a static sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// How it is touched.
    pub transport: Transport,
    /// Which it is.
    pub port: u16,
}

/// A static sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticSequence {
    steps: Vec<Step, MAX_SEQUENCE>,
    within: Duration,
}

/// Why there is no such sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticSequenceError {
    /// So many steps.
    Length(usize),
    /// A step at port 0, which nothing can be sent to.
    PortZero,
    /// A step that comes twice: its repetition could not be told from a retransmission.
    Twice(Step),
    /// A time that is too short or too long.
    Within(Duration),
}

impl core::fmt::Display for StaticSequenceError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (least, most) = (SEQUENCE_LENGTHS.start(), SEQUENCE_LENGTHS.end());
        let (shortest, longest) = (STATIC_WITHIN.start().as_secs(), STATIC_WITHIN.end().as_secs());
        match self {
            Self::Length(steps) => write!(f, "{steps} ports; a sequence has {least} to {most}"),
            Self::PortZero => write!(f, "port 0; ports are 1 to 65535"),
            Self::Twice(Step { transport, port }) => {
                write!(f, "{port}/{transport} comes twice; use every port once")
            }
            Self::Within(within) => {
                write!(f, "{within:?} from the first port to the last; allow {shortest} to {longest} seconds")
            }
        }
    }
}

impl core::error::Error for StaticSequenceError {}

impl core::fmt::Display for Transport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl StaticSequence {
    /// These steps in this order, all of them within that time.
    ///
    /// # Errors
    /// [`StaticSequenceError`] if it would be no good one.
    pub fn new(steps: &[Step], within: Duration) -> Result<Self, StaticSequenceError> {
        let length = u8::try_from(steps.len()).ok().filter(|length| SEQUENCE_LENGTHS.contains(length));
        if length.is_none() {
            return Err(StaticSequenceError::Length(steps.len()));
        }
        if steps.iter().any(|step| step.port == 0) {
            return Err(StaticSequenceError::PortZero);
        }
        let is_twice = |step: &&Step| steps.iter().filter(|other| other == step).count() > 1;
        if let Some(&step) = steps.iter().find(is_twice) {
            return Err(StaticSequenceError::Twice(step));
        }
        if !STATIC_WITHIN.contains(&within) {
            return Err(StaticSequenceError::Within(within));
        }
        let steps = Vec::from_slice(steps).map_err(|_| StaticSequenceError::Length(steps.len()))?;
        Ok(Self { steps, within })
    }

    /// Its steps, in their order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The longest time from its first step to its last.
    pub fn within(&self) -> Duration {
        self.within
    }
}

/// Places of a [`Bucket`]. Two lines of cache, and enough that chance fills one only when the whole table is nearly full.
const PLACES: usize = 8;

/// The attempts of those sources that share a place in the table.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub struct Bucket([Attempt; PLACES]);

/// How far one source has come in one sequence.
#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    source: Hashed,
    /// When it ends, in milliseconds of the gate's clock. That count begins anew after 49 days: an attempt that nobody has
    /// finished, and whose place nobody has taken, then counts for another minute.
    until: u32,
    /// Bit `i` is set once step `i` has come; none is of a place that is free.
    come: u16,
    sequence: u8,
    strays: u8,
}

const _: () = assert!(size_of::<Attempt>() == 16 && size_of::<Bucket>() == 128);

/// Where a step stands in a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    step: Step,
    sequence: u8,
    position: u8,
}

/// What all its steps are, and how long they may take.
#[derive(Clone, Copy, Debug)]
struct Whole {
    steps: u16,
    within_ms: u32,
}

/// What a probe has done to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    UnderWay,
    Complete,
    Void,
}

/// Follows every source through every static sequence.
///
/// `T` is the host's table: some [`Bucket`]s, each for eight attempts.
pub struct StaticWatch<T> {
    wholes: Wholes,
    /// In order, so that those of one step are together.
    places: Places,
    table: T,
    hash: SourceHash,
}

impl<T: AsRef<[Bucket]> + AsMut<[Bucket]>> StaticWatch<T> {
    /// Follows `sequences`, none of which anybody has begun. `key` is random, so that nobody can aim at one bucket.
    pub fn new(sequences: Vec<StaticSequence, MAX_STATIC_SEQUENCES>, table: T, key: [u8; 16]) -> Self {
        let (wholes, places) = tables(&sequences);
        Self { wholes, places, table, hash: SourceHash::new(key) }
    }

    /// Follows other sequences from now on. `place` says where one stands now that stood at a place before; whoever has begun it goes
    /// on. Attempts at the others are void.
    pub fn follow(
        &mut self,
        sequences: Vec<StaticSequence, MAX_STATIC_SEQUENCES>,
        place: impl Fn(usize) -> Option<usize>,
    ) {
        (self.wholes, self.places) = tables(&sequences);
        let place = |was: u8| place(usize::from(was)).and_then(|place| u8::try_from(place).ok());
        for attempt in self.table.as_mut().iter_mut().flat_map(|bucket| &mut bucket.0) {
            match place(attempt.sequence) {
                Some(sequence) => attempt.sequence = sequence,
                None => *attempt = Attempt::default(),
            }
        }
    }

    /// Takes a probe of any watched port. Says which sequence it completes; of several, the first.
    ///
    /// Costs one hash and a look at one bucket, however full the table is. Only sequences that begin with the same ports make it
    /// more: one look at the bucket for each of them.
    pub fn handle_probe(&mut self, now: Instant, source: IpAddr, step: Step) -> Option<usize> {
        let source = self.hash.of(source);
        let at = source.place(self.table.as_ref().len());
        // A table without places follows nobody.
        let bucket = self.table.as_mut().get_mut(at)?;
        let places = places_of(&self.places, step);
        let now = millis(now);

        let (under_way, completed) = bucket.go_on(source, now, places, &self.wholes);
        for place in places.iter().filter(|place| under_way & bit(place.sequence) == 0) {
            if let Some(whole) = self.wholes.get(usize::from(place.sequence)) {
                bucket.begin(source, now, place, whole);
            }
        }
        completed
    }
}

type Wholes = Vec<Whole, MAX_STATIC_SEQUENCES>;
type Places = Vec<Place, { MAX_STATIC_SEQUENCES * MAX_SEQUENCE }>;

fn tables(sequences: &[StaticSequence]) -> (Wholes, Places) {
    let mut places = Places::new();
    for (sequence, one) in (0..).zip(sequences) {
        places.extend((0..).zip(&one.steps).map(|(position, &step)| Place { step, sequence, position }));
    }
    places.sort_unstable();
    (sequences.iter().map(Whole::of).collect(), places)
}

/// Where `step` stands in each sequence that it belongs to.
fn places_of(places: &[Place], step: Step) -> &[Place] {
    let first = places.partition_point(|place| place.step < step);
    let rest = places.get(first..).unwrap_or_default();
    let end = rest.iter().position(|place| place.step != step).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

impl Whole {
    fn of(sequence: &StaticSequence) -> Self {
        let steps = (0_u8..).zip(&sequence.steps).fold(0, |steps, (position, _)| steps | bit(position));
        Self { steps, within_ms: crate::time::millis(sequence.within) }
    }
}

impl Bucket {
    /// The attempts of `source` that are under way.
    fn of(&mut self, source: Hashed, now: u32) -> impl Iterator<Item = &mut Attempt> {
        self.0.iter_mut().filter(move |attempt| attempt.source == source && attempt.left(now).is_some())
    }

    /// Takes a probe at `places` into account in each attempt of `source` that is under way. Returns the bits of their sequences,
    /// and the first of those that it completes.
    fn go_on(
        &mut self,
        source: Hashed,
        now: u32,
        places: &[Place],
        wholes: &[Whole],
    ) -> (u16, Option<usize>) {
        let (mut under_way, mut completed) = (0, None);
        for attempt in self.of(source, now) {
            let sequence = usize::from(attempt.sequence);
            under_way |= bit(attempt.sequence);
            let all = wholes.get(sequence).map_or(0, |whole| whole.steps);
            let place = places.iter().find(|place| place.sequence == attempt.sequence);
            match attempt.probe(place.map(|place| place.position), all) {
                Progress::UnderWay => continue,
                Progress::Void => {}
                Progress::Complete => {
                    completed = Some(completed.map_or(sequence, |first| sequence.min(first)));
                }
            }
            *attempt = Attempt::default();
        }
        (under_way, completed)
    }

    /// Begins an attempt, if `place` is where one can begin.
    fn begin(&mut self, source: Hashed, now: u32, place: &Place, whole: &Whole) {
        let mut attempt = Attempt {
            source,
            until: now.wrapping_add(whole.within_ms),
            come: 0,
            sequence: place.sequence,
            strays: 0,
        };
        if !attempt.is_due(place.position) {
            return;
        }
        attempt.come = bit(place.position);
        // A free place, or that of whoever is least far, and of those of the one that would end first.
        let worth = |other: &&mut Attempt| other.left(now).map(|left| (other.come.count_ones(), left));
        if let Some(least) = self.0.iter_mut().min_by_key(worth) {
            *least = attempt;
        }
    }
}

impl Attempt {
    /// Milliseconds that are left of it; `None` of a free place and of one that is over.
    fn left(&self, now: u32) -> Option<u32> {
        let left = self.until.wrapping_sub(now);
        let is_over = self.come == 0 || u128::from(left) > STATIC_WITHIN.end().as_millis();
        (!is_over).then_some(left)
    }

    /// Takes into account that the step at `position` came, or a port that is no step of this sequence.
    fn probe(&mut self, position: Option<u8>, all: u16) -> Progress {
        match position {
            Some(position) if self.come & bit(position) != 0 => Progress::UnderWay,
            Some(position) if self.is_due(position) => {
                self.come |= bit(position);
                if self.come == all { Progress::Complete } else { Progress::UnderWay }
            }
            Some(_) | None => {
                self.strays = self.strays.saturating_add(1);
                if self.strays > STATIC_STRAYS { Progress::Void } else { Progress::UnderWay }
            }
        }
    }

    /// The first missing step is due, and so is the one after it.
    fn is_due(&self, position: u8) -> bool {
        let first_missing = self.come.trailing_ones();
        (first_missing..=first_missing.saturating_add(1)).contains(&u32::from(position))
    }
}

/// The bit of a step or of a sequence; none of what is beyond the sixteenth.
fn bit(number: u8) -> u16 {
    1_u16.checked_shl(number.into()).unwrap_or(0)
}

/// The clock of the table, which begins anew when it is full.
fn millis(now: Instant) -> u32 {
    u32::try_from((now.as_micros() / 1000) & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
