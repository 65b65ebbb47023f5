//! What strangers do, counted. None of it costs a line each: once a minute, if there was any, one line and one record say how
//! much it was, and from which prefixes most of it came.

mod heaviest;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::audit::{Audit, AuditRecord, Noise, NoiseFrom};
use crate::capture::watch::Counts;
use crate::control::Strangers;

use heaviest::Heaviest;

/// Over this time noise is counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts, and tells once a minute.
pub(super) struct NoiseMeter {
    noise: Noise,
    heaviest: Heaviest,
    since: Instant,
    /// What the watch had counted when that was added up last.
    watched: Counts,
    visits: Visits,
    /// What there was in the windows that are over.
    before: Noise,
    /// How much there had been a second ago, and in the second that ended then.
    counted: u64,
    per_second: u64,
}

/// What a stranger did whose address is known, as far as it can be: he may have forged it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Nuisance {
    Unsealed,
    OverBudget,
    Unanswered,
    Probe,
}

/// What there was in a window that is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Minute {
    noise: Noise,
    within_seconds: u64,
    from: Vec<NoiseFrom>,
}

/// Connections that end before they have said anything, counted where they end.
#[derive(Clone, Default)]
pub(super) struct Visits(Arc<AtomicU64>);

impl Visits {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl NoiseMeter {
    pub(super) fn new(now: Instant, visits: Visits) -> Self {
        let (noise, before, watched) = (Noise::default(), Noise::default(), Counts::default());
        let heaviest = Heaviest::new();
        Self { noise, heaviest, since: now, watched, visits, before, counted: 0, per_second: 0 }
    }

    /// Never allocates.
    pub(super) fn count(&mut self, what: Nuisance, source: IpAddr) {
        let Noise { unsealed, over_budget, unanswered, probes, .. } = &mut self.noise;
        let counter = match what {
            Nuisance::Unsealed => unsealed,
            Nuisance::OverBudget => over_budget,
            Nuisance::Unanswered => unanswered,
            Nuisance::Probe => probes,
        };
        *counter += 1;
        self.heaviest.count(source);
    }

    /// Adds up what others have counted.
    pub(super) fn add_up(&mut self, watched: Counts) {
        let Self { noise, watched: before, visits, .. } = self;
        noise.lost += watched.lost.saturating_sub(before.lost);
        noise.foreign += watched.foreign.saturating_sub(before.foreign);
        noise.unreadable += watched.unreadable.saturating_sub(before.unreadable);
        noise.incomplete += visits.0.swap(0, Ordering::Relaxed);
        *before = watched;
    }

    /// To be called every second, after [`NoiseMeter::add_up`].
    pub(super) fn second_is_over(&mut self) {
        let counted = self.before.plus(self.noise).all();
        self.per_second = counted.saturating_sub(self.counted);
        self.counted = counted;
    }

    /// What there was since the start.
    pub(super) fn strangers(&self) -> Strangers {
        let words = self.before.plus(self.noise).words().into_iter();
        let since_start = words.map(|(word, count)| (word.to_owned(), count)).collect();
        Strangers { since_start, per_second: self.per_second }
    }

    /// What there was in the window that is over. A quiet one is not told of.
    pub(super) fn due(&mut self, now: Instant) -> Option<Minute> {
        let lasted = now.saturating_duration_since(self.since);
        if lasted < WINDOW { None } else { self.close(now) }
    }

    /// The same, whether or not the window is over.
    pub(super) fn close(&mut self, now: Instant) -> Option<Minute> {
        let lasted = now.saturating_duration_since(std::mem::replace(&mut self.since, now));
        let noise = std::mem::take(&mut self.noise);
        self.before = self.before.plus(noise);
        let from = self.heaviest.take();
        (!noise.is_silence()).then_some(Minute { noise, within_seconds: lasted.as_secs(), from })
    }
}

impl Minute {
    /// Writes one line and one record.
    pub(super) fn tell(self, audit: &Audit) {
        let Self { noise, within_seconds, from } = self;
        tracing::info!("noise in {within_seconds} s: {noise}");
        audit.write(AuditRecord::Noise { within_seconds, noise, from });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_noise_is_told_once_and_silence_never() {
        let start = Instant::now();
        let mut meter = NoiseMeter::new(start, Visits::default());
        assert_eq!(meter.due(start + WINDOW), None);
        let stranger = IpAddr::from([192, 0, 2, 7]);
        (0..1_000_000).for_each(|_| meter.count(Nuisance::Unsealed, stranger));
        assert_eq!(meter.due(start + WINDOW * 3 / 2), None, "the second minute is not over");
        let noise = Noise { unsealed: 1_000_000, ..Noise::default() };
        let from = vec![NoiseFrom { prefix: "192.0.2.0/24".into(), packets: 1_000_000 }];
        assert_eq!(meter.due(start + 2 * WINDOW), Some(Minute { noise, within_seconds: 60, from }));
        assert_eq!(meter.due(start + 3 * WINDOW), None);
    }

    #[test]
    fn what_the_watch_and_the_connections_have_counted_is_added_once() {
        let start = Instant::now();
        let visits = Visits::default();
        let mut meter = NoiseMeter::new(start, visits.clone());
        visits.count();
        let watched = Counts { lost: 5, unreadable: 2, foreign: 1 };
        meter.add_up(watched);
        meter.add_up(watched);
        meter.add_up(Counts { lost: 6, ..watched });
        let noise = Noise { lost: 6, unreadable: 2, foreign: 1, incomplete: 1, ..Noise::default() };
        assert_eq!(meter.close(start), Some(Minute { noise, within_seconds: 0, from: Vec::new() }));
    }
}
