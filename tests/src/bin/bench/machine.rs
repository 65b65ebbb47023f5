//! On what was measured.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Processor, number of them, kernel.
pub(crate) fn describe() -> Result<String> {
    let processors = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown processor", |(_, name)| name);
    let count = std::thread::available_parallelism()?;
    let kernel = |fact: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{fact}"));
    Ok(format!(
        "{}, {count} processors, {} {}",
        model.trim(),
        kernel("ostype")?.trim(),
        kernel("osrelease")?.trim()
    ))
}

/// How busy the machine is while something is measured.
pub(crate) struct Crowd {
    since: Instant,
    waited: Option<Duration>,
}

impl Crowd {
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), waited: waited_for_processor() }
    }

    /// Since the beginning, how much of the time somebody was kept waiting for a processor.
    pub(crate) fn describe(&self) -> String {
        let waited = waited_for_processor().zip(self.waited).map(|(now, then)| now.saturating_sub(then));
        match waited {
            Some(waited) => {
                let share = waited.as_secs_f64() / self.since.elapsed().as_secs_f64();
                format!("for {:.0} % of the run some process waited for a processor", share * 100.0)
            }
            None => "this kernel does not tell how busy it was".to_owned(),
        }
    }
}

/// The total of `/proc/pressure/cpu`, for processes of which some had to wait.
fn waited_for_processor() -> Option<Duration> {
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").ok()?;
    let some = pressure.lines().find(|line| line.starts_with("some"))?;
    let (_, microseconds) = some.split_once("total=")?;
    microseconds.trim().parse().ok().map(Duration::from_micros)
}

/// The type of the file system that holds a path: a sync costs a disk's time, or nothing at all in memory.
pub(crate) fn file_system(path: &Path) -> Result<String> {
    let path = path.canonicalize()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    // Of two mounts at one place the later one counts.
    let holding = mounts.filter(|(place, _)| path.starts_with(place));
    let closest = holding.max_by_key(|(place, _)| place.components().count());
    closest
        .map(|(_, kind)| kind.to_owned())
        .with_context(|| format!("no file system holds {}", path.display()))
}
