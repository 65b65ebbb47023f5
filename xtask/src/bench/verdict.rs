//! What is expected of Knockgate, held against one run. Every figure is said once: the sentence and the verdict come from it.

use std::fmt::{self, Display, Formatter};

use super::document::{Document, Fault, Latency, Noise, Sources, is_ours, is_peer, name};
use super::page::distinct;
use super::statistics::{grouped, median, shown};

/// Round trips of a sequence knock until the port answers: one for the connection to the central port, one for question and
/// answer, two for each of five ports, whose end the client awaits, and two for the sixth, its connection complete at the gate
/// after one and a half, and the answer of the opened port on its way back.
const SEQUENCE_ROUND_TRIPS: f64 = 14.0;
/// What the delayed network is meant to take; what it took is measured beside every knock.
const ROUND_TRIP_MS: f64 = 20.0;
/// The generator is at its maximum, and that has to be worth the name.
const MAXIMUM_PER_S: f64 = 160_000.0;

/// One line of what is expected.
pub(super) struct Figure {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) peers: String,
    pub(super) measured: String,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Met,
    NotMet,
    NotMeasured,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::NotMet => "**not met**",
            Self::NotMeasured => "not measured",
        })
    }
}

/// One measurement that counts for a figure, and whether it is as expected.
struct Measured {
    shown: String,
    good: bool,
}

