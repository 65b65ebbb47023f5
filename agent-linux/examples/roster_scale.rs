//! What a roster of one, a thousand and a hundred thousand clients costs: time and memory.
//!
//! `cargo run --release -p knockgate-agent --example roster_scale`

mod crowd;

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use knockgate_agent::state::roster_file::{EnrolledBook, RosterEdit};
use knockgate_agent::state::{
    Enrolment, GateIdentity, LiveRoster, RosterFile, RosterWatch, StateDir, Store, system_rng,
};
use knockgate_core::action::Record;
use knockgate_core::book::Shape;
use knockgate_core::key::PublicKey;
use knockgate_core::replay::Used;
use knockgate_core::{Client, ClientId, Roster};

const SIZES: [u32; 3] = [1, 1000, 100_000];
/// Questions that are timed together.
const QUESTIONS: u32 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(size) = std::env::args().nth(1) {
        return measure(size.parse()?);
    }
    println!(
        "clients  file KB  load ms  tables ms  add ms  reload ms  take over µs  question ns  store ms  write ms  MB  peak MB"
    );
    for size in SIZES {
        // A process of its own, so that its memory is that of this size.
        let status = Command::new(std::env::current_exe()?).arg(size.to_string()).status()?;
        if !status.success() {
            return Err(format!("{size} clients: {status}").into());
        }
    }
    Ok(())
}

fn measure(size: u32) -> Result<(), Box<dyn Error>> {
    let temp = tempfile::tempdir()?;
    let dir = StateDir::create(&temp.path().join("state"))?;
    let shape = crowd::shape()?;
    let identity = GateIdentity::generate(shape, &[], None, &mut system_rng())?;
    let file_len = crowd::write_roster(&dir, &identity, size, crowd::key)?;
    trim();

    let (load, roster) = timed(|| RosterFile::load(&dir));
    let roster = roster?;
    let (tables, _) = timed(|| Enrolment::new(&roster));
    drop(roster);
    let (mut watch, roster) = RosterWatch::begin(&dir, identity.book_origin())?;
    Store::create(&dir, identity.id)?;
    let (store, loaded) = Store::open(&dir, identity.id, &roster)?;
    drop(roster);
    let mut live = LiveRoster::new(Arc::clone(watch.current()), loaded);
    let question = ask(&live, size);

    let used = Used { last: 1, ..Used::NOTHING };
    (1..=size).for_each(|id| live.set_used(ClientId(id), used));
    let (write, written) = timed(|| {
        let dirty = live.take_dirty().into_iter();
        let records: Vec<_> = dirty.map(|(client, used)| Record::Counter { client, used }).collect();
        store.write_lease(&records, None)
    });
    written?;
    let resident = memory("VmRSS:");
    drop(store);
    let (open, opened) = timed(|| Store::open(&dir, identity.id, &RosterFile::default()));
    drop(opened?);

    let (add, added) = timed(|| add(&dir, &identity, shape));
    added?;
    let (reload, change) = timed(|| watch.poll());
    let change = change?.ok_or("the watch has missed the new client")?;
    let (take_over, before) = timed(|| live.take_over(change.enrolment, &change.changes));
    drop(before);
    println!(
        "{size:7}  {:7}  {:7.1}  {:9.1}  {:6.1}  {:9.1}  {:12.1}  {:11}  {:8.1}  {:8.1}  {resident:2}  {:7}",
        file_len / 1000,
        millis(load),
        millis(tables),
        millis(add),
        millis(reload),
        millis(take_over) * 1000.0,
        question.as_nanos(),
        millis(open),
        millis(write),
        memory("VmHWM:"),
    );
    Ok(())
}

fn add(dir: &StateDir, identity: &GateIdentity, shape: Shape) -> Result<(), Box<dyn Error>> {
    let mut edit = RosterEdit::begin(dir)?;
    let book = identity.new_book(shape, &mut system_rng())?;
    let name = "one-more".parse()?;
    let enrol = |id| Client::new(id, name, PublicKey([255; 32]), book.id());
    edit.roster.add(enrol, EnrolledBook { book: book.clone(), shared: false })?;
    Ok(edit.commit()?)
}

/// What the core asks for one packet: whose key this is, and what he has used up.
fn ask(live: &LiveRoster, size: u32) -> Duration {
    let (took, found) = timed(|| {
        let ids = (0..QUESTIONS).map(|at| at.wrapping_mul(7919) % size + 1);
        ids.filter(|id| live.client(&crowd::key(*id)).is_some_and(|client| live.used(client.id).last == 0))
            .count()
    });
    assert_eq!(found, QUESTIONS as usize, "everybody is enrolled and has used nothing");
    took / QUESTIONS
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed(), result)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Starts the peak anew: what made the roster is not what loads it.
fn trim() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Megabytes.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) / 1024
}