impl Figure {
    /// Good if there is something and all of it is.
    fn of(what: &str, expected: String, peers: &[String], measured: &[Measured]) -> Self {
        let verdict = match measured {
            [] => Verdict::NotMeasured,
            all if all.iter().all(|one| one.good) => Verdict::Met,
            _ => Verdict::NotMet,
        };
        let measured: Vec<&str> = measured.iter().map(|one| one.shown.as_str()).collect();
        Self {
            what: what.to_owned(),
            expected,
            peers: or_dash(peers.join("; ")),
            measured: or_dash(measured.join("; ")),
            verdict,
        }
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

pub(super) fn figures(run: &Document) -> Vec<Figure> {
    vec![
        beside_floor(run, "packet knock, first packet to SYN-ACK, median", "packet", "fwknop", 0.5, 2.5),
        beside_floor(run, "static sequence of three, the same", "static", "knockd", 0.4, 1.6),
        over_delay(run, 2.0),
        under_noise(run, "noise aimed at the first port, at the generator's maximum", "first port", 5.0),
        under_noise(
            run,
            "junk of a packet knock's size, at the generator's maximum",
            "junk of knock size",
            5.0,
        ),
        under_fault(
            run,
            "a stranger walks through the sequence's ports",
            &["a stranger walks through the ports"],
        ),
        under_fault(run, "duplicated; reordered; one lost and retried; a foreign probe between", &FAULTS),
        memory(run),
        memory_without_engine(run),
        logged(run, 0.1),
        unknown_probe(run, 100.0),
        processor(run, 1.0),
    ]
}

pub(super) const FAULTS: [&str; 4] =
    ["duplicated", "reordered", "one lost and retried", "a foreign probe between"];

fn beside_floor(run: &Document, what: &str, id: &str, peer: &str, at_most: f64, floors: f64) -> Figure {
    let measured = run.median_of(id).zip(run.floor_of(id)).map(|(ours, floor)| Measured {
        shown: format!("{} ms, {} times the floor of {} ms", shown(ours), shown(ours / floor), shown(floor)),
        good: ours <= at_most && ours <= floors * floor,
    });
    let peers = of_peers(run.latency.iter().filter(|row| row.id.starts_with(peer)), |row| {
        row.median().map(|median| format!("{} {} ms", name(&row.words), shown(median)))
    });
    let expected = format!("at most {at_most} ms and at most {floors} times the floor");
    Figure::of(what, expected, &peers, measured.as_slice())
}

fn over_delay(run: &Document, more_ms: f64) -> Figure {
    let measured = run.latency_of("sequence-20ms").and_then(|row| {
        let (ours, round_trip) = (median(&row.ms)?, median(&row.round_trip_ms)?);
        let more = ours - SEQUENCE_ROUND_TRIPS * round_trip;
        let shown = format!(
            "{} ms: {SEQUENCE_ROUND_TRIPS} round trips of {} ms as measured, and {} ms",
            shown(ours),
            shown(round_trip),
            shown(more)
        );
        Some(Measured { shown, good: more <= more_ms })
    });
    let what = format!("one-time sequence of six with handshake, {ROUND_TRIP_MS} ms of round-trip delay");
    let expected = format!("at most {SEQUENCE_ROUND_TRIPS} round trips and {more_ms} ms");
    Figure::of(&what, expected, &[], measured.as_slice())
}

fn under_noise(run: &Document, what: &str, noise: &str, at_most: f64) -> Figure {
    let rows = || run.noise.iter().filter(|row| row.noise == noise && row.is_at_maximum());
    let measured: Vec<Measured> =
        rows().filter(|row| is_ours(&row.id)).map(|row| survived(row, at_most)).collect();
    let peers = of_peers(rows().filter(|row| is_peer(&row.id)), |row| {
        Some(format!("{} {}/{}", name(&row.words), row.opened, row.knocks))
    });
    let expected =
        format!("all opened within 2 s, median under {at_most} ms, at {}/s or more", grouped(MAXIMUM_PER_S));
    Figure::of(what, expected, &peers, &measured)
}

fn survived(row: &Noise, at_most: f64) -> Measured {
    let median = median(&row.ms);
    let time =
        median.map_or_else(|| "never open".to_owned(), |median| format!("median {} ms", shown(median)));
    Measured {
        shown: format!("{} {}/{}, {time}, at {}/s", row.id, row.opened, row.knocks, grouped(row.sent_per_s)),
        good: row.opened == row.knocks
            && median.is_some_and(|median| median < at_most)
            && row.sent_per_s >= MAXIMUM_PER_S,
    }
}

/// Whoever was measured has one figure for each of the faults.
fn under_fault(run: &Document, what: &str, faults: &[&str]) -> Figure {
    let rows: Vec<&Fault> = run.faults.iter().filter(|row| faults.contains(&row.fault.as_str())).collect();
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for id in distinct(rows.iter().map(|row| row.id.as_str())) {
        let of_one: Vec<&&Fault> = rows.iter().filter(|row| row.id == id).collect();
        let opened: Vec<String> = of_one.iter().map(|row| format!("{}/{}", row.opened, row.knocks)).collect();
        let (opened, good) = (opened.join(", "), of_one.iter().all(|row| row.opened == row.knocks));
        match of_one.first() {
            Some(first) if is_peer(id) => peers.push(format!("{} {opened}", name(&first.words))),
            Some(_) if is_ours(id) => ours.push(Measured { shown: format!("{id} {opened}"), good }),
            Some(_) | None => {}
        }
    }
    Figure::of(what, "all opened".to_owned(), &peers, &ours)
}

const WITH_ENGINE_MIB: f64 = 64.0;
const WITHOUT_ENGINE_MIB: f64 = 16.0;
/// Between the first minute, in which tables are touched for the first time, and the end.
const GROWTH_MIB: f64 = 1.0;

/// The agent that was built without the policy engine.
const SMALL: &str = "static-small";

fn memory(run: &Document) -> Figure {
    let peers = of_peers(run.sources.iter().filter(|row| is_peer(&row.id)), |row| {
        let (first, last) = row.rss_mib.first().zip(row.rss_mib.last())?;
        Some(format!("{} {} to {} MiB", name(&row.words), shown(*first), shown(*last)))
    });
    let what = "memory after ten minutes of flood from a million addresses, with the policy engine";
    let whole = |row: &&Sources| is_ours(&row.id) && row.id != SMALL;
    bounded(what, WITH_ENGINE_MIB, &peers, run.sources.iter().filter(whole))
}

fn memory_without_engine(run: &Document) -> Figure {
    let what = "the same without the policy engine";
    bounded(what, WITHOUT_ENGINE_MIB, &[], run.sources.iter().filter(|row| row.id == SMALL))
}

fn bounded<'a>(what: &str, below: f64, peers: &[String], rows: impl Iterator<Item = &'a Sources>) -> Figure {
    let measured = rows.filter_map(|row| {
        let (highest, growth) = memory_of(&row.rss_mib)?;
        Some(Measured {
            shown: format!("{} {} MiB, {} MiB of growth", row.id, shown(highest), shown(growth)),
            good: highest < below && growth < GROWTH_MIB,
        })
    });
    Figure::of(what, format!("under {below} MiB, no growth"), peers, &measured.collect::<Vec<_>>())
}

/// At most, and from the second tenth of the flood to its end.
fn memory_of(samples: &[f64]) -> Option<(f64, f64)> {
    let highest = samples.iter().copied().reduce(f64::max)?;
    let settled = samples.get(samples.len().div_ceil(10))?;
    Some((highest, samples.last()? - settled))
}

/// What is written once a minute may be missing in the short noise of a knock's row, so the long flood counts as well.
fn logged(run: &Document, below: f64) -> Figure {
    let in_noise = run.noise.iter().map(|row| Logged {
        id: &row.id,
        words: &row.words,
        during: &row.noise,
        bytes: row.logged_bytes_per_packet,
    });
    let in_flood = run.sources.iter().map(|row| Logged {
        id: &row.id,
        words: &row.words,
        during: "flood",
        bytes: row.logged_bytes_per_packet,
    });
    let rows: Vec<Logged<'_>> = in_noise.chain(in_flood).collect();
    let worst = |ids: fn(&str) -> bool| {
        let rows = rows.iter().filter(move |row| ids(row.id));
        rows.filter_map(|row| Some((row, row.bytes?))).max_by(|one, two| one.1.total_cmp(&two.1))
    };
    let measured = worst(is_ours).map(|(row, bytes)| Measured {
        shown: format!("{} at most ({}, {})", shown(bytes), row.id, row.during),
        good: bytes < below,
    });
    let peers: Vec<String> = worst(is_peer)
        .map(|(row, bytes)| format!("{} {} at most", name(row.words), shown(bytes)))
        .into_iter()
        .collect();
    Figure::of("bytes logged per hostile packet", format!("under {below}"), &peers, measured.as_slice())
}

/// Bytes that somebody writes for each hostile packet, and during what.
struct Logged<'r> {
    id: &'r str,
    words: &'r str,
    during: &'r str,
    bytes: Option<f64>,
}

fn unknown_probe(run: &Document, below: f64) -> Figure {
    let measured =
        run.core.unknown_probe_ns.map(|ns| Measured { shown: format!("{} ns", shown(ns)), good: ns < below });
    Figure::of("core, one probe of an unknown source", format!("under {below} ns"), &[], measured.as_slice())
}

fn processor(run: &Document, below: f64) -> Figure {
    let ours =
        run.latency.iter().filter(|row| ["packet", "static"].contains(&row.id.as_str())).filter_map(|row| {
            let cpu = row.cpu_ms?;
            Some(Measured { shown: format!("{} {} ms", row.id, shown(cpu)), good: cpu < below })
        });
    let peers = of_peers(run.latency.iter().filter(|row| is_peer(&row.id)), |row: &Latency| {
        Some(format!("{} {} ms", name(&row.words), shown(row.cpu_ms?)))
    });
    Figure::of("processor time of one knock", format!("under {below} ms"), &peers, &ours.collect::<Vec<_>>())
}

fn of_peers<'a, R: 'a>(
    rows: impl Iterator<Item = &'a R>,
    shown: impl Fn(&R) -> Option<String>,
) -> Vec<String> {
    rows.filter_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn verdicts(run: &Document) -> Vec<Verdict> {
        figures(run).iter().map(|figure| figure.verdict).collect()
    }

    #[test]
    fn every_figure_of_a_run_is_held_against_what_is_expected() {
        use Verdict::{Met, NotMeasured, NotMet};
        let expected = [Met, NotMet, Met, Met, NotMet, NotMeasured, NotMet, Met, Met, Met, Met, Met];
        assert_eq!(verdicts(&fixture::run()), expected);
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        assert!(verdicts(&fixture::nothing()).iter().all(|verdict| *verdict == Verdict::NotMeasured));
    }

    #[test]
    fn a_quick_knock_that_is_slow_beside_the_floor_is_not_as_expected() {
        let mut run = fixture::run();
        run.latency.retain(|row| row.id != "floor");
        assert_eq!(verdicts(&run)[0], Verdict::NotMeasured);

        let mut run = fixture::run();
        run.latency.iter_mut().filter(|row| row.id == "floor").for_each(|floor| floor.ms = vec![0.11]);
        assert_eq!(verdicts(&run)[0], Verdict::NotMet);
    }

    #[test]
    fn noise_that_is_weaker_than_promised_proves_nothing() {
        let mut run = fixture::run();
        run.noise.iter_mut().for_each(|row| row.sent_per_s = row.sent_per_s.min(159_999.0));
        assert_eq!(verdicts(&run)[3], Verdict::NotMet);
    }

    #[test]
    fn one_knock_that_does_not_open_is_one_too_many() {
        let mut run = fixture::run();
        run.noise[0].opened = 19;
        assert_eq!(verdicts(&run)[3], Verdict::NotMet);
    }

    #[test]
    fn what_is_logged_during_the_long_flood_counts() {
        let logged_at = |run: &Document| {
            let found = figures(run).into_iter().find(|figure| figure.what.starts_with("bytes logged"));
            found.map(|figure| (figure.verdict, figure.measured))
        };
        let mut run = fixture::run();
        run.sources[0].logged_bytes_per_packet = Some(0.001);
        assert_eq!(logged_at(&run), logged_at(&fixture::run()), "the noise of the rows is worse");
        run.sources[0].logged_bytes_per_packet = Some(0.2);
        assert_eq!(logged_at(&run), Some((Verdict::NotMet, "0.20 at most (static, flood)".to_owned())));
    }

    #[test]
    fn memory_that_grows_is_found_below_the_limit_too() {
        let mut run = fixture::run();
        run.sources[0].rss_mib = (0..60).map(|minute| 14.0 + f64::from(minute) / 10.0).collect();
        assert_eq!(verdicts(&run)[7], Verdict::NotMet);
    }
}
